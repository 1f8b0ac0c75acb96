"""Weekday and hour at the observer's place: what the old table claims for confidence, -1 to +1. From the clock."""

from __future__ import annotations

from typing import Final

from omega.cosmic.readings import Place, calculated
from omega.domain import Reading
from omega.engine.conditions import time_conditions
from omega.engine.influence import time_influence
from omega.plugins import factor

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS: Final = 24


@factor(
    "time_cycle",
    kind="local",
    ttl_s=3600,
    source="mean solar time of the place",
    unit="hour of the week",
    span=(0.0, 167.0),
)
def time_cycle(at_ns: int, place: Place) -> Reading:
    """Read the week: the confidence part as the value, the hour of the week as the raw number, the day as the label."""
    week = time_conditions(at_ns, place.latitude, place.longitude)["time_cycle"]
    day, hour = week["weekday"], week["hour"]
    value = time_influence(day, hour)
    return calculated("time_cycle", at_ns, value=value, raw=float(HOURS * day + hour), label=DAYS[day])
