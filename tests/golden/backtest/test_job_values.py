"""The benchmark's jobs over a recorded year end with the values that independent loops have found."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from omega.backtest.run import backtest
from omega.backtest.types import Market
from omega.engine import F64, Bars, Settings, Signals, Sizing
from omega.params import param, params
from omega.plugins import StrategyEntry, parse_params, strategies
from omega.storage.lake.read import read_market

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("OMEGA_SHARED_DATA", ROOT.parent / "shared" / "data"))
FILE = SHARED / "ohlcv" / "BTCUSDT-1m.parquet"
ALL_IN = Settings(sizing=Sizing.ALL_IN, require_stop=False, live=False)
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is absent: set OMEGA_SHARED_DATA to the market data")


@pytest.fixture(scope="module")
def year() -> Market:
    """One-minute bars of 2022, without a gap."""
    market = read_market(FILE, from_="2022-01-01", to="2023-01-01")
    assert market.bars.n == 525_600
    return market


@params
class Crossed:
    """Barriers of the job; 0 for none."""

    stop: float = param(0.0, low=0.0, high=0.5)
    target: float = param(0.0, low=0.0, high=0.5)


def average(close: list[float], length: int) -> F64:
    """Run the average that starts with the first close, as the jobs define it."""
    share, now, made = 2.0 / (length + 1), close[0], []
    for price in close:
        now = share * price + (1.0 - share) * now
        made.append(now)
    return np.array(made)


def signals(bars: Bars, p: Crossed) -> Signals:
    """Long while the fast average lies above the slow one."""
    close = bars.close.tolist()
    up = average(close, 12) > average(close, 26)
    up[0] = False
    crossed = np.zeros(bars.n, np.bool_)
    crossed[1:] = up[1:] & ~up[:-1]
    targets = (p.target * bars.close,) if p.target else ()
    return Signals.of(side=crossed, exit=~up, stop_distance=p.stop * bars.close, targets=targets)


CROSS = StrategyEntry("cross", signals, Crossed, lambda _: 0, ("crossed",), False, False, None, "")


@pytest.mark.parametrize(
    ("barriers", "equity"),
    [
        ({}, 0.03978124656562128),
        ({"stop": 0.02, "target": 0.04}, 0.039370525010872924),
    ],
    ids=["J1", "J2"],
)
def test_job_over_a_year_ends_with_the_known_equity(year: Market, barriers: dict[str, float], equity: float):
    result = backtest(CROSS, Crossed(**barriers), year, rules=ALL_IN)

    assert (result.trades.n, result.seven["trades"]) == (9_798, 9_798.0)
    assert result.final_equity == pytest.approx(equity, rel=1e-9)
    assert result.equity[-1] == pytest.approx(equity, rel=1e-3)


def test_registered_cross_with_stops_ends_with_the_known_equity(year: Market):
    """The same job by the registered bot, whose averages start with a mean."""
    strategies.discover()
    entry = strategies.get("ema_cross")
    params = parse_params(entry.params, {"stop_pct": 0.02, "target_pct": 0.04})

    result = backtest(entry, params, year, rules=ALL_IN, warmup=0)

    assert result.trades.n == 9_798
    assert result.final_equity == pytest.approx(0.03930893817058, rel=1e-9)


def test_seven_figures_of_the_loop_are_those_of_the_curve(year: Market):
    result = backtest(CROSS, Crossed(stop=0.02), year, rules=ALL_IN)

    curve = np.concatenate(([result.capital], result.equity))
    change = np.diff(curve) / curve[:-1]
    peak = np.maximum.accumulate(curve)
    assert result.seven["sum_returns"] == pytest.approx(change.sum(), rel=1e-9)
    assert result.seven["sum_squares"] == pytest.approx((change**2).sum(), rel=1e-9)
    assert result.seven["sum_downside_squares"] == pytest.approx((np.minimum(change, 0.0) ** 2).sum(), rel=1e-9)
    assert result.seven["max_drawdown"] == pytest.approx(((peak - curve) / peak).max(), rel=1e-12)
    assert result.seven["wins"] == (result.trades.pnl > 0.0).sum()
