"""Whose request goes next: the rate lanes and circuits that every request to the venue passes.

One circuit for orders and private reads: reads probe it, entries are refused while it is open, exits and stops go all
the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from omega.config import Gateway
from omega.errors import TransientError, Unresolved
from omega.resilience import Breakers, BreakerState, Lane, RateLanes
from omega.telemetry import Metrics

PRIVATE: Final = "private"
PUBLIC: Final = "public"


class Turns:
    """Lanes by endpoint group; inside a group exits overtake stops, stops reads, reads entries."""

    def __init__(self, venue: str, settings: Gateway, metrics: Metrics) -> None:
        self._metrics = metrics
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
    async def order(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for the turn of a write.

        Raises:
            TransientError: it is an entry and the circuit is open; nothing was sent.
        """
        await self.orders.acquire(lane)
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
    async def read(self, lane: Lane = Lane.READ) -> AsyncIterator[None]:
        """Wait for the turn of a private read; urgent ones go while the circuit is open."""
        await self.reads.acquire(lane)
        if lane < Lane.READ and self._private.state is not BreakerState.CLOSED:
            yield
            return
        with self._private.guard(read=True):
            yield

    @asynccontextmanager
    async def market(self) -> AsyncIterator[None]:
        """Wait for the turn of a public read."""
        await self.data.acquire(Lane.DATA)
        with self._public.guard(read=True):
            yield

    def open(self) -> bool:
        """Tell whether the circuit of writes is open: entries are refused."""
        return self._private.state is not BreakerState.CLOSED

    def slow_down(self, seconds: float) -> None:
        """Give out nothing for a while: the venue said that it is too much."""
        self.orders.pause(seconds)
        self.reads.pause(seconds)

    def _lanes(self, name: str, rate: float, burst: float) -> RateLanes:
        wait = self._metrics.histogram("lane_wait_seconds")
        return RateLanes(
            name, rate=rate, burst=burst, on_wait=lambda lane, seconds: wait.labels(lane.name.lower()).observe(seconds)
        )
