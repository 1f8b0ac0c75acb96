"""First mode of the Earth's cavity in hertz against its 7.83 Hz baseline, -1 to +1. From a feed; none by default."""

from __future__ import annotations

from typing import Final

from omega.cosmic.readings import Heard, fetched
from omega.cosmic.schumann import BASELINE_HZ, band_of
from omega.domain import Reading
from omega.plugins import factor

SWING_HZ: Final = 0.67
"""From the baseline to the upper end of what is plausible: the value's whole scale."""


@factor(
    "schumann_resonance",
    kind="fetched",
    feed="schumann",
    ttl_s=3600,
    source="feed schumann",
    unit="Hz",
    span=(4.0, 40.0),
)
def schumann_resonance(at_ns: int, heard: Heard | None) -> Reading:
    """Read the resonance: its distance from the baseline as the value, hertz as the raw number, its band as label."""
    return fetched(
        "schumann_resonance", at_ns, heard, value=lambda hertz: (hertz - BASELINE_HZ) / SWING_HZ, label=band_of
    )
