"""Look-ahead: no registered strategy has it, and planted ones are found at their row and column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from omega.backtest.checks import check_lookahead
from omega.backtest.types import Market
from omega.engine import Bars, Signals
from omega.errors import CorruptData
from omega.plugins import StrategyEntry, strategies

NAMES = strategies.discover()
Entry = Callable[..., StrategyEntry]


@pytest.mark.req("0.24", "0.34")
@pytest.mark.parametrize("name", NAMES)
def test_lookahead_registered_strategy_has_none(name: str, market: Market) -> None:
    """Signals on prefixes, and trades of truncated back-tests."""
    entry = strategies.get(name)

    found = check_lookahead(entry, entry.params(), market.bars, market=market)

    assert found.sound, found.finding
    assert found.cuts >= 40
    assert (found.truncated > 0) is not entry.read_only


def shifted(entry: StrategyEntry, by: int) -> Callable[..., Signals]:
    """Return the strategy with its sides read `by` bars ahead, as a shift(-by) does."""

    def signals(bars: Bars, params: Any) -> Signals:
        made: Signals = entry.signals(bars, params)
        side = np.zeros_like(made.side)
        side[:-by] = made.side[by:]
        stop = np.where(made.stop_distance > 0.0, made.stop_distance, 1.0)
        return replace(made, side=side, stop_distance=stop)

    return signals


@pytest.mark.req("0.34")
@pytest.mark.parametrize("by", [1, 3])
def test_lookahead_planted_shift_is_found_with_its_reach(by: int, entry: Entry, bars: Bars) -> None:
    plain = entry()
    planted = entry(signals=shifted(plain, by))

    found = check_lookahead(planted, planted.params(), bars)

    assert found.finding is not None
    assert (found.finding.column, found.reach) == ("side", by)
    crossing = plain.signals(bars, plain.params()).side[found.finding.row + by]
    assert found.finding.found == crossing != 0
    assert found.finding.ts_ns == bars.ts[found.finding.row]


def test_lookahead_planted_whole_sample_mean_is_found_in_its_column(entry: Entry, bars: Bars) -> None:
    """A scale of the whole history: no row is safe, the first one is named."""
    plain = entry()

    def signals(bars: Bars, params: Any) -> Signals:
        made: Signals = plain.signals(bars, params)
        return replace(made, stop_distance=made.stop_distance * (bars.close / bars.close.mean()))

    planted = entry(signals=signals)
    found = check_lookahead(planted, planted.params(), bars)

    assert found.finding is not None
    assert (found.finding.column, found.finding.row) == ("stop_distance", 0)


def test_lookahead_planted_centred_pivot_is_found_in_its_exit(entry: Entry, bars: Bars) -> None:
    """An exit at a high that only the next four bars can confirm."""
    plain = entry()

    def signals(bars: Bars, params: Any) -> Signals:
        made: Signals = plain.signals(bars, params)
        padded = np.pad(bars.high, 4, constant_values=0.0)
        around = np.lib.stride_tricks.sliding_window_view(padded, 9)
        return replace(made, exit=bars.high >= around.max(axis=1))

    planted = entry(signals=signals)
    found = check_lookahead(planted, planted.params(), bars)

    assert found.finding is not None
    assert found.finding.column == "exit"
    assert 1 <= found.reach <= 4


def test_lookahead_trades_that_change_are_found(entry: Entry, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean signals and a back-test that peeks: the trades of the truncated run tell."""
    import omega.backtest.run as kernel

    plain, honest = entry(), kernel.backtest

    def peeking(strategy: StrategyEntry, params: object, given: Market, **more: Any) -> Any:
        made = honest(strategy, params, given, **more)
        return replace(made, trades=replace(made.trades, pnl=made.trades.pnl + given.bars.close[-1]))

    monkeypatch.setattr(kernel, "backtest", peeking)
    found = check_lookahead(plain, plain.params(), market.bars, market=market)

    assert found.finding is not None
    assert found.finding.column == "trades.pnl"


def test_lookahead_single_bar_is_refused(entry: Entry, bars: Bars) -> None:
    with pytest.raises(CorruptData, match="two bars or more"):
        check_lookahead(entry(), entry().params(), bars.prefix(1))
