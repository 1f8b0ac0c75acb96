"""The cosmic container: publishes the factors' readings and answers questions about the sky. All of it is unproven."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import ClassVar, Final

from omega import plugins
from omega.bus.messages import BarClosed, Scalar
from omega.bus.port import Bus, Lease, Received
from omega.config import Settings
from omega.cosmic.readings import Heard, Place, read_factors
from omega.cosmic.sky import Sky
from omega.cosmic.table import HOUR_NS, ORBS, WIDEST, Aspect, Body, SkyTable, aspects_of
from omega.domain import FeedState, Reading, from_iso, iso, timeframe_ns
from omega.errors import ConfigError, Denied
from omega.runtime import BaseService
from services.cosmic.feeds.sources import Sources
from services.cosmic.methods import ANALYSES, AnalyticalMethods

LEASE: Final = "cosmic"
METHODS: Final = ("now", "at", "factors", "positions", "aspects", "feeds", *ANALYSES)
"""Everything that can be asked."""
EVIDENCE: Final = "unproven"
"""What every place that shows a factor says about it."""
_LONGEST_DATE: Final = 8
"""Digits of a date without hyphens; more digits are nanoseconds."""
_LOOK_S: Final = 1.0


class CosmicFactorService(AnalyticalMethods, BaseService):
    """Reads the sky and the feeds. What it calculates is a function of an instant, never of when it is asked.

    In a live farm the instant is now; with `cosmic.clock: bars` it is the close of the newest bar, so that a replay has
    the sky of its own time.

    Attributes:
        planetary_positions: ecliptic longitude of date by body in degrees, at the newest publication.
        aspects: significant angles among those.
        sources: the feeds behind fetched factors.
    """

    name: ClassVar[str] = "cosmic"

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        super().__init__(settings=settings, bus=bus)
        self.planetary_positions: dict[str, float] = {}
        self.aspects: tuple[Aspect, ...] = ()
        self._sky = Sky(hours_ahead=settings.cosmic.table_hours)
        self._orbs: dict[str, float] = ORBS | dict(settings.cosmic.orbs)
        self.sources = Sources(settings, bus, self.metrics)
        self._replays = settings.cosmic.clock == "bars"
        self._bar_ns = 0
        self._hour = asyncio.Event()
        self._latest: dict[str, Reading] = {}
        self._trouble = "the sky is not computed yet"

    # ---- the seeds' methods

    async def get_current_factors(self) -> dict[str, Reading]:
        """Return the reading of every factor for the present instant of the service's clock."""
        return await self.factors_at(self.clock_ns())

    async def is_mercury_retrograde(self, at_ns: int | None = None) -> bool:
        """Tell whether Mercury's ecliptic longitude of date falls at an instant, now by default."""
        at_ns = self.clock_ns() if at_ns is None else at_ns
        return (await self._table(at_ns)).is_retrograde(Body.MERCURY, at_ns)

    async def get_moon_phase(self, at_ns: int | None = None) -> dict[str, Scalar]:
        """Return phase, elongation (degrees), illuminated fraction and age (days) at an instant, now by default."""
        at_ns = self.clock_ns() if at_ns is None else at_ns
        return (await self._table(at_ns)).moon(at_ns)

    def schumann(self) -> Heard | None:
        """Return what the feed of the resonance says at the present instant of the service's clock."""
        return self.sources.hear("schumann", self.clock_ns())

    # ---- life

    async def on_initialize(self) -> None:
        """Find the factors; a broken one refuses the start."""
        plugins.factors.discover()

    async def on_start(self) -> None:
        """Start to publish and to answer."""
        self.spawn("publish", self._publish_under_lease)
        self.spawn("serve", self._serve)
        if self._replays:
            self.spawn("bars", self._follow_bars)
        for feed in self.sources.coordinators:
            self.spawn(f"feed-{feed.name}", feed.run)
        if self.sources.market is not None:
            self.spawn("market", self.sources.market.listen)
            self.spawn("market-minutes", self.sources.market.keep_minutes)

    async def on_stop(self) -> None:
        """Close the ephemeris."""
        self._sky.close()

    def readiness(self) -> tuple[bool, str]:
        """Tell whether the sky is computed; who holds the lease to publish does not matter here."""
        return not self._trouble, self._trouble

    def clock_ns(self) -> int:
        """Return the present instant: wall time, or the close of the newest bar once there is one."""
        return self._bar_ns or time.time_ns()

    # ---- publishing

    async def factors_at(self, at_ns: int) -> dict[str, Reading]:
        """Return the reading of every registered factor at an instant.

        Raises:
            Denied: the ephemeris does not reach that far.
        """
        table = await self._table(at_ns)
        place, retrograde = self.settings.cosmic.place, table.is_retrograde(Body.MERCURY, at_ns)
        return read_factors(
            at_ns,
            table,
            Place(place.latitude, place.longitude),
            lambda feed: self.sources.hear(feed, at_ns, retrograde=retrograde),
        )

    async def _serve(self) -> None:
        await self.bus.serve(self.name, self.answer)

    async def _publish_under_lease(self) -> None:
        if not self._replays:  # a replay has no sky before its first bar, and that one is of another time
            await self._table(self.clock_ns())
        self._trouble = ""
        while True:
            lease = await self.bus.lease(LEASE, ttl_s=self.settings.redis.lease_ttl_s)
            try:
                await self._publish_while_held(lease)
            finally:
                await lease.release()

    async def _publish_while_held(self, lease: Lease) -> None:
        last_ns, last_wall = 0, -math.inf
        while lease.held:
            at_ns, wall, every_s = self.clock_ns(), time.monotonic(), self.settings.cosmic.publish_s
            if self._bar_ns or not self._replays:
                on_time = at_ns // HOUR_NS != last_ns // HOUR_NS if self._replays else wall - last_wall >= every_s
                await self._publish_due(at_ns, everything=on_time)
                last_ns, last_wall = (at_ns, wall) if on_time else (last_ns, last_wall)
            self._hour.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_S, every_s)):
                    await self._hour.wait()

    async def _publish_due(self, at_ns: int, *, everything: bool) -> None:
        for reading in (await self.factors_at(at_ns)).values():
            if everything or self._changed(reading):
                await self._publish(reading)
        if everything:
            positions = (await self._table(at_ns)).positions(at_ns)
            self.planetary_positions = {body.value: longitude for body, longitude in positions.items()}
            self.aspects = aspects_of(positions, self._orbs)

    async def _publish(self, reading: Reading) -> None:
        await self.bus.send(reading)
        if self._changed(reading):
            self.logger.info("reading.changed", factor=reading.factor, label=reading.label, as_of=iso(reading.as_of_ns))
        self._latest[reading.factor] = reading
        self.metrics.gauge("cosmic_reading").labels(reading.factor).set(reading.value)
        self.metrics.gauge("cosmic_reading_confidence").labels(reading.factor).set(reading.confidence)
        for state in FeedState:
            self.metrics.gauge("cosmic_reading_state").labels(reading.factor, state.value).set(state is reading.state)

    def _changed(self, reading: Reading) -> bool:
        before = self._latest.get(reading.factor)
        return before is None or (before.label, before.state) != (reading.label, reading.state)

    async def _follow_bars(self) -> None:
        gateway, venue = self.settings.gateway, self.settings.trading.venue
        # One stream tells the time; the others would only tell it again.
        topics = [self.bus.topics.bar(venue, gateway.symbols[0], gateway.timeframes[0])]
        async with self.bus.follow(*topics) as bars:
            for topic in topics:  # a restart in the middle of a replay goes on at the bar before
                for received in await self.bus.history(topic, count=1):
                    self._see(received)
            async for received in bars:
                self._see(received)

    def _see(self, received: Received) -> None:
        closed = received.envelope.data
        if not isinstance(closed, BarClosed):
            return
        before, self._bar_ns = self._bar_ns, max(self._bar_ns, closed.bar.ts_ns + timeframe_ns(closed.timeframe))
        if before // HOUR_NS != self._bar_ns // HOUR_NS:
            self._hour.set()

    def update_metrics(self) -> None:
        """Bring the ages of the readings up to date beside the base's gauges."""
        super().update_metrics()
        for name, reading in self._latest.items():
            self.metrics.gauge("cosmic_reading_age_seconds").labels(name).set(max(reading.age_s(self.clock_ns()), 0.0))
        for feed in self.sources.coordinators:
            feed.update_metrics(self.clock_ns())

    async def _table(self, at_ns: int) -> SkyTable:
        known = self._sky.known(at_ns)
        return await asyncio.to_thread(self._sky.table, at_ns) if known is None else known

    # ---- answers

    async def answer(self, method: str, params: Mapping[str, Scalar]) -> object:
        """Answer one request of METHODS; `at` is an ISO instant or nanoseconds.

        Raises:
            Denied: there is no such method, a parameter does not fit, or the instant is out of the ephemeris.
            CorruptData: the numbers allow no analysis.
        """
        if method not in METHODS:
            raise Denied(f"the sky does not answer {method!r}: ask one of {', '.join(METHODS)}", rule="method")
        if method in ANALYSES:
            return await asyncio.to_thread(self.analysed, method, params)
        if method == "feeds":
            return self.sources.states(self.clock_ns())
        if method == "factors":
            return [self._described(entry) for entry in plugins.factors]
        at_ns = self.clock_ns() if method == "now" or "at" not in params else _instant(params["at"])
        table = await self._table(at_ns)
        if method == "positions":
            return {"at": iso(at_ns), "degrees": table.positions(at_ns)}
        if method == "aspects":
            orbs = self._orbs | {name: _orb(name, value) for name, value in params.items() if name in ORBS}
            return {"at": iso(at_ns), "aspects": [asdict(one) for one in aspects_of(table.positions(at_ns), orbs)]}
        return await self._answer_readings(table, at_ns)

    async def _answer_readings(self, table: SkyTable, at_ns: int) -> dict[str, object]:
        readings = await self.factors_at(at_ns)
        now_ns = self.clock_ns()
        return {
            "at": iso(at_ns),
            "clock": self.settings.cosmic.clock,
            "enabled": self.settings.cosmic.enabled,
            "evidence": EVIDENCE,
            "factors": [asdict(one) | {"age_s": max(one.age_s(now_ns), 0.0)} for one in readings.values()],
            "moon": table.moon(at_ns),
            "mercury": table.mercury(at_ns),
        }

    def _described(self, entry: plugins.FactorEntry) -> dict[str, Scalar]:
        setting = self.settings.cosmic.factors.get(entry.name)
        on = self.settings.cosmic.enabled and setting is not None and setting.enabled
        return {
            "name": entry.name,
            "kind": entry.kind,
            "unit": entry.unit,
            "source": entry.source,
            "ttl_s": entry.ttl_s,
            "doc": entry.doc,
            "evidence": EVIDENCE,
            "enabled": on,
            "weight": setting.weight if on and setting else 0.0,
        }


def _orb(name: str, value: Scalar) -> float:
    try:
        degrees = float(value)
    except (TypeError, ValueError):
        degrees = -1.0
    if not 0.0 <= degrees <= WIDEST:
        raise Denied(f"{name} = {value!r} is no orb; give 0 to {WIDEST:g} degrees", rule="params")
    return degrees


def _instant(value: Scalar) -> int:
    text = str(value).strip()
    if text.lstrip("-").isdigit() and len(text) > _LONGEST_DATE:
        return int(text)
    try:
        return from_iso(text)
    except ConfigError as error:
        raise Denied(f"{error}, or give nanoseconds since 1970", rule="params") from error
