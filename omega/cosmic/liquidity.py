"""How liquid a market is beside its own past: percentiles of spread, depth and volume, minute by minute.

Called by the liquidity feed with the gateway's quotes and bars, and by the factor for the state's name. Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from typing import Final

WINDOW: Final = 1_440
"""Minutes of the past that a minute is set against."""
LEAST: Final = 60
"""Minutes that must be known before a level is told."""
_STATES: Final = ((-0.6, "dry"), (-0.2, "restricted"))


def state_of(level: float) -> str:
    """Return the state of a level in [-1, 1]: five bands of equal width."""
    for below, name in _STATES:
        if level < below:
            return name
    if level <= -_STATES[1][0]:
        return "normal"
    return "flowing" if level <= -_STATES[0][0] else "abundant"


class Ranks:
    """A moving window of values that tells where a value stands among them."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._order: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._order)

    def add(self, value: float) -> None:
        """Take a value, and forget the oldest one of a full window."""
        if len(self._order) >= self._window:
            gone = self._order.popleft()
            del self._sorted[bisect_left(self._sorted, gone)]
        self._order.append(value)
        insort(self._sorted, value)

    def rank(self, value: float) -> float:
        """Return the share of the window below a value in [0, 1], equal ones counting half; 0.5 when it is empty."""
        if not self._sorted:
            return 0.5
        below, upto = bisect_left(self._sorted, value), bisect_right(self._sorted, value)
        return (below + upto) / 2.0 / len(self._sorted)


class LiquidityMeter:
    """Turns the minutes of one market into levels.

    A level is the mean of what is known of: spread (narrow is liquid), depth at the best prices, and volume.
    """

    def __init__(self, window: int = WINDOW, least: int = LEAST) -> None:
        self._least = least
        self._window = window
        self._spread, self._depth, self._volume = Ranks(window), Ranks(window), Ranks(window)

    def minute(
        self, *, spread: float | None = None, depth: float | None = None, volume: float | None = None
    ) -> tuple[float, float] | None:
        """Take one minute and return (level in [-1, 1], confidence in [0, 1]), None while too little is known.

        Units: spread a fraction of the middle; depth and volume in any unit that stays the same.
        """
        levels, known = [], 0
        for ranks, value, sign in (
            (self._spread, spread, -1.0),
            (self._depth, depth, 1.0),
            (self._volume, volume, 1.0),
        ):
            if value is None:
                continue
            ranks.add(value)
            if len(ranks) >= self._least:
                levels.append(sign * (2.0 * ranks.rank(value) - 1.0))
                known += len(ranks)
        if not levels:
            return None
        return sum(levels) / len(levels), known / (3.0 * self._window)
