"""What a strategy's row comes to: leave, enter, and where stop and targets lie.

Called plain by the engine's step once a bar, compiled by the back-test.
"""

from typing import Final

from omega.engine.barriers import time_exit, trailing_stop
from omega.engine.kernel import kernel

SIGNALLED: Final = 3
TURNED: Final = 4
TIMED: Final = 5
TRAILED: Final = 6
"""The causes that `exit_cause` returns; 0 is none. The back-test's exit kinds continue this list."""


@kernel
def exit_cause(
    held: int,
    side: int,
    leave: bool,  # noqa: FBT001 - a kernel call passes its scalars by position
    bars_held: int,
    limit: int,
    trail: float,
    entry: float,
    extreme: float,
    price: float,
) -> int:
    """Why a held position must go at this close: 0 not at all, 3 signal, 4 reversed, 5 time, 6 trailing stop.

    Units: held the position's side, side the row's; bars_held and limit in bars, limit 0 for never; trail a fraction of
        the entry price; prices in quote currency, extreme the best since entry.
    Source: the barriers of the design; an entry signal of the other side comes before the exit flag.
    """
    if held == 0:
        return 0
    if side == -held:
        return 4
    if leave:
        return 3
    if time_exit(bars_held, limit):
        return 5
    stop = trailing_stop(held, 0.0, trail * entry, extreme)
    if stop > 0.0 and held * (price - stop) <= 0.0:
        return 6
    return 0


@kernel
def tightens(held: int, stop: float, level: float, price: float) -> bool:
    """Whether a trailed level takes the stop's place: nearer than the stop, and not where the price is already.

    Units: held the position's side; prices in quote currency, a stop of 0.0 is none, price the close.
    Source: the barriers of the design (trailing): a stop only ever tightens.
    """
    if held == 0 or level <= 0.0 or held * (price - level) <= 0.0:
        return False
    return stop <= 0.0 or held * (level - stop) > 0.0


@kernel
def enters(held: int, side: int, flip: bool) -> bool:  # noqa: FBT001 - a kernel call passes its scalars by position
    """Whether the row opens a position: from flat, or with `flip` from the other side.

    Units: held the position's side, side the row's: +1, -1 or 0.
    Source: the step's rule that a book holds one position.
    """
    return side != 0 and (held == 0 or (flip and side == -held))


@kernel
def stop_level(side: int, price: float, distance: float) -> float:
    """Price of the stop at a distance from the close, 0.0 for none.

    Units: price and distance in quote currency per unit; side of the position.
    Source: the contract of Signals.
    """
    if distance <= 0.0:
        return 0.0
    return max(price - side * distance, 0.0)


@kernel
def target_level(side: int, price: float, distance: float) -> float:
    """Price of a target at a distance from the close, 0.0 for none or when no price above zero lies there.

    Units: price and distance in quote currency per unit; side of the position.
    Source: the contract of Signals.
    """
    if distance <= 0.0:
        return 0.0
    return max(price + side * distance, 0.0)
