"""What the three probes check, and one log line for each change of readiness. Owned by BaseService."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from omega.bus.port import Bus, BusState
from omega.runtime.health import Check
from omega.runtime.leases import Leases
from omega.runtime.life import Life, State
from omega.runtime.supervisor import Supervisor
from omega.telemetry import Metrics, get_logger

logger = get_logger(__name__)

LOOK_EVERY_S = 0.1
"""Time between two looks until the service is ready."""
LOOK_AGAIN_S = 0.5
"""Time between two looks while it is: every process of a farm wakes up for them. Probes look when they are asked."""


class Probes:
    """Alive, started, ready: each a list of named checks."""

    def __init__(
        self,
        *,
        life: Life,
        bus: Bus,
        supervisor: Supervisor,
        leases: Leases,
        stopping: Callable[[], bool],
        readiness: Callable[[], tuple[bool, str]],
    ) -> None:
        self._life = life
        self._bus = bus
        self._supervisor = supervisor
        self._leases = leases
        self._stopping = stopping
        self._readiness = readiness

    def live(self) -> list[Check]:
        """Check nothing that others can break: an outage of Redis must not restart bots."""
        failed = self._life.state is State.FAILED
        return [Check("life", not failed, "failed" if failed else "")]

    def started(self) -> list[Check]:
        """Check that the start is behind us."""
        begun = self._life.state not in (State.NEW, State.INITIALISED)
        return [Check("started", begun, "" if begun else f"still {self._life.state}")]

    def ready(self) -> list[Check]:
        """Check everything that the work needs."""
        running = self._life.running and not self._stopping()
        life = Check("life", running, "" if running else self._life.state.value)
        if not running:
            return [life]
        bus = self._bus.state()
        connected = bus is BusState.CONNECTED
        failing = self._supervisor.failing
        return [
            life,
            Check("bus", connected, "" if connected else bus.value),
            Check("tasks", not failing, "; ".join(f"{name}: {why}" for name, why in failing.items())),
            *self._leases.checks(),
            Check("service", *self._readiness()),
        ]

    async def watch(self, service: str, metrics: Metrics) -> None:
        """Log and export every change of readiness; the first one makes the service READY."""
        was, first_bad = False, ""
        while True:
            bad = next((check for check in self.ready() if not check.ok), None)
            if bad is None and self._life.state is State.STARTED:
                self._life.move(State.READY)
            if bad is None and not was:
                logger.info("ready.gained")
            elif bad is not None and was:
                logger.warning("ready.lost", why=f"{bad.name}: {bad.why}")
            elif bad is not None and bad.name != first_bad:
                logger.info("ready.awaited", why=f"{bad.name}: {bad.why}")
            was, first_bad = bad is None, "" if bad is None else bad.name
            metrics.gauge("ready").labels(service).set(was)
            await asyncio.sleep(LOOK_AGAIN_S if was else LOOK_EVERY_S)
