"""How far a Sharpe ratio can be believed: probabilistic, deflated by every trial, and the record length it needs.

Called by the experiment's judge and by model gates. All Sharpe ratios here are per period, never annualised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError

_EULER: Final = 0.5772156649015329
_NORMAL_KURTOSIS: Final = 3.0
_NORMAL: Final = NormalDist()
_NOISE: Final = 1e-12
"""Below this share of the largest return a deviation is rounding."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sample size and shape of a return series.

    Units: sharpe per period, with the standard deviation of n - 1; kurtosis 3 for a normal series.
    """

    n: int
    sharpe: float
    skew: float
    kurtosis: float


def shape_of(returns: F64) -> Shape:
    """Measure a return series; one without variance has a Sharpe ratio of 0 and a normal shape.

    Shapes: (n,).
    """
    n = len(returns)
    away = returns - returns.mean() if n else returns
    spread = float(np.sqrt(np.mean(away**2))) if n else 0.0
    if n < 2 or spread <= _NOISE * float(np.abs(returns).max()):  # noqa: PLR2004 - one value has no spread
        return Shape(n, 0.0, 0.0, _NORMAL_KURTOSIS)
    scaled = away / spread
    sharpe = float(returns.mean()) / (spread * math.sqrt(n / (n - 1)))
    return Shape(n, sharpe, float(np.mean(scaled**3)), float(np.mean(scaled**4)))


def probabilistic_sharpe(shape: Shape, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio lies above a benchmark.

    PSR = Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2)).

    Source: Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2).
    """
    return _NORMAL.cdf((shape.sharpe - benchmark) * math.sqrt(max(shape.n - 1, 0)) / _width(shape))


def expected_maximum(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of so many worthless trials is expected to show.

    SR0 = sqrt(V) ((1 - gamma) Phi^-1(1 - 1/N) + gamma Phi^-1(1 - 1/(N e))), gamma being Euler's constant; one trial
    is no search and expects 0.

    Args:
        trials: independent trials N.
        variance: variance V of the trials' Sharpe ratios, per period.

    Source: Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5).
    """
    if trials <= 1 or variance <= 0.0:
        return 0.0
    upper = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    beyond = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - _EULER) * upper + _EULER * beyond)


def deflated_sharpe(shape: Shape, trials: int, variance: float) -> float:
    """Return the probability that the Sharpe ratio is more than the luck of the best of so many trials.

    DSR = PSR(SR0), SR0 the expected maximum.

    Source: Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5).
    """
    return probabilistic_sharpe(shape, expected_maximum(trials, variance))


def least_record(shape: Shape, benchmark: float = 0.0, *, confidence: float = 0.95) -> float:
    """Return how many periods the Sharpe ratio needs to lie above a benchmark with a confidence; inf when it does not.

    MinTRL = 1 + (1 - skew SR + (kurtosis - 1) / 4 SR^2) (z / (SR - SR*))^2.

    Source: Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2).
    """
    if not 0.5 <= confidence < 1.0:  # noqa: PLR2004 - below a half everything is proven by nothing
        raise ConfigError(f"a confidence of {confidence} lies outside 0.5 to 1; choose one inside, such as 0.95")
    if shape.sharpe <= benchmark:
        return math.inf
    return 1.0 + (_width(shape) * _NORMAL.inv_cdf(confidence) / (shape.sharpe - benchmark)) ** 2


def _width(shape: Shape) -> float:
    """Return the standard error of the Sharpe ratio times sqrt(n - 1)."""
    squared = 1.0 - shape.skew * shape.sharpe + 0.25 * (shape.kurtosis - 1.0) * shape.sharpe**2
    return math.sqrt(max(squared, _NOISE))
