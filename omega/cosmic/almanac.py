"""What happens in the sky between two instants: phases, stations, seasons, exact aspects. Called by the command line.

A year at a time, so that any span that the ephemeris knows costs a bounded amount of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import Final, TypeVar

from omega.cosmic.sky import Sky
from omega.cosmic.table import HOUR_NS, Body, MoonPhase, SkyTable

T = TypeVar("T")
CHUNK_H: Final = 24 * 366
"""Hours of one table at most."""
MARGIN_H: Final = 24
"""What a table holds beyond its chunk, for a derivative at its edge is none."""
TURNING: Final = tuple(body for body in Body if body not in {Body.SUN, Body.MOON})
"""Bodies that have stations."""
SEASONS: Final = {0.0: "march_equinox", 90.0: "june_solstice", 180.0: "september_equinox", 270.0: "december_solstice"}
_QUARTER: Final = 90.0


def moon_phases(sky: Sky, start_ns: int, end_ns: int) -> Iterator[tuple[int, MoonPhase]]:
    """Return instant and name of every principal phase in [start, end).

    Raises:
        Denied: the ephemeris does not reach that far.
    """
    return _events(sky, start_ns, end_ns, lambda table: table.moon_phases())


def stations(sky: Sky, body: Body, start_ns: int, end_ns: int) -> Iterator[tuple[int, str]]:
    """Return instant and kind (retrograde, direct: what it does from then on) of every station in [start, end)."""
    return _events(
        sky,
        start_ns,
        end_ns,
        lambda table: [(one.ts_ns, "retrograde" if one.retrograde else "direct") for one in table.stations(body)],
    )


def seasons(sky: Sky, start_ns: int, end_ns: int) -> Iterator[tuple[int, str]]:
    """Return instant and name of every equinox and solstice in [start, end)."""
    return _events(
        sky,
        start_ns,
        end_ns,
        lambda table: [(at_ns, SEASONS[longitude]) for at_ns, longitude in table.crossings(Body.SUN, _QUARTER)],
    )


def exact_aspects(
    sky: Sky, start_ns: int, end_ns: int, bodies: Iterable[Body] = tuple(Body)
) -> Iterator[tuple[int, tuple[Body, Body, str]]]:
    """Return instant, bodies and name of every exact aspect among some bodies in [start, end)."""
    pairs = list(combinations(bodies, 2))
    return _events(
        sky,
        start_ns,
        end_ns,
        lambda table: sorted((at_ns, (a, b, name)) for a, b in pairs for at_ns, name in table.exact_aspects(a, b)),
    )


def _events(
    sky: Sky, start_ns: int, end_ns: int, read: Callable[[SkyTable], list[tuple[int, T]]]
) -> Iterator[tuple[int, T]]:
    at_ns = start_ns
    while at_ns < end_ns:
        until_ns = min(at_ns + CHUNK_H * HOUR_NS, end_ns)
        table = sky.table(at_ns, until_ns + MARGIN_H * HOUR_NS)
        yield from ((ts_ns, what) for ts_ns, what in read(table) if at_ns <= ts_ns < until_ns)
        at_ns = until_ns
