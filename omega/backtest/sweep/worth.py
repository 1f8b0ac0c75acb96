"""What an account is worth from close to close, gathered first and added up afterwards. Called by the walk; compiled.

Apart, each of the two steps is one that a processor does several rows at a time: only the sums themselves wait for one
another, because they are added in the loop's own order, so that they are the loop's to the last bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from omega.backtest.legs import DEEPEST, DOWNSIDE, EQUITY, PEAK, SQUARES, SUM
from omega.engine.bars import F64

GATHERED: Final = 2_048
"""How much is gathered before it is added up: it stays in the nearest cache."""

PIECE: Final = 256
"""Closes that are written in one go, at most."""

EVEN: Final = 16
"""What is written is rounded up to a multiple of this: the rows too many are written over by what follows."""

WIDE: Final = 32
"""Changes that are made together."""

DESK: Final = GATHERED + PIECE + EVEN + 3 * WIDE + 2
"""Size of the room to work in: what was gathered, the changes of it, its least and its most."""


def write(cash: float, size: float, entry: float, closes: F64, desk: F64) -> None:
    """Write the equity of a position at some closes."""
    for j in range(closes.shape[0]):
        desk[j] = cash + size * (closes[j] - entry)


def take(desk: F64, count: int, m: F64) -> None:
    """Take so many values of the equity into the running sums and the drawdown; the one before the first is known."""
    add_up(desk, count - 1, m)
    sink(desk[1:count], desk[DESK - 2 :], m)
    m[EQUITY] = desk[0] = desk[count - 1]


def add_up(worth: F64, changes: int, m: F64) -> None:
    """Add the changes from each value to the next, their squares and the squared losses, one after another."""
    total, squares, downside = m[SUM], m[SQUARES], m[DOWNSIDE]
    made = worth[DESK - 3 * WIDE - 2 : DESK - 2]
    for block in range(changes // WIDE):
        low = block * WIDE
        before, after = worth[low : low + WIDE], worth[low + 1 : low + WIDE + 1]
        for j in range(WIDE):
            change = after[j] / before[j] - 1.0
            # A choice, not a branch: half of all returns are negative, and no processor guesses which.
            loss = min(change, 0.0)
            made[j], made[WIDE + j], made[2 * WIDE + j] = change, change * change, loss * loss
        for j in range(WIDE):
            total += made[j]
            squares += made[WIDE + j]
            downside += made[2 * WIDE + j]
    for j in range(changes // WIDE * WIDE, changes):
        change = worth[j + 1] / worth[j] - 1.0
        loss = min(change, 0.0)
        total += change
        squares += change * change
        downside += loss * loss
    m[SUM], m[SQUARES], m[DOWNSIDE] = total, squares, downside


def sink(worth: F64, edges: F64, m: F64) -> None:
    """Take values of the equity into the highest one and the deepest drawdown below it."""
    # As whole numbers, floats above zero have the same order, and a processor finds the least of many at a time.
    bits, ends = worth.view(np.int64), edges.view(np.int64)
    low = high = bits[0]
    for j in range(bits.shape[0]):
        low, high = min(low, bits[j]), max(high, bits[j])
    ends[0], ends[1] = low, high
    peak, deepest = m[PEAK], m[DEEPEST]
    if low >= 0 and edges[1] <= peak:
        # All lies under the same peak: where it is deepest is where the drawdown can grow.
        if peak - edges[0] > deepest * peak:
            m[DEEPEST] = (peak - edges[0]) / peak
        return
    for now in worth:
        peak = max(peak, now)
        if peak - now > deepest * peak:
            deepest = (peak - now) / peak
    m[PEAK], m[DEEPEST] = peak, deepest
