"""The loop over history: open, inside, close and decision of every bar, in the order of the fill rules.

Called by omega.backtest.run, compiled by omega.backtest.compile; the same text runs uncompiled. Everything that
decides, sizes or prices is a kernel function of omega.engine, the one that the runner calls.
"""

from __future__ import annotations

from typing import Any, Final

from omega.backtest.entries import plan
from omega.backtest.legs import (
    BASE,
    CASH,
    CURSOR,
    DEEPEST,
    DONE,
    DOWNSIDE,
    DUE,
    ENTRY,
    EQUITY,
    HELD,
    HIGH,
    LAST,
    LAST_DUE,
    LEAVE,
    LOW,
    MAINTENANCE,
    MARK,
    NEXT,
    PEAK,
    READY,
    ROW,
    SIDE,
    SIZE,
    SQUARES,
    SUM,
    TAKER,
    TRIP,
    WANT,
    WARM,
    close_all,
    follow,
    open_position,
    order_price,
    pay_funding,
    set_liquidation,
    watch,
)
from omega.backtest.stretches import hold, rest
from omega.engine.bars import F64, I64
from omega.engine.draft import enters, exit_cause
from omega.engine.fills import unrealised
from omega.engine.margin import maintenance
from omega.engine.psychology import react

ENDED: Final = 8
MINUTE_NS: Final = 60e9


def play(  # noqa: C901, PLR0912 - the order of a bar's events is read in one piece
    axis: I64,
    ts: I64,
    bars: Any,
    wants: Any,
    rates: Any,
    terms: Any,
    exits: Any,
    limits: Any,
    psyche: Any,
    mind: Any,
    sky: Any,
    sparse: bool,  # noqa: FBT001 - the loop passes its scalars by position
    state: F64,
    count: I64,
    m: F64,
    law: F64,
    equity: F64,
    held: F64,
    out: F64,
) -> None:
    """Walk every bar of every market once and leave curve, exposure and trade rows behind.

    Args:
        axis: the rows of time, every open time of any market.
        ts: open times of the markets, one market after another, as every column of `bars` and `wants`.
        bars: (open, high, low, close).
        wants: (side, leave, rows, plans): for every row the side and whether to leave, and what is said of the rows
            that enter: their numbers, rising, and stop, targets and confidence.
        rates: (rows, rates) of the funding instants.
        terms: what `entry_size` goes by; the maintenance rate is the market's.
        exits: (time limit, trail, flip).
        limits: highest notional of one order and of one position, 0.0 for none.
        psyche: (traits under every regime, live, regime of every row) of the state machine, None without influences.
        mind: its first state, None without influences.
        sky: (start_ns, step_ns, timeframe_ns, risk, confidence, reach, live), None without influences.
        sparse: walk the stretches of one market in which nothing can happen without looking at the state.
        state: floats of the markets, a row each, see legs; also of what follows.
        count: their whole numbers.
        m: money.
        law: their venues' rules.
        equity: (out) at every close.
        held: (out) exposure at every close; empty where it is worked out from the trades.
        out: (out) rows of closed legs.
    """
    close, all_in = bars[3], terms[0] > 1
    want, leave, rows, plans = wants
    limit, trail, flip = exits
    markets, total = state.shape[0], axis.shape[0]
    single = markets == 1
    t = count[0, CURSOR]
    while t < total:
        count[0, READY] = 0
        if sparse and count[0, LEAVE] == 0 and count[0, WANT] == 0:
            if count[0, SIDE] == 0:
                t = rest(t, rows, equity, count[0], m)
            else:
                t = hold(t, bars, want, leave, rates[0], limit, trail, equity, state[0], count[0], m, law[0])
            if t >= total:
                break
            count[0, CURSOR] = t
        if count[0, READY] == 0:
            go_through(t, axis, ts, bars, rates, all_in, equity, held, state, count, m, law, out)
        now = m[EQUITY]
        for s in range(markets):
            f, k = state[s], count[s]
            i = k[CURSOR]
            if i >= k[LAST] or (not single and ts[i] != axis[t]):
                continue
            k[CURSOR] = i + 1
            if psyche is not None and k[DONE] != 0:
                spent = (axis[t] - axis[k[ROW]]) / MINUTE_NS
                fallen = (m[PEAK] - now) / m[PEAK] if m[PEAK] > 0.0 else 0.0
                gained = f[TRIP] / f[BASE] if f[BASE] > 0.0 else 0.0
                mind = react(mind, psyche[0][psyche[2][i]], gained, spent, fallen, axis[t])
            k[DONE] = 0
            side, at = want[i], k[SIDE]
            if i < k[WARM] or (side == 0 and at == 0):
                continue
            extreme = f[HIGH] if at > 0 else f[LOW]
            k[LEAVE] = exit_cause(at, side, leave[i], k[HELD], limit, trail, f[ENTRY], extreme, close[i])
            if trail > 0.0 and k[LEAVE] == 0:
                follow(trail, extreme, close[i], f, k, law[s])
            if not enters(at, side, flip):
                continue
            while rows[k[NEXT]] < i:
                k[NEXT] += 1
            if plan(i, side, close[i], ts[i], now, plans[k[NEXT]], terms, limits, psyche, mind, sky, f, law[s]):
                k[WANT] = side
        t += 1
    for s in range(markets):
        if count[s, SIDE] != 0:
            count[s, LEAVE] = ENDED
            close_all(total - 1, state[s, MARK], state[s], count[s], m, law[s], out)


def go_through(
    t: int,
    axis: I64,
    ts: I64,
    bars: Any,
    rates: Any,
    all_in: bool,  # noqa: FBT001 - the loop passes its scalars by position
    equity: F64,
    held: F64,
    state: F64,
    count: I64,
    m: F64,
    law: F64,
    out: F64,
) -> None:
    """Take every market through one row: its open, what it touches inside, its close."""
    open_, high, low, close = bars
    markets = state.shape[0]
    single = markets == 1
    for s in range(markets):
        k = count[s]
        i = k[CURSOR]
        if (k[LEAVE] != 0 or k[WANT] != 0) and i < k[LAST] and (single or ts[i] == axis[t]):
            at_open(s, t, open_[i], all_in, state, count, m, law, out)
    if not single:
        share_risk(state, count, m, law)
    for s in range(markets):
        f, k = state[s], count[s]
        i = k[CURSOR]
        if i >= k[LAST] or (not single and ts[i] != axis[t]):
            continue
        if k[SIDE] != 0:
            watch(t, open_[i], high[i], low[i], single, f, k, m, law[s], out)
        if k[SIDE] != 0:
            f[LOW], f[HIGH] = min(f[LOW], low[i]), max(f[HIGH], high[i])
            k[HELD] += 1
        f[MARK] = close[i]
        if k[DUE] < k[LAST_DUE]:
            fund(i, rates, single, f, k, m, law[s])
    value(t, equity, held, state, count, m)


def at_open(
    s: int,
    t: int,
    open_: float,
    all_in: bool,  # noqa: FBT001 - the loop passes its scalars by position
    state: F64,
    count: I64,
    m: F64,
    law: F64,
    out: F64,
) -> None:
    """Fill what the last decision on market s asked for at the open: first the exit, then the entry."""
    f, k = state[s], count[s]
    if k[LEAVE] != 0:
        close_all(t, order_price(-k[SIDE], open_, law[s]), f, k, m, law[s], out)
    if k[WANT] != 0:
        worth = 0.0
        for other in range(state.shape[0]):
            if count[other, SIDE] != 0:
                worth += unrealised(count[other, SIDE], state[other, SIZE], state[other, ENTRY], state[other, MARK])
        open_position(t, open_, m[CASH] + worth, all_in, f, k, m, law[s])
        set_liquidation(f[ENTRY], m[CASH], f, k, law[s])


def share_risk(state: F64, count: I64, m: F64, law: F64) -> None:
    """Set the liquidation prices of positions that stand on one equity, each while the others keep their last mark."""
    equity, need = m[CASH], 0.0
    for s in range(state.shape[0]):
        if count[s, SIDE] != 0:
            equity += unrealised(count[s, SIDE], state[s, SIZE], state[s, ENTRY], state[s, MARK])
            need += maintenance(state[s, SIZE], state[s, MARK], law[s, MAINTENANCE], law[s, TAKER])
    for s in range(state.shape[0]):
        if count[s, SIDE] != 0:
            own = maintenance(state[s, SIZE], state[s, MARK], law[s, MAINTENANCE], law[s, TAKER])
            set_liquidation(state[s, MARK], equity - (need - own), state[s], count[s], law[s])


def fund(i: int, rates: Any, single: bool, f: F64, k: I64, m: F64, law: F64) -> None:  # noqa: FBT001 - by position
    """Settle the funding instants between row i of a market and its next bar, at the close of row i."""
    rows, rate = rates
    while k[DUE] < k[LAST_DUE] and rows[k[DUE]] <= i:
        if k[SIDE] != 0 and rows[k[DUE]] == i:
            pay_funding(rate[k[DUE]], f, k, m, law)
            if single:
                set_liquidation(f[ENTRY], m[CASH], f, k, law)
        k[DUE] += 1


def value(t: int, equity: F64, held: F64, state: F64, count: I64, m: F64) -> None:
    """Mark everything at the close of a row and take the equity into the running metrics."""
    worth, exposure = 0.0, 0.0
    for s in range(state.shape[0]):
        if count[s, SIDE] != 0:
            worth += unrealised(count[s, SIDE], state[s, SIZE], state[s, ENTRY], state[s, MARK])
            exposure += count[s, SIDE] * state[s, SIZE] * state[s, MARK]
    now = m[CASH] + worth
    equity[t] = now
    if held.shape[0] > 0:
        held[t] = exposure / now if now > 0.0 else 0.0
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
