"""The book of the loop over history: positions of one to three legs, opened and closed at prices that a rule gave.

Called by omega.backtest.loop; compiled with it. A market's state is a row `f` of floats and a row `k` of whole
numbers, its venue's rules a row `law`, the account's money a row `m`, a closed leg a row of `out`; their columns are
named below.
"""

from __future__ import annotations

from typing import Final

from omega.engine.barriers import barrier_fill, trailing_stop
from omega.engine.bars import F64, I64
from omega.engine.draft import tightens
from omega.engine.fills import fee, funding, market_fill, trigger_hit, unrealised
from omega.engine.margin import cross_liquidation
from omega.engine.sizing import all_in
from omega.engine.steps import cut, leg_sizes, near

# Columns of f: the position, what it has seen, and the entry that waits for the next open.
SIZE: Final = 0
ENTRY: Final = 1
STOP: Final = 2
LOW: Final = 3
HIGH: Final = 4
MARK: Final = 5
LIQUIDATION: Final = 6
UNIT_FUNDING: Final = 7
TRIP: Final = 8
BASE: Final = 9
LEG: Final = 10
AIM: Final = 13
PAID: Final = 16
NEXT_STOP: Final = 19
NEXT_SHARE: Final = 20
NEXT_PRICE: Final = 21
NEXT_LEG: Final = 22
NEXT_AIM: Final = 25
FLOATS: Final = 28

# Columns of k.
SIDE: Final = 0
NUMBER: Final = 1
ROW: Final = 2
HELD: Final = 3
LEAVE: Final = 4
WANT: Final = 5
CURSOR: Final = 6
DUE: Final = 7
DONE: Final = 8
LAST: Final = 9
WARM: Final = 10
LAST_DUE: Final = 11
NEXT: Final = 12
READY: Final = 13
INTS: Final = 14

# Columns of plans: what the strategy says of a row that enters.
P_STOP: Final = 0
P_AIM: Final = 1
P_CONFIDENCE: Final = 4
PLAN: Final = 5

# Columns of law.
PRICE_NUM: Final = 0
PRICE_DEN: Final = 1
SIZE_NUM: Final = 2
SIZE_DEN: Final = 3
MIN_SIZE: Final = 4
MIN_NOTIONAL: Final = 5
CENT: Final = 6
MAINTENANCE: Final = 7
TAKER: Final = 8
SLIPPAGE: Final = 9
SYMBOL: Final = 10
RULES: Final = 11

# Columns of m: money, counts and the running metrics.
CASH: Final = 0
FEES: Final = 1
FUNDING: Final = 2
TURNOVER: Final = 3
TRIPS: Final = 4
WINS: Final = 5
PEAK: Final = 6
DEEPEST: Final = 7
SUM: Final = 8
SQUARES: Final = 9
DOWNSIDE: Final = 10
EQUITY: Final = 11
LEGS: Final = 12
POSITIONS: Final = 13
MONEY: Final = 14

# Columns of out.
T_SYMBOL: Final = 0
T_SIDE: Final = 1
T_POSITION: Final = 2
T_LEG: Final = 3
T_ENTRY_ROW: Final = 4
T_EXIT_ROW: Final = 5
T_KIND: Final = 6
T_SIZE: Final = 7
T_ENTRY: Final = 8
T_EXIT: Final = 9
T_FEE: Final = 10
T_FUNDING: Final = 11
T_PNL: Final = 12
T_MAE: Final = 13
T_MFE: Final = 14
TRADE: Final = 15

CENTS: Final = 1e8
"""Money is kept to eight places wherever the venue's steps are."""

LEGS_MOST: Final = 3
LIQUIDATED: Final = 7


def close_leg(j: int, t: int, price: float, paid: float, kind: int, f: F64, k: I64, m: F64, law: F64, out: F64) -> None:
    """Close leg j at a price, pay its fee and write its row."""
    size, entry, side = f[LEG + j], f[ENTRY], k[SIDE]
    gained = unrealised(side, size, entry, price)
    received = f[UNIT_FUNDING] * size
    fees = f[PAID + j] + paid
    pnl = gained - fees + received
    m[CASH] += gained - paid
    m[FEES] += paid
    m[TURNOVER] += price * size
    f[TRIP] += pnl
    f[LEG + j] = 0.0
    down, up = (min(f[LOW], price) - entry) / entry, (max(f[HIGH], price) - entry) / entry
    row = out[int(m[LEGS])]
    m[LEGS] += 1.0
    row[T_SYMBOL] = law[SYMBOL]
    row[T_SIDE] = side
    row[T_POSITION] = k[NUMBER]
    row[T_LEG] = j
    row[T_ENTRY_ROW] = k[ROW]
    row[T_EXIT_ROW] = t
    row[T_KIND] = kind
    row[T_SIZE] = size
    row[T_ENTRY] = entry
    row[T_EXIT] = price
    row[T_FEE] = fees
    row[T_FUNDING] = received
    row[T_PNL] = pnl
    row[T_MAE] = down if side > 0 else -up
    row[T_MFE] = up if side > 0 else -down


def settle(f: F64, k: I64, m: F64) -> None:
    """Count what is left of a position; where nothing is, the round trip is over."""
    f[SIZE] = f[LEG] + f[LEG + 1] + f[LEG + 2]
    if f[SIZE] > 0.0:
        return
    k[SIDE] = 0
    k[DONE] = 1
    m[TRIPS] += 1.0
    if f[TRIP] > 0.0:
        m[WINS] += 1.0


def close_all(t: int, price: float, f: F64, k: I64, m: F64, law: F64, out: F64) -> None:
    """Close every leg by one order, whose fee the legs share by their size; the cause stands in k."""
    whole, kind = f[SIZE], k[LEAVE]
    paid = near(fee(price, whole, law[TAKER]), law[CENT], CENTS)
    for j in range(LEGS_MOST):
        if f[LEG + j] > 0.0:
            close_leg(j, t, price, paid * (f[LEG + j] / whole), kind, f, k, m, law, out)
    k[LEAVE] = 0
    settle(f, k, m)


def order_price(side: int, open_: float, law: F64) -> float:
    """Return what a market order gets at an open."""
    return near(market_fill(side, open_, law[SLIPPAGE]), law[PRICE_NUM], law[PRICE_DEN])


def open_position(
    t: int,
    open_: float,
    equity: float,
    all_in: bool,  # noqa: FBT001 - the loop passes its scalars by position
    f: F64,
    k: I64,
    m: F64,
    law: F64,
) -> None:
    """Fill the entry that waits, a leg a target, at the open of the bar."""
    side = k[WANT]
    price = order_price(side, open_, law)
    if all_in:
        size_at_fill(price, equity, f, law)
    k[WANT] = 0
    k[SIDE] = side
    k[NUMBER] = int(m[POSITIONS])
    k[ROW] = t
    k[HELD] = 0
    m[POSITIONS] += 1.0
    f[SIZE] = f[NEXT_LEG] + f[NEXT_LEG + 1] + f[NEXT_LEG + 2]
    f[ENTRY] = f[LOW] = f[HIGH] = f[MARK] = price
    f[STOP] = f[NEXT_STOP]
    f[UNIT_FUNDING] = f[TRIP] = 0.0
    f[BASE] = equity
    for j in range(LEGS_MOST):
        size = f[NEXT_LEG + j]
        f[LEG + j], f[AIM + j] = size, f[NEXT_AIM + j]
        if size > 0.0:
            paid = near(fee(price, size, law[TAKER]), law[CENT], CENTS)
            f[PAID + j] = paid
            m[CASH] -= paid
            m[FEES] += paid
            m[TURNOVER] += price * size


def size_at_fill(price: float, equity: float, f: F64, law: F64) -> None:
    """Spend the whole equity at the fill price, and carry the barriers over to it at their distance."""
    whole = cut(all_in(equity * f[NEXT_SHARE], price, law[TAKER]), law[SIZE_NUM], law[SIZE_DEN])
    ratio = price / f[NEXT_PRICE]
    f[NEXT_STOP] = near(f[NEXT_STOP] * ratio, law[PRICE_NUM], law[PRICE_DEN])
    for j in range(LEGS_MOST):
        f[NEXT_AIM + j] = near(f[NEXT_AIM + j] * ratio, law[PRICE_NUM], law[PRICE_DEN])
    share_out(whole, price, f, law)


def share_out(whole: float, price: float, f: F64, law: F64) -> None:
    """Share a size out to the targets of the entry that waits."""
    one, two, three = f[NEXT_AIM], f[NEXT_AIM + 1], f[NEXT_AIM + 2]
    targets = (1 if one > 0.0 else 0) + (1 if two > 0.0 else 0) + (1 if three > 0.0 else 0)
    first, second, third = leg_sizes(
        whole, price, targets, law[SIZE_NUM], law[SIZE_DEN], law[MIN_SIZE], law[MIN_NOTIONAL]
    )
    f[NEXT_LEG], f[NEXT_LEG + 1], f[NEXT_LEG + 2] = first, second, third


def set_liquidation(at: float, equity: float, f: F64, k: I64, law: F64) -> None:
    """Find the price at which the venue takes a position, from the equity behind it when the price is `at`."""
    f[LIQUIDATION] = cross_liquidation(k[SIDE], f[SIZE], at, equity, law[MAINTENANCE], law[TAKER])


def watch(
    t: int,
    open_: float,
    high: float,
    low: float,
    single: bool,  # noqa: FBT001 - the loop passes by position
    f: F64,
    k: I64,
    m: F64,
    law: F64,
    out: F64,
) -> None:
    """Judge the stop and the targets of every leg, then liquidation, against one bar."""
    side, before = k[SIDE], m[LEGS]
    for j in range(LEGS_MOST):
        if f[LEG + j] > 0.0:
            touched, which = barrier_fill(side, f[STOP], f[AIM + j], open_, high, low)
            if which > 0:
                price = near(touched, law[PRICE_NUM], law[PRICE_DEN])
                paid = near(fee(price, f[LEG + j], law[TAKER]), law[CENT], CENTS)
                close_leg(j, t, price, paid, which, f, k, m, law, out)
    if m[LEGS] > before:
        settle(f, k, m)
        if k[SIDE] == 0:
            return
        if single:
            set_liquidation(f[ENTRY], m[CASH], f, k, law)
    burst = trigger_hit(side < 0, f[LIQUIDATION], open_, high, low)
    if burst > 0.0:
        k[LEAVE] = LIQUIDATED
        close_all(t, near(burst, law[PRICE_NUM], law[PRICE_DEN]), f, k, m, law, out)
        if m[CASH] < 0.0:  # the venue's insurance bears what the wallet cannot
            out[int(m[LEGS]) - 1, T_PNL] -= m[CASH]
            m[CASH] = 0.0


def follow(trail: float, extreme: float, price: float, f: F64, k: I64, law: F64) -> None:
    """Let the stop of an open position follow the best price, at the close of a bar; it only ever tightens."""
    level = trailing_stop(k[SIDE], 0.0, trail * f[ENTRY], extreme)
    shown = near(level, law[PRICE_NUM], law[PRICE_DEN])
    if tightens(k[SIDE], f[STOP], shown, price):
        f[STOP] = shown


def pay_funding(rate: float, f: F64, k: I64, m: F64, law: F64) -> None:
    """Settle one funding instant at the last close."""
    amount = near(funding(k[SIDE], f[SIZE], f[MARK], rate), law[CENT], CENTS)
    m[CASH] += amount
    m[FUNDING] += amount
    f[UNIT_FUNDING] += amount / f[SIZE]
