"""Recursion: no registered strategy depends on bars before its warm-up, and a planted short warm-up is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from omega.backtest.checks import check_recursion
from omega.engine import Bars, Signals
from omega.errors import CorruptData
from omega.plugins import StrategyEntry, strategies

NAMES = strategies.discover()
Entry = Callable[..., StrategyEntry]


@pytest.mark.req("0.34")
@pytest.mark.parametrize("name", NAMES)
def test_recursion_registered_strategy_has_none(name: str, bars: Bars) -> None:
    """At the declared warm-up and at the runner's window."""
    entry = strategies.get(name)

    found = check_recursion(entry, entry.params(), bars)

    assert found.sound, found.finding
    assert found.suffices is not None
    assert found.suffices <= found.warmup
    assert found.drift <= 1e-9


@pytest.mark.req("0.34")
def test_recursion_planted_short_warm_up_is_found_and_the_enough_is_told(entry: Entry, bars: Bars) -> None:
    """As long as its slow average and no longer: the seed of the average is still in it."""
    planted = entry(warmup=lambda p: p.slow)

    found = check_recursion(planted, planted.params(), bars)

    assert found.finding is not None
    assert found.finding.column in {"side", "exit", "reason"}
    assert found.finding.ts_ns == bars.ts[found.finding.row]
    assert found.suffices is not None
    assert found.warmup < found.suffices <= 20 * 26

    enough = entry(warmup=lambda _p: found.suffices)
    assert check_recursion(enough, enough.params(), bars).sound


def test_recursion_planted_memory_longer_than_the_window_is_found(entry: Entry, bars: Bars) -> None:
    """A highest high since ever: with the declared warm-up of 60 bars nothing is right."""

    def signals(bars: Bars, params: object) -> Signals:
        del params
        top = np.maximum.accumulate(bars.high)
        return Signals.of(side=np.where(bars.high >= top, 1, 0), stop_distance=0.01 * bars.close)

    planted = entry(signals=signals, warmup=lambda _p: 60)
    found = check_recursion(planted, planted.params(), bars, window=500)

    assert found.finding is not None
    assert found.finding.column == "side"
    assert found.suffices is None or found.suffices > 60


def test_recursion_history_too_short_is_refused_with_the_length(entry: Entry, bars: Bars) -> None:
    with pytest.raises(CorruptData, match="give it more than 1040"):
        check_recursion(entry(), entry().params(), bars.prefix(1_000))


def test_recursion_outcome_is_json(entry: Entry, bars: Bars) -> None:
    made: dict[str, Any] = check_recursion(entry(), entry().params(), bars).as_json()

    assert (made["check"], made["ok"], made["warmup"], made["window"]) == ("recursion", True, 520, 2_000)
