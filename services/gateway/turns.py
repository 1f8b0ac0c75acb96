"""Whose request goes next: the rate lanes and circuits that every request to the venue passes.

One circuit for orders and private reads: reads probe it, entries are refused while it is open, exits and stops go all
the same.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from omega.config import Gateway
from omega.errors import Rejected, TransientError, Unresolved
from omega.resilience import Breakers, BreakerState, Lane, RateLanes
from omega.telemetry import Metrics, get_logger
from services.gateway.classify import RefusalKind, Throttled

PRIVATE: Final = "private"
PUBLIC: Final = "public"
_WINDOW_S: Final = 60.0
_PAUSE_S: Final = 1.0
_PAUSE_MOST_S: Final = 60.0
GATEWAY: Final = "gateway"
"""Whose requests those are that no bot asked for."""


_log = get_logger(__name__)


class Turns:
    """Lanes by endpoint group; inside a group exits overtake stops, stops reads, reads entries."""

    def __init__(self, venue: str, settings: Gateway, metrics: Metrics) -> None:
        self._metrics = metrics
        self._venue = venue
        self._throttled = 0
        self._used: deque[tuple[float, str, str]] = deque()
        self.retry_after_s: Callable[[], float] = lambda: 0.0
        """Tells for how long the venue's last answer asked to wait."""
        self.weigh: Callable[[str], float] = lambda _call: 1.0
        """Tells how many requests of its lanes a call of the venue counts for."""
        self._breakers = Breakers(
            metrics,
            failures=settings.breaker.failures,
            reset_s=settings.breaker.reset_s,
            probes=settings.breaker.probes,
        )
        self._private = self._breakers.of(venue, PRIVATE)
        self._public = self._breakers.of(venue, PUBLIC)
        lanes = settings.lanes
        self.orders = self._lanes("orders", lanes.orders_per_s, lanes.burst)
        self.reads = self._lanes("reads", lanes.reads_per_s, lanes.burst)
        self.data = self._lanes("market", lanes.market_per_s, lanes.burst)

    def configure(self, settings: Gateway) -> None:
        """Take changed rates and limits."""
        lanes, breaker = settings.lanes, settings.breaker
        self._breakers.configure(failures=breaker.failures, reset_s=breaker.reset_s, probes=breaker.probes)
        self.orders.configure(rate=lanes.orders_per_s, burst=lanes.burst)
        self.reads.configure(rate=lanes.reads_per_s, burst=lanes.burst)
        self.data.configure(rate=lanes.market_per_s, burst=lanes.burst)

    @asynccontextmanager
    async def order(
        self, lane: Lane, *, bot: str = GATEWAY, call: str = "", still: Callable[[], None] = lambda: None
    ) -> AsyncIterator[None]:
        """Wait for the turn of a write; the bots of one lane share it fairly.

        `still` is asked when the turn has come, before anything counts: what it raises says that it came too late.

        Raises:
            TransientError: it is an entry and the circuit is open; nothing was sent.
        """
        await self.orders.acquire(lane, self.weigh(call), name=bot)
        still()
        self._note(bot, "orders")
        with self._heed():
            if lane is Lane.ENTRY:
                with self._private.guard(read=False):
                    yield
                return
            try:
                yield
            except (TransientError, Unresolved):
                self._private.failed()
                raise
            if self._private.state is BreakerState.CLOSED:
                self._private.succeeded()

    @asynccontextmanager
    async def read(self, lane: Lane = Lane.READ, *, call: str = "") -> AsyncIterator[None]:
        """Wait for the turn of a private read; urgent ones go while the circuit is open."""
        await self.reads.acquire(lane, self.weigh(call))
        self._note(GATEWAY, "reads")
        with self._heed():
            if lane < Lane.READ and self._private.state is not BreakerState.CLOSED:
                yield
                return
            with self._private.guard(read=True):
                yield

    @asynccontextmanager
    async def market(self) -> AsyncIterator[None]:
        """Wait for the turn of a public read."""
        await self.data.acquire(Lane.DATA)
        self._note(GATEWAY, "market")
        with self._heed(), self._public.guard(read=True):
            yield

    def open(self) -> bool:
        """Tell whether the circuit of writes is open: entries are refused."""
        return self._private.state is not BreakerState.CLOSED

    def slow_down(self, seconds: float) -> None:
        """Give out nothing for a while: the venue said that it is too much."""
        for group in (self.orders, self.reads, self.data):
            group.pause(seconds)

    def budget(self) -> dict[str, object]:
        """Return what is left of each group's rate, and who has used how much of it in the last minute."""
        self._forget()
        groups = {
            group.name: {
                "tokens": round(group.tokens, 2),
                "burst": group.burst,
                "per_s": group.rate,
                "waiting": group.waiting,
                "paused_s": round(group.closed_s, 2),
            }
            for group in (self.orders, self.reads, self.data)
        }
        used: dict[str, dict[str, int]] = {}
        for _, bot, group_name in self._used:
            mine = used.setdefault(bot, {})
            mine[group_name] = mine.get(group_name, 0) + 1
        return {"groups": groups, "last_minute": used, "circuits_open": self._breakers.open}

    def _note(self, bot: str, group: str) -> None:
        self._metrics.counter("venue_requests_total").labels(self._venue, group, bot).inc()
        self._used.append((time.monotonic(), bot, group))
        self._forget()

    def _forget(self) -> None:
        since = time.monotonic() - _WINDOW_S
        while self._used and self._used[0][0] < since:
            self._used.popleft()

    @contextmanager
    def _heed(self) -> Iterator[None]:
        """Let the venue's refusals count: too many requests pause everything, maintenance opens the circuit."""
        try:
            yield
        except (Throttled, Rejected) as error:
            kind = RefusalKind.RATE if isinstance(error, Throttled) else error.kind
            if kind == RefusalKind.RATE:
                self._throttle()
            elif kind == RefusalKind.MAINT:
                self._private.trip()
            raise
        self._throttled = 0

    def _throttle(self) -> None:
        """Give out nothing for as long as the venue says, or twice as long each time that it says no more."""
        wait = max(self.retry_after_s(), min(_PAUSE_S * 2**self._throttled, _PAUSE_MOST_S))
        self._throttled = min(self._throttled + 1, 8)
        self._metrics.counter("rate_limited_total").labels(self._venue).inc()
        _log.warning("venue.throttled", venue=self._venue, pause_s=wait)
        self.slow_down(wait)

    def _lanes(self, name: str, rate: float, burst: float) -> RateLanes:
        wait = self._metrics.histogram("lane_wait_seconds")
        return RateLanes(
            name, rate=rate, burst=burst, on_wait=lambda lane, seconds: wait.labels(lane.name.lower()).observe(seconds)
        )
