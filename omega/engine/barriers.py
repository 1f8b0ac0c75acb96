"""The barriers around a position: stop, target, trailing stop, time.

Called by the engine's step, the back-test and the simulator; `side` is the side of the position throughout.
"""

from omega.engine.kernel import kernel


@kernel
def stop_fill(side: int, stop: float, open_: float, high: float, low: float) -> float:
    """Price at which a resting stop fills inside this bar, 0.0 when untouched.

    Units: prices in quote currency; side is +1 for a long position, -1 for a short one; a stop of 0.0 is none.
    Source: the fill rules (inside the bar at its price, at the open when the bar gapped beyond).
    """
    if stop <= 0.0:
        return 0.0
    if side > 0 and low <= stop:
        return min(open_, stop)
    if side < 0 and high >= stop:
        return max(open_, stop)
    return 0.0


@kernel
def target_fill(side: int, target: float, open_: float, high: float, low: float) -> float:
    """Price at which a resting target fills inside this bar, 0.0 when untouched.

    Units: prices in quote currency; side is +1 for a long position, -1 for a short one; a target of 0.0 is none.
    Source: the fill rules (inside the bar at its price, at the open when the bar gapped beyond).
    """
    if target <= 0.0:
        return 0.0
    if side > 0 and high >= target:
        return max(open_, target)
    if side < 0 and low <= target:
        return min(open_, target)
    return 0.0


@kernel
def barrier_fill(side: int, stop: float, target: float, open_: float, high: float, low: float) -> tuple[float, int]:
    """Price at which the stop or the target takes the position out inside this bar, and which of them did.

    Returns:
        (price, which): which is 0 for neither (price 0.0), 1 for the stop, 2 for the target.

    Units: prices in quote currency; a barrier of 0.0 is none.
    Source: the fill rules (a bar that touches both fills the stop).
    """
    stopped = stop_fill(side, stop, open_, high, low)
    if stopped > 0.0:
        return stopped, 1
    reached = target_fill(side, target, open_, high, low)
    if reached > 0.0:
        return reached, 2
    return 0.0, 0


@kernel
def trailing_stop(side: int, stop: float, distance: float, extreme: float) -> float:
    """Stop that follows the best price seen at a distance and never moves against the position.

    Units: prices in quote currency; extreme is the highest price since entry of a long, the lowest of a short; a
        distance of 0.0 trails nothing; a stop of 0.0 is none yet.
    Source: the barriers of the design (trailing).
    """
    if distance <= 0.0:
        return stop
    if side > 0:
        return max(stop, extreme - distance)
    if stop <= 0.0:
        return extreme + distance
    return min(stop, extreme + distance)


@kernel
def time_exit(bars_held: int, limit: int) -> bool:
    """Whether a position has been held for its whole time.

    Units: bars; a limit of 0 never ends a position.
    Source: the barriers of the design (time).
    """
    return limit > 0 and bars_held >= limit
