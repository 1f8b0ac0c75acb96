"""A subscription that stays: it reconnects and says that something may be missing. Under `follow` and `signals`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from omega._structlog import structlog
from omega.bus.endpoint import Endpoint, Patience
from omega.bus.wire import Orphan, Wire, WireLost, dial, pack
from omega.errors import EnvironmentFault, OmegaError
from omega.tasks import ended

_PING = pack("PING")
_FIRST_WAIT_S, _LAST_WAIT_S = 0.05, 0.5

Sink = Callable[[bytes, Any], None]
"""Takes (topic, payload) the moment it arrives; must not block."""

logger = structlog.get_logger(__name__)


class Subscription:
    """Topics and patterns on one connection of their own."""

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience,
        *,
        channels: Sequence[str],
        patterns: Sequence[str],
        sink: Sink,
        resumed: Callable[[], None],
        name: str,
    ) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._channels = tuple(channels)
        self._patterns = tuple(patterns)
        self._sink = sink
        self._resumed = resumed
        self._name = name
        self._wire: Wire | None = None
        self._heard = 0.0
        self._paused = False
        self._unconfirmed = 0
        self._refusal = ""
        self._confirmed = asyncio.Event()
        self._broken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Subscribe; returns after the server has confirmed every topic.

        Raises:
            WireLost: the server is not reached within `start_s`.
            EnvironmentFault: the server refuses a topic to this user.
        """
        deadline = time.monotonic() + self._patience.start_s
        while True:
            try:
                await self._connect()
                break
            except WireLost:
                if time.monotonic() + _LAST_WAIT_S > deadline:
                    raise
                await asyncio.sleep(_LAST_WAIT_S / 2)
        self._task = asyncio.create_task(self._watch(), name=f"bus-subscription:{self._name}")

    async def close(self) -> None:
        """Unsubscribe by disconnecting; no task stays behind."""
        task, self._task = self._task, None
        try:
            if task is not None:
                await ended([task])
        finally:
            wire, self._wire = self._wire, None
            if wire is not None:
                await wire.close()

    def pause(self) -> None:
        """Let the server keep what comes: the reader is behind."""
        if not self._paused and self._wire is not None:
            self._paused = True
            self._wire.pause()

    def resume(self) -> None:
        """Go on reading."""
        if self._paused and self._wire is not None:
            self._paused = False
            self._heard = time.monotonic()
            self._wire.resume()

    async def _connect(self) -> None:
        self._broken.clear()
        self._confirmed.clear()
        self._refusal = ""
        self._paused = False
        wire = await dial(self._endpoint, name=self._name, within_s=self._patience.connect_s, on_lost=self._lost)
        try:
            await self._subscribe(wire)
        except BaseException:  # a cancellation too: whoever opens is not asked to close what did not open
            wire.abort()
            raise
        self._heard = time.monotonic()

    async def _subscribe(self, wire: Wire) -> None:
        self._wire = wire
        wire.listen(self._push)
        self._unconfirmed = len(self._channels) + len(self._patterns)
        if self._channels:
            wire.write(pack("SUBSCRIBE", *self._channels))
        if self._patterns:
            wire.write(pack("PSUBSCRIBE", *self._patterns))
        try:
            async with asyncio.timeout(self._patience.socket_s):
                await self._confirmed.wait()
        except TimeoutError:
            raise WireLost(f"{self._endpoint.shown} does not confirm the subscription") from None
        if self._refusal:
            raise EnvironmentFault(
                f"{self._endpoint.shown} refuses a subscription to {', '.join((*self._channels, *self._patterns))}: "
                f"{self._refusal}; grant the user these channels (omega topics acl)"
            )

    def _lost(self, wire: Wire, _: list[Orphan]) -> None:
        if wire is self._wire:
            self._broken.set()

    def _push(self, reply: Any) -> None:
        if not isinstance(reply, list):  # an error: the server refuses a topic and says why
            self._refusal = str(reply)
            self._confirmed.set()
            return
        kind = reply[0]
        if kind == b"message":
            self._sink(reply[1], reply[2])
        elif kind == b"pmessage":
            self._sink(reply[2], reply[3])
        elif kind in (b"subscribe", b"psubscribe"):
            self._unconfirmed -= 1
            if self._unconfirmed <= 0:
                self._confirmed.set()
        elif kind == b"pong":
            self._heard = time.monotonic()

    async def _watch(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            if not self._broken.is_set():
                await self._listen()
                wait_s = _FIRST_WAIT_S
            try:
                await self._connect()
            except OmegaError as error:
                self._broken.set()
                logger.debug("subscription.retried", server=self._endpoint.shown, error=str(error))
                await asyncio.sleep(wait_s * (0.5 + random.random() / 2))  # noqa: S311 - spreads reconnects, no secret
                wait_s = min(wait_s * 2, _LAST_WAIT_S)
                continue
            logger.info("subscription.resumed", name=self._name, topics=len(self._channels) + len(self._patterns))
            self._resumed()

    async def _listen(self) -> None:
        """Return when the connection is broken, or silent for `isolated_s` in spite of pings."""
        while True:
            try:
                async with asyncio.timeout(self._patience.degraded_s):  # not wait_for: see _link
                    await self._broken.wait()
            except TimeoutError:
                if self._wire is None:
                    return
                if not self._paused and time.monotonic() - self._heard > self._patience.isolated_s:
                    self._wire.abort()
                    return
                if self._wire.open:
                    self._wire.write(_PING)
            else:
                return
