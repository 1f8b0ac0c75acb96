"""The regime of a market at every bar: trending, ranging, volatile or none of them. Called by the trader's adaptation.

Every row goes by the same number of bars before it, added in the same order, so that a row of a long history and the
last row of a runner's window are equal to the last bit.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from omega.engine.bars import F64, I8, Bars
from omega.engine.fibonacci import rolling


class Regime(IntEnum):
    """What kind of market it is; mixed is whatever is none of the others, and what is not known yet."""

    MIXED = 0
    TRENDING = 1
    RANGING = 2
    VOLATILE = 3


SPAN: Final = 64
"""Bars that a regime is measured over."""
PAST: Final = 256
"""Bars whose volatility is the usual one."""
CONFIRM: Final = 16
"""Bars in a row that must agree before a regime is named: a market at a threshold is mixed."""
REGIME_BARS: Final = PAST + CONFIRM
"""Bars up to and with a row that the row's regime goes by."""
_TRENDING: Final = 0.2
_RANGING: Final = 0.1
_VOLATILE: Final = 1.4


def regimes(bars: Bars) -> I8:
    """Name the regime of every bar.

    Volatile is a market whose closes have moved 1.4 times as far over 64 bars as is usual over 256. Otherwise the
    efficiency decides, the net move of 64 bars over the sum of their moves: trending from 0.2, ranging to 0.1 (a
    random walk lies about 0.13). Only what 16 bars in a row agree on counts.

    Shapes: (n,), values of Regime; row k reads rows k - REGIME_BARS + 1 .. k alone, and is mixed before there are so
        many.
    Source: the efficiency ratio of Kaufman's Smarter Trading (1995); thresholds are the farm's own.
    """
    found = np.zeros(bars.n, np.int8)
    if bars.n < REGIME_BARS:
        return found
    moves = np.abs(np.diff(bars.close))
    path, usual = summed(moves, SPAN)[PAST - SPAN :], summed(moves, PAST)
    net = np.abs(bars.close[PAST:] - bars.close[PAST - SPAN : -SPAN])
    wild = path * (PAST / SPAN) > _VOLATILE * usual
    straight, flat = net >= _TRENDING * path, net <= _RANGING * path
    named = np.select(
        [wild, straight & (path > 0.0), flat], [Regime.VOLATILE, Regime.TRENDING, Regime.RANGING], Regime.MIXED
    ).astype(np.float64)
    high, low = rolling(np.maximum, named, CONFIRM), rolling(np.minimum, named, CONFIRM)
    found[REGIME_BARS - 1 :] = np.where(high == low, high, float(Regime.MIXED))
    return found


def regime_now(bars: Bars) -> Regime:
    """Return the regime of the newest bar, of no more bars than it takes."""
    return Regime(int(regimes(bars.since(max(bars.n - REGIME_BARS, 0)))[-1])) if bars.n else Regime.MIXED


def summed(values: F64, length: int) -> F64:
    """Return the running sum over `length` values, each added up in a tree of the same shape wherever it stands.

    Shapes: (n - length + 1,), empty for fewer values; row i covers values i .. i + length - 1.
    """
    n = values.shape[0] - length + 1
    if n <= 0:
        return values[:0]
    total, begin, tree, covered = np.zeros(n), 0, values, 1
    while covered <= length:
        if length & covered:
            total = total + tree[begin : begin + n]
            begin += covered
        tree = tree[:-covered] + tree[covered:]
        covered *= 2
    return total
