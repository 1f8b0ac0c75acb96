"""How many combinations a worker gets at once."""

from __future__ import annotations

import pytest

from omega.backtest.sweep import run
from omega.backtest.sweep.job import BATCH


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_chunks_are_whole_batches_that_get_smaller_towards_the_end(workers: int) -> None:
    left, sizes = 2_000, []
    while left > 0:
        sizes.append(run._size(left, workers))
        left -= sizes[-1]

    assert sizes == sorted(sizes, reverse=True)
    assert all(size % BATCH == 0 for size in sizes if size > run._LEAST)
    assert workers == 1 or sizes[-1] == run._LEAST
    assert sizes[0] <= run._LARGEST
