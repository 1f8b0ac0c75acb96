"""The loop over history for the plainest case: long or flat, all of the equity, no stop, no target, no steps.

There a position is left by the strategy alone, so the walk goes from event to event, and a batch of combinations goes
side by side through one block of prices after another. Called by the sparse walker where `fits` says so; everything
priced is a kernel function of omega.engine, and a property test holds it against the loop.
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
from omega.engine.bars import F64, I64
from omega.engine.fills import fee, market_fill, unrealised
from omega.engine.sizing import all_in

BLOCK: Final = 16_384
"""Rows that a batch goes through together: their opens and closes fill a quarter of a megabyte of cache."""


def cross_all(
    block: int,
    end: int,
    open_: F64,
    close: F64,
    enter: I64,
    leave: I64,
    taker: float,
    slippage: float,
    at: I64,
    m: F64,
    pnls: F64,
) -> None:
    """Walk a batch of combinations over the same stretch, block after block.

    Args:
        block: rows of a block.
        end: the row behind the last one.
        open_: of the bars.
        close: of the bars.
        enter: whether a row asks to enter, a bit a row, a line of words a combination; see lazy.bits.
        leave: whether a row asks to leave, likewise.
        taker: fee of a fill, a fraction.
        slippage: of a market order, a fraction.
        at: (in) the first row that decides, a combination each; (out) used up.
        m: money and running metrics, a line a combination, see legs.
        pnls: (out) what each trade made, a line a combination.
    """
    low = end
    for c in range(at.shape[0]):
        low = min(low, at[c])
    while low < end:
        low = min(low + block, end)
        for c in range(at.shape[0]):
            if at[c] < low:
                at[c] = cross(at[c], low, end, open_, close, enter[c], leave[c], taker, slippage, m[c], pnls[c])


def cross(
    since: int,
    until: int,
    end: int,
    open_: F64,
    close: F64,
    enter: I64,
    leave: I64,
    taker: float,
    slippage: float,
    m: F64,
    pnls: F64,
) -> int:
    """Walk one combination from an entry to its exit and on to the next entry, while it enters before row `until`.

    Returns:
        The row from which on it may enter again; a position that is open at `until` is walked to its end.
    """
    cash, fees, turnover, trips, wins = m[CASH], m[FEES], m[TURNOVER], int(m[TRIPS]), m[WINS]
    before, total, squares, downside = m[EQUITY], m[SUM], m[SQUARES], m[DOWNSIDE]
    peak, deepest = m[PEAK], m[DEEPEST]
    row = following(enter, since, until)
    while row < until and row + 1 < end and cash > 0.0:
        entered = row + 1
        price = market_fill(1, open_[entered], slippage)
        size = all_in(cash, price, taker)
        paid = fee(price, size, taker)
        cash -= paid
        turnover += price * size
        left = following(leave, entered, end)
        closes = close[entered : min(left + 1, end)]
        before, least, most, total, squares, downside = add_up(
            cash, size, price, closes, before, total, squares, downside
        )
        if most > peak:
            peak, deepest = deepen(cash, size, price, closes, peak, deepest)
        elif peak - least > deepest * peak:
            # The deepest close is where the drawdown can grow; what came before lies under the same peak.
            deepest = (peak - least) / peak
        ended = left + 1 >= end
        out = close[end - 1] if ended else market_fill(-1, open_[left + 1], slippage)
        gained = unrealised(1, size, price, out)
        spent = fee(out, size, taker)
        pnl = gained - (paid + spent)
        cash += gained - spent
        fees = fees + paid + spent
        turnover += out * size
        pnls[trips] = pnl
        trips += 1
        wins += 1.0 if pnl > 0.0 else 0.0
        if not ended:
            change = cash / before - 1.0 if before > 0.0 else 0.0
            loss = min(change, 0.0)
            total += change
            squares += change * change
            downside += loss * loss
            peak = max(peak, cash)
            if peak - cash > deepest * peak:
                deepest = (peak - cash) / peak
            before = cash
        row = following(enter, left + 1, until)
    m[CASH], m[FEES], m[TURNOVER], m[WINS] = cash, fees, turnover, wins
    m[EQUITY], m[SUM], m[SQUARES], m[DOWNSIDE], m[PEAK], m[DEEPEST] = before, total, squares, downside, peak, deepest
    m[TRIPS] = m[LEGS] = m[POSITIONS] = trips
    return row if cash > 0.0 and row + 1 < end else end


def following(words: I64, row: int, end: int) -> int:
    """Return the first row from `row` on whose flag stands; where none does before `end`, a row not before it."""
    if row >= end:
        return row
    w = row >> 6
    word = words[w] & (-1 << (row & 63))
    while word == 0:
        w += 1
        if w << 6 >= end:
            return end
        word = words[w]
    below = (word & -word) - 1
    place = 0
    while below != 0:  # counts the bits below the lowest one that stands; a single instruction, compiled
        below &= below - 1
        place += 1
    return (w << 6) + place


def add_up(
    cash: float, size: float, entry: float, closes: F64, before: float, total: float, squares: float, downside: float
) -> tuple[float, float, float, float, float, float]:
    """Take the equity at the closes of a position into the running sums, in the loop's own order.

    Returns:
        The last, the least and the most of the equity, and the sums of returns, of squares, of squared losses.
    """
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
    return before, least, most, total, squares, downside


def deepen(cash: float, size: float, entry: float, closes: F64, peak: float, deepest: float) -> tuple[float, float]:
    """Return the highest equity and the deepest drawdown after the closes of a position that reached a new peak."""
    for close in closes:
        now = cash + size * (close - entry)
        peak = max(peak, now)
        if peak - now > deepest * peak:
            deepest = (peak - now) / peak
    return peak, deepest


def fits(terms: Any, exits: Any) -> bool:
    """Whether rules are of this plainest kind: all in, nothing that could refuse an entry, no exit of their own."""
    sizing, *_, lowest, needs_stop = terms
    limit, trail = exits
    return bool(sizing > 1 and not needs_stop and lowest <= 0.0 and limit == 0 and trail == 0.0)
