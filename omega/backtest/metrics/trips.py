"""Figures of trades: legs folded into round trips, what was won and what was lost. Called by `metrics` and reports."""

from __future__ import annotations

from typing import Final

import numpy as np

from omega.backtest.metrics.curve import NAN, runs
from omega.backtest.types import Result, Trades
from omega.engine.bars import F64, I64

LEAST: Final = 1e-300


def round_trips(trades: Trades) -> tuple[F64, F64, I64, I64]:
    """Fold the legs of each entry into one round trip.

    Returns:
        (pnl, notional at entry, bar of the entry, bar of the last exit), in the order of their entries' numbers.

    Shapes: every array is (k,). Units: quote currency; rows of the result's time axis.
    """
    if not trades.n:
        return np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
    key = trades.position - trades.position.min()
    size = int(key.max()) + 1
    there = np.bincount(key, minlength=size) > 0
    pnl: F64 = np.bincount(key, trades.pnl, size)[there].astype(np.float64, copy=False)
    notional: F64 = np.bincount(key, trades.size * trades.entry_price, size)[there].astype(np.float64, copy=False)
    entry, exit_ = np.zeros(size, np.int64), np.zeros(size, np.int64)
    entry[key] = trades.entry_row
    exit_[key] = trades.exit_row  # in the order of the exits, so the last one stays
    return pnl, notional, entry[there], exit_[there]


def effect(result: Result) -> F64:
    """Return what each leg did to the account: its profit as a fraction of the equity at its entry.

    Shapes: (m,), aligned with the trades.
    """
    return result.trades.pnl / np.maximum(result.equity[result.trades.entry_row], LEAST)


def profit_factor(pnl: F64) -> float:
    """Return what was won over what was lost, Σ max(p, 0)/Σ max(-p, 0). NaN when nothing was lost."""
    lost = -float(np.minimum(pnl, 0.0).sum())
    return float(np.maximum(pnl, 0.0).sum()) / lost if lost > 0.0 else NAN


def payoff(pnl: F64) -> float:
    """Return the mean win over the mean loss. NaN without a win or without a loss."""
    wins, losses = pnl[pnl > 0.0], pnl[pnl < 0.0]
    return float(wins.mean()) / -float(losses.mean()) if len(wins) and len(losses) else NAN


def losing_streak(pnl: F64) -> int:
    """Return the most round trips in a row that did not win."""
    first, after = runs(pnl <= 0.0)
    return int((after - first).max()) if len(first) else 0
