"""The seeds' two functions: what the sky says in numbers, and what a decision becomes under it.

Pure: configuration and conditions are arguments, time among them. Called by the cosmic stage of the pipeline, by
history (`omega.backtest.influences`) and by whoever explains a factor. Unproven, off by default, identity when off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final, TypeVar, cast

from omega.domain import AuditEntry, Decision, from_iso
from omega.engine.conditions import influence_of
from omega.engine.influence import Influence, Reach, sway, target_factors
from omega.engine.ramps import Ramp, ramped
from omega.errors import ConfigError
from omega.params import nearest

__all__ = [
    "FULL_REACH",
    "INFLUENCES",
    "Application",
    "Influence",
    "Reach",
    "apply_cosmic_factors",
    "calculate_cosmic_influence",
    "factor_ramps",
    "factor_weights",
    "sway",
]

INFLUENCES: Final = (
    "risk_appetite",
    "confidence",
    "emotional_intensity",
    "mistake_probability",
    "insight_potential",
    "vitality",
    "alertness",
    "discipline",
)
"""The keys that `calculate_cosmic_influence` always returns."""
FULL_REACH: Final[Reach] = (1.0, 1.0, 1.0)
_TARGETS: Final = ("position_size", "entry_threshold", "exit_impulse")
_RAMP: Final = ("from", "to")
_D = TypeVar("_D", bound=Decision | Mapping[str, Any])


@dataclass(frozen=True, slots=True)
class Application:
    """Where influences may act: the master switch, live mode's clamps, and a sensitivity for each target."""

    enabled: bool = True
    live: bool = True
    reach: Reach = FULL_REACH

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Application:
        """Read `{enabled, live, position_size: {enabled, sensitivity}, entry_threshold: ..., exit_impulse: ...}`.

        What is absent is on with sensitivity 1; live is true unless it is said otherwise, for it is the safe one.

        Raises:
            ConfigError: a key is unknown, or a value does not fit.
        """
        _known(config, ("enabled", "live", *_TARGETS), "application")
        reach = [_share(config.get(target, {}), target, "sensitivity", 1.0) for target in _TARGETS]
        return cls(
            enabled=_flag(config, "enabled", "application", default=True),
            live=_flag(config, "live", "application", default=True),
            reach=(reach[0], reach[1], reach[2]),
        )


def calculate_cosmic_influence(
    factors_config: Mapping[str, Any], current_conditions: Mapping[str, Any]
) -> dict[str, float]:
    """Calculate the influences of the enabled factors, each multiplied by its weight.

    Args:
        factors_config: the seeds' form: the master switch `enabled` beside `{enabled, weight}` by factor, with or
            without `cosmic_factors` above it; `ramp: {from, to}` beside a weight phases its factor out.
        current_conditions: what holds now by factor: a reading, a state's name or a quantity; a mapping for
            geographic_influence (latitude, longitude, month), time_cycle (weekday, hour) and circadian_rhythm (hour);
            `at_ns` is the instant against which readings grow stale. What is absent or stale counts as neutral.

    Returns:
        Every key of INFLUENCES, whether anything is enabled or not.

    Raises:
        ConfigError: a weight lies outside [0, 1], a key is unknown, a state has no such name, or a ramp is there and
            no `at_ns` to tell how far it has come.
    """
    weights: Mapping[str, float] = factor_weights(factors_config)
    if ramps := factor_ramps(factors_config):
        if "at_ns" not in current_conditions:
            raise ConfigError(f"{', '.join(ramps)}: a ramp needs the instant; give at_ns among the conditions")
        weights = ramped(weights, ramps, current_conditions["at_ns"])
    return dict(zip(INFLUENCES, influence_of(weights, current_conditions), strict=True))


def apply_cosmic_factors(
    trading_decision: _D, cosmic_influences: Mapping[str, float], application_config: Mapping[str, Any] | Application
) -> _D:
    """Apply influences to a decision: position size, entry threshold and exit impulse, nothing else.

    A mapping is changed in its `position_size` (or `size`), `entry_threshold` (or, inversely, `confidence`) and
    `exit_impulse`; a `Decision` in size and confidence of an entry. The input is never altered.

    Returns:
        A new decision with an audit entry for each changed field, or the very same object when nothing changes.

    Raises:
        ConfigError: the configuration is unsound.
    """
    application = application_config
    if not isinstance(application, Application):
        application = Application.of(application)
    if not application.enabled:
        return trading_decision
    risk, confidence, emotion = (_finite(cosmic_influences, key) for key in INFLUENCES[:3])
    if isinstance(trading_decision, Decision):
        return cast("_D", _apply_to_entry(trading_decision, risk, confidence, application))
    factors = target_factors(risk, confidence, emotion, application.reach, application.live)
    return cast("_D", _apply_to_mapping(trading_decision, factors, (risk, confidence, emotion)))


def factor_weights(config: Mapping[str, Any]) -> dict[str, float]:
    """Return the weight of every factor that counts; empty when the master switch is off.

    Raises:
        ConfigError: a weight lies outside [0, 1], or a key is unknown.
    """
    config = config.get("cosmic_factors", config)
    found = {name: _share(part, name, "weight", 0.0, "ramp") for name, part in config.items() if name != "enabled"}
    if not _flag(config, "enabled", "cosmic_factors", default=False):
        return {}
    return {name: weight for name, weight in found.items() if weight > 0.0}


def factor_ramps(config: Mapping[str, Any]) -> dict[str, Ramp]:
    """Return the ramp of every factor that has one, on or off.

    Raises:
        ConfigError: a ramp is no `{from, to}` of two instants, the first before the second.
    """
    config = config.get("cosmic_factors", config)
    parts = {name: part["ramp"] for name, part in config.items() if name != "enabled" and part.get("ramp")}
    return {name: ramp_of(name, given) for name, given in parts.items()}


def ramp_of(factor: str, given: Mapping[str, Any]) -> Ramp:
    """Read `{from, to}`: dates or instants in ISO 8601, UTC.

    Raises:
        ConfigError: a key is missing or unknown, a value is no instant, or the first is not before the second.
    """
    _known(given, _RAMP, f"{factor}.ramp")
    if len(given) != len(_RAMP):
        raise ConfigError(f"{factor}.ramp: give both ends, as in {{from: 2026-01-01, to: 2026-03-01}}")
    start, end = (from_iso(str(given[key])) for key in _RAMP)
    if start >= end:
        raise ConfigError(f"{factor}.ramp: it falls from {given['from']} to {given['to']}; write the earlier one first")
    return start, end


def _apply_to_entry(decision: Decision, risk: float, shift: float, application: Application) -> Decision:
    if not decision.side:
        return decision
    size, confidence = sway(decision.size, decision.confidence, risk, shift, application.reach, application.live)
    audit = [
        AuditEntry("cosmic", name, before, after, f"{source} {amount:+.3f}")
        for name, before, after, source, amount in (
            ("size", decision.size, size, INFLUENCES[0], risk),
            ("confidence", decision.confidence, confidence, INFLUENCES[1], shift),
        )
        if before != after
    ]
    return replace(decision, size=size, confidence=confidence, audit=(*decision.audit, *audit)) if audit else decision


def _apply_to_mapping(
    decision: Mapping[str, Any], factors: tuple[float, float, float], shifts: tuple[float, float, float]
) -> Mapping[str, Any]:
    size, entry, leave = factors
    threshold = ("entry_threshold", entry) if "entry_threshold" in decision else ("confidence", 1.0 / entry)
    fields = (("position_size" if "position_size" in decision else "size", size), threshold, ("exit_impulse", leave))
    changed: dict[str, Any] = {}
    audit = []
    for (name, factor), source, amount in zip(fields, INFLUENCES, shifts, strict=False):
        before = decision.get(name)
        if before is None or before * factor == before:
            continue
        after = min(before / entry, 1.0) if name == "confidence" else before * factor
        if after != before:
            changed[name] = after
            why = f"{source} {amount:+.3f}"
            audit.append({"stage": "cosmic", "field": name, "before": before, "after": after, "why": why})
    return {**decision, **changed, "audit": (*decision.get("audit", ()), *audit)} if changed else decision


def _finite(influences: Mapping[str, float], key: str) -> float:
    value = float(influences.get(key, 0.0))
    if not isfinite(value):  # it would pass every clamp
        raise ConfigError(f"the influence {key} = {value} is no finite number; leave it out or give one")
    return value


def _known(config: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    if not isinstance(config, Mapping):
        raise ConfigError(f"{where}: {config!r} is no mapping; write its keys {', '.join(keys)} below it")
    for key in config:
        if key not in keys:
            hint = nearest(key, dict.fromkeys(keys))
            raise ConfigError(f"{where}: unknown key {key!r}{hint}; valid are {', '.join(keys)}")


def _flag(config: Mapping[str, Any], key: str, where: str, *, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{where}.{key} = {value!r} is neither true nor false; write one of them")
    return value


def _share(config: Mapping[str, Any], where: str, key: str, default: float, *more: str) -> float:
    """Return a number in [0, 1] of a part with a switch, 0.0 when it is switched off."""
    _known(config, ("enabled", key, *more), where)
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise ConfigError(f"{where}.{key} = {value!r} lies outside 0.0 to 1.0; choose a number inside")
    return float(value) if _flag(config, "enabled", where, default=key == "sensitivity") else 0.0
