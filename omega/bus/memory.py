"""The bus without a server: same port, same contract suite, one process. For tests, simulations and examples."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from omega.bus._follow import Follow, Signals, history
from omega.bus._groups import GroupReader
from omega.bus._lanes import behind
from omega.bus._link import StateListener
from omega.bus._memory_server import DUPLICATE, FENCED, MemoryServer
from omega.bus.codec import format_of
from omega.bus.endpoint import Patience
from omega.bus.envelope import Envelope
from omega.bus.lease import RedisLease, epoch_key
from omega.bus.messages import Message, MessageClass, Reply, Scalar
from omega.bus.outbox import Outbox, Outgoing
from omega.bus.port import BusState, Delivery, Handler, Lease, Received, SendResult
from omega.bus.requests import Answers, ask, serve
from omega.bus.stamp import Stamper
from omega.bus.stats import BusStats
from omega.bus.topics import Topics
from omega.domain import Intent
from omega.errors import Fenced, TransientError

_DEDUP_S = 600.0


class MemoryHub:
    """What the buses of one simulation share: the server in memory and a switch that takes it away."""

    def __init__(
        self, *, now_ns: Callable[[], int] = time.time_ns, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.server = MemoryServer(now_ns=now_ns, monotonic=monotonic)
        self.down_since = 0.0
        self.buses: list[MemoryBus] = []

    def down(self) -> None:
        """Switch the server off: records go to the outboxes, readers wait."""
        self.server.gone()
        self.down_since = self.server.monotonic()
        for bus in self.buses:
            bus.changed()

    def up(self) -> None:
        """Switch the server on: every outbox is sent in order."""
        self.server.online = True
        for bus in self.buses:
            bus.drain()
            bus.changed()


class MemoryReading:
    """How the payloads of the server in memory are read: there is nothing to decode."""

    @staticmethod
    def split(payload: Any) -> tuple[str, Any]:
        """Return the entry id (empty for a signal) and the envelope."""
        return payload if isinstance(payload, tuple) else ("", payload)

    @staticmethod
    def decode(raw: Any) -> Envelope:
        """Return the envelope itself."""
        assert isinstance(raw, Envelope)
        return raw


class _MemorySubscription:
    """Topics and patterns of one reader; the server in memory never breaks the connection, so nothing is resumed."""

    def __init__(self, server: MemoryServer, channels: Sequence[str], patterns: Sequence[str], sink: Any) -> None:
        self._server = server
        self._channels, self._patterns, self._sink = channels, patterns, sink

    async def open(self) -> None:
        self._server.subscribe(self._channels, self._patterns, self._sink)

    async def close(self) -> None:
        self._server.unsubscribe(self._sink)

    def pause(self) -> None:
        """Nothing is lost by a long queue in one process."""

    def resume(self) -> None:
        """See pause."""


class MemoryBus:
    """One sender's view of a hub. `peer` makes another sender on the same hub.

    Attributes:
        topics: the topic names of the environment.
        source: who sends, on every envelope.
        stats: what the bus has done so far.
        hub: what is shared with the peers.
    """

    def __init__(
        self,
        *,
        env: str = "dev",
        source: str = "memory",
        hub: MemoryHub | None = None,
        patience: Patience | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.hub = hub or MemoryHub()
        self.topics = Topics(env)
        self.source = source
        self.stats = BusStats()
        self.patience = patience or Patience()
        self._server = self.hub.server
        self._stamper = Stamper(source, self.topics, now_ns=self._server.now_ns, new_id=new_id)
        self._reply_to = source.replace("/", ":")
        self._outbox = Outbox(self.patience.outbox)
        self._kept: dict[str, tuple[Envelope, tuple[str, ...], tuple[str, int] | None]] = {}
        self._answers = Answers()
        self._hearing = False
        self._leases: list[RedisLease] = []
        self._listeners: list[StateListener] = []
        self._told = BusState.CONNECTED
        self.hub.buses.append(self)

    def peer(self, source: str, *, new_id: Callable[[], str] | None = None) -> MemoryBus:
        """Return a bus of another sender on the same hub."""
        return MemoryBus(env=self.topics.env, source=source, hub=self.hub, patience=self.patience, new_id=new_id)

    async def start(self) -> None:
        """Do nothing: the hub is there; see `Bus.start`."""

    async def close(self) -> None:
        """Release the leases and leave the hub."""
        for lease in self._leases:
            await lease.release()
        self._server.unsubscribe(self._reply)
        if self in self.hub.buses:
            self.hub.buses.remove(self)

    def state(self) -> BusState:
        """Return how well the hub is reached."""
        if self._server.online:
            return BusState.CONNECTED
        silent_s = self._server.monotonic() - self.hub.down_since
        return BusState.ISOLATED if silent_s >= self.patience.isolated_s else BusState.DEGRADED

    def on_state(self, listener: StateListener) -> None:
        """Call `listener(old, new)` when the hub goes and when it comes back."""
        self._listeners.append(listener)

    def changed(self) -> None:
        """Tell the listeners about a change (called by the hub)."""
        old, self._told = self._told, self.state()
        if old is not self._told:
            for listener in self._listeners:
                listener(old, self._told)

    @property
    def redis(self) -> MemoryServer:
        """The server in memory, for the bus's own tools (`omega.bus.inspect`)."""
        return self._server

    @property
    def waiting(self) -> int:
        """Records in the outbox."""
        return len(self._outbox)

    async def send(
        self,
        message: Message,
        *,
        corr: str = "",
        cause: str = "",
        deadline_ns: int = 0,
        lease: Lease | None = None,
        message_id: str = "",
    ) -> SendResult:
        """Send one message to all its topics; see `Bus.send`."""
        if lease is not None and not lease.held:
            raise Fenced(f"the lease of {lease.name} (epoch {lease.epoch}) is not held any more: stop writing")
        spec = format_of(message).spec
        topics = self.topics.of(message)
        message_id = message_id or self._stamper.new_id()
        envelope = self._stamper.envelope(
            message,
            topics,
            message_id=message_id,
            epoch=lease.epoch if lease is not None else 0,
            corr=corr or message_id,
            cause=cause,
            deadline_ns=deadline_ns,
        )
        if spec.delivery is MessageClass.SIGNAL:
            return self._signal(topics[0], envelope)
        fence = None if lease is None else (epoch_key(self.topics, lease.name), lease.epoch)
        if not self._server.online:
            self._buffer(envelope, topics, fence)
            return SendResult.BUFFERED
        return self._write(envelope, topics, fence)

    async def send_many(
        self,
        messages: Sequence[Message],
        *,
        corr: str = "",
        cause: str = "",
        lease: Lease | None = None,
        message_ids: Sequence[str] = (),
    ) -> list[SendResult]:
        """Send several messages in order; see `Bus.send_many`."""
        named = list(zip(messages, message_ids or [""] * len(messages), strict=True))
        return [
            await self.send(message, corr=corr, cause=cause, lease=lease, message_id=message_id)
            for message, message_id in named
        ]

    def signals(self, *patterns: str) -> AbstractAsyncContextManager[AsyncIterator[Received]]:
        """Subscribe to topics or `*` patterns, latest wins; see `Bus.signals`."""
        return Signals(self._subscribe, patterns, self.stats, MemoryReading)

    def follow(
        self, *topics: str, since: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Received]]:
        """Read topics completely and in order; see `Bus.follow`."""
        return Follow(self._subscribe, self._server, topics, since or {}, self.stats, MemoryReading, self.topics)

    def records(
        self, *topics: str, group: str, batch: int = 64, block_ms: int = 2_000, ranked: bool = True
    ) -> AbstractAsyncContextManager[AsyncIterator[list[Delivery]]]:
        """Read as a consumer group; see `Bus.records`."""
        return GroupReader(
            self._server,
            topics,
            read=self._server.xreadgroup,
            subscribe=self._subscribe,
            group=group,
            consumer=self.source,
            batch=batch,
            ranked=ranked,
            block_ms=block_ms,
            names=self.topics,
            patience=self.patience,
            stats=self.stats,
            reading=MemoryReading,
        )

    async def history(self, topic: str, *, count: int = 1_000, after: str = "-") -> list[Received]:
        """Return entries of a stream, oldest first; see `Bus.history`."""
        self._reach()
        return await history(self._server, self.topics, topic, count=count, after=after, reading=MemoryReading)

    async def streams(self, *topics: str) -> list[str]:
        """Return the streams behind topics and patterns; see `Bus.streams`."""
        self._reach()
        return [name for names in await behind(self._server, self.topics, topics) for name in names]

    async def announce(self, *topics: str) -> None:
        """Name streams that are going to be written; see `Bus.announce`."""
        self._reach()
        self._server.announce(topics)

    async def ask(
        self, service: str, method: str, params: Mapping[str, Scalar] | None = None, *, within_ns: int
    ) -> object:
        """Ask a service and wait for its JSON answer; see `Bus.ask`."""
        if not self._hearing:
            self._hearing = True
            self._server.subscribe([self.topics.reply(self._reply_to)], [], self._reply)
        return await ask(
            self,
            self._answers,
            reply_to=self._reply_to,
            message_id=self._stamper.new_id(),
            service=service,
            method=method,
            params=params or {},
            within_ns=within_ns,
            now_ns=self._server.now_ns,
        )

    async def serve(self, service: str, handler: Handler) -> None:
        """Answer requests until cancelled; see `Bus.serve`."""
        await serve(self, service, handler, now_ns=self._server.now_ns)

    async def lease(self, name: str, *, ttl_s: float = 15.0) -> Lease:
        """Wait for the lease of a name; see `Bus.lease`."""
        lease = RedisLease(self._server, self.topics, name, ttl_s=ttl_s, source=self.source)
        await lease.take()
        self._leases.append(lease)
        return lease

    async def put(self, key: str, value: str, *, ttl_s: float = 0) -> None:
        """Keep a small value under `Topics.state(...)`."""
        self._reach()
        await self._server.set(key, value, px=int(ttl_s * 1_000) or None)

    async def get(self, key: str) -> str | None:
        """Return a kept value; None is absence and never an outage, which raises TransientError."""
        self._reach()
        raw = await self._server.get(key)
        return None if raw is None else raw.decode()

    async def take(self, key: str) -> str | None:
        """Return a kept value and delete it in one step."""
        self._reach()
        raw = await self._server.getdel(key)
        return None if raw is None else raw.decode()

    def drain(self) -> None:
        """Send what waits, exits first (called by the hub when it is back)."""
        now = self._server.now_ns()
        for item in self._outbox.take(len(self._outbox)):
            envelope, topics, fence = self._kept.pop(item.message_id)
            if 0 < item.deadline_ns < now:
                self.stats.dropped += 1
                continue
            try:
                self._write(envelope, topics, fence)
            except Fenced:
                self.stats.dropped += 1

    def _signal(self, topic: str, envelope: Envelope) -> SendResult:
        if not self._server.online:
            self.stats.dropped += 1
            return SendResult.DROPPED
        self._server.publish(topic, envelope)
        self.stats.sent += 1
        return SendResult.SENT

    def _write(self, envelope: Envelope, topics: tuple[str, ...], fence: tuple[str, int] | None) -> SendResult:
        keep = format_of(envelope.data).spec.keep
        mark = self.topics.seen(topics[0], envelope.id)
        done = self._server.send(mark, topics, envelope, keep=keep, dedup_s=_DEDUP_S, fence=fence)
        if done == FENCED:
            self.stats.fenced += 1
            raise Fenced(f"{envelope.type} {envelope.id} is refused: somebody holds a newer epoch; stop writing")
        if done == DUPLICATE:
            self.stats.duplicates += 1
            return SendResult.DUPLICATE
        self.stats.sent += 1
        return SendResult.SENT

    def _buffer(self, envelope: Envelope, topics: tuple[str, ...], fence: tuple[str, int] | None) -> None:
        if envelope.id in self._kept:
            return
        data = envelope.data
        high = isinstance(data, Intent) and data.reduces
        self._outbox.put(Outgoing(envelope.id, envelope.type, b"", high, envelope.deadline_ns))
        self._kept[envelope.id] = (envelope, topics, fence)
        self.stats.buffered += 1

    def _subscribe(
        self, *, channels: Sequence[str], patterns: Sequence[str], sink: Any, resumed: Callable[[], None]
    ) -> Any:
        del resumed
        return _MemorySubscription(self._server, channels, patterns, sink)

    def _reply(self, _: bytes, envelope: Any) -> None:
        if isinstance(envelope.data, Reply):
            self._answers.arrive(envelope.data)

    def _reach(self) -> None:
        if not self._server.online:
            raise TransientError("the server in memory is switched off; the value is unknown")
