"""Comparisons of many columns at once, sixty-four rows a word."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omega.backtest.sweep.lazy import bits

Prices = st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0, float("nan")]), min_size=2, max_size=2)


@given(n=st.sampled_from([1, 63, 64, 65, 700, bits.BLOCK * bits.WORD + 1]), rows=st.lists(Prices, min_size=1))
def test_every_comparison_is_that_of_numpy(n: int, rows: list[list[float]]) -> None:
    """Whether a word or a block is whole or not, with equal values and with such as are no number."""
    table: Any = np.resize(np.array(rows), (n, 2)).T.copy()
    table.flags.writeable = False
    kinds = list(bits.KINDS.items())
    words = np.full((2 * len(kinds), bits.room(n)), 7, np.uint64)

    bits.compare_all(list(table), [(kind, *order) for _, kind in kinds for order in ((0, 1), (1, 0))], words)

    expected = [function(table[a], table[b]) for function, _ in kinds for a, b in ((0, 1), (1, 0))]
    np.testing.assert_array_equal([bits.unpacked(row, n) for row in words], expected)
    np.testing.assert_array_equal(words, [bits.packed(flags) for flags in expected])
