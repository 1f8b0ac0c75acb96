"""The leases of one process: taken, guarded, shown, given back. Owned by BaseService."""

from __future__ import annotations

import asyncio

from omega.bus.port import Bus, Lease
from omega.errors import Fenced
from omega.runtime.ending import Ending
from omega.runtime.health import Check
from omega.runtime.supervisor import Supervisor
from omega.telemetry import Metrics, get_logger

logger = get_logger(__name__)

LOOK_EVERY_S = 0.5


class Leases:
    """Holds the rights to be the one writer; losing one stops the service."""

    def __init__(self, *, service: str, bus: Bus, metrics: Metrics, supervisor: Supervisor) -> None:
        self._service = service
        self._bus = bus
        self._metrics = metrics
        self._supervisor = supervisor
        self._held: dict[str, Lease] = {}

    @property
    def epoch(self) -> int:
        """The newest epoch that is held, 0 without a lease."""
        return max((lease.epoch for lease in self._held.values()), default=0)

    async def take(self, name: str, *, ttl_s: float) -> Lease:
        """Wait for a lease and guard it from then on."""
        logger.info("lease.awaited", lease=name)
        lease = await self._bus.lease(name, ttl_s=ttl_s)
        self._held[name] = lease
        logger.info("lease.taken", lease=name, epoch=lease.epoch)
        self._supervisor.spawn(f"lease.{name}", lambda: self._guard(lease))
        return lease

    def checks(self) -> list[Check]:
        """Return one check a lease."""
        return [Check(f"lease {name}", lease.held, "" if lease.held else "lost") for name, lease in self._held.items()]

    def export(self) -> None:
        """Write the gauges."""
        for name, lease in self._held.items():
            self._metrics.gauge("lease_held").labels(self._service, name).set(lease.held)
            self._metrics.gauge("lease_epoch").labels(self._service, name).set(lease.epoch)

    async def release(self, ending: Ending) -> None:
        """Give every lease back so that a successor need not wait."""
        for name, lease in self._held.items():
            await ending.step(f"lease.{name}", lease.release(), share=0.5)

    async def _guard(self, lease: Lease) -> None:
        while lease.held:  # noqa: ASYNC110 - the port tells the truth only when asked: it also ages
            await asyncio.sleep(LOOK_EVERY_S)
        raise Fenced(
            f"lease {lease.name} (epoch {lease.epoch}) is lost: {self._service} stops writing and ends; it is restarted"
        )
