"""The shared sending connection: it reconnects, measures silence, and drains the outbox in order. One a RedisBus."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import hiredis
from redis.exceptions import ClusterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError

from omega._structlog import structlog
from omega.bus import _scripts
from omega.bus.endpoint import Endpoint, Patience
from omega.bus.outbox import Outbox, Outgoing
from omega.bus.port import BusState, SendResult
from omega.bus.stats import BusStats
from omega.bus.wire import Orphan, Reply, Wire, WireLost, dial, pack
from omega.errors import EnvironmentFault, OmegaError
from omega.tasks import ended

_PING = pack("PING")
_DRAIN_BATCH = 100
_PASSING = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM", "NOREPLICAS", "MISCONF")
_PASSING_KINDS = (ReadOnlyError, ClusterDownError, TryAgainError, OutOfMemoryError)
"""The same from redis-py, which takes the code off the text where it has a class for it."""
_STALL_S = 0.5
_FIRST_WAIT_S, _LAST_WAIT_S = 0.05, 0.5
_DOUBT_S, _DOUBTED = 30.0, 20_000
"""How long, and how many, records are remembered that a fail-over may have lost; below the life of their marks."""

StateListener = Callable[[BusState, BusState], None]

logger = structlog.get_logger(__name__)


class Link:
    """The way out. Records that meet a broken connection go to the outbox, synchronously and in order."""

    def __init__(self, endpoint: Endpoint, patience: Patience, stats: BusStats, *, name: str) -> None:
        self.endpoint = endpoint
        self.outbox = Outbox(patience.outbox)
        self.listeners: list[StateListener] = []
        self._patience = patience
        self._stats = stats
        self._name = name
        self._wire: Wire | None = None
        self._direct = False
        self._state = BusState.ISOLATED
        self._timers: list[asyncio.TimerHandle] = []
        self._broken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._peer = ""
        self._recent: deque[tuple[float, Outgoing]] | None = deque(maxlen=_DOUBTED) if endpoint.sentinels else None

    @property
    def state(self) -> BusState:
        """How well the server is reached."""
        return self._state

    async def start(self) -> None:
        """Connect for the first time.

        Raises:
            EnvironmentFault: the server does not answer in time, or refuses.
        """
        deadline = time.monotonic() + self._patience.start_s
        while True:
            try:
                await self._connect()
                break
            except WireLost as error:
                if time.monotonic() + _LAST_WAIT_S > deadline:
                    raise EnvironmentFault(
                        f"no Redis server at {self.endpoint.shown} ({error}); start one (redis-server, or `omega up`, "
                        "which brings its own), or point OMEGA_REDIS_URL at yours"
                    ) from error
                await asyncio.sleep(_LAST_WAIT_S / 2)
        try:
            await self._drain()
        except BaseException:  # a cancellation too: a bus that did not start is not closed
            self.cut()
            raise
        self._answered()
        self._task = asyncio.create_task(self._watch(), name=f"bus-link:{self._name}")

    async def close(self) -> None:
        """Flush the outbox within `close_s`, then disconnect; what is left is logged."""
        try:
            if self._task is not None:
                await self._flush()
        finally:
            await self._disconnect()
        if len(self.outbox):
            logger.error(
                "outbox.records_lost", count=len(self.outbox), ids=[i.message_id for i in self.outbox.waiting()][:20]
            )
        self._state = BusState.ISOLATED

    async def _flush(self) -> None:
        deadline = time.monotonic() + self._patience.close_s
        while len(self.outbox) and time.monotonic() < deadline:  # noqa: ASYNC110 - rare, bounded, and only when closing
            await asyncio.sleep(_FIRST_WAIT_S)

    async def _disconnect(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._direct = False
        task, self._task = self._task, None
        try:
            if task is not None:
                await ended([task])
        finally:
            if self._wire is not None:
                await self._wire.close()

    def publish(self, topic: str, raw: bytes) -> asyncio.Future[Reply] | None:
        """Publish a signal; None when there is no connection."""
        if self._wire is None or not self._wire.open:
            return None
        return self._wire.send(pack("PUBLISH", topic, raw))

    def submit(self, item: Outgoing) -> asyncio.Future[Reply]:
        """Send a record, or buffer it; the answer is the server's reply or `SendResult.BUFFERED`.

        Raises:
            Denied: the outbox is full.
        """
        if self._direct and self._wire is not None and self._wire.open:
            return self._fly(self._wire, item)
        self.outbox.put(item)
        self._stats.buffered += 1
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        future.set_result(SendResult.BUFFERED)
        return future

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write everything that is sent inside at once; nothing may be awaited inside."""
        wire = self._wire
        if wire is None:
            yield
            return
        wire.cork()
        try:
            yield
        finally:
            wire.uncork()

    def again(self, item: Outgoing) -> None:
        """Buffer a record that the server could not take at the moment, and reconnect.

        Raises:
            Denied: the outbox is full.
        """
        self._direct = False
        self.outbox.put(item)
        self._stats.buffered += 1
        self.cut()

    async def reload(self) -> None:
        """Load the scripts again (somebody flushed them)."""
        if self._wire is not None:
            await _load_scripts(self._wire)

    def cut(self) -> None:
        """Drop the connection, so that everything in flight is buffered and sent again over a new one."""
        if self._wire is not None:
            self._wire.abort()

    async def _connect(self) -> None:
        self._broken.clear()
        wire = await dial(self.endpoint, name=self._name, within_s=self._patience.connect_s, on_lost=self._lost)
        try:
            async with asyncio.timeout(self._patience.socket_s):
                await _load_scripts(wire)
        except TimeoutError:
            wire.abort()
            raise WireLost(f"{self.endpoint.shown} says nothing for {self._patience.socket_s:g} s") from None
        except BaseException:  # a cancellation too: nobody else knows of this connection yet
            wire.abort()
            raise
        if self._peer not in {"", wire.peer}:
            self._doubt(wire.peer)
        self._peer, self._wire = wire.peer, wire

    def _fly(self, wire: Wire, item: Outgoing) -> asyncio.Future[Reply]:
        if self._recent is not None:
            now = time.monotonic()
            self._recent.append((now, item))
            while self._recent[0][0] < now - _DOUBT_S:
                self._recent.popleft()
        return wire.send(item.packed, item)

    def _doubt(self, peer: str) -> None:
        """Send again what a primary acknowledged shortly before another took over.

        Replication is asynchronous: its newest entries may be gone. The marks tell the new primary what it has.
        """
        waiting = {item.message_id for item in self.outbox.waiting()}
        again = [item for _, item in self._recent or () if item.message_id not in waiting]
        if self._recent:
            self._recent.clear()
        self.outbox.put_back(again)
        logger.warning("bus.failed_over", server=self.endpoint.shown, old=self._peer, new=peer, sent_again=len(again))

    def _lost(self, wire: Wire, orphans: list[Orphan]) -> None:
        """Take back what was in flight: it is older than anything in the outbox."""
        if wire is not self._wire:
            return
        self._direct = False
        self._wire = None
        self._broken.set()
        items = [(future, tag) for future, tag in orphans if isinstance(tag, Outgoing)]
        self.outbox.put_back(tag for _, tag in items)
        self._stats.buffered += len(items)
        for future, _ in items:
            if not future.done():
                future.set_result(SendResult.BUFFERED)

    async def _watch(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self._beat()
            except (OmegaError, TimeoutError) as error:
                if self._wire is not None:
                    self._wire.abort()
                logger.debug("bus.beat_missed", server=self.endpoint.shown, error=str(error))
                await asyncio.sleep(wait_s * (0.5 + random.random() / 2))  # noqa: S311 - spreads reconnects, no secret
                wait_s = min(wait_s * 2, _LAST_WAIT_S)
                continue
            wait_s = _FIRST_WAIT_S
            # Not wait_for: Python 3.11's swallows a cancellation that comes together with the event, and close() hangs.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience.ping_s):
                    await self._broken.wait()

    async def _beat(self) -> None:
        """Prove that the server answers; reconnect first when need be, then send what waits."""
        if self._wire is None or not self._wire.open:
            await self._connect()
            self._stats.reconnected += 1
        assert self._wire is not None
        async with asyncio.timeout(self._patience.degraded_s):
            await self._wire.send(_PING)
        await self._drain()
        self._answered()

    async def _drain(self) -> None:
        """Send the outbox in order; only an empty outbox opens the direct way again."""
        while len(self.outbox):
            batch = self.outbox.take(_DRAIN_BATCH)
            now = time.time_ns()
            live = [item for item in batch if not 0 < item.deadline_ns < now]
            self._stats.dropped += len(batch) - len(live)
            if self._wire is None or not self._wire.open:
                self.outbox.put_back(live)
                raise WireLost(f"the connection to {self.endpoint.shown} broke while the outbox was sent")
            with self.together():
                futures = [self._fly(self._wire, item) for item in live]
            async with asyncio.timeout(self._patience.socket_s):
                replies = [await future for future in futures]
            refused = [item for item, reply in zip(live, replies, strict=True) if not self._taken(item, reply)]
            if refused:
                self.outbox.put_back(refused)
                raise WireLost(f"{self.endpoint.shown} takes no writes at the moment")
        self._direct = True

    def _taken(self, item: Outgoing, reply: Reply) -> bool:
        """Note what became of a buffered record; False when it has to be sent again later."""
        if isinstance(reply, hiredis.ReplyError):
            if passing(reply):
                return False
            self._stats.dropped += 1
            logger.error("outbox.record_refused", type=item.type, id=item.message_id, error=str(reply))
        elif reply == b"FENCED":
            self._stats.fenced += 1
            logger.error("outbox.record_fenced", type=item.type, id=item.message_id)
        elif reply != SendResult.BUFFERED:
            self._stats.sent += 1
        return True

    def _answered(self) -> None:
        """Be connected, and fall to the lower states when no further answer comes."""
        for timer in self._timers:
            timer.cancel()
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._timers = [
            loop.call_at(now + after, self._silent, now + after, state)
            for after, state in (
                (self._patience.degraded_s, BusState.DEGRADED),
                (self._patience.isolated_s, BusState.ISOLATED),
            )
        ]
        self._become(BusState.CONNECTED)

    def _silent(self, due: float, state: BusState) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - due > _STALL_S:  # the process itself stood still: let the answer be read before judging
            self._timers.append(loop.call_later(_STALL_S, self._silent, loop.time() + _STALL_S, state))
            return
        self._become(state)

    def _become(self, state: BusState) -> None:
        old, self._state = self._state, state
        if old is state:
            return
        logger.info("bus.state_changed", server=self.endpoint.shown, old=old, new=state, waiting=len(self.outbox))
        for listener in self.listeners:
            listener(old, state)


async def _load_scripts(wire: Wire) -> None:
    for script in _scripts.ALL:
        await wire.call("SCRIPT", "LOAD", script.text)


def passing(error: Exception) -> bool:
    """Tell whether the server refuses for the moment only: it loads, fails over, or is out of memory."""
    return isinstance(error, _PASSING_KINDS) or str(error).startswith(_PASSING)
