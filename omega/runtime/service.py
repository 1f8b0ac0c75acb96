"""BaseService: the same life for every container. Subclassed by every service, run by `omega.runtime.run`.

It answers both class boxes of the seeds (OMEGAService and BaseService); every method of them exists under its name.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import ClassVar

from omega.bus.envelope import Envelope
from omega.bus.messages import Heartbeat, Message
from omega.bus.port import Bus, Lease
from omega.config import Settings
from omega.config.change import Change
from omega.config.reload import Reloader
from omega.errors import EnvironmentFault
from omega.resilience import finished
from omega.runtime.bus_watch import BusWatch
from omega.runtime.ending import Ending, unless
from omega.runtime.health import HealthServer
from omega.runtime.http import HttpHandler
from omega.runtime.inbox import Inbox, MessageHandler
from omega.runtime.leases import Leases
from omega.runtime.life import Life, State
from omega.runtime.probes import Probes
from omega.runtime.process import ProcessWatch
from omega.runtime.profile import ProfileDesk
from omega.runtime.supervisor import Reaction, Supervisor, reaction_to
from omega.runtime.tuning import Tuning
from omega.runtime.view import ConfigView
from omega.runtime.vitals import Vitals
from omega.telemetry import Levels, Metrics, get_logger


class BaseService:
    """One container: initialise, start, ready, drain, stop within a bound.

    Attributes:
        bus: the bus.
        instance: this process among its equals.
        logger: bound to the service.
        metrics: the catalogued metrics, also a mapping of their values.
        config: the settings as a mapping by dotted path.
        consciousness_level: the feature level of the seeds; exported, moves no trade.
        health: the port of probes and metrics; services add paths with `serve_http`.
    """

    name: ClassVar[str] = "service"
    applies_at_bar: ClassVar[bool] = False
    """True for services that call `at_bar` between two bars; the others take `bar` settings at once."""

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        self.bus = bus
        self.instance = settings.environment.instance or f"{self.name}-{os.getpid()}"
        self.logger = get_logger(f"services.{self.name}")
        self.metrics = Metrics()
        self.config = ConfigView(lambda: self.settings)
        self.consciousness_level = 10
        self.error: BaseException | None = None
        self._life = Life(self.name, self.metrics)
        self._vitals = Vitals(self.name, self.metrics)
        self._process = ProcessWatch(self.name, self.metrics)
        self._bus_watch = BusWatch(service=self.name, bus=bus, metrics=self.metrics)
        self._supervisor = Supervisor(service=self.name, metrics=self.metrics, on_fatal=self._fail)
        self._leases = Leases(service=self.name, bus=bus, metrics=self.metrics, supervisor=self._supervisor)
        self._tuning = Tuning(
            service=self.name,
            settings=settings,
            bus=bus,
            metrics=self.metrics,
            take=lambda old, new: self.on_config(old, new),  # noqa: PLW0108 - the hook may be replaced later
        )
        self._probes = Probes(
            life=self._life,
            bus=bus,
            supervisor=self._supervisor,
            leases=self._leases,
            stopping=lambda: self.stopping,
            readiness=lambda: self.readiness(),  # noqa: PLW0108 - see take
        )
        self.health = HealthServer(
            service=self.name,
            metrics=self.metrics,
            live=self._probes.live,
            ready=self._probes.ready,
            started=self._probes.started,
            refresh=self._refresh,
        )
        desk = ProfileDesk(self.name, allowed=lambda: self.settings.monitoring.profiling)
        self.serve_http("POST", "/profile", desk.begin)
        self.serve_http("GET", "/profile", desk.tell)
        self._inbox = Inbox(
            service=self.name,
            metrics=self.metrics,
            vitals=self._vitals,
            on_error=lambda error, kind: self.handle_error(error, message=kind),
        )
        self._stopping = asyncio.Event()
        self._shutdown: asyncio.Task[None] | None = None
        self._opened = False

    # ---- what a service overrides

    async def on_initialize(self) -> None:
        """Open what the service needs; the bus is up, nothing runs yet."""

    async def on_start(self) -> None:
        """Spawn the tasks."""

    async def on_drain(self) -> None:
        """Finish what is in hand; tasks still run, no new work is accepted."""

    async def on_stop(self) -> None:
        """Close what `on_initialize` has opened, also when it failed midway; tasks have ended."""

    def readiness(self) -> tuple[bool, str]:
        """Tell whether the service can do its work, and why not."""
        return True, ""

    async def on_config(self, old: Settings, new: Settings) -> None:
        """Take changed settings; raising keeps the old ones."""

    def details(self) -> Mapping[str, str | int | float | bool]:
        """Return what the heartbeat says beside the state."""
        return {}

    # ---- the seeds' methods

    @property
    def settings(self) -> Settings:
        """The settings in force; replaced as a whole by a reload."""
        return self._tuning.settings

    @property
    def levels(self) -> Levels | None:
        """The log levels of the process, None outside of `run`."""
        return self._tuning.levels

    @levels.setter
    def levels(self, levels: Levels | None) -> None:
        self._tuning.levels = levels

    @property
    def redis(self) -> Bus | None:
        """The bus under its old name; None before `initialize`."""
        return self.bus if self._opened else None

    @property
    def phase(self) -> State:
        """Where in its life the service is."""
        return self._life.state

    async def initialize(self) -> None:
        """Open the health port, the bus and the service's own things; a second call does nothing.

        Raises:
            EnvironmentFault: it took longer than `monitoring.start_s`, or something needed is missing.
        """
        if self.phase is not State.NEW:
            return
        bound = self.settings.monitoring.start_s
        try:
            async with asyncio.timeout(bound):
                await self._open()
        except TimeoutError:
            await self._abandon()
            raise EnvironmentFault(
                f"{self.name} was not initialised within {bound:g} s: the log above says what it waits for; "
                "mend that, or raise monitoring.start_s"
            ) from None
        except BaseException:
            await self._abandon()
            raise
        self._life.move(State.INITIALISED)

    def can_handle(self, message: object) -> bool:
        """Tell whether a handler is registered for this message's type."""
        return self._inbox.takes(message)

    async def process(self, message: Message, context: Envelope | None = None) -> bool:
        """Handle one message once (by the id of its envelope); errors go through `handle_error`.

        Returns:
            True when it was handled now, False when it was a repeat, unknown, or failed.
        """
        return await self._inbox.process(message, context)

    def update_metrics(self) -> None:
        """Bring the base's gauges up to date; runs on a timer and before each scrape, where its errors cost nothing."""
        gauge = self.metrics.gauge
        self._vitals.export(self.consciousness_level)
        self._process.update()
        gauge("ready").labels(self.name).set(self.ready)
        self._bus_watch.update()
        gauge("tasks_failing").labels(self.name).set(len(self._supervisor.failing))
        self._leases.export()

    async def shutdown(self) -> None:
        """Drain, flush, close and return within `monitoring.drain_s`; a second call waits for the first."""
        self._stopping.set()
        if self._shutdown is None:
            self._shutdown = asyncio.get_running_loop().create_task(self._wind_down(), name=f"{self.name}.shutdown")
        await asyncio.shield(self._shutdown)

    def get_metrics(self) -> dict[str, float]:
        """Return what `/metrics` serves, by full name with labels."""
        self._refresh()
        return self.metrics.samples()

    async def configure(self, changes: Mapping[str, object]) -> tuple[str, ...]:
        """Validate changes by dotted path, apply the live ones together and return the fields that need a restart.

        Raises:
            ConfigError: a path or value is wrong; nothing has changed.
        """
        change = Change.of_values(self.settings, changes)
        await self._tuning.apply(change.at_once(bar=not self.applies_at_bar))
        return change.restart

    def log_activity(self, activity: str, **details: object) -> None:
        """Write one structured event; the correlation id comes from the context."""
        self.logger.info(activity, **details)

    def handle_error(self, error: BaseException, **context: object) -> Reaction:
        """Count and log an error, and return what its class asks for; an error that halts stops the service."""
        reaction = reaction_to(error)
        self._supervisor.count(error)
        write = self.logger.error if reaction in (Reaction.PAGE, Reaction.HALT) else self.logger.warning
        write("error.handled", error=f"{type(error).__name__}: {error}", reaction=reaction.value, **context)
        if reaction is Reaction.HALT:
            self._fail(error)
        return reaction

    # ---- what a service calls

    def handle(self, kind: type, handler: MessageHandler) -> None:
        """Register the handler of a message type for `process`."""
        self._inbox.register(kind, handler)

    def spawn(self, name: str, work: Callable[[], Awaitable[None]], *, restart: bool = True) -> asyncio.Task[None]:
        """Run a task under supervision: restarted with back-off, first failure and recovery logged once."""
        return self._supervisor.spawn(name, work, restart=restart)

    def serve_http(self, method: str, path: str, handler: HttpHandler) -> None:
        """Answer one more path on the health port."""
        self.health.route(method, path, handler)

    async def hold_lease(self, name: str) -> Lease:
        """Wait for a lease and stop the service when it is lost; it is given back at the end."""
        return await self._leases.take(name, ttl_s=self.settings.redis.lease_ttl_s)

    async def at_bar(self) -> None:
        """Apply settings that wait for the boundary between two bars; called by services with bars."""
        await self._tuning.boundary()

    def watch_config(self, reloader: Reloader) -> None:
        """Follow the settings files from the start on; called by `run`."""
        self._tuning.follow(reloader, at_bar=self.applies_at_bar)

    @property
    def ready(self) -> bool:
        """Tell whether the service is ready now."""
        return all(check.ok for check in self._probes.ready())

    @property
    def stopping(self) -> bool:
        """Tell whether the service is on its way out."""
        return self._stopping.is_set()

    def request_stop(self, why: str) -> None:
        """Ask for the end; `run` then drains."""
        if not self._stopping.is_set():
            self.logger.info("service.stop_requested", why=why)
            self._stopping.set()

    # ---- life

    async def start(self) -> None:
        """Start the tasks; the service becomes ready when its readiness holds."""
        await self.on_start()
        self._life.move(State.STARTED)
        self.spawn("readiness", lambda: self._probes.watch(self.name, self.metrics))
        self.spawn("heartbeat", self._beat)
        if self._tuning.watch is not None:
            self.spawn("config", self._tuning.watch)

    async def run(self) -> None:
        """Live from start to end; returns after a stop, raises the error that broke the service.

        Raises:
            OmegaError: what stopped the service, when it did not end by request.
        """
        self._catch_signals()
        try:
            if await unless(self._stopping, self.initialize()) and await unless(self._stopping, self.start()):
                await self._stopping.wait()
        except Exception as error:
            self._fail(error)
            raise
        finally:
            await self.shutdown()
        if self.error is not None:
            raise self.error

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # no signals outside the main thread
                loop.add_signal_handler(number, self.request_stop, number.name)

    async def _open(self) -> None:
        monitoring = self.settings.monitoring
        self._process.open()
        port = await self.health.start(monitoring.host, monitoring.port)
        self.logger.info("http.listening", host=monitoring.host, port=port)
        await self.bus.start()
        self._opened = True
        await self.on_initialize()

    async def _abandon(self) -> None:
        """Close whatever a failed initialisation has opened."""
        await finished(self._close(self._ending(min(5.0, self.settings.monitoring.drain_s))))
        if not self._life.over:
            self._life.move(State.STOPPED if self.stopping and self.error is None else State.FAILED)

    async def _wind_down(self) -> None:
        if self._life.over:
            return
        if self.phase is State.NEW:
            self._life.move(State.STOPPED)
            return
        began = time.monotonic()
        ending = self._ending(self.settings.monitoring.drain_s)
        self._life.move(State.DRAINING)
        if self.error is None:
            await ending.step("drain", self.on_drain(), share=0.6)
        await self._close(ending)
        self._life.move(State.STOPPED if self.error is None else State.FAILED)
        self.logger.info("service.ended", took_s=round(time.monotonic() - began, 3))

    def _ending(self, within_s: float) -> Ending:
        return Ending(within_s=within_s, supervisor=self._supervisor)

    async def _close(self, ending: Ending) -> None:
        await ending.end_tasks(share=0.3)
        await ending.step("stop", self.on_stop(), share=0.5)
        await self._leases.release(ending)
        if self._opened:
            await ending.step("bus", self.bus.close(), share=0.8)
        await ending.step("http", self.health.stop(), share=1.0)
        self._process.close()

    def _fail(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self._stopping.set()

    # ---- base tasks

    def _refresh(self) -> None:
        """Update the metrics; a service that fails at it goes on, with the figures that it had."""
        self._supervisor.attempt("metrics", self.update_metrics)

    async def _beat(self) -> None:
        while True:
            pause = self.settings.monitoring.heartbeat_s
            self._vitals.beat(pause)
            self._refresh()
            beat = Heartbeat(self.name, self.instance, self.phase.value, self._leases.epoch, dict(self.details()))
            await self.bus.send(beat)
            await asyncio.sleep(pause)


OMEGAService = BaseService
"""The seeds' first name of the class; both names are one class."""
