"""Long curves made short without losing what the eye would see: first, lowest, highest and last of every column.

Called by the charts of the report and by the picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from omega.engine.bars import F64, I64


class Ranges(NamedTuple):
    """Bars folded into columns, as candles.

    Shapes: every array is (k,). Units: at is the position of the column's middle on the time axis, in [0, 1].
    """

    at: F64
    open: F64
    high: F64
    low: F64
    close: F64


def columns(where: F64, count: int) -> I64:
    """Return the rows where a new column of the drawing begins.

    Shapes: where (n,) in [0, 1], rising; the result is (k,), k <= count, strictly rising, beginning with 0.
    """
    if not len(where):
        return np.zeros(0, np.int64)
    column = np.minimum((where * count).astype(np.int64), count - 1)
    return np.concatenate(([0], np.flatnonzero(np.diff(column)) + 1)).astype(np.int64)


def extremes(values: F64, where: F64, count: int) -> I64:
    """Return the rows to draw so that a line in `count` columns looks as if every row were drawn (M4).

    Shapes: values and where are (n,); the result is (k,), k <= 4 * count, strictly rising.

    Source: Jugel and others (2014), M4: A Visualization-Oriented Time Series Data Aggregation.
    """
    n = len(values)
    if n <= 4 * count:
        return np.arange(n)
    starts = columns(where, count)
    ends = np.append(starts[1:], n) - 1
    group = np.repeat(np.arange(len(starts)), ends - starts + 1)
    by_value = np.lexsort((values, group))
    return np.unique(np.concatenate((starts, ends, by_value[starts], by_value[ends])))


def ranges(bars_where: F64, prices: tuple[F64, F64, F64, F64], count: int) -> Ranges:
    """Fold bars into at most `count` candles.

    Shapes: bars_where and each of (open, high, low, close) are (n,), n > 0.
    """
    opens, highs, lows, closes = prices
    starts = columns(bars_where, count)
    ends = np.append(starts[1:], len(opens)) - 1
    return Ranges(
        (bars_where[starts] + bars_where[ends]) / 2.0,
        opens[starts],
        np.maximum.reduceat(highs, starts),
        np.minimum.reduceat(lows, starts),
        closes[ends],
    )
