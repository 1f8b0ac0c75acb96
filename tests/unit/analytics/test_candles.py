"""TA-Lib's candlesticks: the oracle's list hit for hit, on whatever window they are read."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from omega.analytics.candles import CANDLES, LOOKBACK, grid_of, hits
from omega.analytics.scan import scan
from omega.engine import Bars

from .worlds import fair

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("OMEGA_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.mark.req("1.14")
@pytest.mark.parametrize("market", ["BTCUSDT", "ETHUSDT"])
def test_candles_equal_the_oracle_hit_for_hit(market: str) -> None:
    oracle = SHARED / "patterns" / f"talib-cdl-{market}-1d.csv"
    if not oracle.is_file():
        pytest.skip(f"{oracle} is not here: set OMEGA_SHARED_DATA to the folder of the recorded data")
    columns = ("ts", "open", "high", "low", "close", "volume")
    table = parquet.read_table(SHARED / "ohlcv" / f"{market}-1d.parquet", columns=list(columns))
    ts, *prices = (table[name].to_numpy() for name in columns)
    bars = Bars.of(ts.astype(np.int64) * 1_000_000, *prices)

    row, which, value = hits(bars)

    names = list(CANDLES)
    found = sorted((int(ts[r]), names[w], int(v)) for r, w, v in zip(row, which, value, strict=True))
    with oracle.open(newline="") as file:
        wanted = sorted((int(line["ts"]), line["pattern"], int(line["value"])) for line in csv.DictReader(file))
    assert found == wanted


def test_candles_of_a_window_are_those_of_the_whole_history() -> None:
    """TA-Lib's running totals would move the last bit with their first bar; on the binary grid they cannot."""
    bars = fair(3_000, 7)
    grid = grid_of(float(bars.close[0]))
    whole = set(zip(*[column.tolist() for column in hits(bars, grid)], strict=True))

    for first in range(0, 2_900, 97):
        row, which, value = hits(bars.since(first), grid)
        late = row >= LOOKBACK
        window = set(zip((row[late] + first).tolist(), which[late].tolist(), value[late].tolist(), strict=True))
        assert window == {hit for hit in whole if hit[0] >= first + LOOKBACK}


def test_candles_that_call_no_side_promise_nothing() -> None:
    found = scan(fair(2_000, 3), ["candles"])
    by_name = {name: found.named(name) for name in ("doji", "gravestone_doji", "dragonfly_doji")}

    assert all(len(rows) for rows in by_name.values())
    assert set(by_name["doji"].direction) == {0}
    assert np.isnan(by_name["doji"].invalidation).all()
    assert set(by_name["gravestone_doji"].direction) == {-1}
    assert set(by_name["dragonfly_doji"].direction) == {1}


def test_candles_name_the_first_bar_of_the_pattern() -> None:
    found = scan(fair(2_000, 3), ["candles"])
    lengths = dict(CANDLES.values())

    for finding in list(found)[::37]:
        assert finding.points[0].row == finding.confirmed - lengths[finding.name] + 1
