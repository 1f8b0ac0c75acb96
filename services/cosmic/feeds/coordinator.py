"""One coordinator for every polled feed: asks at its pace, judges, keeps the last good value. Run by the service.

Readers never wait for it: they read the track. A failure is logged once, as is the recovery; a breaker spares a source
that keeps failing; the newest sound value outlives the process on the bus, with its age.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from omega.bus.port import Bus
from omega.cosmic.feeds import Sample, Track, dated
from omega.domain import FeedState, iso
from omega.errors import CorruptData, OmegaError, TransientError
from omega.resilience.breaker import NUMBERS, CircuitBreaker
from omega.telemetry import Metrics, get_logger

Fetch = Callable[[], Awaitable[Sample]]
_FAILURES = 3
_RESTS = 4
"""How many turns an open circuit is left alone."""
LOG = get_logger("services.cosmic")


class Coordinator:
    """Owns the polling of one feed for many readers.

    Args:
        name: of the feed, also in metrics and on the bus.
        track: where the samples go.
        fetch: asks the source once; raises TransientError, TimeoutError, OSError or CorruptData.
        every_s: time between two attempts.
        bus: keeps the newest sound value.
        metrics: counts the attempts.
    """

    def __init__(self, name: str, track: Track, fetch: Fetch, *, every_s: float, bus: Bus, metrics: Metrics) -> None:
        self.name, self.track = name, track
        self._fetch, self._every_s = fetch, every_s
        self._bus, self._metrics = bus, metrics
        self._key = bus.topics.state("feed", name)
        self._breaker = CircuitBreaker("cosmic", name, failures=_FAILURES, reset_s=_RESTS * every_s, probes=1)
        self._failing = False

    async def run(self) -> None:
        """Restore what was known, then poll until cancelled."""
        await self.restore()
        while True:
            await self.poll()
            await asyncio.sleep(self._every_s)

    async def restore(self) -> None:
        """Take the newest sound value of a process before; its age tells what it is worth."""
        try:
            kept = await self._bus.get(self._key)
            if kept:
                self.track.restore(kept, time.time_ns())
        except OmegaError as error:
            LOG.warning("feed.not_restored", feed=self.name, error=str(error))

    async def poll(self) -> FeedState | None:
        """Ask once and return the state of what came, None when nothing did."""
        try:
            with self._breaker.guard(read=True):
                sample = dated(await self._fetch(), time.time_ns())
        except (TransientError, TimeoutError, OSError, CorruptData) as error:
            self._count("failed")
            if not self._failing:
                LOG.warning("feed.failed", feed=self.name, error=f"{type(error).__name__}: {error}")
            self._failing = True
            return None
        if self._failing:
            LOG.info("feed.recovered", feed=self.name)
        self._failing = False
        state = self.track.take(sample)
        self._count("implausible" if state is FeedState.IMPLAUSIBLE else "sound")
        if state is FeedState.IMPLAUSIBLE:
            LOG.warning("feed.implausible", feed=self.name, value=self.track.rejected, as_of=iso(sample.as_of_ns))
        else:
            await self._keep()
        return state

    def update_metrics(self, now_ns: int) -> None:
        """Write the age of the newest sound value and the state of the circuit."""
        newest = self.track.newest
        if newest is not None:
            self._metrics.gauge("cosmic_feed_age_seconds").labels(self.name).set(max(now_ns - newest.as_of_ns, 0) / 1e9)
        self._metrics.gauge("cosmic_feed_circuit").labels(self.name).set(NUMBERS[self._breaker.state])

    def _count(self, outcome: str) -> None:
        self._metrics.counter("cosmic_feed_fetches_total").labels(self.name, outcome).inc()

    async def _keep(self) -> None:
        try:
            await self._bus.put(self._key, self.track.saved())
        except OmegaError as error:  # the value is known here all the same
            LOG.warning("feed.not_kept", feed=self.name, error=str(error))
