"""The names of every metric that can be an objective."""

from __future__ import annotations

from functools import cache

import numpy as np

from omega.backtest.metrics import metrics
from omega.backtest.sweep.figures import FIGURES
from omega.backtest.types import Result, Trades


@cache
def metric_names() -> tuple[str, ...]:
    """Return the names, as the metrics of an empty back-test give them."""
    whole, real, small = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int8)
    trades = Trades(
        symbol=np.zeros(0, np.int16), side=small, position=whole, leg=small, entry_row=whole, exit_row=whole,
        entry_ts=whole, exit_ts=whole, size=real, entry_price=real, exit_price=real, fee=real, funding=real, pnl=real,
        mae=real, mfe=real, exit_kind=small,
    )  # fmt: skip
    nothing = Result(
        strategy="", params={}, symbols=(), timeframe_ns=60_000_000_000, ts=np.zeros(1, np.int64), equity=np.ones(1),
        held=np.zeros(1), trades=trades, capital=1.0, final_equity=1.0, fees=0.0, funding=0.0, turnover=0.0, bars=1,
        elapsed_s=0.0, data_hash="",
    )  # fmt: skip
    return tuple(sorted({*FIGURES, *metrics(nothing)}))
