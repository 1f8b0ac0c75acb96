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
from omega.bus.messages import ConfigChanged, Heartbeat, Message
from omega.bus.port import Bus, BusState, Lease
from omega.config import Settings
from omega.config.change import Change
from omega.config.reload import Reloader
from omega.errors import Denied, EnvironmentFault, Fenced
from omega.runtime.bus_watch import BusWatch
from omega.runtime.ending import Ending
from omega.runtime.health import Check, HealthServer
from omega.runtime.http import HttpHandler
from omega.runtime.inbox import Inbox, MessageHandler
from omega.runtime.life import Life, State
from omega.runtime.supervisor import Reaction, Supervisor, reaction_to
from omega.runtime.view import ConfigView
from omega.runtime.vitals import Vitals
from omega.telemetry import Levels, Metrics, get_logger

READY_EVERY_S = 0.1
LEASE_EVERY_S = 0.5


class BaseService:
    """One container: initialise, start, ready, drain, stop within a bound.

    Attributes:
        settings: the settings in force; replaced as a whole by a reload.
        bus: the bus.
        instance: this process among its equals.
        logger: bound to the service.
        metrics: the catalogued metrics, also a mapping of their values.
        config: the settings as a mapping by dotted path.
        consciousness_level: the feature level of the seeds; exported, moves no trade.
        health: the port of probes and metrics; services add paths with `serve_http`.
        levels: the log levels of the process, None outside of `run`.
    """

    name: ClassVar[str] = "service"
    applies_at_bar: ClassVar[bool] = False
    """True for services that call `at_bar` between two bars; the others take `bar` settings at once."""

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        self.settings = settings
        self.bus = bus
        self.instance = settings.environment.instance or f"{self.name}-{os.getpid()}"
        self.logger = get_logger(f"services.{self.name}")
        self.metrics = Metrics()
        self.config = ConfigView(lambda: self.settings)
        self.consciousness_level = 10
        self.levels: Levels | None = None
        self.error: BaseException | None = None
        self._life = Life(self.name, self.metrics)
        self._vitals = Vitals(self.name, self.metrics)
        self._bus_watch = BusWatch(service=self.name, bus=bus, metrics=self.metrics)
        self._supervisor = Supervisor(service=self.name, metrics=self.metrics, on_fatal=self._fail)
        self.health = HealthServer(
            service=self.name,
            metrics=self.metrics,
            live=self._live_checks,
            ready=self._ready_checks,
            started=self._started_checks,
            refresh=self.update_metrics,
        )
        self._inbox = Inbox(
            service=self.name,
            metrics=self.metrics,
            vitals=self._vitals,
            on_error=lambda error, kind: self.handle_error(error, message=kind),
        )
        self._leases: dict[str, Lease] = {}
        self._reloader: Reloader | None = None
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
        """Bring the base's gauges up to date; runs on a timer and before each scrape."""
        gauge = self.metrics.gauge
        self._vitals.export(self.consciousness_level)
        gauge("ready").labels(self.name).set(self.ready)
        self._bus_watch.update()
        gauge("tasks_failing").labels(self.name).set(len(self._supervisor.failing))
        for name, lease in self._leases.items():
            gauge("lease_held").labels(self.name, name).set(lease.held)
            gauge("lease_epoch").labels(self.name, name).set(lease.epoch)

    async def shutdown(self) -> None:
        """Drain, flush, close and return within `monitoring.drain_s`; a second call waits for the first."""
        self._stopping.set()
        if self._shutdown is None:
            self._shutdown = asyncio.get_running_loop().create_task(self._wind_down(), name=f"{self.name}.shutdown")
        await asyncio.shield(self._shutdown)

    def get_metrics(self) -> dict[str, float]:
        """Return what `/metrics` serves, by full name with labels."""
        self.update_metrics()
        return self.metrics.samples()

    async def configure(self, changes: Mapping[str, object]) -> tuple[str, ...]:
        """Validate changes by dotted path, apply the live ones together and return the fields that need a restart.

        Raises:
            ConfigError: a path or value is wrong; nothing has changed.
        """
        change = Change.of_values(self.settings, changes)
        await self._apply(change.at_once(bar=not self.applies_at_bar))
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
        self.logger.info("lease.awaited", lease=name)
        lease = await self.bus.lease(name, ttl_s=self.settings.redis.lease_ttl_s)
        self._leases[name] = lease
        self.logger.info("lease.taken", lease=name, epoch=lease.epoch)
        self.spawn(f"lease.{name}", lambda: self._guard(lease))
        return lease

    async def at_bar(self) -> None:
        """Apply settings that wait for the boundary between two bars; called by services with bars."""
        if self._reloader is not None and self._reloader.waiting:
            await self._reloader.at_bar()

    def watch_config(self, reloader: Reloader) -> None:
        """Follow the settings files from the start on; called by `run`."""
        reloader.bind(apply=self._apply, reject=self._reject, at_bar=self.applies_at_bar)
        self._reloader = reloader

    @property
    def ready(self) -> bool:
        """Tell whether the service is ready now."""
        return all(check.ok for check in self._ready_checks())

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
        self.spawn("readiness", self._watch_readiness)
        self.spawn("heartbeat", self._beat)
        if self._reloader is not None:
            self.spawn("config", self._reloader.run)

    async def run(self) -> None:
        """Live from start to end; returns after a stop, raises the error that broke the service.

        Raises:
            OmegaError: what stopped the service, when it did not end by request.
        """
        self._catch_signals()
        try:
            if await self._unless_stopped(self.initialize()) and await self._unless_stopped(self.start()):
                await self._stopping.wait()
        finally:
            await self.shutdown()
        if self.error is not None:
            raise self.error

    async def _unless_stopped(self, step: Awaitable[None]) -> bool:
        work, stop = asyncio.ensure_future(step), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
                return False
            await work
            return not self._stopping.is_set()
        finally:
            stop.cancel()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # no signals outside the main thread
                loop.add_signal_handler(number, self.request_stop, number.name)

    async def _open(self) -> None:
        monitoring = self.settings.monitoring
        port = await self.health.start(monitoring.host, monitoring.port)
        self.logger.info("http.listening", host=monitoring.host, port=port)
        await self.bus.start()
        self._opened = True
        await self.on_initialize()

    async def _abandon(self) -> None:
        """Close whatever a failed initialisation has opened."""
        await self._close(self._ending(min(5.0, self.settings.monitoring.drain_s)))
        if not self._life.over:
            self._life.move(State.FAILED)

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
        for name, lease in self._leases.items():
            await ending.step(f"lease.{name}", lease.release(), share=0.5)
        if self._opened:
            await ending.step("bus", self.bus.close(), share=0.8)
        await ending.step("http", self.health.stop(), share=1.0)

    def _fail(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self._stopping.set()

    # ---- base tasks

    async def _guard(self, lease: Lease) -> None:
        while lease.held:  # noqa: ASYNC110 - the port tells the truth only when asked: it also ages
            await asyncio.sleep(LEASE_EVERY_S)
        raise Fenced(
            f"lease {lease.name} (epoch {lease.epoch}) is lost: {self.name} stops writing and ends; it is restarted"
        )

    async def _watch_readiness(self) -> None:
        was, why = False, ""
        while True:
            bad = next((check for check in self._ready_checks() if not check.ok), None)
            now_ready, now_why = bad is None, "" if bad is None else f"{bad.name}: {bad.why}"
            if now_ready and self.phase is State.STARTED:
                self._life.move(State.READY)
            if now_ready is not was:
                self.logger.info("ready.gained") if now_ready else self.logger.warning("ready.lost", why=now_why)
            elif not now_ready and now_why.partition(":")[0] != why.partition(":")[0]:
                self.logger.info("ready.awaited", why=now_why)
            was, why = now_ready, now_why
            self.metrics.gauge("ready").labels(self.name).set(now_ready)
            await asyncio.sleep(READY_EVERY_S)

    async def _beat(self) -> None:
        while True:
            pause = self.settings.monitoring.heartbeat_s
            self._vitals.beat(pause)
            self.update_metrics()
            epoch = max((lease.epoch for lease in self._leases.values()), default=0)
            await self.bus.send(Heartbeat(self.name, self.instance, self.phase.value, epoch, dict(self.details())))
            await asyncio.sleep(pause)

    # ---- settings

    async def _apply(self, change: Change) -> None:
        """Put new settings in force, or raise and keep the old ones."""
        if change.changed:
            old = self.settings
            await self.on_config(old, change.settings)
            self.settings = change.settings
            if self.levels is not None:
                monitoring = self.settings.monitoring
                self.levels.set(monitoring.log_level, monitoring.log_levels)
        self.metrics.gauge("config_restart_required").labels(self.name).set(len(change.restart))
        self.metrics.gauge("config_generation").labels(self.name).inc()
        generation = int(self.metrics[f'omega_config_generation{{service="{self.name}"}}'])
        self.logger.info(
            "config.applied", generation=generation, changes=change.lines(), restart_required=change.restart
        )
        await self._tell(ConfigChanged(self.name, generation, applied=True, changes=change.lines(), error=""))

    async def _reject(self, error: str) -> None:
        self.metrics.counter("config_rejected_total").labels(self.name).inc()
        self.logger.error("config.rejected", error=error)
        await self._tell(ConfigChanged(self.name, 0, applied=False, changes=(), error=error))

    async def _tell(self, message: ConfigChanged) -> None:
        try:
            await self.bus.send(message)
        except Denied as error:
            self.handle_error(error, message="ConfigChanged")

    # ---- probes

    def _live_checks(self) -> list[Check]:
        return [Check("life", self.phase is not State.FAILED, "" if self.phase is not State.FAILED else "failed")]

    def _started_checks(self) -> list[Check]:
        begun = self.phase not in (State.NEW, State.INITIALISED)
        return [Check("started", begun, "" if begun else f"still {self.phase}")]

    def _ready_checks(self) -> list[Check]:
        running = self._life.running and not self.stopping
        checks = [Check("life", running, "" if running else self.phase.value)]
        if not running:
            return checks
        bus = self.bus.state()
        failing = self._supervisor.failing
        checks.append(Check("bus", bus is BusState.CONNECTED, "" if bus is BusState.CONNECTED else bus.value))
        checks.append(Check("tasks", not failing, "; ".join(f"{name}: {why}" for name, why in failing.items())))
        for name, lease in self._leases.items():
            checks.append(Check(f"lease {name}", lease.held, "" if lease.held else "lost"))
        ok, why = self.readiness()
        checks.append(Check("service", ok, why))
        return checks


OMEGAService = BaseService
"""The seeds' first name of the class; both names are one class."""
