"""The smallest effect that data of this size and noise could have shown. Called by the judge for every verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.research.statistics.compare import Direction

_MOST_PHASES: Final = 1000
_DOUBLINGS: Final = 24
_HALVINGS: Final = 30
_SMALL: Final = 10_000_000
_NOISE: Final = 1e-15


def smallest_detectable(error: float, *, alpha: float, power: float, direction: Direction) -> float:
    """Return the true effect that a test of a nearly normal estimate finds with the given power.

    MDE = (z(1 - alpha) + z(power)) standard errors, alpha halved for a test in either direction.

    Args:
        error: standard error of the effect, in the units of the measure.
        alpha: of the single test, already divided for the number of tests.
        power: probability to find the effect.
        direction: the registered one.
    """
    tail = alpha / 2.0 if direction is Direction.EITHER else alpha
    return error * (NormalDist().inv_cdf(1.0 - tail) + NormalDist().inv_cdf(power))


def smallest_ranked(values: F64, paths: F64, *, alpha: float, power: float, direction: Direction) -> float:
    """Return the true effect that the rank among placebos finds with the given power; inf when none would be found.

    A placebo that resembles the factor shares its effect: of a nearly periodic one, such as the moon, phases near the
    true one do almost as well, and the rank needs a far larger effect than a normal estimate would. So each phase plays
    the true one in turn, an effect is added to every phase in proportion to its likeness to that one, and the share of
    phases that are found is the power.

    Args:
        values: the metric of the factor and of each placebo, (m,).
        paths: their daily returns, (m, n); the likeness is the correlation of two rows about the mean row.
        alpha: of the single test, already divided for the number of tests.
        power: probability to find the effect.
        direction: the registered one.
    """
    m = min(len(values), _MOST_PHASES)
    away = paths[:m] - paths[:m].mean(axis=0)
    length = np.sqrt((away**2).sum(axis=1))
    if length.min() <= _NOISE * max(float(np.abs(paths).max()), 1.0):
        return 0.0
    likeness = _products(away) / np.outer(length, length)
    np.fill_diagonal(likeness, 1.0)
    tail = alpha / 2.0 if direction is Direction.EITHER else alpha
    gains = direction.sign * values[:m]

    def share(effect: float) -> float:
        reached = (gains + effect * likeness >= (gains + effect)[:, None]).sum(axis=1)
        return float((reached / m <= tail).mean())

    return _least(share, power, float(gains.std()))


def _products(rows: F64) -> F64:
    """Return the product of every row with every other; small ones without threads that would wait for each other."""
    if rows.shape[0] * rows.size < _SMALL:
        return np.asarray(np.einsum("an,bn->ab", rows, rows))
    return rows @ rows.T


def _least(share: Callable[[float], float], power: float, start: float) -> float:
    """Return the smallest effect whose share reaches the power, by doubling and halving."""
    low, high = 0.0, max(start, _NOISE)
    for _ in range(_DOUBLINGS):
        if share(high) >= power:
            break
        low, high = high, 2.0 * high
    else:
        return math.inf
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if share(middle) >= power else (middle, high)
    return high
