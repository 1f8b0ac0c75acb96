"""The contract of every service: life, probes on a real socket, scrape, drain in time, the seeds' names. Subclass it.

class TestLedger(ServiceContract):
    def make(self, settings, bus):
        return LedgerService(settings=settings, bus=bus)
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import json
import logging
import os
import signal
import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import pytest

from omega.bus import MemoryBus
from omega.bus.envelope import Envelope
from omega.bus.messages import AuditNote
from omega.bus.port import Bus
from omega.config import Environment, Monitoring, Settings
from omega.errors import (
    ConfigError,
    CorruptData,
    Denied,
    Fenced,
    InvariantBroken,
    Rejected,
    Stale,
    TransientError,
    Unresolved,
)
from omega.runtime import BaseService, OMEGAService, Reaction, State
from omega.telemetry import METRICS, bound_contextvars, configure
from omega.telemetry.logging import configure_quietly

SEED_METHODS = (
    "initialize",
    "can_handle",
    "process",
    "update_metrics",
    "shutdown",
    "get_metrics",
    "configure",
    "log_activity",
    "handle_error",
)
SEED_ATTRIBUTES = ("name", "logger", "config", "metrics", "redis", "consciousness_level")
BASE_AREAS = frozenset({"services", "machine", "bus"})
"""Areas of the catalogue that BaseService fills."""
BASE_METRICS = (
    "omega_service_up",
    "omega_ready",
    "omega_uptime_seconds",
    "omega_service_state",
    "omega_bus_state",
    "omega_consciousness_level",
)
DRAIN_S = 10.0
"""Enough for a slow machine: a step that is cut leaves its connections behind."""
STARTED_S = 60.0


async def http(port: int, path: str, *, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    """Ask a health port over a real socket and return status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), rest


async def eventually(condition: Any, *, within_s: float = STARTED_S, what: str = "the condition") -> None:
    """Wait until a callable answers true."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {within_s:g} s")
        await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Unknown:
    """A message of a type that nobody has heard of."""


def own_metrics(service: BaseService) -> set[str]:
    """Return the catalogued metrics that a service uses beyond those of every service."""
    base = {metric.name for metric in METRICS if metric.area in BASE_AREAS}
    return set(service.metrics.made) - base


class ServiceContract:
    """Subclass per service and return it from `make`; override `settings` and `bus` where the service needs more."""

    becomes_ready = True
    """False for a service that needs something that the test does not give it (a venue, a token)."""

    @abstractmethod
    def make(self, settings: Settings, bus: Bus) -> BaseService:
        """Build the service under test."""

    def settings(self) -> Settings:
        """Return the settings for the service under test."""
        return Settings(
            environment=Environment(instance="contract"),
            monitoring=Monitoring(drain_s=DRAIN_S, heartbeat_s=0.1, start_s=STARTED_S),
        )

    def bus(self) -> Bus:
        """Return the bus for the service under test."""
        return MemoryBus(env="dev", source="contract/1")

    def build(self) -> BaseService:
        """Build the service with its settings and bus."""
        return self.make(self.settings(), self.bus())

    async def begin(self, service: BaseService) -> None:
        """Start a service and wait until it is ready, where it can be."""
        await service.initialize()
        await service.start()
        if self.becomes_ready:
            await eventually(lambda: service.ready, what="readiness")

    def test_service_every_seed_name_is_present(self) -> None:
        """Both class boxes of the seeds are answered by one class."""
        service = self.build()

        assert isinstance(service, BaseService)
        assert OMEGAService is BaseService
        for name in SEED_METHODS:
            assert callable(getattr(service, name)), name
        for name in ("initialize", "process", "shutdown", "configure"):
            assert inspect.iscoroutinefunction(getattr(service, name)), name
        for name in SEED_ATTRIBUTES:
            assert hasattr(service, name), name
        assert service.redis is None
        assert service.name != BaseService.name
        assert service.consciousness_level == 10  # noqa: PLR2004 - the seeds' default
        assert service.config["monitoring.drain_s"] == service.settings.monitoring.drain_s

    async def test_service_lives_from_new_to_stopped(self) -> None:
        """The hooks run in order, the bus is there only after initialize, the second shutdown changes nothing."""
        service = self.build()
        assert [service.phase] == [State.NEW]

        await service.initialize()
        await service.initialize()
        assert service.redis is not None
        assert [service.phase] == [State.INITIALISED]
        await service.start()
        if self.becomes_ready:
            await eventually(lambda: service.phase is State.READY, what="readiness")
        await service.shutdown()
        await service.shutdown()

        assert [service.phase] == [State.STOPPED]

    async def test_service_probes_answer_on_a_real_socket(self) -> None:
        """Liveness, readiness and start-up are told apart and name their checks."""
        service = self.build()
        await service.initialize()
        try:
            assert (await http(service.health.port, "/healthz"))[0] == 200  # noqa: PLR2004 - HTTP
            assert (await http(service.health.port, "/startupz"))[0] == 503  # noqa: PLR2004 - HTTP
            assert (await http(service.health.port, "/readyz"))[0] == 503  # noqa: PLR2004 - HTTP
            await service.start()
            assert (await http(service.health.port, "/startupz"))[0] == 200  # noqa: PLR2004 - HTTP
            if self.becomes_ready:
                await eventually(lambda: service.ready, what="readiness")
                assert (await http(service.health.port, "/readyz"))[0] == 200  # noqa: PLR2004 - HTTP
            document = json.loads((await http(service.health.port, "/readyz"))[1])
            assert document["service"] == service.name
            assert all({"name", "ok", "why", "age_s"} <= check.keys() for check in document["checks"])
            assert (await http(service.health.port, "/nothing"))[0] == 404  # noqa: PLR2004 - HTTP
        finally:
            await service.shutdown()

    async def test_service_scrape_equals_get_metrics(self) -> None:
        """`/metrics` serves what `get_metrics` returns, the base's metrics among it."""
        service = self.build()
        await service.initialize()
        await service.start()
        try:
            status, text = await http(service.health.port, "/metrics")
            names = {
                line.split("{")[0].split(" ")[0] for line in text.decode().splitlines() if not line.startswith("#")
            }
            assert status == 200  # noqa: PLR2004 - HTTP
            assert set(BASE_METRICS) <= names
            assert {name.partition("{")[0] for name in service.get_metrics()} >= names
            for field in ("quantum_coherence", "bioresonance", "consciousness_field"):
                assert 0.0 <= service.metrics[field] <= 1.0
        finally:
            await service.shutdown()

    async def test_service_has_a_metric_of_its_own(self) -> None:
        """What every service has says nothing of the work: the catalogue's rows beyond the base's areas do."""
        service = self.build()
        await self.begin(service)
        try:
            await eventually(lambda: own_metrics(service), what="a metric of its own")
        finally:
            await service.shutdown()

    async def test_service_metrics_that_cannot_be_updated_are_counted_and_stop_nothing(self) -> None:
        """The timer, a scrape and a question each go on with the figures that there are."""
        service = self.build()
        sound, fails = service.update_metrics, [True]

        def breaks() -> None:
            if fails[0]:
                raise InvariantBroken("a gauge that cannot be read")
            sound()

        service.update_metrics = breaks  # type: ignore[method-assign]
        await service.initialize()
        await service.start()
        name = f'omega_errors_total{{class="InvariantBroken",service="{service.name}"}}'
        try:
            await eventually(lambda: service.metrics.samples().get(name, 0) > 0, what="the timer's error")
            counted = service.get_metrics()[name]
            assert (await http(service.health.port, "/metrics"))[0] == 200  # noqa: PLR2004 - HTTP
            assert service.metrics.samples()[name] > counted
            assert not service.stopping
            fails[0] = False
            await eventually(lambda: "omega_uptime_seconds" in str(service.metrics.samples()), what="the recovery")
        finally:
            await service.shutdown()

    async def test_service_reloads_a_setting_and_refuses_a_wrong_one(self) -> None:
        """A live field is in force at once; a wrong value changes nothing."""
        service = self.build()
        await self.begin(service)
        try:
            assert await service.configure({"monitoring.log_level": "warning"}) == ()
            assert service.settings.monitoring.log_level == "warning"
            with pytest.raises(ConfigError, match="log_level"):
                await service.configure({"monitoring.log_level": "loud"})
            assert service.settings.monitoring.log_level == "warning"
        finally:
            await service.shutdown()

    async def test_service_goes_on_after_a_bad_message(self) -> None:
        """A message that nobody can digest is an error of its own class, counted, and the next one is handled."""
        service = self.build()
        handled: list[str] = []

        async def take(note: AuditNote, _envelope: Envelope | None) -> None:
            if note.outcome == "bad":
                raise CorruptData("no sense in it")
            handled.append(note.subject)

        service.handle(AuditNote, take)
        await self.begin(service)
        try:
            assert not await service.process(AuditNote("ana", "test", "look", "first", "bad"))
            assert not await service.process(Unknown())  # type: ignore[arg-type]
            assert await service.process(AuditNote("ana", "test", "look", "second", "ok"))
            assert (handled, service.stopping) == (["second"], False)
        finally:
            await service.shutdown()

    async def test_service_without_its_bus_is_alive_and_comes_back(self) -> None:
        """An outage takes the readiness and nothing else; what was ready is ready again behind it."""
        service = self.build()
        assert isinstance(service.bus, MemoryBus)
        await self.begin(service)
        try:
            if self.becomes_ready:
                await eventually(lambda: service.ready, what="readiness")
            service.bus.hub.down()
            await eventually(lambda: not service.ready, what="the loss")
            assert (await http(service.health.port, "/healthz"))[0] == 200  # noqa: PLR2004 - HTTP
            assert (await http(service.health.port, "/readyz"))[0] == 503  # noqa: PLR2004 - HTTP
            service.bus.hub.up()
            if self.becomes_ready:
                await eventually(lambda: service.ready, what="readiness after the outage")
            assert not service.stopping
        finally:
            service.bus.hub.up()
            await service.shutdown()

    async def test_service_ends_at_a_signal(self) -> None:
        """SIGTERM, as an orchestrator sends it, is a stop by request."""
        service = self.build()
        running = asyncio.ensure_future(service.run())
        await eventually(lambda: service.phase in (State.STARTED, State.READY), what="the start")

        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, DRAIN_S + 2)

        assert service.phase is State.STOPPED

    def test_service_activity_is_one_event_with_service_and_correlation(self) -> None:
        """`log_activity` writes one structured line; its correlation id comes from the context."""
        lines = io.StringIO()
        root = logging.getLogger()
        level, handlers = root.level, [*root.handlers]
        configure(service=self.build().name, instance="i-1", version="1.2.3", stream=lines)
        try:
            service = self.build()
            with bound_contextvars(correlation="c-1"):
                service.log_activity("book.opened", symbol="BTC-USDT.P")
        finally:
            configure_quietly()
            root.setLevel(level)
            root.handlers[:] = handlers
        [line] = [json.loads(text) for text in lines.getvalue().splitlines() if "book.opened" in text]
        assert (line["event"], line["symbol"], line["correlation"]) == ("book.opened", "BTC-USDT.P", "c-1")
        assert (line["service"], line["instance"], line["version"]) == (service.name, "i-1", "1.2.3")
        assert line["logger"] == f"services.{service.name}"

    async def test_service_stop_request_drains_within_the_bound(self) -> None:
        """`run` ends after a stop within `monitoring.drain_s`, and the port is closed."""
        service = self.build()
        running = asyncio.ensure_future(service.run())
        await eventually(lambda: service.phase in (State.STARTED, State.READY), what="the start")
        port = service.health.port

        began = time.monotonic()
        service.request_stop("test")
        await asyncio.wait_for(running, DRAIN_S + 2)

        assert time.monotonic() - began <= DRAIN_S + 0.5
        assert service.phase is State.STOPPED
        with contextlib.suppress(OSError):
            await http(port, "/healthz")
            raise AssertionError("the health port still answers after the end")

    async def test_service_each_error_class_has_its_reaction(self) -> None:
        """Errors are counted by class and answered by the rule of their class; only two of them stop the service."""
        service = self.build()
        await service.initialize()
        try:
            for error, reaction in (
                (TransientError("x"), Reaction.RETRY),
                (Rejected("x"), Reaction.DROP),
                (Denied("x"), Reaction.DROP),
                (Stale("x"), Reaction.DROP),
                (CorruptData("x"), Reaction.DROP),
                (Unresolved("x"), Reaction.PAGE),
                (Fenced("x"), Reaction.HALT),
                (InvariantBroken("x"), Reaction.HALT),
            ):
                assert service.handle_error(error) is reaction
                assert service.stopping is (reaction is Reaction.HALT)
            assert service.get_metrics()[f'omega_errors_total{{class="Stale",service="{service.name}"}}'] == 1
        finally:
            await service.shutdown()
