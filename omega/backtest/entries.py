"""The entry of a decision: psychology, cosmic, sizing, the venue's steps and the gate. Called by the loop; compiled.

The stages come in the order of the pipeline, and each is the kernel function that the runner's stage calls.
"""

from __future__ import annotations

from typing import Any

from omega.backtest.legs import (
    LEGS_MOST,
    MAINTENANCE,
    MIN_NOTIONAL,
    MIN_SIZE,
    NEXT_AIM,
    NEXT_LEG,
    NEXT_PRICE,
    NEXT_SHARE,
    NEXT_STOP,
    P_AIM,
    P_CONFIDENCE,
    P_STOP,
    PRICE_DEN,
    PRICE_NUM,
    SIZE_DEN,
    SIZE_NUM,
    share_out,
)
from omega.engine.bars import F64
from omega.engine.draft import stop_level, target_level
from omega.engine.influence import sway
from omega.engine.psychology import moved_price, temper
from omega.engine.sizing import entry_size
from omega.engine.steps import cut, near, tradable


def plan(
    i: int,
    side: int,
    price: float,
    ts_ns: int,
    equity: float,
    said: F64,
    terms: Any,
    limits: Any,
    psyche: Any,
    mind: Any,
    sky: Any,
    f: F64,
    law: F64,
) -> bool:
    """Take what is said of row i, which enters, through the stages, for the next open; tell whether it stands."""
    stop = stop_level(side, price, said[P_STOP])
    set_aims(side, price, said, f)
    share, confidence, most = 1.0, said[P_CONFIDENCE], terms[2]
    if psyche is not None:
        skip, share, confidence, stop_x, target_x, most = temper(
            mind, psyche[0][psyche[2][i]], share, confidence, most, ts_ns, psyche[1]
        )
        if skip:
            return False
        stop = moved_price(price, stop, stop_x)
        for j in range(LEGS_MOST):
            f[NEXT_AIM + j] = moved_price(price, f[NEXT_AIM + j], target_x)
    if sky is not None:
        hour = (ts_ns + sky[2] - sky[0]) // sky[1]
        share, confidence = sway(share, confidence, sky[3][hour], sky[4][hour], sky[5], sky[6])
    sizing, risk, leverage, notional, reserve, buffer, _, taker, lowest, needs_stop = terms
    own = (sizing, risk, leverage, notional, reserve, buffer, law[MAINTENANCE], taker, lowest, needs_stop)
    fault, size, _, _ = entry_size(own, side, price, stop, share, confidence, most, equity)
    f[NEXT_SHARE], f[NEXT_PRICE], f[NEXT_STOP] = share, price, stop
    if fault != 0:
        return False
    return sizing > 1 or ask(side, price, size, limits, f, law)


def set_aims(side: int, price: float, said: F64, f: F64) -> None:
    """Find the prices of the targets, those that exist first."""
    one = target_level(side, price, said[P_AIM])
    two = target_level(side, price, said[P_AIM + 1])
    three = target_level(side, price, said[P_AIM + 2])
    if two <= 0.0:
        two, three = three, 0.0
    if one <= 0.0:
        one, two, three = two, three, 0.0
    f[NEXT_AIM], f[NEXT_AIM + 1], f[NEXT_AIM + 2] = one, two, three


def ask(side: int, price: float, size: float, limits: Any, f: F64, law: F64) -> bool:
    """Cut the entry that waits into the legs that runner and gate let through; tell whether any is left."""
    whole = cut(size, law[SIZE_NUM], law[SIZE_DEN])
    shown = near(price, law[PRICE_NUM], law[PRICE_DEN])
    if not tradable(whole, shown, law[MIN_SIZE], law[MIN_NOTIONAL]):
        return False
    share_out(whole, shown, f, law)
    stop = near(f[NEXT_STOP], law[PRICE_NUM], law[PRICE_DEN])
    f[NEXT_STOP] = stop
    if stop > 0.0 and side * (price - stop) <= 0.0:
        return False
    asked = 0.0
    for j in range(LEGS_MOST):
        size, aim = f[NEXT_LEG + j], near(f[NEXT_AIM + j], law[PRICE_NUM], law[PRICE_DEN])
        f[NEXT_AIM + j] = aim
        wrong = aim > 0.0 and side * (aim - price) <= 0.0
        heavy = (0.0 < limits[0] < size * price) or (0.0 < limits[1] < (asked + size) * price)
        if wrong or heavy:
            f[NEXT_LEG + j] = 0.0
        asked += f[NEXT_LEG + j]
    return asked > 0.0
