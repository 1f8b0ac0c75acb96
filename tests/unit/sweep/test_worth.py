"""What is gathered from close to close and added up apart: the sums and the drawdown of a walk that goes row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omega.backtest import legs
from omega.backtest.compile import compiled
from omega.backtest.sweep.fast import cross_all
from omega.backtest.sweep.worth import DESK, GATHERED, PIECE, WIDE, take

Steps = st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=3 * WIDE)


def _one_by_one(worths: Any, m: Any) -> None:
    """Take values of the equity in as the loop over history does, each for itself."""
    for now in worths.tolist():
        change = now / m[legs.EQUITY] - 1.0
        loss = min(change, 0.0)
        m[legs.SUM] += change
        m[legs.SQUARES] += change * change
        m[legs.DOWNSIDE] += loss * loss
        m[legs.PEAK] = max(m[legs.PEAK], now)
        if m[legs.PEAK] - now > m[legs.DEEPEST] * m[legs.PEAK]:
            m[legs.DEEPEST] = (m[legs.PEAK] - now) / m[legs.PEAK]
        m[legs.EQUITY] = now


def _money() -> Any:
    m = np.zeros(legs.MONEY)
    m[[legs.CASH, legs.EQUITY, legs.PEAK]] = 1_000.0
    return m


@given(parts=st.lists(Steps, min_size=1, max_size=4))
def test_gathered_equity_makes_the_sums_of_one_row_after_the_other(parts: list[list[float]]) -> None:
    """To the last bit, whether there are new highs, new lows or neither, and however much is gathered at a time."""
    desk, taken, expected = np.ones(DESK), _money(), _money()
    desk[0] = 1_000.0

    for steps in parts:
        worths = desk[0] * np.cumprod(1.0 + np.array(steps))
        desk[1 : len(worths) + 1] = worths
        compiled(take)(desk, len(worths) + 1, taken)
        _one_by_one(worths, expected)

    np.testing.assert_array_equal(taken, expected)


def test_position_longer_than_what_is_gathered_loses_no_close() -> None:
    rows = 3 * GATHERED + PIECE + 5
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0, 0.01, rows)))
    words = np.zeros((2, 1, -(-rows // 64)), np.int64)
    words[0, 0, 0] = 1  # enters after row 0 and never leaves
    m = _money()

    compiled(cross_all)(
        rows, rows, close, close, *words, 0.0, 0.0, np.zeros(1, np.int64), m[None], np.zeros((1, 1)), np.ones(DESK)
    )

    expected, size = _money(), 1_000.0 / close[1]
    _one_by_one(1_000.0 - close[1] * size + size * close[1] + size * (close[1:] - close[1]), expected)
    for column in (legs.SUM, legs.SQUARES, legs.DOWNSIDE, legs.DEEPEST, legs.PEAK, legs.EQUITY):
        np.testing.assert_allclose(m[column], expected[column], rtol=1e-9)
