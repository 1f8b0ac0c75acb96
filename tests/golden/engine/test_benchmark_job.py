"""The teaching bot over a recorded year, filled by the shared fill rules, meets the independent benchmark's figures."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bots.ema_cross import Params, signals
from omega.domain import MS_NS
from omega.engine import Bars
from omega.engine.barriers import barrier_fill
from omega.engine.fills import market_fill

ROOT = Path(__file__).resolve().parents[3]
YEAR = Path(os.environ.get("OMEGA_SHARED_DATA", ROOT.parent / "shared" / "data")) / "ohlcv" / "BTCUSDT-1m.parquet"
BEGIN, END = 1_640_995_200_000, 1_672_531_200_000
FEE, STOP, TARGET = 0.0006, 0.02, 0.04


def load() -> Bars:
    if not YEAR.exists():
        pytest.skip(f"{YEAR} is absent: set OMEGA_SHARED_DATA to the folder that holds ohlcv/BTCUSDT-1m.parquet")
    table = pq.read_table(YEAR, filters=[("ts", ">=", BEGIN), ("ts", "<", END)])
    columns = [table[name].to_numpy() for name in ("ts", "open", "high", "low", "close", "volume")]
    return Bars.of(columns[0] * MS_NS, *columns[1:])


def trade(bars: Bars, *, stops: bool) -> tuple[float, int]:
    """Run long or flat with the full equity; return what is left of 1.0 and the round trips."""
    made = signals(bars, Params())
    enter, leave = (made.side > 0).tolist(), made.exit.tolist()
    columns = [column.tolist() for column in (bars.open, bars.high, bars.low)]
    equity, size, stop, target, trips = 1.0, 0.0, 0.0, 0.0, 0
    for row, (open_, high, low) in enumerate(zip(*columns, strict=True)):
        price = 0.0
        if size and row and leave[row - 1]:
            price = market_fill(-1, open_, 0.0)
        elif not size and row and enter[row - 1]:
            entry = market_fill(1, open_, 0.0)
            size = equity / (entry * (1.0 + FEE))
            stop, target = (entry * (1.0 - STOP), entry * (1.0 + TARGET)) if stops else (0.0, 0.0)
        if size and not price:
            price, _ = barrier_fill(1, stop, target, open_, high, low)
        if size and price:
            equity, size, trips = size * price * (1.0 - FEE), 0.0, trips + 1
    if size:
        equity, trips = size * float(bars.close[-1]) * (1.0 - FEE), trips + 1
    return equity, trips


def test_ema_cross_with_stops_over_2022_meets_the_benchmark():
    equity, trips = trade(load(), stops=True)

    assert trips == 9_798
    assert equity * 10_000.0 == pytest.approx(0.03930893817058, rel=1e-9)


def test_year_has_no_gap():
    assert np.unique(np.diff(load().ts)).tolist() == [60_000_000_000]
