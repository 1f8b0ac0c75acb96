"""Moves the recorded market under the farm, bar by bar, whatever is broken: faults are keyed to bars, not seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from omega.chaos.farm import LabFarm
from omega.domain import MS_NS
from omega.errors import EnvironmentFault, TransientError

_PATIENCE_S = 1.0
"""How long a bar waits for the bots that live."""
_PACE_S, _SLOW_S = 0.02, 0.3
_CALL_S = 4.0
_RETRY_S = 0.1


class Market:
    """The clock of the lab.

    Attributes:
        bars: how many bars have been passed.
        slow: whether the bars come slowly, to leave the machine to those who start anew.
        before_step: asked before the next bar, for faults that hit what waits at the venue.
    """

    def __init__(self, farm: LabFarm, *, timeframe_ns: int) -> None:
        self._farm = farm
        self._venue = farm.venue()
        self._timeframe_ns = timeframe_ns
        self._moved = asyncio.Condition()
        self.bars = 0
        self.ended = False
        self.slow = False
        self.before_step: Callable[[], Awaitable[None]] | None = None

    async def run(self) -> None:
        """Move until cancelled or until the recorded candles end."""
        while not self.ended:
            try:
                async with asyncio.timeout(_CALL_S):
                    if self.before_step is not None:
                        await self.before_step()
                    step = await self._venue.call("POST", "/step")
            except (TransientError, TimeoutError):
                await self._venue.close()
                await asyncio.sleep(_RETRY_S)
                continue
            self.ended = int(step["remaining"]) == 0
            await self._farm.observer.decided(int(step["ts"]) * MS_NS - self._timeframe_ns, within_s=_PATIENCE_S)
            await asyncio.sleep(_SLOW_S if self.slow else _PACE_S)
            self.bars += 1
            async with self._moved:
                self._moved.notify_all()

    async def passes(self, bars: int) -> None:
        """Wait until so many more bars have passed.

        Raises:
            EnvironmentFault: the recorded candles have ended.
        """
        until = self.bars + bars
        async with self._moved:
            while self.bars < until:
                if self.ended:
                    raise EnvironmentFault("the recorded candles have ended; start earlier or draw fewer faults")
                await self._moved.wait()

    async def until(self, condition: Callable[[], Awaitable[bool]], *, bars: int) -> bool:
        """Wait until something is so, for so many bars at most; tell whether it came."""
        last = self.bars + bars
        while self.bars < last and not self.ended:
            with contextlib.suppress(TransientError):
                if await condition():
                    return True
            await asyncio.sleep(0.03)
        return False
