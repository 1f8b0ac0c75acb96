"""What a sweep looks for: one metric or several, each to be made large or small. Read by searches and rankings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from omega.errors import ConfigError

_SMALL_IS_GOOD: Final = (
    "drawdown",
    "volatility",
    "ulcer",
    "var",
    "cvar",
    "turnover",
    "fees",
    "mae",
    "exposure",
)
"""Words in the names of metrics that are better the smaller they are."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One metric and the direction in which it gets better.

    Attributes:
        metric: its name, as `omega backtest --json` writes it.
        larger: whether more is better.
    """

    metric: str
    larger: bool

    @property
    def direction(self) -> str:
        """The direction as Optuna names it."""
        return "maximize" if self.larger else "minimize"

    def score(self, metrics: Mapping[str, float | None]) -> float:
        """Return how good a trial is, larger is better; what has no figure is worse than everything."""
        value = metrics.get(self.metric)
        if value is None or math.isnan(value):
            return -math.inf
        return value if self.larger else -value


def goals_of(texts: Sequence[str]) -> tuple[Goal, ...]:
    """Read objectives as `sharpe`, `max_drawdown:min` or `roi:max`.

    Raises:
        ConfigError: a text is malformed or a metric is named twice.
    """
    goals = tuple(_goal(text) for text in texts)
    if len({goal.metric for goal in goals}) < len(goals):
        raise ConfigError("--objective names a metric twice; give each once")
    return goals


def front(scores: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices that no other one beats in every objective, in their order: the Pareto front."""
    return [
        i
        for i, own in enumerate(scores)
        if not any(_beats(other, own) for j, other in enumerate(scores) if j != i) and -math.inf not in own
    ]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and any(a > b for a, b in zip(one, other, strict=True))


def _goal(text: str) -> Goal:
    name, colon, way = text.strip().partition(":")
    if not name or (colon and way not in {"min", "max"}):
        raise ConfigError(f"--objective {text!r} is neither a metric nor metric:min or metric:max")
    if colon:
        return Goal(name, way == "max")
    words = set(name.split("_"))
    return Goal(name, not words & set(_SMALL_IS_GOOD))
