"""Lock-step: the next bar comes when every bot has decided and the gateway is drained. Used by `omega up`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from omega.bus import Bus
from omega.cli.farm.admin import AdminClient
from omega.cli.farm.observer import Observer
from omega.domain import MS_NS, SECOND_NS
from omega.errors import EnvironmentFault, OmegaError, Stale, TransientError

PATIENCE_S = 90.0
"""How long one bar may take while a process is being restarted."""
RETRY_S = 0.2


class Conductor:
    """Steps the simulator's clock bar by bar and waits for the farm in between."""

    def __init__(
        self,
        bus: Bus,
        observer: Observer,
        admin: AdminClient,
        *,
        timeframe_ns: int,
        recovered: Callable[[], Awaitable[None]],
    ) -> None:
        self._bus = bus
        self._observer = observer
        self._admin = admin
        self._timeframe_ns = timeframe_ns
        self._recovered = recovered
        self.bars = 0
        self.elapsed_s = 0.0
        self._clock: dict[str, Any] = {}

    async def run(self, bars: int, progress: Callable[[int], None]) -> None:
        """Replay up to `bars` bars; fewer when the recorded candles end first.

        Raises:
            EnvironmentFault: the farm did not get over one bar within the patience.
        """
        started = time.monotonic()
        while self.bars < bars:
            step = await self._step()
            if step is None:
                return
            await self._decisions(int(step["ts"]) * MS_NS - self._timeframe_ns)
            self.bars += 1
            self.elapsed_s = time.monotonic() - started
            progress(self.bars)

    async def _step(self) -> dict[str, Any] | None:
        """Move the clock by one bar; a step that was applied just before the simulator died is not made twice."""
        if not self._clock:
            self._clock = await self._patiently(lambda: self._admin.call("GET", "/clock"), "the simulator's clock")
        before = int(self._clock["ts"])
        if int(self._clock["remaining"]) == 0:
            return None
        step = await self._patiently(lambda: self._phase("orders", before), "the simulator's step")
        if not step["published"]:
            await self._settle(frames=int(step["private_seq"]), intents="")
            step = await self._patiently(lambda: self._phase("market", before), "the simulator's step")
        self._clock = step
        return step

    async def _phase(self, phase: str, before_ms: int) -> dict[str, Any]:
        return await self._admin.call("POST", f"/step?phase={phase}&after={before_ms}")

    async def _decisions(self, bar_ts_ns: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            made = await self._observer.decided(bar_ts_ns, within_s=PATIENCE_S)
            if made is not None:
                break
            if time.monotonic() > deadline:
                names = ", ".join(self._observer.missing(bar_ts_ns))
                raise EnvironmentFault(f"no decision from {names} within {PATIENCE_S:.0f} s; look into its log")
        intents = [intent for sent in made.values() for intent in sent]
        if intents:
            await self._settle(frames=0, intents=",".join(intents))

    async def _settle(self, *, frames: int, intents: str) -> None:
        params: dict[str, str | int | float | bool] = {"frames": frames, "intents": intents}

        async def ask() -> dict[str, Any]:
            await self._bus.ask("gateway", "settle", params, within_ns=20 * SECOND_NS)
            return {}

        await self._patiently(ask, "the gateway")

    async def _patiently(self, call: Callable[[], Any], what: str) -> dict[str, Any]:
        """Repeat a call that is safe to repeat until it answers."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer: dict[str, Any] = await call()
            except (TransientError, Stale) as error:
                last: OmegaError = error
            else:
                return answer
            if time.monotonic() > deadline:
                raise EnvironmentFault(f"{what} did not answer within {PATIENCE_S:.0f} s: {last}")
            await asyncio.sleep(RETRY_S)
            # Somebody has died. Whoever it was, the market stands still until the venue and the gateway are back.
            await self._recovered()
