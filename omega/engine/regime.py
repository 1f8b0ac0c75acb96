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
TRENDING_FROM: Final = 0.2
RANGING_TO: Final = 0.1
VOLATILE_FROM: Final = 1.4
_BLOCK: Final = 16_384
"""Rows named at a time: what is added up stays in the processor's own memory."""


def regimes(bars: Bars) -> I8:
    """Name the regime of every bar.

    Volatile is a market whose closes have moved 1.4 times as far over 64 bars as is usual over 256. Otherwise the
    efficiency decides, the net move of 64 bars over the sum of their moves: trending from 0.2, ranging to 0.1 (a
    random walk lies about 0.13). Only what 16 bars in a row agree on counts.

    Shapes: (n,), values of Regime; row k reads rows k - REGIME_BARS + 1 .. k alone, and is mixed before there are so
        many.
    Source: the efficiency ratio of Kaufman's Smarter Trading (1995); thresholds are the farm's own.
    """
    found, lead = np.zeros(bars.n, np.int8), REGIME_BARS - 1
    for begin in range(lead, bars.n, _BLOCK):
        end = min(begin + _BLOCK, bars.n)
        found[begin:end] = _named(bars.close[begin - lead : end])
    return found


def _named(close: F64) -> I8:
    """Name the regime of every row that has enough of them before it: (n - REGIME_BARS + 1,)."""
    every = summed(np.abs(close[1:] - close[:-1]), SPAN)
    path, usual = every[PAST - SPAN :], every[: -2 * SPAN] + every[2 * SPAN :]
    usual = usual[:-SPAN] + usual[SPAN:]
    net = np.abs(close[PAST:] - close[PAST - SPAN : -SPAN])
    named = (net <= RANGING_TO * path) * np.int8(Regime.RANGING)
    named[(net >= TRENDING_FROM * path) & (path > 0.0)] = Regime.TRENDING
    named[path * (PAST / SPAN) > VOLATILE_FROM * usual] = Regime.VOLATILE
    high, low = rolling(np.maximum, named, CONFIRM), rolling(np.minimum, named, CONFIRM)
    made: I8 = high * (high == low)
    return made


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
    total: F64 | None = None
    begin, tree, covered = 0, values, 1
    while True:
        if length & covered:
            part = tree[begin : begin + n]
            total, begin = part if total is None else total + part, begin + covered
        if total is not None and begin == length:
            return total
        tree, covered = tree[:-covered] + tree[covered:], 2 * covered
