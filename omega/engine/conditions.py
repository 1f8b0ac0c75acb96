"""From conditions to influence: what holds now, by name, reading or quantity, through each factor's table, weighted.

Called by omega.engine.cosmic for one instant and by `omega.backtest.influences` for the hours of a history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from math import isfinite
from typing import Any, Final

from omega.domain import FeedState, Reading
from omega.engine.influence import (
    Influence,
    aspects_influence,
    circadian_influence,
    combined,
    liquidity_influence,
    mercury_influence,
    moon_sector,
    place_influence,
    schumann_influence,
    sentiment_influence,
    storm_influence,
    time_influence,
)
from omega.errors import ConfigError
from omega.params import nearest

Times = tuple[float, float, float, float, float]
"""(vitality, risk of the place, time cycle, alertness, discipline)."""

MOON: Final = "moon_phase"
BY_TIME: Final = ("geographic_influence", "time_cycle", "circadian_rhythm")
"""Factors that instant and place alone decide."""
LABELS: Final[Mapping[str, Mapping[str, float]]] = {
    "moon_phase": {
        "new": 0.0,
        "waxing_crescent": 45.0,
        "first_quarter": 90.0,
        "waxing_gibbous": 135.0,
        "full": 180.0,
        "waning_gibbous": 225.0,
        "last_quarter": 270.0,
        "waning_crescent": 315.0,
    },
    "schumann_resonance": {
        "very_low": 6.0,
        "low": 7.0,
        "baseline": 7.83,
        "elevated": 9.0,
        "high": 10.5,
        "very_high": 13.0,
    },
    "market_liquidity": {"dry": -0.8, "restricted": -0.4, "normal": 0.0, "flowing": 0.4, "abundant": 0.8},
    "global_sentiment": {
        "despair": 6.0,
        "pessimistic": 19.0,
        "fearful": 30.0,
        "cautious": 41.0,
        "neutral": 50.0,
        "optimistic": 65.0,
        "euphoric": 88.0,
    },
    "mercury_retrograde": {"direct": 0.0, "retrograde": 1.0, "false": 0.0, "true": 1.0},
    "geomagnetic_activity": {"quiet": 2.0, "active": 4.33, "storm": 5.67, "severe_storm": 8.0},
    "planetary_aspects": {"tense": -0.67, "mixed": 0.0, "harmonious": 0.67},
}
"""The states of each factor by name, as a quantity in the middle of their band: degrees of elongation, hertz, a level
in [-1, 1], the fear and greed index, 0 or 1, Kp, a balance in [-1, 1]."""
TABLES: Final[Mapping[str, Callable[[float], float]]] = {
    "schumann_resonance": schumann_influence,
    "market_liquidity": liquidity_influence,
    "global_sentiment": sentiment_influence,
    "mercury_retrograde": mercury_influence,
    "geomagnetic_activity": storm_influence,
    "planetary_aspects": aspects_influence,
}
"""Every factor with a table of its own besides the moon and those of time and place."""
_OWN_TARGET: Final = ("schumann_resonance", "market_liquidity", "global_sentiment", "mercury_retrograde")
"""Factors that feed more or other targets than risk appetite, in the order in which `combined` takes them."""
_GENERIC: Final = 0.2
"""What a factor without a table feeds into risk appetite at a reading of 1 and weight 1."""
_MEASURED: Final = frozenset({FeedState.LIVE, FeedState.CALCULATED})
_RAW: Final = frozenset({MOON, "schumann_resonance", "geomagnetic_activity"})
"""Factors whose table reads the raw quantity of a reading; the others read its value."""
_SLACK_S: Final = 60.0
"""How far after the instant of a decision a reading may lie: a decision is made shortly after its bar has closed."""
_SECOND_NS: Final = 1_000_000_000
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_DEGREES_AN_HOUR: Final = 15.0
_TROPICS: Final = 10.0
_MAY_TO_AUGUST: Final = (5, 6, 7, 8)
_NOVEMBER_TO_FEBRUARY: Final = (11, 12, 1, 2)
_THURSDAY: Final = 3  # 1970-01-01 was one


def influence_of(weights: Mapping[str, float], conditions: Mapping[str, Any]) -> Influence:
    """Return the combined influence of weighted factors under conditions; a factor that is not named counts 0.

    Raises:
        ConfigError: a condition names a state that does not exist.
    """
    at_ns = conditions.get("at_ns")
    known = {name: quantity_of(name, conditions.get(name), at_ns) for name in weights if name not in BY_TIME}
    seen = {name: quantity for name, quantity in known.items() if quantity is not None}
    shares = {name: share_of(name, seen[name]) * weights[name] for name in seen if name != MOON}
    times = time_shares(weights, conditions)
    sector = moon_sector(seen[MOON]) if MOON in seen else -1
    return summed(sector, weights.get(MOON, 0.0), shares, times)


def quantity_of(name: str, condition: Any, at_ns: int | None) -> float | None:
    """Return a condition as the quantity that the factor's table reads, None when nothing usable is known.

    Raises:
        ConfigError: it names a state that the factor does not have, or is nothing of the kind.
    """
    if isinstance(condition, Reading):
        return _read(name, condition, at_ns)
    if isinstance(condition, str):
        labels = LABELS.get(name, {})
        if condition not in labels:
            known = ", ".join(labels) or "none"
            raise ConfigError(f"{name}: there is no state {condition!r}{nearest(condition, labels)}; known: {known}")
        return labels[condition]
    if condition is None:
        return None
    if not isinstance(condition, int | float) or not isfinite(condition):
        raise ConfigError(f"{name}: {condition!r} is no state, quantity or reading; give one of them, or leave it out")
    return float(condition)


def share_of(name: str, quantity: float) -> float:
    """Return what a factor contributes at a quantity and weight 1, by its own table or the common rule."""
    rule = TABLES.get(name)
    return rule(quantity) if rule is not None else quantity * _GENERIC


def time_shares(weights: Mapping[str, float], conditions: Mapping[str, Any]) -> Times:
    """Return (vitality, risk of the place, time cycle, alertness, discipline), each multiplied by its weight."""
    place, cycle, rhythm = (conditions.get(name) for name in BY_TIME)
    vitality, risk = (0.0, 0.0) if place is None else _at_place(place)
    time = 0.0 if cycle is None else time_influence(int(cycle["weekday"]), int(cycle["hour"]))
    alert, discipline = (0.0, 0.0) if rhythm is None else circadian_influence(int(rhythm["hour"]))
    by_place, by_cycle, by_rhythm = (weights.get(name, 0.0) for name in BY_TIME)
    return vitality * by_place, risk * by_place, time * by_cycle, alert * by_rhythm, discipline * by_rhythm


def summed(sector: int, moon_weight: float, shares: Mapping[str, float], times: Times) -> Influence:
    """Return the combined influence of weighted shares; what is no moon and has no target of its own feeds risk."""
    schumann, liquidity, sentiment, mercury = (shares.get(name, 0.0) for name in _OWN_TARGET)
    others = sum([share for name, share in shares.items() if name not in _OWN_TARGET], 0.0)
    vitality, risk, time, alert, discipline = times
    return combined(
        sector,
        moon_weight,
        schumann,
        liquidity,
        sentiment,
        mercury,
        vitality,
        risk,
        time,
        alert,
        discipline,
        others,
    )


def time_conditions(at_ns: int, latitude: float, longitude: float) -> dict[str, Any]:
    """Return the conditions that instant and place alone decide, in the mean solar time of the place.

    Units: at_ns in ns UTC; degrees, north and east positive.
    """
    local_s = at_ns // _SECOND_NS + round(longitude / _DEGREES_AN_HOUR * _HOUR_S)
    days, hour = local_s // _DAY_S, local_s % _DAY_S // _HOUR_S
    month = date.fromordinal(date(1970, 1, 1).toordinal() + days).month
    return {
        "at_ns": at_ns,
        "geographic_influence": {"latitude": latitude, "longitude": longitude, "month": month},
        "time_cycle": {"weekday": (days + _THURSDAY) % 7, "hour": hour},
        "circadian_rhythm": {"hour": hour},
    }


def season_of(latitude: float, month: int) -> str:
    """Return the season by the months of the domain's geographic table: winter, summer, between or tropics."""
    if abs(latitude) < _TROPICS:
        return "tropics"
    if month in _MAY_TO_AUGUST:
        return "summer" if latitude > 0 else "winter"
    if month in _NOVEMBER_TO_FEBRUARY:
        return "winter" if latitude > 0 else "summer"
    return "between"


def _read(name: str, reading: Reading, at_ns: int | None) -> float | None:
    if reading.state not in _MEASURED or not reading.source:
        return None
    if at_ns is not None and not -_SLACK_S <= reading.age_s(at_ns) <= reading.ttl_s:
        return None
    quantity = reading.raw if name in _RAW else reading.value
    if name == "global_sentiment":
        quantity = 50.0 * (1.0 + reading.value)
    return quantity if isfinite(quantity) else None


def _at_place(place: Mapping[str, Any]) -> tuple[float, float]:
    return place_influence(float(place["latitude"]), float(place["longitude"]), int(place["month"]))
