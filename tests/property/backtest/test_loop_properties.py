"""What holds for the loop over history whatever the market and the strategy."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.backtest.influences import CosmicSeries, Influences
from omega.backtest.run import RULES, backtest
from omega.backtest.types import Costs, ExitKind, Limits, Market
from omega.engine import Settings, Sizing
from omega.engine.profile import Profile

from .made_markets import SCRIPTED, STEPS, Script, columns, market_of

RUNS = int(os.environ.get("OMEGA_PROPERTY_RUNS", "40"))
CASES = settings(max_examples=RUNS, deadline=None)

scripts = st.builds(
    Script,
    seed=st.integers(0, 10**6),
    often=st.sampled_from([0.02, 0.2, 0.9]),
    stop=st.sampled_from([0.0, 0.003, 0.01, 0.05]),
    target=st.sampled_from([0.002, 0.01, 0.05]),
    targets=st.integers(0, 3),
    leaves=st.sampled_from([0.0, 0.05, 0.5]),
    flip=st.booleans(),
    time_limit=st.sampled_from([0, 1, 2, 7, 40]),
    trail=st.sampled_from([0.0, 0.004, 0.02]),
    sizing=st.sampled_from(["risk", "full"]),
)
seeds = st.integers(0, 10**6)
rules = st.builds(
    Settings,
    sizing=st.sampled_from([Sizing.RISK, Sizing.RISK, Sizing.ALL_IN]),
    risk=st.sampled_from([0.01, 0.1]),
    max_leverage=st.sampled_from([1, 3, 20, 125]),
    min_confidence=st.sampled_from([0.0, 0.3]),
    buffer=st.sampled_from([0.0, 0.5]),
    require_stop=st.booleans(),
    live=st.just(False),
)
costs = st.builds(Costs, taker=st.sampled_from([0.0, 0.0006]), slippage=st.sampled_from([0.0, 0.0005]))
markets = st.builds(
    market_of,
    seed=seeds,
    n=st.integers(3, 300),
    steps=st.sampled_from([None, STEPS]),
    funded=st.booleans(),
    wild=st.sampled_from([0.001, 0.004, 0.03]),
)


def influences(seed: int, market: Market) -> Influences:
    """Make a moody trader under a random sky over a market's hours."""
    rng = np.random.default_rng(seed)
    hour = 3_600_000_000_000
    start = int(market.bars.ts[0]) // hour * hour
    count = int((market.bars.ts[-1] + market.timeframe_ns - start) // hour) + 2
    sky = CosmicSeries(start, hour, *rng.uniform(-1.0, 1.0, (3, count)), (1.0, 1.0, 1.0))
    return Influences(profile=Profile(impulse=0.5, revenge_from=2, revenge_chance=0.5), cosmic=sky)


@pytest.mark.req("0.34")
@CASES
@given(market=markets, script=scripts, own=rules, cost=costs, moody=st.booleans(), seed=seeds)
def test_loop_compiled_equals_uncompiled(
    market: Market, script: Script, own: Settings, cost: Costs, moody: bool, seed: int
):
    arguments = {"rules": own, "costs": cost, "influences": influences(seed, market) if moody else None}

    machine = backtest(SCRIPTED, script, market, compiled=True, **arguments)
    plain = backtest(SCRIPTED, script, market, compiled=False, **arguments)

    assert columns(machine) == columns(plain)


@CASES
@given(market=markets, script=scripts, own=rules, cost=costs)
def test_loop_that_looks_at_every_row_finds_the_same(market: Market, script: Script, own: Settings, cost: Costs):
    strides = backtest(SCRIPTED, script, market, rules=own, costs=cost)
    rows = backtest(SCRIPTED, script, market, rules=own, costs=cost, sparse=False)

    assert columns(strides) == columns(rows)


@CASES
@given(market=markets, script=scripts, own=rules, part=st.floats(0.1, 0.99))
def test_loop_of_a_prefix_is_the_prefix_of_the_loop(market: Market, script: Script, own: Settings, part: float):
    n = max(int(part * market.bars.n), 1)
    short = Market(market.symbol, market.bars.prefix(n), market.timeframe_ns, market.funding, market.steps)

    whole = backtest(SCRIPTED, script, market, rules=own)
    begun = backtest(SCRIPTED, script, short, rules=own)

    assert whole.equity[:n].tobytes() == begun.equity.tobytes()
    assert whole.held[:n].tobytes() == begun.held.tobytes()
    closed = begun.trades.exit_kind != ExitKind.END
    count = int(closed.sum())
    for name in begun.trades.__slots__:
        assert getattr(whole.trades, name)[:count].tobytes() == getattr(begun.trades, name)[closed].tobytes()


@CASES
@given(market=markets, script=scripts, own=rules, cost=costs)
def test_loop_money_adds_up(market: Market, script: Script, own: Settings, cost: Costs):
    result = backtest(SCRIPTED, script, market, rules=own, costs=cost)

    trades = result.trades
    slack = 1e-9 * (result.capital + result.turnover) + 1e-8 * (trades.n + 1)
    assert result.final_equity == pytest.approx(result.capital + trades.pnl.sum(), abs=slack)
    gained = trades.side * trades.size * (trades.exit_price - trades.entry_price)
    burst = trades.exit_kind == ExitKind.LIQUIDATION
    net = gained - trades.fee + trades.funding
    assert np.allclose(trades.pnl[~burst], net[~burst], rtol=1e-9, atol=1e-7)
    assert np.all(trades.pnl[burst] >= net[burst] - 1e-7)
    assert result.fees == pytest.approx(trades.fee.sum(), abs=slack)
    assert result.turnover == pytest.approx((trades.size * (trades.entry_price + trades.exit_price)).sum(), abs=slack)
    assert result.seven["trades"] == len(np.unique(trades.position))


@CASES
@given(market=markets, script=scripts, own=rules, cost=costs)
def test_loop_trades_keep_time_and_price(market: Market, script: Script, own: Settings, cost: Costs):
    result = backtest(SCRIPTED, script, market, rules=own, costs=cost)

    trades, bars = result.trades, market.bars
    said = SCRIPTED.signals(bars, script).side
    assert np.all(said[trades.entry_row - 1] == trades.side), "an entry without its signal on the bar before"
    assert np.all(trades.entry_row >= 3), "an entry before the warm-up was over"
    assert np.all(trades.exit_row >= trades.entry_row)
    assert np.all(np.diff(trades.exit_row) >= 0)
    half = 0.05 + 1e-9 if market.steps else 1e-9
    inside = np.isin(trades.exit_kind, [ExitKind.STOP, ExitKind.TARGET, ExitKind.LIQUIDATION])
    low, high = bars.low[trades.exit_row], bars.high[trades.exit_row]
    assert np.all(trades.exit_price[inside] >= low[inside] - half)
    assert np.all(trades.exit_price[inside] <= high[inside] + half)
    assert np.all((trades.mae <= 0.0) & (trades.mfe >= 0.0))
    best = trades.side * (trades.exit_price - trades.entry_price) / trades.entry_price
    assert np.all(best <= trades.mfe + 1e-12)
    assert np.all(best >= trades.mae - 1e-12)


@CASES
@given(market=markets, script=scripts, cost=costs)
def test_loop_stop_never_fills_better_than_its_price(market: Market, script: Script, cost: Costs):
    own = replace(RULES, risk=0.1, max_leverage=20)
    result = backtest(SCRIPTED, replace(script, flip=False, trail=0.0), market, rules=own, costs=cost)

    trades, row = result.trades, result.trades.entry_row - 1
    made = SCRIPTED.signals(market.bars, script)
    stop = market.bars.close[row] - trades.side * made.stop_distance[row]
    half = 0.05 + 1e-9 if market.steps else 1e-9
    stopped = trades.exit_kind == ExitKind.STOP
    better = trades.side * (trades.exit_price - stop)
    assert np.all(better[stopped] <= half)


@CASES
@given(market=markets, script=scripts)
def test_loop_steps_round_every_price_and_size(market: Market, script: Script):
    exact = Market(market.symbol, market.bars, market.timeframe_ns, market.funding, STEPS)

    trades = backtest(SCRIPTED, script, exact).trades

    ticks, lots = trades.exit_price * 10.0, trades.size * 10_000.0
    ended = trades.exit_kind == ExitKind.END
    assert np.array_equal(np.round(ticks[~ended]) / 10.0, trades.exit_price[~ended])
    assert np.array_equal(np.round(lots) / 10_000.0, trades.size)
    whole = np.bincount(trades.position, trades.size * trades.entry_price) if trades.n else np.zeros(0)
    assert np.all(whole[np.unique(trades.position)] >= STEPS.min_notional * 0.9)


@CASES
@given(market=markets, script=scripts, most=st.sampled_from([50.0, 2_000.0]))
def test_loop_limits_hold_for_every_leg_and_position(market: Market, script: Script, most: float):
    result = backtest(SCRIPTED, script, market, limits=Limits(most, 1.5 * most))

    trades = result.trades
    row = np.maximum(trades.entry_row - 1, 0)
    notional = trades.size * market.bars.close[row]
    assert np.all(notional <= most * (1 + 1e-12))
    if trades.n:
        assert np.bincount(trades.position, notional).max() <= 1.5 * most * (1 + 1e-12)


@pytest.mark.req("0.47")
@CASES
@given(market=markets, script=scripts, own=rules)
def test_loop_neutral_influences_change_no_bit(market: Market, script: Script, own: Settings):
    neutral = Influences(profile=Profile(strength=0.0))

    assert columns(backtest(SCRIPTED, script, market, rules=own)) == columns(
        backtest(SCRIPTED, script, market, rules=own, influences=neutral)
    )


@CASES
@given(one=markets, other=markets, script=scripts, own=rules)
def test_loop_of_two_markets_holds_too(one: Market, other: Market, script: Script, own: Settings):
    pair = (replace(one, symbol="A"), replace(other, symbol="B"))

    both = backtest(SCRIPTED, script, pair, rules=own, compiled=True)

    assert columns(both) == columns(backtest(SCRIPTED, script, pair, rules=own, compiled=False))
    slack = 1e-9 * (both.capital + both.turnover) + 1e-8 * (both.trades.n + 1)
    assert both.final_equity == pytest.approx(both.capital + both.trades.pnl.sum(), abs=slack)
