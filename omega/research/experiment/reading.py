"""Experiment files: YAML to a checked plan; every error names the line, the key and the nearest valid name.

Called by `omega experiment`; the strategy's own parameters are checked too, before anything is run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from omega import plugins
from omega.backtest.presets import FACTORS, load_preset, load_profile
from omega.backtest.run import RULES
from omega.config.tree import Branch, read_yaml
from omega.domain.time import timeframe_ns
from omega.engine.decision import Settings
from omega.errors import ConfigError
from omega.params import nearest, parse_params
from omega.plugins import StrategyEntry
from omega.research.experiment.plan import Arm, Data, Folds, Gates, Plan, Trading
from omega.research.statistics.measures import measure

_SECTIONS: Final[dict[str, type[BaseModel]]] = {"data": Data, "folds": Folds, "trading": Trading, "gates": Gates}
_SETTINGS: Final = ("sizing", "risk", "max_leverage", "max_notional", "reserve", "buffer", "min_confidence")
_BARRIERS: Final = ("time_limit", "trail", "flip", "require_stop")
_TEXTS: Final = {"missing": "is missing", "extra_forbidden": "is no setting"}


def read_plan(path: Path) -> Plan:
    """Read an experiment file and check everything that can be checked without the data.

    Raises:
        ConfigError: the file is no YAML, a key is unknown or missing, a value does not fit, or the arms could not be
            judged as they stand; names file and line.
    """
    tree = read_yaml(path, str(path))
    try:
        plan = Plan.model_validate(tree.plain())
    except ValidationError as error:
        raise ConfigError(_explained(error, tree)) from None
    try:
        check_plan(plan)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return plan


def check_plan(plan: Plan) -> None:
    """Check what the types cannot: names, arms that differ, parameters of the strategy, enough placebos.

    Raises:
        ConfigError: something would make the experiment meaningless; says what to change.
    """
    measure(plan.metric)
    timeframe_ns(plan.data.timeframe)
    _check_names(plan)
    rules_of(plan)
    entry, _ = bot_of(plan)
    for name, arm in plan.arms.items():
        _check_arm(plan, entry, name, arm)
    _check_distinct(plan)
    for key, values in plan.folds.tune.items():
        _check_tune(plan, entry, key, values)
    if plan.folds.tune and not plan.folds.train_days:
        raise ConfigError("folds.tune needs a window to tune on: set folds.train_days")
    judged = [name for name in plan.tested if plan.arms[name].has_placebos]
    least = math.ceil(len(plan.tested) / plan.alpha) - 1
    if judged and plan.placebos < least:
        raise ConfigError(
            f"placebos: {plan.placebos} random phases for {len(plan.tested)} arms at alpha {plan.alpha} can adopt "
            f"nothing, however good: use at least {least}"
        )


def bot_of(plan: Plan) -> tuple[StrategyEntry, dict[str, Any]]:
    """Return the strategy and the parameters of the bot: a configured bot's name or a strategy's.

    Raises:
        ConfigError: neither is called so, or the strategy never trades.
    """
    plugins.strategies.discover()
    values = dict(plan.params)
    name = plan.bot
    if name not in plugins.strategies:
        from omega.config.loader import load

        bots = load().settings.bots
        if name not in bots:
            known = {**dict.fromkeys(plugins.strategies.names()), **dict.fromkeys(bots)}
            raise ConfigError(
                f"bot: there is no strategy and no configured bot {name!r}{nearest(name, known)}; known are "
                f"{', '.join(known)}"
            )
        values = {**bots[name].params, **values}
        name = bots[name].strategy
    entry = plugins.strategies.get(name)
    if entry.read_only:
        raise ConfigError(f"bot: {name} only reads and never trades; choose a bot that enters positions")
    return entry, values


def rules_of(plan: Plan) -> Settings:
    """Return the rules around the strategy: a back-test's own, with what the plan says."""
    known = dict.fromkeys([*_SETTINGS, *_BARRIERS])
    for key in plan.rules:
        if key not in known:
            raise ConfigError(f"rules: unknown rule {key!r}{nearest(key, known)}; valid are {', '.join(known)}")
    return replace(RULES, **plan.rules)  # type: ignore[arg-type]  # the names are checked above, the values by Settings


def _check_names(plan: Plan) -> None:
    if plan.control not in plan.arms:
        raise ConfigError(f"control: there is no arm {plan.control!r}{nearest(plan.control, plan.arms)}")
    if len(set(plan.data.symbols)) < len(plan.data.symbols):
        raise ConfigError(f"data.symbols: one stands twice in {', '.join(plan.data.symbols)}; name each once")
    for name, arm in plan.arms.items():
        if arm.against and (arm.against not in plan.arms or arm.against == name):
            raise ConfigError(f"arms.{name}.against: {arm.against!r} is no other arm{nearest(arm.against, plan.arms)}")
    if plan.arms[plan.control].against:
        raise ConfigError(f"arms.{plan.control}.against: the control is compared with nothing; remove it")


def _check_arm(plan: Plan, entry: StrategyEntry, name: str, arm: Arm) -> None:
    where = f"arms.{name}"
    both = sorted(set(arm.params) & set(plan.folds.tune))
    if both:
        raise ConfigError(f"{where}.params: {', '.join(both)} is tuned on every fold; leave it out here or there")
    _parsed(entry, {**bot_of(plan)[1], **arm.params}, f"{where}.params")
    try:
        load_profile(arm.psychology)
        if isinstance(arm.cosmic, str):
            load_preset(arm.cosmic, known=_factors())
        else:
            _check_factors(arm.cosmic)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _check_factors(weights: Mapping[str, float]) -> None:
    known = dict.fromkeys([*FACTORS, *_factors()])
    if not any(weights.values()):
        raise ConfigError("cosmic: no factor has a weight above 0; write off, or give one")
    for factor in weights:
        if factor not in known:
            raise ConfigError(
                f"cosmic: unknown factor {factor!r}{nearest(factor, known)}; valid are {', '.join(known)}"
            )


def _factors() -> tuple[str, ...]:
    return plugins.factors.discover()


def _check_distinct(plan: Plan) -> None:
    seen: dict[str, str] = {}
    for name, arm in plan.arms.items():
        patch = str((sorted(arm.params.items()), arm.psychology, _weights(arm)))
        if patch in seen:
            raise ConfigError(f"arms.{name} does the same as arms.{seen[patch]}; remove one")
        seen[patch] = name


def _weights(arm: Arm) -> object:
    return arm.cosmic if isinstance(arm.cosmic, str) else sorted(arm.cosmic.items())


def _check_tune(plan: Plan, entry: StrategyEntry, key: str, values: Iterable[object]) -> None:
    listed = list(values)
    if not listed:
        raise ConfigError(f"folds.tune.{key}: there is nothing to choose from; list the values to try")
    for value in listed:
        _parsed(entry, {**bot_of(plan)[1], key: value}, f"folds.tune.{key}")


def _parsed(entry: StrategyEntry, values: Mapping[str, object], where: str) -> object:
    try:
        return parse_params(entry.params, values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _explained(error: ValidationError, tree: Branch) -> str:
    lines: dict[str, None] = {}
    for found in error.errors(include_url=False):
        path = tuple(str(part) for part in found["loc"] if not _is_tag(part))
        place, name, kind = tree.origin_of(path), ".".join(path), str(found["type"])
        if kind == "extra_forbidden":
            text = f"there is no setting {name}{_near(path)}; remove it or correct its name"
        elif kind == "missing":
            text = f"{name} is missing; write it"
        else:
            given = found.get("input")
            shown = "" if isinstance(given, dict | list) else f" = {given!r}"
            text = f"{name}{shown}: {str(found['msg']).replace('Input should be', 'must be')}"
        lines.setdefault(f"{place}: {text}", None)
    return "; ".join(lines)


def _is_tag(part: object) -> bool:
    """Tell whether a location names a branch of a union and not a key of the file."""
    return isinstance(part, str) and (part in {"bool", "int", "float", "str", "[key]"} or part.endswith("]"))


def _near(path: tuple[str, ...]) -> str:
    model: type[BaseModel] = Plan
    if len(path) > 1:
        model = Arm if path[0] == "arms" else _SECTIONS.get(path[0], Plan)
    names = [field.alias or name for name, field in model.model_fields.items()]
    return nearest(path[-1], dict.fromkeys(names))
