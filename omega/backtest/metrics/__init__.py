"""Every figure of a result, each with its formula: returns, risk, trades, costs, and the comparison with holding.

Called by `omega backtest`, the report, sweeps and experiments. What cannot be computed (no trades, one bar, no
variance) is NaN here and null in JSON, never a made-up zero.
"""

from omega.backtest.metrics.curve import (
    DAY_NS,
    YEAR_NS,
    Scan,
    drawdown,
    growth,
    omega_ratio,
    per_year,
    scan,
    sharpe,
    sortino,
    volatility,
)
from omega.backtest.metrics.tails import (
    TAIL,
    daily_returns,
    expected_shortfall,
    probabilistic_sharpe,
    sharpe_probability,
    value_at_risk,
)
from omega.backtest.metrics.trips import (
    effect,
    losing_streak,
    payoff,
    profit_factor,
    round_trips,
)
from omega.backtest.metrics.whole import (
    as_json,
    holding,
    metrics,
)

__all__ = [
    "DAY_NS",
    "TAIL",
    "YEAR_NS",
    "Scan",
    "as_json",
    "daily_returns",
    "drawdown",
    "effect",
    "expected_shortfall",
    "growth",
    "holding",
    "losing_streak",
    "metrics",
    "omega_ratio",
    "payoff",
    "per_year",
    "probabilistic_sharpe",
    "profit_factor",
    "round_trips",
    "scan",
    "sharpe",
    "sharpe_probability",
    "sortino",
    "value_at_risk",
    "volatility",
]
