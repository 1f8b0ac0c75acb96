"""Cells over the project's candles: what a back-test says, placebos that share phases, tuning without peeking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omega.backtest.influences import load_influences
from omega.backtest.run import backtest
from omega.engine.bars import Bars
from omega.errors import ConfigError
from omega.params import parse_params
from omega.research.experiment import Cell, Plan
from omega.research.experiment.arena import Arena
from omega.research.experiment.cells import cells_of
from omega.research.experiment.folds import DAY_NS
from omega.research.experiment.running import fingerprints

DATA = Path(__file__).resolve().parents[3] / "data" / "candles"


def _plan(**over: object) -> Plan:
    values: dict[str, object] = {
        "name": "arena",
        "bot": "ema_cross",
        "metric": "mean_return",
        "direction": "higher",
        "minimum_effect": 0.0,
        "seed": 11,
        "data": {"symbols": ["BTCUSDT", "ETHUSDT"], "timeframe": "15m"},
        "folds": {"train_days": 10, "test_days": 5},
        "placebos": 39,
        "arms": {
            "control": {},
            "moon": {"cosmic": {"moon_phase": 1.0}},
            "hours": {"cosmic": "only_time_cycle"},
            "fast": {"params": {"fast": 8}},
        },
    }
    return Plan.model_validate({**values, **over})


@pytest.fixture(scope="module")
def arena() -> Arena:
    return Arena(_plan(), DATA)


def test_cell_first_row_is_the_back_test_of_the_window(arena: Arena) -> None:
    fold, market = arena.folds[1], arena.markets["ETHUSDT"]
    first, end = (int(row) for row in np.searchsorted(market.bars.ts, [fold.test_ns, fold.end_ns]))
    warmup = arena.strategy.warmup(parse_params(arena.strategy.params, {}))
    part = replace(market, bars=market.bars.prefix(end).since(first - warmup))
    made = load_influences("off", "only_moon_phase", market.bars.ts, timeframe_ns=market.timeframe_ns)

    outcome = arena(Cell("moon", "ETHUSDT", 1))
    result = backtest(arena.strategy, parse_params(arena.strategy.params, {}), part, influences=made)

    assert outcome.returns.shape == (40, 5)
    assert np.prod(1.0 + outcome.returns[0]) == pytest.approx(result.final_equity / result.capital, rel=1e-12)
    assert outcome.trades == len(np.unique(result.trades.position))


def test_cell_placebos_differ_from_the_truth_but_not_in_kind(arena: Arena) -> None:
    outcome, control = arena(Cell("moon", "BTCUSDT", 1)), arena(Cell("control", "BTCUSDT", 1))

    assert (outcome.returns != outcome.returns[0]).any(axis=1).sum() >= 35
    assert control.returns.shape == (1, 5)
    assert (outcome.returns[0] != control.returns[0]).any()


def test_cell_phases_are_shared_by_assets_and_fresh_in_every_fold_and_arm(arena: Arena) -> None:
    series = arena._influence("moon").cosmic  # type: ignore[union-attr]
    assert series is not None

    drawn = {cell: tuple(arena._shifts(cell, series)) for cell in cells_of(arena.plan, arena.present())}

    assert drawn[Cell("moon", "BTCUSDT", 1)] == drawn[Cell("moon", "ETHUSDT", 1)]
    assert drawn[Cell("moon", "BTCUSDT", 1)] != drawn[Cell("moon", "BTCUSDT", 2)]
    assert drawn[Cell("moon", "BTCUSDT", 1)] != drawn[Cell("hours", "BTCUSDT", 1)]


def test_cell_run_again_is_the_same_to_the_last_bit(arena: Arena) -> None:
    cell = Cell("moon", "BTCUSDT", 2)

    np.testing.assert_array_equal(arena(cell).returns, Arena(arena.plan, DATA)(cell).returns)


def _changed(bars: Bars, from_ns: int) -> Bars:
    """Return the bars with other prices from an instant on."""
    factor = np.where(bars.ts >= from_ns, 1.0 + 0.3 * np.sin(np.arange(bars.n) / 7.0), 1.0)
    return Bars(bars.ts, bars.open * factor, bars.high * factor, bars.low * factor, bars.close * factor, bars.volume)


def test_tuning_sees_nothing_of_the_window_that_is_judged() -> None:
    plan = _plan(
        folds={"train_days": 10, "test_days": 5, "tune": {"slow": [26, 40], "stop_pct": [0.01, 0.02, 0.04]}},
        arms={"control": {}, "fast": {"params": {"fast": 8}}},
    )
    honest, other = Arena(plan, DATA), Arena(plan, DATA)
    fold = honest.folds[2]
    market = other.markets["BTCUSDT"]
    other.markets["BTCUSDT"] = replace(market, bars=_changed(market.bars, fold.test_ns))

    one, two = honest(Cell("control", "BTCUSDT", 2)), other(Cell("control", "BTCUSDT", 2))

    assert one.tries == two.tries
    assert len(one.tries) == 6
    assert one.params == two.params
    assert (one.returns != two.returns).any()
    # And what happens before the test window does move the choice's scores: the comparison above can fail.
    other.markets["BTCUSDT"] = replace(market, bars=_changed(market.bars, fold.test_ns - 5 * DAY_NS))
    other._tuned.clear()
    assert other(Cell("control", "BTCUSDT", 2)).tries != one.tries


def test_fingerprint_names_all_that_decides_a_cell(arena: Arena) -> None:
    cells = cells_of(arena.plan, arena.present())
    marks = fingerprints(arena, cells)

    assert len(set(marks.values())) == len(cells)
    judged = Arena(_plan(alpha=0.1, minimum_effect=0.5, metric="sharpe"), DATA)
    assert fingerprints(judged, cells) == marks
    for over in ({"seed": 12}, {"placebos": 40}, {"trading": {"taker": 0.001}}, {"params": {"stop_pct": 0.03}}):
        other = fingerprints(Arena(_plan(**over), DATA), cells)
        assert not set(other.values()) & set(marks.values()), over


def test_asset_without_room_to_warm_up_is_refused_by_name() -> None:
    plan = _plan(folds={"train_days": 0, "test_days": 5}, params={"slow": 300})

    with pytest.raises(ConfigError, match="BTCUSDT has not the 6000 bars"):
        Arena(plan, DATA).present()


def test_feed_that_nobody_knows_is_refused_and_one_that_is_missing_is_told() -> None:
    data = {"symbols": ["BTCUSDT"], "timeframe": "15m"}

    assert Arena(_plan(data={**data, "feeds": ["fear-greed-1d.csv"]}), DATA).missing_feeds == ("fear-greed-1d.csv",)
    with pytest.raises(ConfigError, match=r"none of the known recordings"):
        Arena(_plan(data={**data, "feeds": ["tea-leaves.csv"]}), DATA)
