"""The loop over history, rule by rule, on bars drawn by hand."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from omega.backtest.run import RULES, backtest
from omega.backtest.types import Costs, ExitKind, FundingSeries, Limits, Market, Result, Steps
from omega.engine import Bars, Settings, Signals, Sizing, amend
from omega.errors import ConfigError, CorruptData, InvariantBroken
from omega.params import param, params
from omega.plugins import StrategyEntry

MINUTE = 60_000_000_000
FREE = Costs(taker=0.0)
FULL = replace(RULES, sizing=Sizing.FULL, reserve=0.0, maintenance=0.0)
STEPS = Steps(price_step=0.5, size_step=0.01, min_size=0.01, min_notional=5.0)


@params
class Plan:
    """One entry at row 1 and, later, one exit or an entry of the other side."""

    side: int = param(1, low=-1, high=1)
    stop: float = param(5.0, low=0.0, high=100.0)
    first: float = param(0.0, low=0.0, high=100.0)
    second: float = param(0.0, low=0.0, high=100.0)
    third: float = param(0.0, low=0.0, high=100.0)
    leave: int = param(0, low=0, high=100)
    turn: int = param(0, low=0, high=100)
    warmup: int = param(0, low=0, high=100)


def planned(bars: Bars, p: Plan) -> Signals:
    side, leave = np.zeros(bars.n, np.int8), np.zeros(bars.n, np.bool_)
    side[1] = p.side
    if p.leave:
        leave[p.leave] = True
    if p.turn:
        side[p.turn] = -p.side
    aims = [np.full(bars.n, d) for d in (p.first, p.second, p.third) if d]
    return Signals.of(side=side, exit=leave, stop_distance=np.full(bars.n, p.stop), targets=tuple(aims))


PLANNED = StrategyEntry("planned", planned, Plan, lambda p: p.warmup, ("said",), False, False, None, "")


def market(*rows: tuple[float, float, float, float], **more: Any) -> Market:
    """Make a market of (open, high, low, close) rows after two quiet ones at 100."""
    every = [(100.0, 100.0, 100.0, 100.0)] * 2 + list(rows)
    columns = np.array(every).T
    ts = np.arange(1, len(every) + 1) * MINUTE
    return Market("BTCUSDT", Bars.of(ts, *columns, np.ones(len(every))), MINUTE, **more)


def run(where: Market, rules: Settings = FULL, costs: Costs = FREE, **plan: Any) -> Result:
    return backtest(PLANNED, Plan(**plan), where, capital=1_000.0, rules=rules, costs=costs)


def only(result: Result) -> dict[str, Any]:
    assert result.trades.n == 1
    return {name: getattr(result.trades, name)[0].item() for name in result.trades.__slots__}


def test_entry_fills_at_the_next_open_with_slippage_and_pays_the_fee():
    trade = only(run(market((101, 102, 100, 101)), costs=Costs(taker=0.001, slippage=0.01)))

    assert (trade["entry_row"], trade["entry_ts"]) == (2, 3 * MINUTE)
    assert trade["entry_price"] == pytest.approx(101 * 1.01)
    assert trade["fee"] == pytest.approx(0.001 * trade["size"] * (101 * 1.01 + 101))
    assert trade["exit_kind"] == ExitKind.END


@pytest.mark.parametrize(
    ("side", "bar", "price", "kind"),
    [
        (1, (100, 101, 94, 99), 95.0, ExitKind.STOP),
        (1, (100, 101, 95, 99), 95.0, ExitKind.STOP),
        (1, (100, 110, 99, 101), 110.0, ExitKind.TARGET),
        (-1, (100, 105, 99, 101), 105.0, ExitKind.STOP),
        (-1, (100, 101, 90, 99), 90.0, ExitKind.TARGET),
        (1, (93, 96, 92, 95), 93.0, ExitKind.STOP),
        (1, (100, 112, 99, 111), 110.0, ExitKind.TARGET),
        (1, (113, 114, 111, 112), 113.0, ExitKind.TARGET),
        (1, (100, 112, 94, 100), 95.0, ExitKind.STOP),
        (-1, (100, 106, 99, 101), 105.0, ExitKind.STOP),
        (-1, (107, 108, 105, 106), 107.0, ExitKind.STOP),
        (-1, (100, 101, 88, 89), 90.0, ExitKind.TARGET),
        (-1, (100, 106, 88, 100), 105.0, ExitKind.STOP),
    ],
)
def test_barriers_fill_at_their_price_at_the_open_in_a_gap_and_the_stop_first(
    side: int, bar: tuple[float, float, float, float], price: float, kind: ExitKind
):
    for later in (0, 1) if bar[0] == 100 else (1,):  # on the entry bar the open is the entry itself
        quiet = [(100.0, 100.0, 100.0, 100.0)] * later

        trade = only(run(market(*quiet, bar), side=side, first=10.0))

        assert (trade["exit_price"], trade["exit_kind"], trade["exit_row"]) == (price, kind, 2 + later)
        assert trade["pnl"] == pytest.approx(side * trade["size"] * (price - trade["entry_price"]))


def test_exit_flag_fills_at_the_next_open():
    trade = only(run(market((100, 101, 99, 100), (100, 101, 99, 100), (103, 104, 102, 103)), leave=3))

    assert (trade["exit_row"], trade["exit_price"], trade["exit_kind"]) == (4, 103.0, ExitKind.SIGNAL)


def test_opposite_signal_leaves_and_turns_only_with_flip():
    where = market(*[(100, 101, 99, 100)] * 3)

    plain = run(where, turn=3)
    turned = run(where, rules=replace(FULL, flip=True), turn=3)

    assert plain.trades.exit_kind.tolist() == [ExitKind.REVERSED]
    assert turned.trades.exit_kind.tolist() == [ExitKind.REVERSED, ExitKind.END]
    assert turned.trades.side.tolist() == [1, -1]
    assert turned.trades.entry_row.tolist() == [2, 4]


def test_time_limit_counts_the_entry_bar():
    trade = only(run(market(*[(100, 101, 99, 100)] * 5), rules=replace(FULL, time_limit=2)))

    assert (trade["exit_row"], trade["exit_kind"]) == (4, ExitKind.TIME)


def test_trailing_stop_follows_the_best_price_and_fills_inside_the_next_bar():
    where = market((100, 103, 100, 103), (103, 108, 103, 108), (108, 108, 106, 106.5), (106, 107, 105, 106))

    trade = only(run(where, rules=replace(FULL, trail=0.015)))

    assert (trade["exit_row"], trade["exit_price"], trade["exit_kind"]) == (4, 106.5, ExitKind.STOP)


def test_trailing_stop_that_the_close_is_beyond_leaves_at_the_next_open():
    where = market((100, 108, 100, 104), (103, 104, 102, 103))

    trade = only(run(where, rules=replace(FULL, trail=0.015)))

    assert (trade["exit_row"], trade["exit_price"], trade["exit_kind"]) == (3, 103.0, ExitKind.TRAIL)


def test_three_targets_are_three_legs_with_one_stop():
    where = market((100, 106, 99, 105), (105, 111, 104, 110), (110, 111, 94, 95))

    result = run(where, first=5.0, second=10.0, third=40.0)

    trades = result.trades
    assert trades.exit_kind.tolist() == [ExitKind.TARGET, ExitKind.TARGET, ExitKind.STOP]
    assert trades.exit_price.tolist() == [105.0, 110.0, 95.0]
    assert trades.leg.tolist() == [0, 1, 2]
    assert set(trades.position.tolist()) == {0}
    assert trades.size / trades.size.sum() == pytest.approx([0.4, 0.4, 0.2])
    assert (result.seven["trades"], result.seven["wins"]) == (1.0, 1.0)
    assert result.held.tolist() == pytest.approx([0, 0, *(result.held[2:4]), 0])
    assert result.held[3] == pytest.approx(trades.size[2] * 110 / result.equity[3])


def test_extremes_are_fractions_of_the_entry_up_to_the_exit_price():
    trade = only(run(market((100, 104, 97, 101), (101, 120, 94, 100))))

    assert (trade["mae"], trade["mfe"]) == (pytest.approx(-0.05), pytest.approx(0.04))


def test_funding_is_paid_on_the_close_before_its_instant():
    funding = FundingSeries(np.array([2, 4, 9]) * MINUTE, np.array([0.5, 0.01, 0.5]))
    where = market((100, 101, 99, 100), (100, 102, 99, 102), funding=funding)

    trade = only(run(where))

    assert trade["funding"] == pytest.approx(-0.01 * trade["size"] * 100.0)
    short = only(run(where, side=-1))
    assert short["funding"] == pytest.approx(0.01 * short["size"] * 100.0)


def test_liquidation_fires_where_the_equity_is_the_maintenance_margin():
    rules = Settings(sizing=Sizing.ALL_IN, require_stop=False, live=False)
    where = market((100, 100, 100, 100), (150, 200, 150, 160), maintenance=0.01)

    result = run(where, rules=rules, side=-1, stop=0.0)

    trade = only(result)
    assert (trade["exit_kind"], trade["exit_row"]) == (ExitKind.LIQUIDATION, 3)
    assert trade["exit_price"] == pytest.approx(2_000.0 / 10.1)
    assert result.final_equity == pytest.approx(0.01 * 10 * trade["exit_price"])


def test_liquidation_without_a_stop_ends_at_nothing_not_below():
    rules = Settings(sizing=Sizing.ALL_IN, require_stop=False, live=False)
    where = market((100, 100, 100, 100), (250, 260, 240, 250), (250, 251, 249, 250))

    result = run(where, rules=rules, side=-1, stop=0.0)

    trade = only(result)
    assert (trade["exit_kind"], trade["exit_price"]) == (ExitKind.LIQUIDATION, 250.0)
    assert (result.final_equity, trade["pnl"]) == (0.0, -1_000.0)
    assert result.equity[-1] == 0.0


def test_steps_round_price_and_size_and_drop_what_is_too_small():
    where = market((100.2, 102, 100, 101), (101, 102, 94, 95), steps=STEPS)

    trade = only(run(where, stop=4.9))

    assert trade["entry_price"] == 100.0
    assert trade["exit_price"] == 95.0
    assert round(trade["size"] * 100) == pytest.approx(trade["size"] * 100)
    assert backtest(PLANNED, Plan(), where, capital=0.05, rules=FULL, costs=FREE).trades.n == 0


def test_limits_of_the_gate_drop_the_leg_or_the_entry():
    where = market(*[(100, 101, 99, 100)] * 3)
    plan = Plan(first=10.0, second=20.0)

    free = backtest(PLANNED, plan, where, capital=1_000.0, rules=FULL, costs=FREE)
    held = backtest(PLANNED, plan, where, capital=1_000.0, rules=FULL, costs=FREE, limits=Limits(0.0, 700.0))
    none = backtest(PLANNED, plan, where, capital=1_000.0, rules=FULL, costs=FREE, limits=Limits(400.0, 0.0))

    assert (free.trades.n, held.trades.n, none.trades.n) == (2, 1, 0)


def test_warm_up_is_the_strategy_s_unless_another_is_asked_for():
    where = market(*[(100, 101, 99, 100)] * 3)

    assert run(where, warmup=2).trades.n == 0
    assert run(where, warmup=1).trades.n == 1
    assert backtest(PLANNED, Plan(warmup=2), where, warmup=0).trades.n == 1


def test_all_in_spends_the_equity_at_the_fill_and_carries_the_barriers_over():
    rules = Settings(sizing=Sizing.ALL_IN, require_stop=False, live=False)

    trade = only(run(market((110, 111, 105, 110), (110, 110, 90, 95)), rules=rules, costs=Costs(taker=0.001)))

    assert trade["size"] == pytest.approx(1_000.0 / (110 * 1.001))
    assert trade["exit_price"] == pytest.approx(95.0 * 1.1)


def test_two_markets_share_one_equity_and_one_axis():
    one = market((100, 101, 99, 100), (100, 110, 99, 110))
    far = one.bars
    late = Market("ETHUSDT", replace(far, ts=far.ts + 2 * MINUTE), MINUTE)

    both = backtest(PLANNED, Plan(), (one, late), capital=1_000.0, rules=FULL, costs=FREE)

    assert both.symbols == ("BTCUSDT", "ETHUSDT")
    assert both.ts.tolist() == [n * MINUTE for n in range(1, 7)]
    assert both.bars == 8
    first, second = both.trades.size[both.trades.symbol == 0][0], both.trades.size[both.trades.symbol == 1][0]
    assert (first, second) == (pytest.approx(10.0), pytest.approx(11.0))
    assert both.final_equity == pytest.approx(1_000.0 + first * 10 + second * 10)
    assert both.held[2] == pytest.approx(1.0)


def test_result_tells_how_to_run_it_again_and_travels():
    result = run(market((100, 101, 99, 100)), costs=Costs(slippage=0.001))

    asked = result.settings
    assert asked["costs"] == {"taker": 0.0006, "maker": 0.0002, "slippage": 0.001}
    assert (asked["capital"], asked["warmup"], asked["rules"]["sizing"]) == (1_000.0, 0, "full")
    assert asked["markets"]["BTCUSDT"]["funding"] is False
    assert result.params["stop"] == 5.0
    again = pickle.loads(pickle.dumps(result))
    assert again.held.tolist() == result.held.tolist()
    assert again.trades.to_table().num_rows == 1
    assert result.bars_per_s > 0.0


def test_what_cannot_be_run_is_refused():
    where = market((100, 101, 99, 100))
    with pytest.raises(ConfigError, match="no market"):
        backtest(PLANNED, Plan(), ())
    with pytest.raises(ConfigError, match="comes twice"):
        backtest(PLANNED, Plan(), (where, where))
    with pytest.raises(ConfigError, match="timeframe"):
        backtest(PLANNED, Plan(), (where, replace(where, symbol="X", timeframe_ns=2 * MINUTE)))
    with pytest.raises(ConfigError, match="capital"):
        backtest(PLANNED, Plan(), where, capital=0.0)
    with pytest.raises(ConfigError, match="no bar"):
        backtest(PLANNED, Plan(), replace(where, bars=where.bars.prefix(0)))
    rules = replace(RULES, psychology=lambda decision, _: amend(decision, "psychology", "why", size=0.5))
    with pytest.raises(ConfigError, match="influences="):
        backtest(PLANNED, Plan(), where, rules=rules)
    with pytest.raises(InvariantBroken, match="align"):
        backtest(replace(PLANNED, signals=lambda b, _: Signals.none(b.n - 1)), Plan(), where)
    with pytest.raises(InvariantBroken, match="declare"):
        backtest(replace(PLANNED, reasons=()), Plan(), where)


def test_types_refuse_what_is_unsound():
    with pytest.raises(ConfigError, match="steps"):
        Steps(0.0, 0.1, 0.0, 0.0)
    with pytest.raises(ConfigError, match=r"taker fee of 0\.5 is no cost"):
        Costs(taker=0.5)
    with pytest.raises(CorruptData, match="align"):
        FundingSeries(np.zeros(2, np.int64), np.zeros(1))
    with pytest.raises(CorruptData, match="does not rise"):
        FundingSeries(np.array([2, 1]), np.zeros(2))
