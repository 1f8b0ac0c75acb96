"""Whether Mercury's ecliptic longitude falls (1) or grows (0). Calculated, no network."""

from __future__ import annotations

from omega.cosmic.readings import calculated
from omega.cosmic.table import Body, SkyTable
from omega.domain import Reading
from omega.plugins import factor


@factor("mercury_retrograde", kind="calculated", ttl_s=3600, source="JPL DE421", unit="degree a day", span=(-1.5, 2.3))
def mercury_retrograde(at_ns: int, sky: SkyTable) -> Reading:
    """Read Mercury: retrograde or direct, with its speed as the raw number."""
    retrograde = sky.is_retrograde(Body.MERCURY, at_ns)
    return calculated(
        "mercury_retrograde",
        at_ns,
        value=1.0 if retrograde else 0.0,
        raw=sky.speed(Body.MERCURY, at_ns),
        label="retrograde" if retrograde else "direct",
    )
