"""Illuminated fraction of the moon as a reading in [-1, 1] (new -1, full +1). Calculated, no network."""

from __future__ import annotations

from omega.cosmic.readings import calculated
from omega.cosmic.table import SkyTable
from omega.domain import Reading
from omega.plugins import factor


@factor("moon_phase", kind="calculated", ttl_s=3600, source="JPL DE421", unit="degree of elongation", span=(0.0, 360.0))
def moon_phase(at_ns: int, sky: SkyTable) -> Reading:
    """Read the moon: its light as the value, its elongation as the raw number, its phase as the label."""
    return calculated(
        "moon_phase",
        at_ns,
        value=2.0 * sky.moon_illumination(at_ns) - 1.0,
        raw=sky.moon_elongation(at_ns),
        label=sky.moon_phase(at_ns).value,
    )
