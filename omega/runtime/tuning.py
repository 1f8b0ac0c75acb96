"""Settings that change while a service runs: applied or refused, counted, told to everybody. Owned by BaseService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from omega.bus.messages import ConfigChanged
from omega.bus.port import Bus
from omega.config import Settings
from omega.config.change import Change
from omega.config.reload import Reloader
from omega.errors import Denied
from omega.telemetry import Levels, Metrics, get_logger

logger = get_logger(__name__)

TakeSettings = Callable[[Settings, Settings], Awaitable[None]]


class Tuning:
    """Holds the settings in force.

    Attributes:
        settings: what is in force; replaced as a whole.
        levels: the log levels of the process, None outside of `run`.
    """

    def __init__(self, *, service: str, settings: Settings, bus: Bus, metrics: Metrics, take: TakeSettings) -> None:
        self.settings = settings
        self.levels: Levels | None = None
        self._service = service
        self._bus = bus
        self._metrics = metrics
        self._take = take
        self._generation = 0
        self._reloader: Reloader | None = None
        metrics.gauge("config_generation").labels(service).set(0)
        metrics.counter("config_rejected_total").labels(service).inc(0)

    def follow(self, reloader: Reloader, *, at_bar: bool) -> None:
        """Take changes from the files; with `at_bar` some of them wait for `boundary`."""
        reloader.bind(apply=self.apply, reject=self._reject, at_bar=at_bar)
        self._reloader = reloader

    @property
    def watch(self) -> Callable[[], Awaitable[None]] | None:
        """The task that watches the files, None when nothing is followed."""
        return None if self._reloader is None else self._reloader.run

    async def boundary(self) -> None:
        """Apply what waits for the boundary between two bars."""
        if self._reloader is not None and self._reloader.waiting:
            await self._reloader.at_bar()

    async def apply(self, change: Change) -> None:
        """Put new settings in force; what the service raises keeps the old ones."""
        if change.changed:
            await self._take(self.settings, change.settings)
            self.settings = change.settings
            if self.levels is not None:
                monitoring = self.settings.monitoring
                self.levels.set(monitoring.log_level, monitoring.log_levels)
        self._generation += 1
        self._metrics.gauge("config_restart_required").labels(self._service).set(len(change.restart))
        self._metrics.gauge("config_generation").labels(self._service).set(self._generation)
        lines = change.lines()
        logger.info("config.applied", generation=self._generation, changes=lines, restart_required=change.restart)
        await self._tell(ConfigChanged(self._service, self._generation, applied=True, changes=lines, error=""))

    async def _reject(self, error: str) -> None:
        self._metrics.counter("config_rejected_total").labels(self._service).inc()
        logger.error("config.rejected", error=error)
        await self._tell(ConfigChanged(self._service, self._generation, applied=False, changes=(), error=error))

    async def _tell(self, message: ConfigChanged) -> None:
        try:
            await self._bus.send(message)
        except Denied as error:
            logger.warning("config.untold", error=str(error))
