"""How a factor builds its reading; unit, source and time to live come from its registration. Used by the factors.

Called beside them by the service and the command line, through `read_factors`: a factor of the sky is given the table,
one of the place the place, one of a feed what the feed has heard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omega import plugins
from omega.cosmic.table import SkyTable
from omega.domain import NO_SOURCE, FeedState, Reading

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the observer is. Units: degrees, north and east positive."""

    latitude: float = 40.0
    longitude: float = -74.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What a feed says at an instant.

    Units: raw in the unit of the factor; as_of_ns the instant that it describes; confidence in [0, 1]; ttl_s the time
        after that instant for which it may be used, None for as long as the factor says.
    """

    raw: float
    as_of_ns: int
    source: str
    state: FeedState
    confidence: float = 1.0
    ttl_s: int | None = None


def read_factors(at_ns: int, sky: SkyTable, place: Place, hear: Callable[[str], Heard | None]) -> dict[str, Reading]:
    """Return the reading of every registered factor at an instant, by name.

    Args:
        at_ns: the instant, ns UTC.
        sky: a table that covers it.
        place: the observer.
        hear: what the feed of a name says at the instant, None when nothing was ever heard.
    """
    given: dict[str, Callable[[plugins.FactorEntry], object]] = {
        "calculated": lambda _: sky,
        "local": lambda _: place,
        "fetched": lambda entry: hear(entry.feed),
    }
    return {entry.name: entry.function(at_ns, given[entry.kind](entry)) for entry in plugins.factors}


def calculated(factor: str, at_ns: int, *, value: float, raw: float, label: str) -> Reading:
    """Return the reading of a factor that is computed exactly: confidence 1.

    Units: value in [-1, 1]; raw in the factor's unit.
    """
    entry = plugins.factors.get(factor)
    return Reading(
        factor, _bounded(value), raw, entry.unit, label, entry.source, at_ns, entry.ttl_s, 1.0, FeedState.CALCULATED
    )


def fetched(
    factor: str, at_ns: int, heard: Heard | None, *, value: Callable[[float], float], label: Callable[[float], str]
) -> Reading:
    """Return the reading of a factor that comes from a feed; only a live one may move a decision.

    It may be used as long as the factor says and no longer than its feed would be believed: a reader who hears nothing
    more judges by the reading alone.

    Args:
        factor: its name.
        at_ns: the instant that is asked about.
        heard: what the feed says; with None the reading is neutral, without confidence and names no source.
        value: the raw quantity on the scale from -1 to 1.
        label: the raw quantity in a word.
    """
    entry = plugins.factors.get(factor)
    if heard is None:
        return Reading(factor, 0.0, 0.0, entry.unit, UNKNOWN, NO_SOURCE, at_ns, entry.ttl_s, 0.0, FeedState.STALE)
    raw, ttl_s = heard.raw, entry.ttl_s if heard.ttl_s is None else min(heard.ttl_s, entry.ttl_s)
    return Reading(
        factor,
        _bounded(value(raw)),
        raw,
        entry.unit,
        label(raw),
        heard.source,
        heard.as_of_ns,
        ttl_s,
        heard.confidence,
        heard.state,
    )


def _bounded(value: float) -> float:
    return -1.0 if value < -1.0 else min(value, 1.0)
