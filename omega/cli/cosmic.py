"""`omega cosmic`: the sky and the factors made of it, without a running farm. Times are ISO 8601, UTC."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Final, TypeVar

import typer

from omega import plugins
from omega.backtest.feeds import hear_recorded
from omega.cli.cosmic_show import show, show_explained, show_rows
from omega.cli.cosmic_study import EXAMPLE, Json, Recorded, place_of, recorded_feeds, study
from omega.cli.patience import patience
from omega.cli.telling import with_bus
from omega.config import Settings
from omega.config.loader import load
from omega.cosmic import almanac
from omega.cosmic.evidence import UNPROVEN, evidence_of
from omega.cosmic.readings import Heard, read_factors
from omega.cosmic.schumann import model_hz
from omega.cosmic.sky import FIRST_NS, LAST_NS, Sky
from omega.cosmic.table import ORBS, WIDEST, Body, aspects_of
from omega.domain import SECOND_NS, FeedState, Reading, from_iso, iso
from omega.errors import ConfigError
from omega.params import nearest

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
When = Annotated[str, typer.Argument(help="An instant, ISO 8601 in UTC, as in 2025-07-18T04:45:00Z.")]
MaybeWhen = Annotated[str, typer.Argument(help="An instant, ISO 8601 in UTC; empty = now.")]
From = Annotated[str, typer.Option("--from", help="First instant, ISO 8601 in UTC; empty = now.")]
To = Annotated[str, typer.Option("--to", help="End, not part of the span; empty = a year after the first instant.")]
_DAY_NS: Final = 86_400 * SECOND_NS
_YEAR_NS: Final = 365 * _DAY_NS
_ASK_NS: Final = 10 * SECOND_NS
_AHEAD_H: Final = 24 * 120
"""Until the next station of Mercury, whenever it is asked."""
app.command(epilog=EXAMPLE)(study)


@app.command(epilog="**Example** `omega cosmic now` · `omega cosmic now --farm --json`")
def now(
    feeds: Recorded = "",
    farm: Annotated[bool, typer.Option("--farm", help="Ask the running farm, which has heard its feeds.")] = False,
    as_json: Json = False,
) -> None:
    """Show every factor's reading, the moon, Mercury and the longitudes at this instant."""
    if farm:
        show(_of_farm(), as_json=as_json)
    else:
        _at(time.time_ns(), feeds, as_json=as_json)


@app.command(epilog="**Example** `omega cosmic at 2025-07-18T04:45:00Z --json`")
def at(when: When, feeds: Recorded = "", as_json: Json = False) -> None:
    """Show every factor's reading, the moon, Mercury and the longitudes at an instant."""
    _at(_instant(when), feeds, as_json=as_json)


@app.command(epilog="**Example** `omega cosmic stations mercury --from 2025-01-01 --to 2026-01-01 --json`")
def stations(
    body: Annotated[str, typer.Argument(help="A planet: mercury, venus, mars, ... pluto.")],
    start: From = "",
    end: To = "",
    as_json: Json = False,
) -> None:
    """List when a planet turns retrograde or direct."""
    chosen = _planet(body)
    start_ns, end_ns = _span(start, end)
    with _sky(bodies=(chosen,)) as sky:
        found = _watched(almanac.stations(sky, chosen, start_ns, end_ns))
    rows = [{"time": iso(at_ns), "body": chosen.value, "kind": kind} for at_ns, kind in found]
    show_rows(rows, f"{chosen.value} from {iso(start_ns)} to {iso(end_ns)}", as_json=as_json)


@app.command(epilog="**Example** `omega cosmic phases --from 2025-01-01 --to 2025-02-01 --json`")
def phases(start: From = "", end: To = "", as_json: Json = False) -> None:
    """List the new moons, quarters and full moons."""
    start_ns, end_ns = _span(start, end)
    with _sky(bodies=(Body.SUN, Body.MOON)) as sky:
        found = _watched(almanac.moon_phases(sky, start_ns, end_ns))
    rows = [{"time": iso(at_ns), "phase": phase.value} for at_ns, phase in found]
    show_rows(rows, f"moon from {iso(start_ns)} to {iso(end_ns)}", as_json=as_json)


@app.command(epilog="**Example** `omega cosmic aspects 2025-06-15T14:36:00Z --orb square=1 --json`")
def aspects(
    when: MaybeWhen = "",
    orb: Annotated[
        list[str] | None, typer.Option(metavar="NAME=DEGREES", help="How far from exact still counts; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the aspects at an instant, the most exact first."""
    at_ns = _instant(when) if when else time.time_ns()
    orbs = ORBS | load().settings.cosmic.orbs | dict(_orb(text) for text in orb or ())
    with _sky() as sky:
        found = aspects_of(sky.table(at_ns).positions(at_ns), orbs)
    rows = [
        {"a": one.a.value, "b": one.b.value, "aspect": one.name, "separation": one.separation, "off": one.off}
        for one in found
    ]
    show_rows(rows, f"aspects at {iso(at_ns)}, degrees", as_json=as_json)


@app.command(epilog="**Example** `omega cosmic forecast --days 14 --json`")
def forecast(
    start: From = "",
    days: Annotated[int, typer.Option(min=1, max=3_660, help="How far to look.")] = 30,
    as_json: Json = False,
) -> None:
    """List what comes in the sky: phases, stations, seasons, exact aspects of Sun and planets. No price is foretold."""
    start_ns = _instant(start) if start else time.time_ns()
    end_ns = min(start_ns + days * _DAY_NS, LAST_NS)
    with _sky() as sky:
        events = _watched(_coming(sky, start_ns, end_ns))
    rows = [{"time": iso(at_ns), "event": event, "what": what} for at_ns, (event, what) in sorted(events)]
    show_rows(rows, f"the sky from {iso(start_ns)} for {days} days", as_json=as_json)


@app.command(epilog="**Example** `omega cosmic factors --json`")
def factors(as_json: Json = False) -> None:
    """List every registered factor with its unit, range, source, switch and weight."""
    cosmic = load().settings.cosmic
    plugins.factors.discover()
    rows = []
    for entry in plugins.factors:
        mine = cosmic.factors.get(entry.name)
        on = cosmic.enabled and mine is not None and mine.enabled
        rows.append(_described(entry) | {"enabled": on, "weight": mine.weight if on and mine else 0.0})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    shown = [
        {
            "name": row["name"],
            "unit": row["unit"],
            "range": f"{row['lowest']:g} to {row['highest']:g}",
            "source": row["source"],
            "weight": row["weight"] if row["enabled"] else "off",
        }
        for row in rows
    ]
    show_rows(shown, f"cosmic factors ({UNPROVEN})", as_json=False)


@app.command(epilog="**Example** `omega cosmic explain moon_phase --at 2025-06-11 --json`")
def explain(
    factor: Annotated[str, typer.Argument(help="A factor, as `omega cosmic factors` names it.")],
    when: Annotated[str, typer.Option("--at", help="An instant, ISO 8601 in UTC; empty = now.")] = "",
    feeds: Recorded = "",
    as_json: Json = False,
) -> None:
    """Tell what a factor is, what it would do at full weight in research and live, and what stands behind it."""
    from omega.cosmic.explain import explained

    known = dict.fromkeys(plugins.factors.discover())
    if factor not in known:
        raise ConfigError(f"there is no factor {factor!r}{nearest(factor, known)}; known are {', '.join(known)}")
    at_ns = _instant(when) if when else time.time_ns()
    place = place_of(load().settings)
    with _sky() as sky:
        reading = read_factors(at_ns, sky.table(at_ns), place, _hearing(feeds, at_ns))[factor]
    stands = evidence_of(factor)
    found = {
        **_described(plugins.factors.get(factor)),
        "registered_sign": stands.sign,
        "measured": stands.measured,
        "reading": _plain(reading, at_ns),
        **explained(factor, reading, at_ns, place),
    }
    if as_json:
        print(json.dumps(found, indent=2))
        return
    show_explained(found)


def _at(at_ns: int, folder: str, *, as_json: bool) -> None:
    settings = load().settings
    plugins.factors.discover()
    with _sky() as sky:
        table = sky.table(at_ns)
        readings = read_factors(at_ns, table, place_of(settings), _hearing(folder, at_ns))
        found = {
            "time": iso(at_ns),
            "evidence": UNPROVEN,
            "factors": {name: _plain(one, at_ns) for name, one in readings.items()},
            "longitudes": {body.value: degrees for body, degrees in table.positions(at_ns).items()},
            "moon": table.moon(at_ns),
            "mercury": table.mercury(at_ns),
        }
    show(found, as_json=as_json)


def _of_farm() -> dict[str, Any]:
    async def work(bus: Any, _settings: Settings) -> tuple[Any, Any]:
        return (
            await bus.ask("cosmic", "now", within_ns=_ASK_NS),
            await bus.ask("cosmic", "positions", within_ns=_ASK_NS),
        )

    told, positions = with_bus(work)
    readings = {row["factor"]: {**row, "as_of": iso(row.pop("as_of_ns"))} for row in told["factors"]}
    return {
        "time": told["at"],
        "evidence": told["evidence"],
        "factors": readings,
        "longitudes": positions["degrees"],
        "moon": told["moon"],
        "mercury": told["mercury"],
    }


def _hearing(folder: str, at_ns: int) -> Any:
    recorded = recorded_feeds(folder)

    def hear(name: str) -> Heard | None:
        if name == "schumann":
            return Heard(model_hz(at_ns), at_ns, "daily curve of 2015-03-01", FeedState.MODEL, 0.0)
        return hear_recorded(recorded, name, at_ns)

    return hear


def _coming(sky: Sky, start_ns: int, end_ns: int) -> Iterator[tuple[int, tuple[str, str]]]:
    for at_ns, phase in almanac.moon_phases(sky, start_ns, end_ns):
        yield at_ns, ("moon", phase.value)
    for body in almanac.TURNING:
        for at_ns, kind in almanac.stations(sky, body, start_ns, end_ns):
            yield at_ns, ("station", f"{body.value} {kind}")
    for at_ns, season in almanac.seasons(sky, start_ns, end_ns):
        yield at_ns, ("season", season)
    slow = [body for body in Body if body is not Body.MOON]
    for at_ns, (a, b, name) in almanac.exact_aspects(sky, start_ns, end_ns, slow):
        yield at_ns, ("aspect", f"{a.value} {name} {b.value}")


@contextmanager
def _sky(*, bodies: Collection[Body] = tuple(Body)) -> Iterator[Sky]:
    sky = Sky(hours_ahead=_AHEAD_H, bodies=bodies)
    try:
        yield sky
    finally:
        sky.close()


def _instant(text: str) -> int:
    at_ns = from_iso(text)
    if not FIRST_NS <= at_ns < LAST_NS:
        raise ConfigError(f"the ephemeris knows the sky from {iso(FIRST_NS)} to {iso(LAST_NS)}, not at {iso(at_ns)}")
    return at_ns


def _span(start: str, end: str) -> tuple[int, int]:
    start_ns = _instant(start) if start else time.time_ns()
    end_ns = _instant(end) if end else min(start_ns + _YEAR_NS, LAST_NS)
    if start_ns >= end_ns:
        raise ConfigError(f"the span from {iso(start_ns)} to {iso(end_ns)} is empty; give --from before --to")
    return start_ns, end_ns


def _planet(name: str) -> Body:
    known = {body.value: body for body in almanac.TURNING}
    if name.lower() not in known:
        raise ConfigError(
            f"{name!r} has no stations{nearest(name.lower(), known)}; those that turn are {', '.join(known)}"
        )
    return known[name.lower()]


def _orb(text: str) -> tuple[str, float]:
    name, _, degrees = text.partition("=")
    try:
        width = float(degrees)
    except ValueError:
        width = -1.0
    if name not in ORBS or not 0.0 <= width <= WIDEST:
        raise ConfigError(f"--orb {text!r}: write NAME=DEGREES, 0 to {WIDEST:g} degrees and one of {', '.join(ORBS)}")
    return name, width


def _plain(reading: Reading, at_ns: int) -> dict[str, Any]:
    row = asdict(reading)
    row["as_of"] = iso(row.pop("as_of_ns"))
    return row | {"age_s": max(reading.age_s(at_ns), 0.0)}


def _described(entry: plugins.FactorEntry) -> dict[str, Any]:
    low, high = entry.span
    return {
        "name": entry.name,
        "doc": entry.doc,
        "kind": entry.kind,
        "unit": entry.unit,
        "lowest": low,
        "highest": high,
        "source": entry.source,
        "ttl_s": entry.ttl_s,
        "evidence": UNPROVEN,
    }


def _watched(events: Iterable[tuple[int, T]]) -> list[tuple[int, T]]:
    """Collect events; a long span says how far it has come."""
    found = []
    with patience("computing the sky") as say:
        for event in events:
            found.append(event)
            say(f"computing the sky, {iso(event[0])[:7]}")
    return found
