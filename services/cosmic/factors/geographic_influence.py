"""Season and place of the observer: what the old table claims for vitality, -1 to +1. From date and place."""

from __future__ import annotations

from omega.cosmic.readings import Place, calculated
from omega.domain import Reading
from omega.engine.conditions import season_of, time_conditions
from omega.engine.influence import place_influence
from omega.plugins import factor


@factor(
    "geographic_influence",
    kind="local",
    ttl_s=3600,
    source="calendar and place",
    unit="degree of latitude",
    span=(-90.0, 90.0),
)
def geographic_influence(at_ns: int, place: Place) -> Reading:
    """Read the season: the vitality part as the value, the latitude as the raw number, the season as the label."""
    month = time_conditions(at_ns, place.latitude, place.longitude)["geographic_influence"]["month"]
    vitality, _ = place_influence(place.latitude, place.longitude, month)
    label = season_of(place.latitude, month)
    return calculated("geographic_influence", at_ns, value=vitality, raw=place.latitude, label=label)
