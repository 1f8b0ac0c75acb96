"""The Schumann resonance: no feed by default, an address of your own, or the seeded simulator, always labelled so."""

from __future__ import annotations

from typing import Any, Final

from omega.config import SchumannFeed
from omega.cosmic.feeds import Rule, Sample
from omega.cosmic.readings import Heard
from omega.cosmic.schumann import BASELINE_HZ, PLAUSIBLE_HZ, SIMULATED, model_hz, simulated
from omega.domain import FeedState, from_iso
from omega.errors import ConfigError, CorruptData
from services.cosmic.feeds.http import get_json, host_of

NAME: Final = "schumann"
RULE: Final = Rule(low=PLAUSIBLE_HZ[0], high=PLAUSIBLE_HZ[1], stale_s=3_600.0, frozen_after=6, neutral=BASELINE_HZ)
"""An hour old is stale; on the measured day no ten-minute value repeats the one before."""
MODEL: Final = "daily curve of 2015-03-01"


def parse(answer: Any, source: str) -> Sample:
    """Read `{"hz": 7.81, "time": "2026-01-01T00:00:00Z"}`.

    Raises:
        CorruptData: it has another shape.
    """
    try:
        return Sample(float(answer["hz"]), from_iso(str(answer["time"])), source)
    except (KeyError, TypeError, ValueError, OverflowError, ConfigError) as error:
        raise CorruptData(f"{source} answers in another shape ({error!r}): give hz and time") from error


async def fetch(feed: SchumannFeed) -> Sample:
    """Ask for the newest value."""
    return parse(await get_json(feed.url, timeout_s=feed.timeout_s), f"Schumann ({host_of(feed.url)})")


def modelled(at_ns: int) -> Heard:
    """Return the daily curve, for displays: it moves no decision."""
    return Heard(model_hz(at_ns), at_ns, MODEL, FeedState.MODEL, 0.0)


def played(seed: int, at_ns: int, *, retrograde: bool, live: bool) -> Heard:
    """Return the simulator's value: play values that move decisions in simulation alone."""
    hertz, pattern = simulated(seed, at_ns, retrograde=retrograde)
    state = FeedState.MODEL if live else FeedState.LIVE
    return Heard(hertz, at_ns, f"{SIMULATED} (seed {seed}, {pattern})", state, 0.0 if live else 1.0)
