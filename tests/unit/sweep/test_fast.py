"""The walk from event to event: rows found in words, and a batch that goes through the bars block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.backtest import legs
from omega.backtest.compile import compiled
from omega.backtest.sweep.fast import cross_all, following
from omega.backtest.sweep.worth import DESK

ROWS = 700
CLOSE = 100.0 + np.cumsum(np.random.default_rng(8).normal(size=ROWS))
OPEN = np.concatenate([[100.0], CLOSE[:-1]])

Flags = st.lists(st.integers(0, ROWS - 1), max_size=60)


def _words(rows: list[int]) -> Any:
    flags = np.zeros(-(-ROWS // 64) * 64, np.bool_)
    flags[rows] = True
    return np.packbits(flags, bitorder="little").view(np.int64)


def _walk(batch: list[tuple[int, list[int], list[int]]], block: int, end: int = ROWS) -> tuple[Any, Any]:
    m = np.zeros((len(batch), legs.MONEY))
    m[:, [legs.CASH, legs.EQUITY, legs.PEAK]] = 1_000.0
    pnls = np.zeros((len(batch), ROWS))
    since, enter, leave = zip(*batch, strict=True)
    words = [np.array([_words(rows) for rows in flags]) for flags in (enter, leave)]
    compiled(cross_all)(block, end, OPEN, CLOSE, *words, 0.0006, 0.0001, np.array(since), m, pnls, np.ones(DESK))
    return m, pnls


@given(rows=Flags, since=st.integers(0, ROWS), end=st.integers(0, ROWS))
def test_following_row_is_the_first_one_that_stands(rows: list[int], since: int, end: int) -> None:
    found = following(_words(rows).tolist(), since, end)  # Python's whole numbers: those of numpy warn where they wrap

    standing = [row for row in sorted(rows) if since <= row < end]
    assert found == standing[0] if standing else found >= min(since, end)


@given(batch=st.lists(st.tuples(st.integers(0, 200), Flags, Flags), min_size=1, max_size=4), end=st.integers(64, ROWS))
def test_walk_in_blocks_is_the_walk_in_one_piece(batch: list[tuple[int, list[int], list[int]]], end: int) -> None:
    """Neither where a block ends nor who walks beside it moves a bit of what a combination makes."""
    alone = [_walk([one], ROWS, end) for one in batch]

    for block in (64, 100):
        m, pnls = _walk(batch, block, end)
        np.testing.assert_array_equal(m, np.concatenate([one[0] for one in alone]))
        np.testing.assert_array_equal(pnls, np.concatenate([one[1] for one in alone]))


def test_walk_holds_from_the_next_open_to_the_open_after_the_exit() -> None:
    m, pnls = _walk([(0, [63, 70, 300], [66, 128])], 64)

    paid = 1_000.0 * 0.0006 / 1.0006
    size = 1_000.0 / (OPEN[64] * 1.0001 * 1.0006)
    got = size * (OPEN[67] * 0.9999 - OPEN[64] * 1.0001) - paid - size * OPEN[67] * 0.9999 * 0.0006
    assert m[0, legs.TRIPS] == 3
    assert pnls[0, 0] == pytest.approx(got, rel=1e-9)
    assert m[0, legs.CASH] == pytest.approx(1_000.0 + pnls[0, :3].sum())
