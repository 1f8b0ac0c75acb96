"""History is the runner's `decide`, bar after bar: same legs, same prices, same sizes, same equity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.backtest.run import RULES, backtest
from omega.backtest.types import Costs, FundingSeries, Market
from omega.engine import Settings
from omega.plugins import StrategyEntry, parse_params, strategies
from omega.storage.lake.read import read_market

from .made_markets import SCRIPTED, STEPS, Script, market_of
from .plain_farm import Leg, PlainFarm, legs_of

CANDLES = Path(__file__).resolve().parents[3] / "data" / "candles"
BARS = 6_000
COSTS = Costs(slippage=0.0001)
strategies.discover()
TRADING = [entry.name for entry in strategies if not entry.read_only]


def compare(strategy: StrategyEntry, params: object, market: Market, rules: Settings) -> int:
    """Hold both ways against each other; return how many legs were closed."""
    farm = PlainFarm(strategy, params, market, replace(rules, maintenance=market.maintenance), COSTS, 10_000.0)
    farm.run()
    result = backtest(strategy, params, market, rules=rules, costs=COSTS)

    here = legs_of(result.trades)
    there = [replace(leg, kind=leg.kind if leg.kind in {"stop", "target"} else "left") for leg in farm.legs]
    assert sorted(here, key=_order) == sorted(there, key=_order)
    assert np.allclose(result.equity, farm.equity, rtol=1e-12, atol=1e-7)
    return len(here)


def _order(leg: Leg) -> tuple[int, int, float, float]:
    return leg.exit_row, leg.entry_row, leg.exit, leg.size


@pytest.mark.req("0.34")
@pytest.mark.parametrize("name", TRADING)
@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_history_of_a_registered_bot_is_decide_bar_by_bar(name: str, symbol: str):
    """Recorded bars, the venue's steps, funding every eight hours, farm rules."""
    read = read_market(CANDLES / f"{symbol}-1m.parquet")
    bars = read.bars.prefix(BARS)
    instants = np.arange(bars.ts[0] // (8 * 3600 * 10**9) + 1, bars.ts[-1] // (8 * 3600 * 10**9) + 1) * 8 * 3600 * 10**9
    funding = FundingSeries(instants, np.resize([0.0001, -0.00025, 0.0], len(instants)))
    market = Market(symbol, bars, read.timeframe_ns, funding, STEPS)
    entry = strategies.get(name)

    assert compare(entry, parse_params(entry.params, {}), market, replace(RULES, require_stop=True)) > 3


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    stop=st.sampled_from([0.003, 0.01]),
    target=st.sampled_from([0.002, 0.01]),
    targets=st.integers(0, 3),
    time_limit=st.sampled_from([0, 2, 9]),
    trail=st.sampled_from([0.0, 0.006]),
    risk=st.sampled_from([0.0005, 0.01, 0.05]),
    funded=st.booleans(),
    digits=st.sampled_from([1, 2]),
)
def test_history_of_any_script_is_decide_bar_by_bar(
    seed: int,
    stop: float,
    target: float,
    targets: int,
    time_limit: int,
    trail: float,
    risk: float,
    funded: bool,
    digits: int,
):
    market = market_of(seed, 250, steps=STEPS, funded=funded, wild=0.003, digits=digits)
    script = Script(
        seed=seed, stop=stop, target=target, targets=targets, time_limit=time_limit, trail=trail, leaves=0.05
    )

    compare(SCRIPTED, script, market, Settings(risk=risk, live=False))
