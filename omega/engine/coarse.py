"""A slower timeframe made of the same closed bars, without a look ahead. Called by bots that confirm on two."""

from __future__ import annotations

import numpy as np

from omega.engine.bars import F64, I64, Bars


def coarsen(bars: Bars, length_ns: int) -> tuple[Bars, I64]:
    """Gather bars into whole buckets of `length_ns`, aligned to the epoch.

    A bucket counts as closed at the first bar that lies in a later one: that a bar was the last of its bucket is not
    known from the bar itself when the market may have gaps.

    Returns:
        The closed buckets as bars, and for every bar the number of buckets closed by then: row k may read the buckets
        below closed[k] alone. The first bucket may begin in its middle.
    """
    bucket = bars.ts // length_ns
    begun = bucket[1:] != bucket[:-1]
    closed = np.zeros(bars.n, dtype=np.int64)
    np.cumsum(begun, out=closed[1:])
    starts = np.flatnonzero(begun) + 1
    starts = np.concatenate(([0], starts)) if bars.n else starts
    ends = starts[1:] - 1
    if not ends.shape[0]:
        return bars.prefix(0), closed
    firsts, last = starts[:-1], int(ends[-1]) + 1
    return (
        Bars(
            ts=bucket[firsts] * length_ns,
            open=bars.open[firsts],
            high=np.maximum.reduceat(bars.high[:last], firsts),
            low=np.minimum.reduceat(bars.low[:last], firsts),
            close=bars.close[ends],
            volume=np.add.reduceat(bars.volume[:last], firsts),
        ),
        closed,
    )


def spread(values: F64, closed: I64, empty: float) -> F64:
    """Lay values of the slower timeframe out over the bars: each bar sees the newest closed bucket.

    Shapes: values is (buckets,), closed and the result are (n,); `empty` stands before the first closed bucket.
    """
    padded = np.concatenate((np.array([empty]), values))
    return padded[closed]
