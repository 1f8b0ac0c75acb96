"""Signals are checked where they are made: shapes, sides, no NaN where something is entered."""

from typing import Any

import numpy as np
import pytest

from omega.engine import LONG, SHORT, Row, Signals
from omega.errors import CorruptData


def test_signals_defaults_are_quiet():
    made = Signals.of(side=[0, 1, -1])

    assert made.at(1) == Row(LONG, exit=False, stop_distance=0.0, targets=(), confidence=1.0, reason=0)
    assert made.at(-1).side == SHORT
    assert made.side.dtype == np.int8
    assert made.reason.dtype == np.int16


def test_signals_row_holds_plain_scalars():
    row = Signals.of(side=[1], stop_distance=[2.0], targets=([3.0], [4.0]), exit=[True], reason=[2]).at(0)

    assert [type(value) for value in row] == [int, bool, float, tuple, float, int]
    assert [type(value) for value in row.targets] == [float, float]


def test_signals_nan_where_nothing_is_entered_becomes_zero():
    made = Signals.of(side=[0, 1], stop_distance=[np.nan, 2.0], targets=([np.nan, 3.0],), confidence=[np.nan, 0.5])

    assert made.stop_distance.tolist() == [0.0, 2.0]
    assert made.targets[0].tolist() == [0.0, 3.0]
    assert made.confidence.tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    "bad",
    [
        {"stop_distance": [np.nan, np.nan]},
        {"stop_distance": [1.0, -1.0]},
        {"stop_distance": [1.0, np.inf]},
        {"targets": ([1.0, np.nan],)},
        {"confidence": [0.5, 1.5]},
        {"confidence": [0.5, np.nan]},
    ],
)
def test_signals_entry_on_an_unsound_number_is_refused(bad: dict[str, Any]):
    with pytest.raises(CorruptData, match="row 1 enters"):
        Signals.of(side=[0, 1], **bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"side": [0, 2]},
        {"side": [[0, 1]]},
        {"side": [0, 1], "exit": [True]},
        {"side": [0, 1], "reason": [1]},
        {"side": [0, 1], "stop_distance": [1.0]},
        {"side": [0, 1], "confidence": [1.0]},
        {"side": [0, 1], "targets": ([1.0, 1.0],) * 4},
    ],
)
def test_signals_of_wrong_shape_or_side_are_refused(bad: dict[str, Any]):
    with pytest.raises(CorruptData, match="signals"):
        Signals.of(**bad)
