"""Planetary geomagnetic index Kp, 0 (quiet, -1) to 9 (extreme storm, +1). From a feed; off by default."""

from __future__ import annotations

from typing import Final

from omega.cosmic.readings import Heard, fetched
from omega.domain import Reading
from omega.plugins import factor

HIGHEST: Final = 9.0
ACTIVE, STORM, SEVERE = 4.0, 5.0, 7.0
"""The bands of the index as observatories name them."""


@factor(
    "geomagnetic_activity", kind="fetched", feed="kp", ttl_s=32_400, source="feed kp", unit="Kp", span=(0.0, HIGHEST)
)
def geomagnetic_activity(at_ns: int, heard: Heard | None) -> Reading:
    """Read the Earth's magnetic field: Kp as the raw number, its place between 0 and 9 as the value."""
    return fetched("geomagnetic_activity", at_ns, heard, value=lambda kp: 2.0 * kp / HIGHEST - 1.0, label=_label)


def _label(kp: float) -> str:
    if kp < ACTIVE:
        return "quiet"
    if kp < STORM:
        return "active"
    return "storm" if kp < SEVERE else "severe_storm"
