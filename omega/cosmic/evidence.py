"""What is claimed of each factor, the sign that was registered before looking, and what the recorded data says.

Called by `omega cosmic explain`. The figures are of BTC, 2014-11-28 to 2025-06-30, daily; none is significant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

UNPROVEN: Final = "unproven"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What stands behind a factor.

    Attributes:
        sign: the direction that was registered before any test.
        measured: what recorded data says; empty where it was not measured alone.
    """

    sign: str
    measured: str = ""


EVIDENCE: Final = {
    "moon_phase": Evidence(
        "new moon above full moon (studies of stock markets: 3 to 5 % a year)",
        "new minus full, 7 days either way: +0.111 % a day, permutation p = 0.14",
    ),
    "mercury_retrograde": Evidence(
        "retrograde below direct (one study of stock markets: 3.3 % a year)",
        "retrograde minus direct, from 2017: -0.122 % a day, t = -0.71",
    ),
    "planetary_aspects": Evidence("tense aspects below harmonious ones (lore; no study bears it)"),
    "schumann_resonance": Evidence("none: no mechanism is known, and no long series exists"),
    "geomagnetic_activity": Evidence(
        "storms below quiet days (studies of stock markets, lag of 2 to 6 days)",
        "a storm in the previous six days minus none: +0.157 % a day, t = 1.04, the opposite sign",
    ),
    "market_liquidity": Evidence("dry below abundant (the market's own figure, no cosmic one)"),
    "global_sentiment": Evidence(
        "fear below greed", "the day after an index of 25 or less minus the rest: -0.022 % a day, t = -0.11"
    ),
    "geographic_influence": Evidence("winter below summer (the old table's claim)"),
    "time_cycle": Evidence("Monday below Friday (the old table's claim)"),
    "circadian_rhythm": Evidence("night below day (the old table's claim)"),
}
UNKNOWN: Final = Evidence("none registered: write it down before you look")


def evidence_of(factor: str) -> Evidence:
    """Return what stands behind a factor."""
    return EVIDENCE.get(factor, UNKNOWN)
