"""Rate lanes: a weighted token bucket, waiters served by priority; exits overtake entries. Used by the gateway."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum


class Lane(IntEnum):
    """The lanes, the most urgent first."""

    EXIT = 0
    """Cancels and orders that reduce a position."""
    STOP = 1
    """Placing and moving protective stops."""
    READ = 2
    """Private reads: look-ups and reconciliation."""
    ENTRY = 3
    """Orders that open or add."""
    DATA = 4
    """Public market data."""


RESERVED_FROM = Lane.READ
"""Lanes from here on leave the reserve to the more urgent ones."""
DUST = 1e-9
"""Rounding of tokens: less than this is nothing."""


@dataclass(order=True, slots=True)
class _Waiter:
    lane: Lane
    round: float
    number: int
    weight: float = field(compare=False)
    granted: asyncio.Future[None] = field(compare=False)


class RateLanes:
    """A token bucket whose waiters queue by lane, and inside a lane by fair shares, first come first served for each.

    Whoever asks much waits behind whoever asks little: every name gets its turn in each round of a lane (start-time
    fair queuing over the weights), so that one chatty bot cannot starve the others.

    The most urgent waiter is served first, always; one that needs much waits until there is enough, and nobody
    behind it slips past. A lower lane can therefore never starve a higher one.

    Args:
        name: which group of endpoints, for metrics.
        rate: tokens a second.
        burst: tokens at most.
        reserve: tokens that reads, entries and data leave for exits and stops.
        clock: seconds, never going back.
        on_wait: told of the lane and of each wait in seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        rate: float,
        burst: float,
        reserve: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        on_wait: Callable[[Lane, float], None] | None = None,
    ) -> None:
        self.name = name
        self.rate, self.burst = rate, burst
        self._reserve = reserve
        self._clock = clock
        self._on_wait = on_wait
        self._tokens = burst
        self._filled_at = clock()
        self._queue: list[_Waiter] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed_until = 0.0
        self._round: dict[Lane, float] = {}
        self._rounds: dict[tuple[Lane, str], float] = {}

    @property
    def closed_s(self) -> float:
        """For how long nothing is given out yet."""
        return max(self._closed_until - self._clock(), 0.0)

    @property
    def tokens(self) -> float:
        """How many tokens there are now."""
        self._fill()
        return self._tokens

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return sum(not waiter.granted.done() for waiter in self._queue)

    def configure(self, *, rate: float, burst: float) -> None:
        """Change the pace; waiters are served by the new one."""
        self._fill()
        self.rate, self.burst = rate, burst
        self._tokens = min(self._tokens, burst)
        self._serve()

    def pause(self, seconds: float) -> None:
        """Give out nothing for a while: the other side said that it is too much."""
        self._fill()
        self._closed_until = max(self._closed_until, self._clock() + seconds)
        self._tokens = min(self._tokens, 0.0)
        self._serve()

    def try_acquire(self, lane: Lane, weight: float = 1.0) -> bool:
        """Take tokens if they are there and nobody at least as urgent waits."""
        head = self._head()
        if (head is not None and head.lane <= lane) or self._missing(lane, weight) > 0:
            return False
        self._tokens -= weight
        return True

    async def acquire(self, lane: Lane, weight: float = 1.0, *, name: str = "") -> float:
        """Wait for tokens and return how long it took in seconds; a cancelled wait takes nothing.

        `name` is for whom: waiters of one lane share it fairly by name.
        """
        if self.try_acquire(lane, weight):
            self._tell(lane, 0.0)
            return 0.0
        began = self._clock()
        granted = asyncio.get_running_loop().create_future()
        waiter = _Waiter(lane, self._turn_of(lane, name, weight), next(self._numbers), weight, granted)
        heapq.heappush(self._queue, waiter)
        self._serve()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                # Granted and cancelled in the same turn: give back.
                self._tokens = min(self._tokens + weight, self.burst)
            waiter.granted.cancel()
            self._serve()
            raise
        waited = self._clock() - began
        self._tell(lane, waited)
        return waited

    def _turn_of(self, lane: Lane, name: str, weight: float) -> float:
        """Return the round in which a request of this name starts: after its own earlier ones, never in the past."""
        if self._head() is None:
            self._round.clear()
            self._rounds.clear()
        start = max(self._rounds.get((lane, name), 0.0), self._round.get(lane, 0.0))
        self._rounds[lane, name] = start + weight
        return start

    def _tell(self, lane: Lane, waited: float) -> None:
        if self._on_wait is not None:
            self._on_wait(lane, waited)

    def _fill(self) -> None:
        now = self._clock()
        since = max(self._filled_at, min(self._closed_until, now))
        self._tokens = min(self._tokens + max(now - since, 0.0) * self.rate, self.burst)
        self._filled_at = now

    def _missing(self, lane: Lane, weight: float) -> float:
        """Return how many tokens are missing; more than the bucket holds is asked of a full bucket."""
        self._fill()
        reserve = self._reserve if lane >= RESERVED_FROM else 0.0
        missing = min(weight + reserve, self.burst) - self._tokens
        return missing if missing > DUST else 0.0

    def _head(self) -> _Waiter | None:
        while self._queue and self._queue[0].granted.done():
            heapq.heappop(self._queue)
        return self._queue[0] if self._queue else None

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while (waiter := self._head()) is not None:
            missing = self._missing(waiter.lane, waiter.weight)
            if missing > 0:
                closed = max(self._closed_until - self._clock(), 0.0)
                self._timer = asyncio.get_running_loop().call_later(closed + missing / self.rate, self._serve)
                return
            self._tokens -= waiter.weight
            self._round[waiter.lane] = waiter.round
            heapq.heappop(self._queue)
            waiter.granted.set_result(None)
