"""The loop over history for the plainest case: long or flat, all of the equity, no stop, no target, no steps.

There a position is left by the strategy alone, so the walk goes from event to event. Called by the sparse walker where
`fits` says so; everything priced is a kernel function of omega.engine, and a property test holds it against the loop.
"""

from __future__ import annotations

from typing import Any

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
from omega.engine.bars import F64, I64
from omega.engine.fills import fee, market_fill, unrealised
from omega.engine.sizing import all_in


def cross(
    since: int,
    end: int,
    open_: F64,
    close: F64,
    leave: I64,
    gone: I64,
    rows: I64,
    taker: float,
    slippage: float,
    m: F64,
    pnls: F64,
) -> None:
    """Walk from one entry to its exit and on to the next entry.

    Args:
        since: the first row that decides.
        end: the row behind the last one.
        open_: of the bars.
        close: of the bars.
        leave: whether a row asks to leave, a bit a row, see lazy.bits.
        gone: the rows that ask to leave after one that did not, rising.
        rows: the rows that enter, rising.
        taker: fee of a fill, a fraction.
        slippage: of a market order, a fraction.
        m: money and running metrics, see legs.
        pnls: (out) what each trade made.
    """
    flat_from, at, trips = since, 0, 0
    for row in rows:
        entered = row + 1
        if row < flat_from or entered >= end or m[CASH] <= 0.0:
            continue
        price = market_fill(1, open_[entered], slippage)
        size = all_in(m[CASH], price, taker)
        paid = fee(price, size, taker)
        m[CASH] -= paid
        m[TURNOVER] += price * size
        while at < gone.shape[0] and gone[at] < entered:
            at += 1
        left = gone[at] if at < gone.shape[0] else end
        if (leave[entered >> 6] >> (entered & 63)) & 1 != 0:
            left = entered
        add_up(size, price, close[entered : min(left + 1, end)], m)
        ended = left + 1 >= end
        out = close[end - 1] if ended else market_fill(-1, open_[left + 1], slippage)
        gained = unrealised(1, size, price, out)
        spent = fee(out, size, taker)
        pnl = gained - (paid + spent)
        m[CASH] += gained - spent
        m[FEES] = m[FEES] + paid + spent
        m[TURNOVER] += out * size
        pnls[trips] = pnl
        trips += 1
        m[WINS] += 1.0 if pnl > 0.0 else 0.0
        flat_from = left + 1
        if not ended:
            tally(m[CASH], m)
    m[TRIPS] = m[LEGS] = m[POSITIONS] = trips


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
