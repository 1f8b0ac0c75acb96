"""Steps of an ordered end, each within its share of the time that is left. Used by BaseService alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from omega.resilience import ended
from omega.runtime.supervisor import Supervisor
from omega.telemetry import get_logger

logger = get_logger(__name__)

LEAST_S = 0.05
"""Every step gets this much, however late it is."""


class Ending:
    """A shutdown that cannot hang: neither the slowness nor the failure of one step keeps the next from happening."""

    def __init__(self, *, within_s: float, supervisor: Supervisor) -> None:
        self._end = time.monotonic() + within_s
        self._supervisor = supervisor

    @property
    def left_s(self) -> float:
        """How much time is left."""
        return max(self._end - time.monotonic(), 0.0)

    async def step(self, what: str, work: Awaitable[object], *, share: float) -> None:
        """Do one step within its share of the time that is left."""
        bound = max(self.left_s * share, LEAST_S)
        try:
            async with asyncio.timeout(bound):
                await work
        except TimeoutError:
            logger.warning("shutdown.step_cut", step=what, after_s=round(bound, 3))
        except Exception as error:  # part of the supervisor: the ending goes on whatever breaks
            self._supervisor.count(error)
            logger.exception("shutdown.step_failed", step=what, error=f"{type(error).__name__}: {error}")

    async def end_tasks(self, *, share: float) -> None:
        """Cancel the supervised tasks and name those that do not end."""
        late = await self._supervisor.close(within_s=self.left_s * share)
        if late:
            logger.warning("tasks.left_behind", tasks=late)


async def unless(stopping: asyncio.Event, work: Awaitable[None]) -> bool:
    """Do some work of the beginning, cancelled when the end is asked for; tell whether to go on."""
    doing, stop = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({doing, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            await ended([doing])
            return False
        await doing
        return not stopping.is_set()
    finally:
        stop.cancel()
