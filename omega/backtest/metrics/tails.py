"""Figures of daily returns: tails, and how likely the Sharpe ratio is more than luck. Called by `metrics`."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from omega.backtest.metrics.curve import DAY_NS, NAN, NO_VARIANCE
from omega.engine.bars import F64, I64

TAIL: Final = 0.05


def daily_returns(ts: I64, equity: F64, capital: float) -> F64:
    """Return the returns from one UTC day's last close to the next; the first is from the capital.

    Bars of a day or longer give one return a bar. Shapes: (days,). Units: fractions.
    """
    if not len(ts):
        return np.zeros(0)
    bounds = np.arange(int(ts[0]) // DAY_NS + 1, int(ts[-1]) // DAY_NS + 2) * DAY_NS
    last = np.unique(np.searchsorted(ts, bounds) - 1)
    closes = np.concatenate(([capital], np.maximum(equity[last], 0.0)))
    return np.divide(closes[1:], closes[:-1], out=np.ones(len(last)), where=closes[:-1] > 0.0) - 1.0


def value_at_risk(returns: F64, tail: float = TAIL) -> float:
    """Return the loss that is exceeded in `tail` of the returns: minus their historical quantile.

    Units: fraction, positive for a loss. NaN when the sample holds less than one return in the tail.
    """
    return NAN if len(returns) * tail < 1.0 else -float(np.quantile(returns, tail))


def expected_shortfall(returns: F64, tail: float = TAIL) -> float:
    """Return the mean loss in the worst `tail` of the returns (CVaR).

    Units: as value_at_risk.

    Source: Rockafellar and Uryasev (2000), Optimization of Conditional Value-at-Risk; historical.
    """
    if math.isnan(edge := value_at_risk(returns, tail)):
        return NAN
    return -float(returns[returns <= -edge].mean())


def probabilistic_sharpe(returns: F64, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio of these returns lies above a benchmark.

    Units: probability; the benchmark is a ratio a return, not annualised. NaN below three returns or without variance.

    Source: see `sharpe_probability`.
    """
    n = len(returns)
    if n < 3:  # noqa: PLR2004 - a skew needs three
        return NAN
    mean = float(returns.mean())
    off = returns - mean
    second = float(off @ off) / n
    if second <= NO_VARIANCE * mean * mean:
        return NAN
    skew, kurtosis = float((off**3).mean()) / second**1.5, float((off**4).mean()) / second**2
    ratio = mean / math.sqrt(second * n / (n - 1))
    return sharpe_probability(ratio, n, skew=skew, kurtosis=kurtosis, benchmark=benchmark)


def sharpe_probability(ratio: float, n: int, *, skew: float, kurtosis: float, benchmark: float = 0.0) -> float:
    """Return Φ((SR - SR*)·√(n-1)/√(1 - γ₃·SR + (γ₄-1)/4·SR²)), the probabilistic Sharpe ratio.

    Units: probability; SR and SR* a return, not annualised; γ₄ is 3 for normal returns. NaN where the root has none.

    Source: Bailey and López de Prado (2012), The Sharpe Ratio Efficient Frontier.
    """
    spread = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio * ratio
    if spread <= 0.0:
        return NAN
    z = (ratio - benchmark) * math.sqrt(n - 1) / math.sqrt(spread)
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
