"""The bare numba loops of the bench's jobs J1 and J2: what the machine allows a loop that does nothing else.

J1: long while EMA(12) > EMA(26), all of the equity, filled at the next open, 0.06 % a side, equity at every close.
J2: the same with a stop of 2 % and a target of 4 % from the fill, watched inside every bar from the entry bar on.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

FEE = 0.0006


@numba.njit(cache=True, nogil=True)
def cross(open_: Any, close: Any, fast: int, slow: int, curve: Any) -> tuple[float, int]:
    """Run J1 with averages of its own (they begin at the first close); return equity and round trips."""
    a, b = 2.0 / (fast + 1), 2.0 / (slow + 1)
    quick = lazy = close[0]
    cash, size, trips = 10_000.0, 0.0, 0
    due = 0
    up = False
    curve[0] = cash
    for i in range(1, close.shape[0]):
        if due == 1:
            size = cash / (open_[i] * (1.0 + FEE))
            cash = 0.0
        elif due == -1:
            cash = size * open_[i] * (1.0 - FEE)
            size = 0.0
            trips += 1
        due = 0
        price = close[i]
        quick += a * (price - quick)
        lazy += b * (price - lazy)
        above = quick > lazy
        if above != up:
            due = 1 if above else -1
            up = above
        curve[i] = cash + size * price
    if size > 0.0:
        cash = size * close[-1] * (1.0 - FEE)
        trips += 1
    return cash, trips


@numba.njit(cache=True, nogil=True)
def stops(open_: Any, high: Any, low: Any, close: Any, above: Any, curve: Any, rows: Any) -> tuple[float, int]:
    """Run J2 over given signals, with curve and trade list; return equity and round trips."""
    cash, size, trips = 10_000.0, 0.0, 0
    stop = target = 0.0
    due = 0
    curve[0] = cash
    for i in range(1, close.shape[0]):
        if due == 1 and size == 0.0:
            size = cash / (open_[i] * (1.0 + FEE))
            cash = 0.0
            stop, target = open_[i] * 0.98, open_[i] * 1.04
            rows[trips, 0], rows[trips, 1] = i, open_[i]
        elif due == -1 and size > 0.0:
            cash = size * open_[i] * (1.0 - FEE)
            size = 0.0
            rows[trips, 2], rows[trips, 3] = i, open_[i]
            trips += 1
        due = 0
        if size > 0.0 and (low[i] <= stop or high[i] >= target):
            price = min(open_[i], stop) if low[i] <= stop else max(open_[i], target)
            cash = size * price * (1.0 - FEE)
            size = 0.0
            rows[trips, 2], rows[trips, 3] = i, price
            trips += 1
        if above[i] != above[i - 1]:
            due = 1 if above[i] else -1
        curve[i] = cash + size * close[i]
    if size > 0.0:
        cash = size * close[-1] * (1.0 - FEE)
        trips += 1
    return cash, trips


def room(count: int) -> tuple[Any, Any]:
    """Return the arrays that the loops write into."""
    return np.empty(count), np.empty((count // 4, 4))
