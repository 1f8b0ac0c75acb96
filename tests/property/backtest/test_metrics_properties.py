"""What holds for the figures of every curve: bounds, scale, and agreement with the sums that the kernel makes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.backtest.metrics import as_json, metrics, per_year, sharpe, sortino
from omega.backtest.run import backtest
from omega.backtest.types import Result, Trades
from omega.plugins import parse_params, strategies
from omega.storage.lake.read import read_market

pytestmark = pytest.mark.req("1.15")

ROOT = Path(__file__).resolve().parents[3]
MINUTE_NS = 60_000_000_000
CURVES = st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=80)
PLAIN = ("roi", "max_drawdown", "sharpe", "sortino", "omega", "ulcer", "volatility", "underwater_days")


def result_of(equity: list[float], capital: float) -> Result:
    none = np.zeros(0)
    kinds = {"symbol": np.int16, "side": np.int8, "leg": np.int8, "exit_kind": np.int8}
    rows = {"position", "entry_row", "exit_row", "entry_ts", "exit_ts"}
    names = Trades.__dataclass_fields__
    trades = Trades(**{name: none.astype(kinds.get(name, np.int64 if name in rows else np.float64)) for name in names})
    n = len(equity)
    return Result(
        strategy="made", params={}, symbols=("A",), timeframe_ns=MINUTE_NS, ts=np.arange(n) * MINUTE_NS,
        equity=np.array(equity), held=np.zeros(n), trades=trades, capital=capital, final_equity=equity[-1],
        fees=0.0, funding=0.0, turnover=0.0, bars=n, elapsed_s=1.0, data_hash="",
    )  # fmt: skip


@given(CURVES, st.floats(1e-2, 1e6))
@settings(max_examples=150, deadline=None)
def test_metrics_of_any_curve_stay_in_their_bounds_and_fit_json(equity: list[float], capital: float) -> None:
    found = metrics(result_of(equity, capital))

    assert 0.0 <= found["max_drawdown"] <= 1.0
    assert 0.0 <= found["ulcer"] <= found["max_drawdown"] * (1.0 + 1e-9)
    assert found["roi"] >= -1.0
    assert 0.0 <= found["max_drawdown_days"] <= found["underwater_days"] <= found["days"]
    chance = found["probabilistic_sharpe"]
    assert math.isnan(chance) or 0.0 <= chance <= 1.0
    json.dumps(as_json(found), allow_nan=False)


@given(CURVES, st.sampled_from([0.25, 2.0, 1024.0]))
@settings(max_examples=80, deadline=None)
def test_metrics_ratios_do_not_depend_on_the_size_of_the_account(equity: list[float], factor: float) -> None:
    """Factors are powers of two, so that not even rounding differs."""
    one = metrics(result_of(equity, 100.0))
    other = metrics(result_of([value * factor for value in equity], 100.0 * factor))

    for name in PLAIN:
        assert other[name] == one[name] or (math.isnan(other[name]) and math.isnan(one[name])), name


@pytest.mark.req("0.34")
@pytest.mark.parametrize("name", ["ema_cross", "strategic_fibonacci"])
def test_metrics_agree_with_the_sums_that_the_kernel_makes(name: str) -> None:
    """The sweep knows only the kernel's seven sums; a report of the same run must say the same."""
    strategies.discover()
    entry = strategies.get(name)
    market = read_market(ROOT / "data" / "candles", "BTCUSDT", "1m", "2025-05-05", "2025-05-10")

    result = backtest(entry, parse_params(entry.params, {}), market, compiled=False)

    found, seven, year = metrics(result), result.seven, per_year(result.timeframe_ns)
    assert result.trades.n > 10
    assert (found["trades"], found["wins"]) == (seven["trades"], seven["wins"])
    assert found["final_equity"] == seven["final_equity"]
    assert found["max_drawdown"] == pytest.approx(seven["max_drawdown"], rel=1e-9)
    n = result.bars
    assert found["sharpe"] == pytest.approx(sharpe(n, seven["sum_returns"], seven["sum_squares"], year), rel=1e-9)
    expected = sortino(n, seven["sum_returns"], seven["sum_downside_squares"], year)
    assert found["sortino"] == pytest.approx(expected, rel=1e-9)
    assert result.trades.pnl.sum() == pytest.approx(found["pnl"], rel=1e-9)
    assert found["fees"] == pytest.approx(float(result.trades.fee.sum()), rel=1e-9)
