"""Two paired return series against each other: bootstrap of the difference, paired t, Wilcoxon. Called by the judge."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError
from omega.research.statistics.bootstrap import block_length, draw_blocks
from omega.research.statistics.measures import Measure

_LEAST: Final = 3
_NOISE: Final = 1e-12


class Direction(StrEnum):
    """Which way an effect was registered to go."""

    HIGHER = "higher"
    LOWER = "lower"
    EITHER = "either"

    @property
    def sign(self) -> float:
        """The factor that makes a registered effect positive; `either` keeps the sign it has."""
        return -1.0 if self is Direction.LOWER else 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a paired comparison found.

    Units: effect, its interval and its error in the units of the measure; p-values in the registered direction;
        block in days.
    """

    effect: float
    error: float
    low: float
    high: float
    p: float
    t_p: float
    wilcoxon_p: float
    block: float


def compare(
    arm: F64,
    control: F64,
    measure: Measure,
    *,
    direction: Direction,
    draws: int,
    confidence: float,
    rng: np.random.Generator,
) -> Comparison:
    """Compare an arm with its control over the same days.

    Both are resampled by the same blocks, whose length suits their difference. The p-value is the share of resampled
    effects, centred at zero, that reach the one seen; the interval is the basic one. Series that never differ have an
    effect of 0 and p-values of 1.

    Args:
        arm: daily returns, (n,).
        control: daily returns of the same days, (n,).
        measure: the registered metric.
        direction: the registered direction.
        draws: resamples.
        confidence: of the interval, in (0, 1).
        rng: the generator.
    """
    if arm.shape != control.shape or len(arm) < _LEAST:
        raise ConfigError(f"cannot pair series of {len(arm)} and {len(control)} days: both need the same, at least 3")
    apart = arm - control
    effect = float(measure.of(arm) - measure.of(control))
    if not apart.any():
        return Comparison(0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0)
    length = block_length(apart)
    blocks = draw_blocks(len(arm), draws, length, rng)
    drawn = measure.resampled_difference(arm, control, blocks)
    tail = (1.0 - confidence) / 2.0
    high, low = 2.0 * effect - np.quantile(drawn, [tail, 1.0 - tail])
    return Comparison(
        effect=effect,
        error=float(drawn.std(ddof=1)) if draws > 1 else 0.0,
        low=float(low),
        high=float(high),
        p=_centred_p(drawn - effect, effect, direction),
        t_p=_t_p(apart, direction),
        wilcoxon_p=_wilcoxon_p(apart, direction),
        block=length,
    )


def _centred_p(null: F64, effect: float, direction: Direction) -> float:
    if direction is Direction.EITHER:
        reached = np.abs(null) >= abs(effect)
    else:
        reached = direction.sign * null >= direction.sign * effect
    return (1.0 + float(reached.sum())) / (len(null) + 1.0)


def _t_p(apart: F64, direction: Direction) -> float:
    """Return the p-value of Student's t test that the mean difference is 0."""
    from scipy.special import stdtr

    n, spread = len(apart), float(apart.std(ddof=1))
    mean = float(apart.mean())
    if spread <= _NOISE * float(np.abs(apart).max()):
        return 0.0 if mean * direction.sign > 0.0 or direction is Direction.EITHER else 1.0
    return _tail(mean / (spread / math.sqrt(n)), direction, lambda t: float(stdtr(n - 1, t)))


def _wilcoxon_p(apart: F64, direction: Direction) -> float:
    """Return the p-value of the signed-rank test by its normal approximation; days without a difference are left out.

    Source: Wilcoxon (1945), Biometrics Bulletin 1, with the variance corrected for ties.
    """
    moved = apart[apart != 0.0]
    n = len(moved)
    _, place, ties = np.unique(np.abs(moved), return_inverse=True, return_counts=True)
    ranks = np.cumsum(ties) - (ties - 1.0) / 2.0
    above = float(ranks[place][moved > 0.0].sum())
    variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - float((ties**3 - ties).sum()) / 48.0
    return _tail((above - n * (n + 1.0) / 4.0) / math.sqrt(variance), direction, NormalDist().cdf)


def _tail(score: float, direction: Direction, below: Callable[[float], float]) -> float:
    """Return the probability of a score at least as far in the registered direction."""
    if direction is Direction.EITHER:
        return 2.0 * below(-abs(score))
    return below(-direction.sign * score)
