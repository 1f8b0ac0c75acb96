"""The loop over history for the plainest case: long or flat, all of the equity, no stop, no target, no steps.

There a position is left by the strategy alone, so the walk goes from event to event, and a batch of combinations goes
side by side through one block of prices after another. Called by the sparse walker where `fits` says so; everything
priced is a kernel function of omega.engine, and a property test holds it against the loop.
"""

from __future__ import annotations

from typing import Any, Final

from omega.backtest.legs import CASH, EQUITY, FEES, LEGS, POSITIONS, TRIPS, TURNOVER, WINS
from omega.backtest.sweep.worth import EVEN, GATHERED, PIECE, take, write
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
    desk: F64,
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
        desk: room to work in, see worth.
    """
    low = end
    for c in range(at.shape[0]):
        low = min(low, at[c])
    while low < end:
        low = min(low + block, end)
        for c in range(at.shape[0]):
            if at[c] < low:
                at[c] = cross(at[c], low, end, open_, close, enter[c], leave[c], taker, slippage, m[c], pnls[c], desk)


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
    desk: F64,
) -> int:
    """Walk one combination from an entry to its exit and on to the next entry, while it enters before row `until`.

    Returns:
        The row from which on it may enter again; a position that is open at `until` is walked to its end.
    """
    cash, fees, turnover, trips, wins = m[CASH], m[FEES], m[TURNOVER], int(m[TRIPS]), m[WINS]
    desk[0], count = m[EQUITY], 1
    row = following(enter, since, until)
    while row < until and row + 1 < end and cash > 0.0:
        entered = row + 1
        price = market_fill(1, open_[entered], slippage)
        size = all_in(cash, price, taker)
        paid = fee(price, size, taker)
        cash -= paid
        turnover += price * size
        left = following(leave, entered, end)
        low, high = entered, min(left + 1, end)
        while low < high:
            if count > GATHERED:
                take(desk, count, m)
                count = 1
            piece = min(high - low, PIECE)
            write(cash, size, price, close[low : low - piece // -EVEN * EVEN], desk[count:])
            low += piece
            count += piece
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
            desk[count] = cash
            count += 1
        row = following(enter, left + 1, until)
    if count > 1:
        take(desk, count, m)
    m[CASH], m[FEES], m[TURNOVER], m[WINS] = cash, fees, turnover, wins
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


def fits(terms: Any, exits: Any) -> bool:
    """Whether rules are of this plainest kind: all in, nothing that could refuse an entry, no exit of their own."""
    sizing, *_, lowest, needs_stop = terms
    limit, trail = exits
    return bool(sizing > 1 and not needs_stop and lowest <= 0.0 and limit == 0 and trail == 0.0)
