"""All figures of a result under their names, and the comparison with holding. `metrics` is what everybody calls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from omega.backtest.metrics.curve import (
    DAY_NS,
    NAN,
    YEAR_NS,
    growth,
    lengths,
    omega_ratio,
    per_year,
    scan,
    sharpe,
    sortino,
    volatility,
)
from omega.backtest.metrics.tails import daily_returns, expected_shortfall, probabilistic_sharpe, value_at_risk
from omega.backtest.metrics.trips import LEAST, losing_streak, payoff, profit_factor, round_trips
from omega.backtest.types import Market, Result, Trades
from omega.engine.bars import F64, I64

_CURVE: Final = (
    "pnl",
    "roi",
    "cagr",
    "volatility",
    "sharpe",
    "sharpe_daily",
    "probabilistic_sharpe",
    "sortino",
    "calmar",
    "omega",
    "max_drawdown",
    "max_drawdown_days",
    "underwater_days",
    "ulcer",
)

_OF_TRADES: Final = (
    "trade_return",
    "best_trade",
    "worst_trade",
    "trade_bars",
    "mae_mean",
    "mae_worst",
    "mfe_mean",
    "mfe_best",
)

_BLOCK: Final = 8_192
"""Rows a step of the scan: 64 KB a column stays in the cache, and each step is long enough to hide Python."""


def metrics(result: Result, hold: F64 | None = None) -> dict[str, float]:
    """Return every figure of a result by name; with the equity of holding also the comparison with it.

    Args:
        result: what `backtest` returned.
        hold: equity of buying and holding, as `holding` makes it.

    Shapes: hold is (n,), aligned with `result.ts`.
    Units: fractions for everything that is a share, ratios are annualised with 365 days, money in quote currency,
        times in days or hours. NaN is "not defined", as `words` of the report says for each.
    """
    daily = daily_returns(result.ts, result.equity, result.capital)
    found = _curve(result.ts, result.equity, result.timeframe_ns, result.capital, result.final_equity, daily)
    found |= _tail(daily)
    found |= _trading(result.trades, result.equity, found["days"])
    found |= _costs(result, found["years"])
    found |= _exposure(result.held)
    if hold is not None:
        found |= _against(result, hold, daily, found["roi"])
    return {name: float(value) for name, value in found.items()}


def as_json(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Return the figures as JSON may hold them: null for what is not defined."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def holding(markets: Iterable[Market], result: Result) -> F64:
    """Return the equity of buying each market with an equal share at its first open and holding it, without costs.

    Shapes: (n,), aligned with `result.ts`; a market that begins later waits in cash, one that ends stays at its last
        close.
    """
    each = tuple(markets)
    held = np.zeros(len(result.ts))
    for market in each:
        bars = market.bars
        row = np.searchsorted(bars.ts, result.ts, side="right") - 1
        grown = bars.close[np.maximum(row, 0)] / bars.open[0]
        held += np.where(row >= 0, grown, 1.0)
    return held * (result.capital / len(each))


def _curve(ts: I64, equity: F64, timeframe_ns: int, capital: float, final: float, daily: F64) -> dict[str, float]:
    n = len(equity)
    if n == 0:
        return dict.fromkeys(_CURVE, NAN) | {"bars": 0.0, "days": 0.0, "years": 0.0, "final_equity": final}
    sums, under = scan(equity, capital)
    year = per_year(timeframe_ns)
    span = float(ts[-1] - ts[0] + timeframe_ns)
    grown = growth(capital, final, span / YEAR_NS)
    of_worst, longest = lengths(ts, under, sums.trough, timeframe_ns)
    days = len(daily)
    return {
        "bars": float(n),
        "days": span / DAY_NS,
        "years": span / YEAR_NS,
        "final_equity": final,
        "pnl": final - capital,
        "roi": final / capital - 1.0,
        "cagr": grown,
        "volatility": volatility(n, sums.total, sums.squares, year),
        "sharpe": sharpe(n, sums.total, sums.squares, year),
        "sharpe_daily": sharpe(days, float(daily.sum()), float(daily @ daily), YEAR_NS / max(DAY_NS, timeframe_ns)),
        "probabilistic_sharpe": probabilistic_sharpe(daily),
        "sortino": sortino(n, sums.total, sums.downside_squares, year),
        "calmar": grown / sums.max_drawdown if sums.max_drawdown > 0.0 else NAN,
        "omega": omega_ratio(sums.total, sums.losses),
        "max_drawdown": sums.max_drawdown,
        "max_drawdown_days": of_worst / DAY_NS,
        "underwater_days": longest / DAY_NS,
        "ulcer": math.sqrt(sums.drawdown_squares / n),
    }


def _tail(daily: F64) -> dict[str, float]:
    return {
        "var_95": value_at_risk(daily),
        "cvar_95": expected_shortfall(daily),
        "best_day": float(daily.max()) if len(daily) else NAN,
        "worst_day": float(daily.min()) if len(daily) else NAN,
    }


def _trading(trades: Trades, equity: F64, days: float) -> dict[str, float]:
    pnl, notional, entry, exit_ = round_trips(trades)
    k, wins = len(pnl), int(np.count_nonzero(pnl > 0.0))
    found = {
        "trades": float(k),
        "legs": float(trades.n),
        "wins": float(wins),
        "win_rate": wins / k if k else NAN,
        "profit_factor": profit_factor(pnl),
        "payoff": payoff(pnl),
        "expectancy": float(pnl.mean()) if k else NAN,
        "losing_streak": float(losing_streak(pnl)),
        "trades_per_day": k / days if days > 0.0 else NAN,
    }
    if not k:
        return found | dict.fromkeys(_OF_TRADES, NAN)
    share = pnl / np.maximum(equity[entry], LEAST)
    return found | {
        "trade_return": float((pnl / notional).mean()),
        "best_trade": float(share.max()),
        "worst_trade": float(share.min()),
        "trade_bars": float((exit_ - entry).mean()),
        "mae_mean": float(trades.mae.mean()),
        "mae_worst": float(trades.mae.min()),
        "mfe_mean": float(trades.mfe.mean()),
        "mfe_best": float(trades.mfe.max()),
    }


def _costs(result: Result, years: float) -> dict[str, float]:
    gross = float(result.final_equity - result.capital + result.fees - result.funding)
    mean = float(result.equity.mean()) if len(result.equity) else NAN
    return {
        "fees": result.fees,
        "funding": result.funding,
        "gross_pnl": gross,
        "fee_share": result.fees / gross if gross > 0.0 else NAN,
        "turnover": result.turnover,
        "turnover_per_year": result.turnover / mean / years if mean > 0.0 and years > 0.0 else NAN,
    }


def _exposure(held: F64) -> dict[str, float]:
    n, inside, total = len(held), 0, 0.0
    for start in range(0, n, _BLOCK):
        block = held[start : start + _BLOCK]
        inside += int(np.count_nonzero(block != 0.0))
        total += float(block.sum() if block.min() >= 0.0 else np.abs(block).sum())
    return {"exposure": inside / n if n else NAN, "mean_leverage": total / inside if inside else NAN}


def _against(result: Result, hold: F64, daily: F64, roi: float) -> dict[str, float]:
    """Compare with holding: its own figures, what is left over, and how much the two move together (by day)."""
    other = daily_returns(result.ts, hold, result.capital)
    final = float(hold[-1]) if len(hold) else result.capital
    held = _curve(result.ts, hold, result.timeframe_ns, result.capital, final, other)
    mine, theirs = daily - daily.mean() if len(daily) else daily, other - other.mean() if len(other) else other
    both, own, market = float(mine @ theirs), float(mine @ mine), float(theirs @ theirs)
    return {
        **{f"hold_{name}": held[name] for name in ("roi", "cagr", "volatility", "sharpe", "max_drawdown")},
        "excess_roi": roi - held["roi"],
        "beta": both / market if market > 0.0 else NAN,
        "correlation": both / math.sqrt(own * market) if own > 0.0 and market > 0.0 else NAN,
    }
