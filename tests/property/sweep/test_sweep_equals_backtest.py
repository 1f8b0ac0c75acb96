"""A trial of a sweep is the back-test of its combination, bit for bit, whichever way it was run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.backtest.run import RULES, backtest
from omega.backtest.sweep.draws import Random
from omega.backtest.sweep.evaluate import PLAIN, SHARED, SPARSE, Evaluator, walked
from omega.backtest.sweep.figures import FIGURES
from omega.backtest.sweep.job import Job, Stretch, Task
from omega.backtest.sweep.space import space_of
from omega.backtest.sweep.study import WHOLE
from omega.backtest.types import Costs, Market, Steps
from omega.engine.decision import Settings, Sizing
from omega.plugins import parse_params, strategies
from omega.storage.lake.read import read_market

ROOT = Path(__file__).resolve().parents[3]
TRADING = ("ema_cross", "ccxt_trend", "strategic_fibonacci")
ALL_IN = replace(RULES, sizing=Sizing.ALL_IN)
TRAILED = replace(RULES, trail=0.004, time_limit=300, flip=True)
STEPS = Steps(price_step=0.1, size_step=0.001, min_size=0.001, min_notional=5.0)


def _tasks(name: str, count: int, *stretches: Stretch) -> list[Task]:
    strategies.discover()
    space = space_of(strategies.get(name).params, [], {})
    drawn = Random(space, count, seed=11).take(range(count))
    return [Task(i, params, stretches or (Stretch(WHOLE),)) for i, params in enumerate(drawn)]


def _job(name: str, rules: Settings, **more: Any) -> Job:
    return Job(name, {}, rules, Costs(slippage=0.0001), 10_000.0, **more)


def _equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@pytest.mark.req("4.91")
@pytest.mark.parametrize("name", TRADING)
@pytest.mark.parametrize("rules", [RULES, ALL_IN, TRAILED], ids=["risk", "all-in", "trailed"])
def test_sweep_trial_equals_the_backtest_to_the_last_bit(name: str, rules: Settings, market: Market) -> None:
    stepped = replace(market, steps=STEPS)
    evaluator = Evaluator(_job(name, rules), stepped)
    entry = strategies.get(name)

    outcomes = evaluator.evaluate(_tasks(name, 6))

    assert evaluator.mode == SPARSE
    for outcome in outcomes:
        params = parse_params(entry.params, outcome.params)
        single = walked(backtest(entry, params, stepped, rules=rules, costs=Costs(slippage=0.0001)))
        assert {key for key in single if not _equal(single[key], outcome.metrics[key])} == set(), outcome.params


@settings(max_examples=40, deadline=None)
@given(
    fast=st.integers(2, 60), slow=st.integers(3, 200), slippage=st.sampled_from([0.0, 0.0003]), low=st.integers(0, 5000)
)
def test_sweep_from_event_to_event_equals_the_backtest_to_the_last_bit(
    fast: int, slow: int, slippage: float, low: int
) -> None:
    """All in, long or flat, without a barrier: the walk that looks at events alone does what the loop does."""
    market = _short_market()
    job = replace(_job("ema_cross", ALL_IN), fixed={"stop_pct": 0.0}, costs=Costs(slippage=slippage))
    stretch = Stretch(0, low, low + 2500)
    task = Task(0, {"fast": fast, "slow": slow}, (Stretch(WHOLE), stretch))

    sparse = {o.fold: o.metrics for o in _evaluator(job, market).evaluate([task])}
    whole = {o.fold: o.metrics for o in _evaluator(replace(job, whole=True), market).evaluate([task])}

    assert _evaluator(job, market)._walker._plain
    for fold, metrics in sparse.items():
        assert {key for key in FIGURES if not _equal(metrics[key], whole[fold][key])} == set()


def test_sweep_of_many_at_once_equals_one_at_a_time() -> None:
    """More combinations than are traced together, and than go through the bars together, over several stretches."""
    job = replace(_job("ema_cross", ALL_IN), fixed={"stop_pct": 0.0})
    pairs = [(fast, slow) for slow in range(20, 45, 5) for fast in range(3, 15)]
    tasks = [
        Task(i, {"fast": fast, "slow": slow}, (Stretch(WHOLE), Stretch(0, 100, 900)))
        for i, (fast, slow) in enumerate(pairs)
    ]
    evaluator = Evaluator(job, _short_market())

    together = evaluator.evaluate(tasks)
    alone = [outcome for task in tasks for outcome in evaluator.evaluate([task])]

    assert len(tasks) > evaluator._walker.batch
    assert sorted(map(repr, together)) == sorted(map(repr, alone))


@cache
def _short_market() -> Market:
    return read_market(ROOT / "data" / "candles" / "BTCUSDT-1m.parquet", to="2025-05-11")


_EVALUATORS: dict[tuple[bool, float], Evaluator] = {}


def _evaluator(job: Job, market: Market) -> Any:
    """Keep one evaluator a kind of job: making one takes longer than an example."""
    key = (job.whole, job.costs.slippage)
    if key not in _EVALUATORS:
        _EVALUATORS[key] = Evaluator(job, market)
    return _EVALUATORS[key]


@pytest.mark.parametrize("name", TRADING)
def test_sweep_stretch_equals_a_backtest_that_was_warmed_up_before_it(name: str, market: Market) -> None:
    """Signals of the whole history, walked over a part, are those of a process that began a warm-up before it."""
    tasks = _tasks(name, 3, Stretch(0, 7000, 9500))

    sparse = Evaluator(_job(name, RULES), market).evaluate(tasks)
    whole = Evaluator(_job(name, RULES, whole=True), market).evaluate(tasks)

    by_number = {outcome.number: outcome.metrics for outcome in whole}
    for outcome in sparse:
        other = by_number[outcome.number]
        assert {key for key in FIGURES if not _equal(other[key], outcome.metrics[key])} == set()


@pytest.mark.parametrize("low", [200, 3_000])
def test_sweep_stretch_with_a_trader_knows_the_regime_of_the_bars_before_it(
    low: int, market: Market, tmp_path: Path
) -> None:
    """Traits that follow the market follow it from a stretch's first bar on, whichever way it is walked."""
    leverage = {"low": 1.0, "high": 10.0, "trending": 9.0, "ranging": 4.0, "volatile": 7.0}
    profile = tmp_path / "follower.yaml"
    profile.write_text(json.dumps({"base_leverage": 1.0, "most_leverage": 10.0, "adapts": {"base_leverage": leverage}}))
    job = _job("ema_cross", replace(RULES, max_leverage=10), profile=str(profile))
    task = Task(0, {"fast": 3, "slow": 9, "stop_pct": 0.002}, (Stretch(0, low, low + 300),))

    sparse, whole, fixed = (
        Evaluator(one, market).evaluate([task])[0].metrics
        for one in (job, replace(job, whole=True), replace(job, profile="off"))
    )

    assert sparse["trades"] > 0
    assert not _equal(sparse["final_equity"], fixed["final_equity"])
    assert {key for key in FIGURES if not _equal(whole[key], sparse[key])} == set()


def test_sweep_with_influences_equals_the_backtest(market: Market) -> None:
    from omega.backtest.influences import load_influences

    job = _job("ema_cross", RULES, profile="strategic", preset="only_moon_phase")
    entry = strategies.get("ema_cross")
    influences = load_influences("strategic", "only_moon_phase", market.bars.ts, timeframe_ns=market.timeframe_ns)

    [outcome] = Evaluator(job, market).evaluate([Task(0, {"fast": 8, "slow": 30}, (Stretch(WHOLE),))])

    params = parse_params(entry.params, outcome.params)
    single = walked(backtest(entry, params, market, costs=Costs(slippage=0.0001), influences=influences))
    assert {key for key in single if not _equal(single[key], outcome.metrics[key])} == set()


def test_sweep_gives_every_figure_when_an_objective_wants_it(market: Market) -> None:
    evaluator = Evaluator(_job("ema_cross", RULES, whole=True), market)

    [outcome] = evaluator.evaluate([Task(0, {"fast": 8}, (Stretch(WHOLE),))])

    assert evaluator.mode == SHARED
    assert {"ulcer", "var_95", *FIGURES} <= set(outcome.metrics)


def test_sweep_runs_a_strategy_plainly_that_cannot_be_traced(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy that does something odd with its arrays gives the same figures, only slower."""
    strategies.discover()
    entry = strategies.get("ema_cross")

    def odd(bars: Any, params: Any) -> Any:
        if not isinstance(bars.close.strides, tuple) or type(bars.close).__name__ == "Column":
            raise TypeError("I take arrays only")
        return entry.signals(bars, params)

    monkeypatch.setitem(strategies._entries, "ema_cross", replace(entry, signals=odd))
    evaluator = Evaluator(_job("ema_cross", RULES), market)

    [outcome] = evaluator.evaluate([Task(0, {"fast": 8}, (Stretch(WHOLE),))])

    single = walked(backtest(entry, parse_params(entry.params, {"fast": 8}), market, costs=Costs(slippage=0.0001)))
    assert evaluator.mode == PLAIN
    assert outcome.metrics["final_equity"] == single["final_equity"]


def test_sweep_keeps_the_refusal_of_a_combination(market: Market) -> None:
    [outcome] = Evaluator(_job("ema_cross", RULES), market).evaluate([Task(4, {"fast": 1}, (Stretch(WHOLE),))])

    assert "outside 2 to 100" in outcome.why
    assert outcome.metrics == {}
