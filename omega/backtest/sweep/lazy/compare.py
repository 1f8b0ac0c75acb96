"""Comparisons of whole columns, many at once: block after block, so that every column is read from memory once.

Called by `Planes`; compiled, because a block of some thousand rows is over before Python has asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from omega.engine.bars import F64, I64

BLOCK: Final = 8_192
"""Rows of a block: a dozen columns of eight bytes fill three quarters of a megabyte of second-level cache."""

MOST: Final = 16
"""Columns in one go: the machine code is made for so many, whatever is given."""

KINDS: Final[dict[object, int]] = {np.greater: 0, np.less: 1, np.greater_equal: 2, np.less_equal: 3}


def compare_all(columns: Sequence[F64], pairs: Sequence[tuple[int, int, int]], planes: Any) -> None:
    """Fill plane j with the comparison `pairs[j]`: (kind, index of one column, index of the other).

    Shapes: columns (n,) each, at most MOST; planes (len(pairs), n), of flags.
    """
    given = tuple(columns) + (columns[0],) * (MOST - len(columns))
    _compiled()(given, np.array(pairs, np.int64), planes)


def compare(columns: Any, pairs: I64, planes: Any) -> None:
    """Do it; the kernel behind compare_all."""
    total = planes.shape[1]
    low = 0
    while low < total:
        high = min(low + BLOCK, total)
        for j in range(pairs.shape[0]):
            kind = pairs[j, 0]
            one, other = columns[pairs[j, 1]][low:high], columns[pairs[j, 2]][low:high]
            plane = planes[j, low:high]
            if kind == 0:
                for i in range(plane.shape[0]):
                    plane[i] = one[i] > other[i]
            elif kind == 1:
                for i in range(plane.shape[0]):
                    plane[i] = one[i] < other[i]
            elif kind == 2:  # noqa: PLR2004 - see KINDS
                for i in range(plane.shape[0]):
                    plane[i] = one[i] >= other[i]
            else:
                for i in range(plane.shape[0]):
                    plane[i] = one[i] <= other[i]
        low = high


@cache
def _compiled() -> Callable[..., None]:
    from omega.backtest.compile import compiled

    return compiled(compare)
