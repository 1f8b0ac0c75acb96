"""What a factor would do to a decision, alone and at full weight: for people who weigh it. Called by `omega cosmic`."""

from __future__ import annotations

from typing import Any, Final

from omega.cosmic.readings import Place
from omega.domain import Reading
from omega.engine.conditions import BY_TIME, LABELS, MOON, share_of, time_conditions
from omega.engine.cosmic import FULL_REACH, calculate_cosmic_influence
from omega.engine.influence import (
    circadian_influence,
    moon_influence,
    moon_sector,
    place_influence,
    target_factors,
    time_influence,
)

_TARGETS: Final = ("position_size", "entry_threshold", "exit_impulse")
_HOURS: Final = range(24)


def explained(factor: str, reading: Reading, at_ns: int, place: Place) -> dict[str, Any]:
    """Return the influence by state, the influences of a reading at full weight, and what those would multiply."""
    config = {"enabled": True, factor: {"enabled": True, "weight": 1.0}}
    conditions = time_conditions(at_ns, place.latitude, place.longitude) | {factor: reading}
    if factor in BY_TIME:
        conditions = time_conditions(at_ns, place.latitude, place.longitude)
    influences = calculate_cosmic_influence(config, conditions)
    risk, confidence, emotion = (influences[key] for key in ("risk_appetite", "confidence", "emotional_intensity"))
    targets = []
    for live in (False, True):
        factors = target_factors(risk, confidence, emotion, FULL_REACH, live)
        targets.append({"mode": "live" if live else "research", **dict(zip(_TARGETS, factors, strict=True))})
    return {
        "states": _states(factor, place),
        "influences": {key: value + 0.0 for key, value in influences.items()},
        "targets": targets,
    }


def _states(factor: str, place: Place) -> list[dict[str, str | float]]:
    if factor == "time_cycle":
        rows = [(f"weekday {day}, hour {hour}", time_influence(day, hour)) for day in (0, 2, 4) for hour in (8, 9, 15)]
    elif factor == "circadian_rhythm":
        rows = [(f"hour {hour}", circadian_influence(hour)[0]) for hour in _HOURS]
    elif factor == "geographic_influence":
        rows = [
            (f"month {month}", place_influence(place.latitude, place.longitude, month)[1]) for month in range(1, 13)
        ]
    elif factor == MOON:
        rows = [(name, moon_influence(moon_sector(angle))) for name, angle in LABELS[MOON].items()]
    else:
        rows = [(name, share_of(factor, quantity)) for name, quantity in LABELS.get(factor, {}).items()]
    return [{"state": state, "influence": influence} for state, influence in rows]
