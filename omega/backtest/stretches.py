"""Stretches of one market in which nothing happens, walked without looking at the book. Called by the loop; compiled.

What they leave behind is bit for bit what the loop leaves when it looks at every row. Where READY is set, the row that
they return lies behind them too, but for its decision.
"""

from __future__ import annotations

from typing import Any, Final

from omega.backtest.legs import (
    AIM,
    CASH,
    DEEPEST,
    DOWNSIDE,
    DUE,
    ENTRY,
    EQUITY,
    HELD,
    HIGH,
    LAST_DUE,
    LEG,
    LEGS_MOST,
    LIQUIDATION,
    LOW,
    MARK,
    NEXT,
    PEAK,
    PRICE_DEN,
    PRICE_NUM,
    READY,
    SIDE,
    SIZE,
    SQUARES,
    STOP,
    SUM,
    WARM,
)
from omega.engine.barriers import trailing_stop
from omega.engine.bars import F64, I8, I64, Flags
from omega.engine.draft import tightens
from omega.engine.steps import near

BARRED: Final = 1e300
"""A price that no bar reaches."""


def rest(t: int, rows: I64, equity: F64, k: I64, m: F64) -> int:
    """Walk on while the book is flat to the close of the next row that enters; return it, or the end."""
    since = max(t, k[WARM])
    while k[NEXT] < rows.shape[0] and rows[k[NEXT]] < since:
        k[NEXT] += 1
    row: int = rows[k[NEXT]] if k[NEXT] < rows.shape[0] else equity.shape[0]
    cash = m[CASH]
    # Views that begin here: counting from zero, the machine code needs no care for negative indices.
    curve = equity[t : row + 1]
    for i in range(curve.shape[0]):
        curve[i] = cash
    k[READY] = 1
    return row


def hold(  # noqa: C901, PLR0912, PLR0915 - what ends a stretch is looked at once a bar, in one place
    t: int,
    bars: Any,
    want: I8,
    leave: Flags,
    due: I64,
    limit: int,
    trail: float,
    equity: F64,
    f: F64,
    k: I64,
    m: F64,
    law: F64,
) -> int:
    """Walk on while the position is neither touched nor funded, to the close of the row that asks to leave.

    Returns:
        The row where something may happen, or the row that asks to leave.
    """
    if m[EQUITY] <= 0.0:
        return t
    end = want.shape[0]
    if limit > 0:
        end = min(end, t + limit - k[HELD] - 1)
    while k[DUE] < k[LAST_DUE] and due[k[DUE]] < t:
        k[DUE] += 1
    if k[DUE] < k[LAST_DUE]:
        end = min(end, due[k[DUE]])
    high, low, close = bars[1][t:end], bars[2][t:end], bars[3][t:end]
    asked, left = want[t:end], leave[t:end]
    curve = equity[t:end]
    below, above = reach(f, k)
    side, entry, least, most = k[SIDE], f[ENTRY], f[LOW], f[HIGH]
    kept = f[STOP]
    cash, signed, worth = m[CASH], side * f[SIZE], f[MARK]
    before, total, squares, downside = m[EQUITY], m[SUM], m[SQUARES], m[DOWNSIDE]
    peak, deepest = m[PEAK], m[DEEPEST]
    count: int = close.shape[0]
    for i in range(close.shape[0]):
        down, up, price = low[i], high[i], close[i]
        if (down <= below) | (up >= above):
            count = i
            break
        now = cash + signed * (price - entry)
        if now <= 0.0:  # the loop knows what a lost account is; here no sum has to ask
            count = i
            break
        lower, higher = min(least, down), max(most, up)
        if trail > 0.0:
            stop = trailing_stop(side, 0.0, trail * entry, higher if side > 0 else lower)
            if stop > 0.0 and side * (price - stop) <= 0.0:
                count = i
                break
            shown = near(stop, law[PRICE_NUM], law[PRICE_DEN])
            if tightens(side, kept, shown, price):
                kept = shown
                if side > 0:
                    below = max(below, kept)
                else:
                    above = min(above, kept)
        least, most, worth = lower, higher, price
        curve[i] = now
        change = now / before - 1.0
        loss = min(change, 0.0)
        total += change
        squares += change * change
        downside += loss * loss
        peak = max(peak, now)
        if peak - now > deepest * peak:
            deepest = (peak - now) / peak
            m[DEEPEST] = deepest  # a store keeps the division behind its branch
        before = now
        if left[i] | (asked[i] == -side):
            count = i + 1
            k[READY] = 1
            break
    f[LOW], f[HIGH], f[MARK], f[STOP] = least, most, worth, kept
    k[HELD] += count
    m[EQUITY], m[SUM], m[SQUARES], m[DOWNSIDE], m[PEAK] = before, total, squares, downside, peak
    row: int = t + count - k[READY]
    return row


def reach(f: F64, k: I64) -> tuple[float, float]:
    """Return the prices below and above which the position is touched."""
    stop, burst, aim = f[STOP], f[LIQUIDATION], 0.0
    for j in range(LEGS_MOST):
        price = f[AIM + j]
        if f[LEG + j] > 0.0 and price > 0.0:
            nearer = price < aim if k[SIDE] > 0 else price > aim
            if aim <= 0.0 or nearer:
                aim = price
    if k[SIDE] > 0:
        return max(stop, burst), (aim if aim > 0.0 else BARRED)
    return aim, min(stop if stop > 0.0 else BARRED, burst if burst > 0.0 else BARRED)
