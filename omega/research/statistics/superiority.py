"""Is the best of many arms better than the control, or the luckiest? White's reality check and Hansen's SPA.

Called by the experiment's judge over all arms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError
from omega.research.statistics.bootstrap import block_length, draw_blocks, resampled_means

_LEAST: Final = 8
_NOISE: Final = 1e-15


@dataclass(frozen=True, slots=True)
class Superiority:
    """Whether any arm beats the control.

    Attributes:
        best: column of the arm with the largest studentised gain.
        statistic: that gain, in standard errors, 0 when none gains.
        lower: p-value when poor arms are left out entirely (liberal).
        consistent: Hansen's p-value, the one to report.
        upper: p-value when poor arms count as level with the control (conservative).
        reality_check: White's p-value, not studentised.
    """

    best: int
    statistic: float
    lower: float
    consistent: float
    upper: float
    reality_check: float


def superiority(gains: F64, *, draws: int, rng: np.random.Generator) -> Superiority:
    """Test that no arm is better than the control, over all arms at once.

    Args:
        gains: daily gain of every arm over the control, (n, k); more is better.
        draws: resamples of the stationary bootstrap.
        rng: the generator.

    Source: White (2000), A Reality Check for Data Snooping, Econometrica 68(5); Hansen (2005), A Test for Superior
        Predictive Ability, Journal of Business and Economic Statistics 23(4).
    """
    if gains.ndim != 2 or gains.shape[0] < _LEAST or gains.shape[1] < 1:  # noqa: PLR2004 - a matrix
        raise ConfigError(f"gains of shape {gains.shape} cannot be tested: give (days, arms) with at least 8 days")
    n = len(gains)
    mean = gains.mean(axis=0)
    lengths = [block_length(column) for column in gains.T]
    drawn = resampled_means(gains, draw_blocks(n, draws, max(lengths), rng))
    root = math.sqrt(n)
    spread = root * drawn.std(axis=0)
    live = spread > _NOISE
    if not live.any():
        return Superiority(0, 0.0, 1.0, 1.0, 1.0, 1.0)
    scale = np.where(live, spread, 1.0)
    score = np.where(live, root * mean / scale, 0.0)
    statistic = max(float(score.max()), 0.0)
    poor = score < -math.sqrt(2.0 * math.log(math.log(n)))
    centres = (np.maximum(mean, 0.0), np.where(poor, 0.0, mean), mean)
    lower, consistent, upper = (
        _share(np.where(live, root * (drawn - centre) / scale, 0.0), statistic) for centre in centres
    )
    check = _share(root * (drawn - mean), max(root * float(mean.max()), 0.0))
    return Superiority(int(score.argmax()), statistic, lower, consistent, upper, check)


def _share(drawn: F64, statistic: float) -> float:
    reached = np.maximum(drawn.max(axis=1), 0.0) >= statistic
    return (1.0 + float(reached.sum())) / (len(drawn) + 1.0)
