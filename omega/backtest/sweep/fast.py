"""The loop over history for the plainest case: long or flat, all of the equity, no stop, no target, no steps.

There a position is left by the strategy alone, so the walk goes from event to event. Called by the sparse walker where
`fits` says so; everything priced is a kernel function of omega.engine, and a property test holds it against the loop.
"""

from __future__ import annotations

from typing import Any, Final

from omega.backtest.legs import (
    CASH,
    DEEPEST,
    DOWNSIDE,
    EQUITY,
    FEES,
    LEGS,
    PEAK,
    POSITIONS,
    SQUARES,
    SUM,
    TRIPS,
    TURNOVER,
    WINS,
)
from omega.engine.bars import F64, I64, Flags
from omega.engine.fills import fee, market_fill, unrealised
from omega.engine.sizing import all_in

STEP: Final = 16
"""Rows looked at together: one vector of flags."""


def cross(
    warm: int,
    open_: F64,
    close: F64,
    leave: Flags,
    rows: I64,
    taker: float,
    slippage: float,
    m: F64,
    pnls: F64,
) -> None:
    """Walk from one entry to its exit and on to the next entry.

    Args:
        warm: the first row that decides.
        open_: of the bars.
        close: of the bars.
        leave: whether a row asks to leave.
        rows: the rows that enter, rising.
        taker: fee of a fill, a fraction.
        slippage: of a market order, a fraction.
        m: money and running metrics, see legs.
        pnls: (out) what each trade made.
    """
    total = close.shape[0]
    flat_from = warm
    for number in range(rows.shape[0]):
        entered = rows[number] + 1
        if rows[number] < flat_from or entered >= total or m[CASH] <= 0.0:
            continue
        price = market_fill(1, open_[entered], slippage)
        size = all_in(m[CASH], price, taker)
        paid = fee(price, size, taker)
        m[CASH] -= paid
        m[TURNOVER] += price * size
        gone = left(entered, leave)
        last = min(gone, total - 1)
        add_up(size, price, close[entered : last + 1], m)
        ended = gone + 1 >= total
        out = close[total - 1] if ended else market_fill(-1, open_[gone + 1], slippage)
        gained = unrealised(1, size, price, out)
        spent = fee(out, size, taker)
        pnl = gained - (paid + spent)
        m[CASH] += gained - spent
        m[FEES] = m[FEES] + paid + spent
        m[TURNOVER] += out * size
        pnls[int(m[TRIPS])] = pnl
        m[TRIPS] += 1.0
        m[WINS] += 1.0 if pnl > 0.0 else 0.0
        flat_from = gone + 1
        if not ended:
            tally(m[CASH], m)
    m[LEGS] = m[POSITIONS] = m[TRIPS]


def left(since: int, leave: Flags) -> int:
    """Return the first row from `since` on that asks to leave, or the end."""
    total = leave.shape[0]
    row = since
    while row + STEP <= total:
        some = False
        for flag in leave[row : row + STEP]:
            some |= flag
        if some:
            break
        row += STEP
    while row < total and not leave[row]:
        row += 1
    return row


def add_up(size: float, entry: float, closes: F64, m: F64) -> None:
    """Take the equity at the closes of a position into the running metrics, in the loop's own order."""
    cash, before, peak = m[CASH], m[EQUITY], m[PEAK]
    total, squares, downside = m[SUM], m[SQUARES], m[DOWNSIDE]
    least, most = before, 0.0
    for close in closes:
        now = cash + size * (close - entry)
        change = now / before - 1.0
        # A choice, not a branch: half of all returns are negative, and no processor guesses which.
        loss = min(change, 0.0)
        total += change
        squares += change * change
        downside += loss * loss
        least, most = min(least, now), max(most, now)
        before = now
    m[SUM], m[SQUARES], m[DOWNSIDE], m[EQUITY] = total, squares, downside, before
    if most <= peak:
        # The deepest close is where the drawdown can grow; `before` lies under a peak that it was measured against.
        if peak - least > m[DEEPEST] * peak:
            m[DEEPEST] = (peak - least) / peak
        return
    for close in closes:
        now = cash + size * (close - entry)
        m[PEAK] = max(m[PEAK], now)
        if m[PEAK] - now > m[DEEPEST] * m[PEAK]:
            m[DEEPEST] = (m[PEAK] - now) / m[PEAK]


def tally(now: float, m: F64) -> None:
    """Take the equity of one close into the running metrics."""
    before = m[EQUITY]
    change = now / before - 1.0 if before > 0.0 else 0.0
    loss = min(change, 0.0)
    m[SUM] += change
    m[SQUARES] += change * change
    m[DOWNSIDE] += loss * loss
    m[PEAK] = max(m[PEAK], now)
    if m[PEAK] - now > m[DEEPEST] * m[PEAK]:
        m[DEEPEST] = (m[PEAK] - now) / m[PEAK]
    m[EQUITY] = now


def fits(terms: Any, exits: Any, plans: F64, sides: Any) -> bool:
    """Whether a combination is of this plainest kind: all in, long alone, no barrier, nothing that could refuse it."""
    sizing, *_, lowest, needs_stop = terms
    limit, trail = exits
    return bool(
        sizing > 1
        and not needs_stop
        and lowest <= 0.0
        and limit == 0
        and trail == 0.0
        and not plans[:, :-1].any()
        and sides.min(initial=1) > 0
    )
