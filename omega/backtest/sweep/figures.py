"""Figures of a trial from the sums that one walk collects, by the names and formulas of `omega.backtest.metrics`."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from omega.backtest import metrics as formulas
from omega.engine.bars import F64, I64

NAN: Final = math.nan


class Sums(NamedTuple):
    """What one walk over history collects; the first seven are what ratios need.

    Units: money in quote currency; returns are fractions a bar, the first one from the capital; max_drawdown a fraction
        of the running peak; won and lost sum the profits of round trips above and below zero.
    """

    final_equity: float
    trades: int
    wins: int
    max_drawdown: float
    total: float
    squares: float
    downside_squares: float
    won: float
    lost: float
    fees: float
    funding: float
    turnover: float
    legs: int


def figures_of(sums: Sums, *, bars: int, timeframe_ns: int, span_ns: int, capital: float) -> dict[str, float]:
    """Return every figure that the sums give, by name.

    Units: as `omega.backtest.metrics.metrics`; span_ns from the first bar's open to the last bar's close.
    """
    year = formulas.per_year(timeframe_ns)
    years, days = span_ns / formulas.YEAR_NS, span_ns / formulas.DAY_NS
    grown = formulas.growth(capital, sums.final_equity, years)
    trades = sums.trades
    return {
        "bars": float(bars),
        "days": days,
        "years": years,
        "final_equity": sums.final_equity,
        "pnl": sums.final_equity - capital,
        "roi": sums.final_equity / capital - 1.0,
        "cagr": grown,
        "volatility": formulas.volatility(bars, sums.total, sums.squares, year),
        "sharpe": formulas.sharpe(bars, sums.total, sums.squares, year),
        "sortino": formulas.sortino(bars, sums.total, sums.downside_squares, year),
        "calmar": grown / sums.max_drawdown if sums.max_drawdown > 0.0 else NAN,
        "max_drawdown": sums.max_drawdown,
        "trades": float(trades),
        "legs": float(sums.legs),
        "wins": float(sums.wins),
        "win_rate": sums.wins / trades if trades else NAN,
        "profit_factor": sums.won / -sums.lost if sums.lost < 0.0 else NAN,
        "expectancy": (sums.won + sums.lost) / trades if trades else NAN,
        "trades_per_day": trades / days if days > 0.0 else NAN,
        "fees": sums.fees,
        "funding": sums.funding,
        "turnover": sums.turnover,
    }


def won_and_lost(pnl: F64, position: I64 | None = None) -> tuple[float, float]:
    """Return what the winning and the losing round trips made, from the legs and the trips they belong to.

    Without trips every leg is one of its own.
    """
    if position is not None and len(pnl) and int(position.max()) + 1 != len(pnl):
        pnl = np.asarray(np.bincount(position, pnl), np.float64)
    return float(np.maximum(pnl, 0.0).sum()), float(np.minimum(pnl, 0.0).sum())


_NOTHING: Final = Sums(1.0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)

FIGURES: Final = tuple(figures_of(_NOTHING, bars=0, timeframe_ns=1, span_ns=0, capital=1.0))
"""The names that the walk gives; an objective beyond them takes the whole back-test."""
