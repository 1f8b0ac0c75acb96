"""Supervised tasks: back-off, one line for the first failure and one for the recovery. Owned by BaseService."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from omega.errors import (
    ConfigError,
    CorruptData,
    Denied,
    EnvironmentFault,
    Fenced,
    InvariantBroken,
    Rejected,
    Stale,
    TransientError,
)
from omega.telemetry import Metrics, get_logger

logger = get_logger(__name__)

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0
SOUND_S = 5.0
"""How long a restarted task must run before it counts as recovered."""


class Reaction(StrEnum):
    """What each class of the error tree asks for."""

    RETRY = "retry"
    """Do it again, after a back-off."""
    DROP = "drop"
    """Forget this one input and go on."""
    PAGE = "page"
    """A person must look; the work goes on where it can."""
    HALT = "halt"
    """This process stops at once."""


REACTIONS: tuple[tuple[type[BaseException], Reaction], ...] = (
    (InvariantBroken, Reaction.HALT),
    (Fenced, Reaction.HALT),
    (EnvironmentFault, Reaction.RETRY),
    (TransientError, Reaction.RETRY),
    (Rejected, Reaction.DROP),
    (Denied, Reaction.DROP),
    (Stale, Reaction.DROP),
    (CorruptData, Reaction.DROP),
    (ConfigError, Reaction.PAGE),
)
"""The first row that fits decides; what is not in the tree is a bug and pages. Unresolved pages too: find proof."""


def reaction_to(error: BaseException) -> Reaction:
    """Return what an error asks for."""
    return next((reaction for kind, reaction in REACTIONS if isinstance(error, kind)), Reaction.PAGE)


@dataclass(slots=True)
class _Job:
    name: str
    work: Callable[[], Awaitable[None]]
    restart: bool
    failures: int = 0
    failing: str = ""
    sound: asyncio.TimerHandle | None = field(default=None, repr=False)


class Supervisor:
    """Runs tasks for one service and reacts to their errors by class."""

    def __init__(self, *, service: str, metrics: Metrics, on_fatal: Callable[[BaseException], None]) -> None:
        self._service = service
        self._metrics = metrics
        self._on_fatal = on_fatal
        self._tasks: set[asyncio.Task[None]] = set()
        self._jobs: dict[asyncio.Task[None], _Job] = {}
        self._closed = False
        self._chores: dict[str, str] = {}
        """The chores that failed when they were last tried, with their error."""

    def attempt(self, name: str, work: Callable[[], None]) -> bool:
        """Do a chore that the service can live without; an error is counted and its first occurrence logged.

        Returns:
            False when it failed.
        """
        try:
            work()
        except Exception as error:
            self.count(error)
            if name not in self._chores:
                logger.warning("chore.failed", chore=name, error=f"{type(error).__name__}: {error}", exc_info=error)
            self._chores[name] = f"{type(error).__name__}: {error}"
            return False
        if failed := self._chores.pop(name, ""):
            logger.info("chore.recovered", chore=name, last_error=failed)
        return True

    def spawn(self, name: str, work: Callable[[], Awaitable[None]], *, restart: bool = True) -> asyncio.Task[None]:
        """Start a task. With `restart` it begins again after an error until it returns by itself.

        Raises:
            InvariantBroken: the supervisor is closed.
        """
        if self._closed:
            raise InvariantBroken(f"task {name} was started after the shutdown of {self._service}: spawn it earlier")
        job = _Job(name, work, restart)
        task = asyncio.get_running_loop().create_task(self._supervise(job), name=f"{self._service}.{name}")
        self._tasks.add(task)
        self._jobs[task] = job
        task.add_done_callback(self._forget)
        return task

    @property
    def failing(self) -> dict[str, str]:
        """The tasks that have failed and not recovered, with their last error."""
        return {job.name: job.failing for job in self._jobs.values() if job.failing}

    @property
    def running(self) -> int:
        """How many tasks there are."""
        return len(self._tasks)

    def count(self, error: BaseException) -> None:
        """Count an error by its class."""
        self._metrics.counter("errors_total").labels(type(error).__name__, self._service).inc()

    async def close(self, *, within_s: float) -> list[str]:
        """Cancel every task and wait; return the names of those that did not end in time."""
        self._closed = True
        waiting = [*self._tasks]
        for task in waiting:
            task.cancel()
        if not waiting:
            return []
        _, late = await asyncio.wait(waiting, timeout=max(within_s, 0.0))
        return sorted(task.get_name() for task in late)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        job = self._jobs.pop(task, None)
        if job is not None and job.sound is not None:
            job.sound.cancel()

    async def _supervise(self, job: _Job) -> None:
        while True:
            try:
                await job.work()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the one place of the farm that catches everything
                if not self._goes_on(job, error):
                    return
            else:
                self._recover(job)
                return
            await asyncio.sleep(self._delay(job))
            job.sound = asyncio.get_running_loop().call_later(SOUND_S, self._recover, job)

    def _goes_on(self, job: _Job, error: Exception) -> bool:
        if job.sound is not None:
            job.sound.cancel()
        self.count(error)
        text = f"{type(error).__name__}: {error}"
        if reaction_to(error) is Reaction.HALT or (
            isinstance(error, ConfigError) and not isinstance(error, EnvironmentFault)
        ):
            logger.error("task.broken", task=job.name, error=text, exc_info=error)
            self._on_fatal(error)
            return False
        if not job.failing:
            logger.warning("task.failed", task=job.name, error=text, restarts=job.restart, exc_info=error)
        job.failures += 1
        job.failing = text if job.restart else ""
        if job.restart:
            self._metrics.counter("task_restarts_total").labels(self._service, job.name).inc()
        return job.restart

    def _recover(self, job: _Job) -> None:
        if job.failing:
            logger.info("task.recovered", task=job.name, failures=job.failures, last_error=job.failing)
        job.failing = ""
        job.failures = 0

    def _delay(self, job: _Job) -> float:
        whole: float = min(FIRST_DELAY_S * 2.0 ** min(job.failures - 1, 16), LONGEST_DELAY_S)
        return whole * random.uniform(0.75, 1.25)  # noqa: S311 - spreads restarts, guards nothing
