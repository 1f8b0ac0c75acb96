"""Performance: the ledger's record gives the back-test's own figures, whole, by window, and for all bots together."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from omega.analytics.performance import (
    TARGETS,
    Curve,
    Trip,
    against_targets,
    as_result,
    book_performance,
    performance,
    rolling,
)
from omega.backtest.metrics import DAY_NS, metrics
from omega.backtest.types import Market, Result
from omega.engine import Bars
from omega.errors import ConfigError
from omega.plugins import strategies

HOUR_NS = 3_600_000_000_000
ROOT = Path(__file__).resolve().parents[3]
CAPITAL = 10_000.0


def market(n: int = 3_000) -> Market:
    rng = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    open_ = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(open_, close) * 1.003, np.minimum(open_, close) / 1.003
    ts = (np.arange(n) + 1) * HOUR_NS
    return Market("BTCUSDT", Bars.of(ts, open_, high, low, close, np.ones(n)), HOUR_NS)


@pytest.fixture(scope="module")
def tested() -> tuple[Result, Market]:
    from omega.backtest.run import backtest

    strategies.discover("bots")
    made = market()
    entry = strategies.get("ema_cross")
    return backtest(entry, entry.params(), made, capital=CAPITAL), made


def as_ledger(result: Result) -> tuple[Curve, list[Trip]]:
    """Write a back-test down as the ledger would have: points at closes, a trip a leg."""
    t = result.trades
    trips = [
        Trip(
            symbol="BTCUSDT",
            side="long" if t.side[k] > 0 else "short",
            opened_ns=int(t.entry_ts[k]),
            closed_ns=int(t.exit_ts[k]),
            size=float(t.size[k]),
            entry=float(t.entry_price[k]),
            exit=float(t.exit_price[k]),
            gross=float(t.pnl[k] + t.fee[k] - t.funding[k]),
            fees=float(t.fee[k]),
            funding=float(t.funding[k]),
        )
        for k in range(t.n)
    ]
    return Curve(result.ts + HOUR_NS, result.equity - CAPITAL), trips


@pytest.mark.req("1.15")
def test_figures_of_a_ledger_record_are_those_of_the_back_test(tested: tuple[Result, Market]) -> None:
    """The same trades and the same equity, written down and read again, give the same figures."""
    result, _ = tested
    curve, trips = as_ledger(result)

    made = performance("ema_cross", curve, trips, capital=CAPITAL, timeframe_ns=HOUR_NS)

    assert result.trades.n > 10
    wanted = metrics(result)
    same = [
        "sharpe", "sortino", "volatility", "max_drawdown", "ulcer", "omega", "cvar_95", "var_95", "trades", "wins",
        "win_rate", "profit_factor", "payoff", "expectancy", "losing_streak", "fees", "trade_return",
    ]  # fmt: skip
    for name in same:
        assert made.figures[name] == pytest.approx(wanted[name], rel=1e-9, nan_ok=True), name
    assert math.isnan(made.figures["mae_mean"])


def test_excursions_come_from_the_bars(tested: tuple[Result, Market]) -> None:
    result, traded = tested
    curve, trips = as_ledger(result)

    made = performance("x", curve, trips, capital=CAPITAL, timeframe_ns=HOUR_NS, bars={"BTCUSDT": traded.bars})

    assert made.figures["mae_mean"] < 0.0 < made.figures["mfe_mean"]
    assert made.figures["mae_worst"] <= made.figures["mae_mean"]


def test_excursion_of_one_trade_is_that_of_its_bars() -> None:
    bars = Bars.of(
        (np.arange(4) + 1) * HOUR_NS, [100.0] * 4, [101.0, 110.0, 104.0, 150.0], [99.0, 95.0, 90.0, 50.0],
        [100.0] * 4, [1.0] * 4,
    )  # fmt: skip
    curve = Curve(bars.ts + HOUR_NS, np.zeros(4))
    trip = Trip("A", "short", 2 * HOUR_NS, 3 * HOUR_NS, 1.0, 100.0, 99.0, 1.0, 0.0, 0.0)

    made = as_result("x", curve, [trip], capital=1.0, timeframe_ns=HOUR_NS, bars={"A": bars})

    assert made.trades.mae.tolist() == pytest.approx([-0.10])
    assert made.trades.mfe.tolist() == pytest.approx([0.10])


def test_windows_are_the_record_cut_to_their_days(tested: tuple[Result, Market]) -> None:
    result, _ = tested
    curve, trips = as_ledger(result)

    made = performance("x", curve, trips, capital=CAPITAL, timeframe_ns=HOUR_NS, windows=(7, 30, 9_999))

    assert sorted(made.windows) == [7, 30]
    row = int(np.searchsorted(curve.ts, curve.ts[-1] - 7 * DAY_NS, side="right"))
    begun = CAPITAL + curve.profit[row - 1]
    assert made.windows[7]["roi"] == pytest.approx((CAPITAL + curve.profit[-1]) / begun - 1.0)
    recent = [t for t in trips if t.closed_ns > curve.ts[-1] - 7 * DAY_NS]
    assert made.windows[7]["trades"] == len(recent)


def test_rolling_figures_know_their_window_alone(tested: tuple[Result, Market]) -> None:
    curve, _ = as_ledger(tested[0])

    ends, figures = rolling(curve, capital=CAPITAL, timeframe_ns=HOUR_NS, days=10)
    cut = len(curve.ts) - 600
    early, before = rolling(Curve(curve.ts[:cut], curve.profit[:cut]), capital=CAPITAL, timeframe_ns=HOUR_NS, days=10)

    assert (np.diff(ends) == DAY_NS).all()
    assert early.tolist() == ends[: len(early)].tolist()
    for name, values in before.items():
        np.testing.assert_array_equal(values, figures[name][: len(early)])


def test_book_adds_the_bots_up_from_when_each_began() -> None:
    one = Curve(np.arange(1, 101) * HOUR_NS, np.linspace(0.0, 100.0, 100))
    late = Curve(np.arange(51, 101) * HOUR_NS, np.full(50, -20.0))

    made = book_performance({"a": one, "b": late}, {}, capital={"a": 1_000.0, "b": 500.0}, timeframe_ns=HOUR_NS)

    assert made.name == "book"
    assert made.figures["final_equity"] == pytest.approx(1_580.0)
    assert made.figures["pnl"] == pytest.approx(80.0)
    assert made.figures["bars"] == 100.0
    with pytest.raises(ConfigError, match="capital is missing"):
        book_performance({"a": one}, {}, capital={}, timeframe_ns=HOUR_NS)


def test_targets_are_met_or_not_and_undefined_figures_meet_none() -> None:
    good = dict.fromkeys(TARGETS, 10.0) | {"max_drawdown": 0.01}

    assert all(t.met for t in against_targets(good))
    assert not any(t.met for t in against_targets(dict.fromkeys(TARGETS, math.nan)))
    assert [t.wanted for t in against_targets(good) if t.name == "max_drawdown"] == ["< 0.15"]


def test_ledger_rows_and_points_are_read_as_the_queries_give_them() -> None:
    row = {
        "symbol": "BTC-USDT.P", "side": "long", "opened_ns": 5, "closed_ns": None, "entered": Decimal("0.5"),
        "entry": Decimal(100), "exit": Decimal(0), "gross": Decimal(0), "fees": Decimal("0.03"), "funding": Decimal(-1),
    }  # fmt: skip
    points = [
        SimpleNamespace(close_ns=20, net=Decimal(2), unrealised=Decimal(1)),
        SimpleNamespace(close_ns=10, net=Decimal(1), unrealised=Decimal(0)),
        SimpleNamespace(close_ns=20, net=Decimal(2), unrealised=Decimal(3)),
    ]

    trip, curve = Trip.of_row(row), Curve.of_points(points)

    assert (trip.closed_ns, trip.net) == (0, pytest.approx(-1.03))
    assert (curve.ts.tolist(), curve.profit.tolist()) == ([10, 20], [1.0, 5.0])
    made = performance("x", curve, [trip], capital=100.0, timeframe_ns=10)
    assert made.figures["trades"] == 0.0
    assert made.figures["exposure"] == 1.0


@pytest.mark.parametrize(
    ("ts", "profit", "capital"),
    [([], [], 1.0), ([2, 1], [0.0, 0.0], 1.0), ([1, 2], [0.0, math.nan], 1.0), ([1, 2], [0.0, 0.0], 0.0)],
)
def test_record_that_gives_no_figures_is_refused(ts: list[int], profit: list[float], capital: float) -> None:
    curve = Curve(np.array(ts, dtype=np.int64), np.array(profit))

    with pytest.raises(ConfigError):
        performance("x", curve, [], capital=capital, timeframe_ns=1)
