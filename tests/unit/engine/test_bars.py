"""The window refuses what is unsound and yields views of the newest bars."""

import numpy as np
import pytest

from omega.domain import MINUTE_NS, Bar
from omega.engine import Bars, BarWindow
from omega.errors import ConfigError, CorruptData


def bar(row: int, close: float = 100.0, **changed: float) -> Bar:
    values = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1.0} | changed
    return Bar(ts_ns=(row + 1) * MINUTE_NS, **values)


def test_window_longer_history_keeps_the_newest_in_order():
    window = BarWindow(5)

    for row in range(23):
        window.append(bar(row, close=100.0 + row))
        bars = window.bars()
        first = max(0, row - 4)
        assert bars.close.tolist() == [100.0 + r for r in range(first, row + 1)]
        assert bars.ts.tolist() == [(r + 1) * MINUTE_NS for r in range(first, row + 1)]
        assert len(window) == bars.n == row + 1 - first


def test_window_view_shares_the_buffer_and_is_contiguous():
    window = BarWindow(5)
    window.extend(bar(row) for row in range(8))

    bars = window.bars()

    for column in (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume):
        assert column.flags["C_CONTIGUOUS"]
        assert column.base is not None


@pytest.mark.parametrize(
    "bad",
    [
        bar(5, close=float("nan")),
        bar(5, open=0.0),
        bar(5, low=-1.0),
        bar(5, high=float("inf")),
        bar(5, volume=-1.0),
        bar(5, high=99.0),
        bar(4),
        bar(3),
    ],
)
def test_window_unsound_bar_is_refused_and_leaves_it_as_it_was(bad: Bar):
    window = BarWindow(10)
    window.extend(bar(row) for row in range(5))

    with pytest.raises(CorruptData, match="not used"):
        window.append(bad)

    assert len(window) == 5
    assert window.last_ts_ns == 5 * MINUTE_NS


def test_window_of_one_bar_is_refused():
    with pytest.raises(ConfigError, match="two or more"):
        BarWindow(1)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("close", np.nan, "finite"),
        ("open", -1.0, "finite"),
        ("volume", -1.0, "finite"),
        ("ts", 0, "not after"),
        ("high", 99.5, "outside low to high"),
    ],
)
def test_bars_of_columns_name_the_first_bad_row(column: str, value: float, words: str):
    columns = {
        "ts": np.arange(1, 11) * MINUTE_NS,
        "open": np.full(10, 100.0),
        "high": np.full(10, 101.0),
        "low": np.full(10, 99.0),
        "close": np.full(10, 100.0),
        "volume": np.full(10, 1.0),
    }
    columns[column][7] = value

    with pytest.raises(CorruptData, match=f"bar 7 .*{words}"):
        Bars.of(*columns.values())


def test_bars_of_unequal_columns_are_refused():
    with pytest.raises(CorruptData, match="align"):
        Bars.of([1, 2], [1.0], [1.0], [1.0], [1.0], [1.0])
