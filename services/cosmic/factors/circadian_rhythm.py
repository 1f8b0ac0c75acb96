"""Hour of the day at the observer's place: what the old table claims for alertness, -1 to +1. From the clock alone."""

from __future__ import annotations

from typing import Final

from omega.cosmic.readings import Place, calculated
from omega.domain import Reading
from omega.engine.conditions import time_conditions
from omega.engine.influence import circadian_influence
from omega.plugins import factor

PARTS: Final = ((1, "late_evening"), (5, "night"), (10, "morning"), (15, "midday"), (18, "afternoon"), (22, "evening"))
"""The rows of the table by the hour before which they end; from 22 it is late evening again."""


@factor(
    "circadian_rhythm",
    kind="local",
    ttl_s=3600,
    source="mean solar time of the place",
    unit="hour of the day",
    span=(0.0, 23.0),
)
def circadian_rhythm(at_ns: int, place: Place) -> Reading:
    """Read the day: the alertness part as the value, the hour as the raw number, the part of the day as the label."""
    hour = time_conditions(at_ns, place.latitude, place.longitude)["circadian_rhythm"]["hour"]
    alertness, _ = circadian_influence(hour)
    label = next((name for end, name in PARTS if hour < end), PARTS[0][1])
    return calculated("circadian_rhythm", at_ns, value=alertness, raw=float(hour), label=label)
