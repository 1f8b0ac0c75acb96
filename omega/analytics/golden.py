"""Whether the legs of a series stand in the golden ratio more often than chance has it: the one test of the farm.

Called by the Fibonacci report over confirmed swings and by the cosmic service over the turns of any series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.engine.fibonacci import PHI
from omega.research.statistics import Direction, rank_p

_BLOCK: Final = 8
_LEAST_RATIOS: Final = 20
_ALPHA: Final = 0.05
_PLACEBOS: Final = np.concatenate((np.geomspace(0.78, 0.92, 30), np.geomspace(1.08, 1.28, 30)))
"""Other ratios, as multiples of the one that is tested."""


@dataclass(frozen=True, slots=True)
class GoldenTest:
    """Whether ratios of neighbouring legs lie near the golden ratio more often than chance has it.

    Attributes:
        n: ratios counted.
        share: share of them within the tolerance of the ratio or its inverse.
        expected: the mean share of the reordered legs.
        p_value: exact permutation p-value against reordered legs, one-sided; 1.0 with too few ratios.
        placebo_p_value: rank of the bump at the ratio among 60 other ratios beside it; 1.0 with too few ratios.
        significant: both below 5 %.
        why: what to say about it in words.
    """

    n: int
    share: float
    expected: float
    p_value: float
    placebo_p_value: float
    significant: bool
    why: str


def golden_test(
    moves: F64,
    rng: np.random.Generator,
    *,
    target: float = PHI,
    tolerance: float = 0.05,
    draws: int = 999,
) -> GoldenTest:
    """Test whether the ratios of neighbouring legs lie near the golden ratio, or its inverse, more often than chance.

    Two questions, and both must be answered with yes. Against reordered legs: blocks of eight are shuffled inside, so
    calm and wild stretches stay where they are. Against placebo ratios on both sides of the golden one: legs that are
    alike in size fill the whole neighbourhood, and only a bump above the curve through it speaks for the ratio itself.

    Args:
        moves: sizes of the legs, above zero, oldest first.
        rng: draws the reorderings.
        target: the ratio above 1 that is tested together with its inverse.
        tolerance: relative distance from it that still counts, a fraction.
        draws: reorderings.
    """
    n = max(len(moves) - 1, 0)
    if n < _LEAST_RATIOS:
        return GoldenTest(n, 0.0, 0.0, 1.0, 1.0, significant=False, why=f"only {n} leg ratios: too few to say")
    logs = np.log(moves)
    tried = np.log(np.concatenate(([target], target * _PLACEBOS)))
    shares = _shares(logs, tried, tolerance)
    drawn = np.array([_shares(logs[_shuffled(n + 1, rng)], tried, tolerance) for _ in range(draws)])
    p = rank_p(float(shares[0]), drawn[:, 0], Direction.HIGHER)
    excess = shares - drawn.mean(axis=0)
    bump = excess - np.polyval(np.polyfit(tried, excess, 2), tried)
    placebo = rank_p(float(bump[0]), bump[1:], Direction.HIGHER)
    significant = max(p, placebo) < _ALPHA
    word = "significant" if significant else "not significant"
    why = (
        f"{shares[0]:.1%} of {n} leg ratios lie near {target:.3f} or its inverse, {drawn[:, 0].mean():.1%} with the "
        f"legs reordered (p = {p:.3f}), against other ratios p = {placebo:.3f}: {word}"
    )
    return GoldenTest(n, float(shares[0]), float(drawn[:, 0].mean()), p, placebo, significant=significant, why=why)


def _shares(log_moves: F64, log_targets: F64, tolerance: float) -> F64:
    """Return the share of neighbouring ratios near each target or its inverse. Shapes: (m,), (k,) -> (k,)."""
    apart = np.sort(np.abs(np.diff(log_moves)))
    width = np.log1p(tolerance)
    upper = np.searchsorted(apart, log_targets + width, side="right")
    made: F64 = (upper - np.searchsorted(apart, log_targets - width, side="left")) / len(apart)
    return made


def _shuffled(n: int, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return 0 .. n - 1 in random order inside blocks, whose first edge is random too."""
    block = (np.arange(n) + rng.integers(_BLOCK)) // _BLOCK
    return np.lexsort((rng.random(n), block))
