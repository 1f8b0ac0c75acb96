"""The bus on a real server. Built by `omega.bus.connect`; services see the port alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any

import hiredis
from redis.exceptions import RedisError

from omega._structlog import structlog
from omega.bus import _scripts
from omega.bus._follow import Follow, Signals, WireReading, history
from omega.bus._group_wire import GroupWire
from omega.bus._groups import GroupReader
from omega.bus._lanes import behind
from omega.bus._link import Link, StateListener, passing
from omega.bus._pool import CountedPool, PoolUse
from omega.bus._subscription import Sink, Subscription
from omega.bus.codec import decode, format_of
from omega.bus.endpoint import Endpoint, Patience, client
from omega.bus.lease import RedisLease, epoch_key
from omega.bus.messages import Message, MessageClass, Reply, Scalar
from omega.bus.outbox import Outgoing
from omega.bus.port import BusState, Delivery, Handler, Lease, Received, SendResult
from omega.bus.requests import Answers, ask, serve
from omega.bus.server_check import check_server
from omega.bus.stamp import Stamper
from omega.bus.stats import BusStats
from omega.bus.topics import Topics
from omega.bus.wire import pack
from omega.domain import Intent
from omega.errors import EnvironmentFault, Fenced, OmegaError, TransientError

_DEDUP_MS = 600_000
_BAR_DEDUP_MS = 60_000
"""Bars come by the thousand in a replay and only their own sender repeats them, at once."""

_PROVE = """
for i = 1, #ARGV do
  if redis.acl_check_cmd and not (redis.acl_check_cmd('XADD', ARGV[i], '*', 'm', '')
      and redis.acl_check_cmd('PUBLISH', ARGV[i], '')
      and redis.acl_check_cmd('SUBSCRIBE', ARGV[i])) then return ARGV[i] end
end
return false
"""


logger = structlog.get_logger(__name__)


class RedisBus:
    """Pub/sub and streams of one Redis server, for one sender.

    Attributes:
        topics: the topic names of the environment.
        source: who sends, on every envelope.
        stats: what the bus has done so far.
    """

    def __init__(
        self, endpoint: Endpoint, *, env: str, source: str, patience: Patience | None = None, proves: Sequence[str] = ()
    ) -> None:
        self.topics = Topics(env)
        self.source = source
        self.stats = BusStats()
        self.patience = patience or Patience()
        self.endpoint = endpoint
        self._proves = tuple(proves)
        self._stamper = Stamper(source, self.topics)
        self._reply_to = source.replace("/", ":")
        self._redis: Any = None
        self._link: Link | None = None
        self._listeners: list[StateListener] = []
        self._answers = Answers()
        self._replies: Subscription | None = None
        self._replies_lock = asyncio.Lock()
        self._leases: list[RedisLease] = []
        self._send = (b"EVALSHA", _scripts.SEND.sha)

    @property
    def redis(self) -> Any:
        """The pooled redis-py client, for the bus's own tools (`omega.bus.inspect`)."""
        if self._redis is None:
            raise TransientError("the bus is not started; await bus.start() first")
        return self._redis

    @property
    def waiting(self) -> int:
        """Records in the outbox."""
        return len(self._link.outbox) if self._link is not None else 0

    async def start(self) -> None:
        """Connect and prove the rights that are needed; see `Bus.start`."""
        link = Link(self.endpoint, self.patience, self.stats, name=self.source)
        link.listeners = self._listeners
        await link.start()
        self._link = link
        self._redis = client(self.endpoint, self.patience, name=self.source)
        try:
            await self._prove()
            await self._look_at_server()
        except BaseException:  # a cancellation too: a bus that did not start is not closed
            await self.close()
            raise

    async def close(self) -> None:
        """Flush the outbox within a bound and disconnect; no task and no connection stays behind.

        What comes first may fail or be cut by a cancellation: everything after it is closed all the same.
        """
        async with AsyncExitStack() as closing:
            if self._redis is not None:
                closing.push_async_callback(self._redis.aclose)
            if self._replies is not None:
                closing.push_async_callback(self._replies.close)
            for lease in self._leases:
                closing.push_async_callback(lease.release)
            if self._link is not None:
                closing.push_async_callback(self._link.close)
        self._replies = None

    def state(self) -> BusState:
        """Return how well the bus is reached."""
        return self._link.state if self._link is not None else BusState.ISOLATED

    def pool_use(self) -> PoolUse | None:
        """Return how the client's connections are used; None before the start."""
        pool = self._redis.connection_pool if self._redis is not None else None
        return pool.use() if isinstance(pool, CountedPool) else None

    def on_state(self, listener: StateListener) -> None:
        """Call `listener(old, new)` at every change of state."""
        self._listeners.append(listener)

    def trace_with(self, traceparent: Callable[[], str]) -> None:
        """Write this trace context on every message."""
        self._stamper.traceparent = traceparent

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
        made = self._make(message, corr, cause, deadline_ns, lease, message_id)
        link = self._ready()
        if isinstance(made, Outgoing):
            return await self._settled(link, made, await link.submit(made))
        return await self._published(link.publish(*made))

    async def send_many(
        self,
        messages: Sequence[Message],
        *,
        corr: str = "",
        cause: str = "",
        lease: Lease | None = None,
        message_ids: Sequence[str] = (),
    ) -> list[SendResult]:
        """Send several messages in order in one round trip; see `Bus.send_many`."""
        link = self._ready()
        named = list(zip(messages, message_ids or [""] * len(messages), strict=True))
        flying = []
        with link.together():
            for message, message_id in named:
                made = self._make(message, corr, cause, 0, lease, message_id)
                flying.append((made, link.submit(made) if isinstance(made, Outgoing) else link.publish(*made)))
        results = []
        for made, future in flying:
            if isinstance(made, Outgoing):
                assert future is not None
                results.append(await self._settled(link, made, await future))
            else:
                results.append(await self._published(future))
        return results

    def signals(self, *patterns: str) -> AbstractAsyncContextManager[AsyncIterator[Received]]:
        """Subscribe to topics or `*` patterns, latest wins; see `Bus.signals`."""
        return Signals(self._subscribe, patterns, self.stats, WireReading)

    def follow(
        self, *topics: str, since: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Received]]:
        """Read topics completely and in order; see `Bus.follow`."""
        return Follow(self._subscribe, self.redis, topics, since or {}, self.stats, WireReading, self.topics)

    def records(
        self, *topics: str, group: str, batch: int = 64, block_ms: int = 2_000, ranked: bool = True
    ) -> AbstractAsyncContextManager[AsyncIterator[list[Delivery]]]:
        """Read as a consumer group; see `Bus.records`."""
        wire = GroupWire(self.endpoint, self.patience, name=f"{self.source}/{group}")
        return GroupReader(
            self.redis,
            topics,
            read=wire.xreadgroup,
            done=wire.close,
            subscribe=self._subscribe,
            group=group,
            consumer=self.source,
            batch=batch,
            ranked=ranked,
            block_ms=block_ms,
            names=self.topics,
            patience=self.patience,
            stats=self.stats,
            reading=WireReading,
        )

    async def history(self, topic: str, *, count: int = 1_000, after: str = "-") -> list[Received]:
        """Return entries of a stream, oldest first; see `Bus.history`."""
        async with _outage(self.endpoint, self.patience):
            return await history(self.redis, self.topics, topic, count=count, after=after, reading=WireReading)

    async def streams(self, *topics: str) -> list[str]:
        """Return the streams behind topics and patterns; see `Bus.streams`."""
        async with _outage(self.endpoint, self.patience):
            return [name for names in await behind(self.redis, self.topics, topics) for name in names]

    async def announce(self, *topics: str) -> None:
        """Name streams that are going to be written; see `Bus.announce`."""
        index = self.topics.streams()
        async with _outage(self.endpoint, self.patience):
            for topic in topics:
                await self.redis.sadd(index, topic)
                await self.redis.publish(index, topic)

    async def ask(
        self, service: str, method: str, params: Mapping[str, Scalar] | None = None, *, within_ns: int
    ) -> object:
        """Ask a service and wait for its JSON answer; see `Bus.ask`."""
        await self._hear_replies()
        return await ask(
            self,
            self._answers,
            reply_to=self._reply_to,
            message_id=self._stamper.new_id(),
            service=service,
            method=method,
            params=params or {},
            within_ns=within_ns,
        )

    async def serve(self, service: str, handler: Handler) -> None:
        """Answer requests until cancelled; see `Bus.serve`."""
        await serve(self, service, handler)

    async def lease(self, name: str, *, ttl_s: float = 15.0) -> Lease:
        """Wait for the lease of a name; see `Bus.lease`."""
        lease = RedisLease(self.redis, self.topics, name, ttl_s=ttl_s, source=self.source)
        await lease.take()
        self._leases.append(lease)
        return lease

    async def put(self, key: str, value: str, *, ttl_s: float = 0) -> None:
        """Keep a small value under `Topics.state(...)`."""
        async with _outage(self.endpoint, self.patience):
            await self.redis.set(key, value, px=int(ttl_s * 1_000) or None)

    async def get(self, key: str) -> str | None:
        """Return a kept value; None is absence and never an outage, which raises TransientError."""
        async with _outage(self.endpoint, self.patience):
            return _text(await self.redis.get(key))

    async def take(self, key: str) -> str | None:
        """Return a kept value and delete it in one step."""
        async with _outage(self.endpoint, self.patience):
            return _text(await self.redis.getdel(key))

    def _ready(self) -> Link:
        if self._link is None:
            raise TransientError("the bus is not started; await bus.start() first")
        return self._link

    def _make(
        self, message: Message, corr: str, cause: str, deadline_ns: int, lease: Lease | None, message_id: str
    ) -> Outgoing | tuple[str, bytes]:
        """Stamp and pack a message: a command for a record, topic and bytes for a signal."""
        if lease is not None and not lease.held:
            raise Fenced(f"the lease of {lease.name} (epoch {lease.epoch}) is not held any more: stop writing")
        spec = format_of(message).spec
        topics = self.topics.of(message)
        epoch = lease.epoch if lease is not None else 0
        message_id = message_id or self._stamper.new_id()
        raw = self._stamper.bytes_of(
            message,
            topics,
            message_id=message_id,
            epoch=epoch,
            corr=corr or message_id,
            cause=cause,
            deadline_ns=deadline_ns,
        )
        if spec.delivery is MessageClass.SIGNAL:
            return topics[0], raw
        keys: tuple[str, ...] = (self.topics.seen(topics[0], message_id), *topics)
        fence: str | int = ""
        if lease is not None:
            keys, fence = (*keys, epoch_key(self.topics, lease.name)), epoch
        dedup_ms = _BAR_DEDUP_MS if spec.name == "md.bar" else _DEDUP_MS
        packed = pack(*self._send, len(keys), *keys, raw, dedup_ms, spec.keep, fence)
        return Outgoing(message_id, spec.name, packed, isinstance(message, Intent) and message.reduces, deadline_ns)

    async def _settled(self, link: Link, item: Outgoing, reply: Any) -> SendResult:
        """Turn the server's answer to a record into a result or an error."""
        if reply == SendResult.BUFFERED:
            return SendResult.BUFFERED
        if reply == b"DUPLICATE":
            self.stats.duplicates += 1
            return SendResult.DUPLICATE
        if reply == b"FENCED":
            self.stats.fenced += 1
            raise Fenced(f"{item.type} {item.message_id} is refused: somebody holds a newer epoch; stop writing")
        if not isinstance(reply, hiredis.ReplyError):
            self.stats.sent += 1
            return SendResult.SENT
        text = str(reply)
        if text.startswith(_scripts.RELOAD):
            await link.reload()
            return await self._settled(link, item, await link.submit(item))
        if passing(reply):
            link.again(item)
            return SendResult.BUFFERED
        raise EnvironmentFault(
            f"{self.endpoint.shown} refuses {item.type} {item.message_id}: {text}; "
            "check the rights of the user (omega topics acl) and what else uses the topic's key"
        )

    async def _published(self, future: asyncio.Future[Any] | None) -> SendResult:
        if future is None:
            self.stats.dropped += 1
            return SendResult.DROPPED
        try:
            reply = await future
        except TransientError:
            self.stats.dropped += 1
            return SendResult.DROPPED
        if isinstance(reply, hiredis.ReplyError):
            raise EnvironmentFault(f"{self.endpoint.shown} refuses a signal: {reply}; check the rights of the user")
        self.stats.sent += 1
        return SendResult.SENT

    def _subscribe(
        self, *, channels: Sequence[str], patterns: Sequence[str], sink: Sink, resumed: Callable[[], None]
    ) -> Subscription:
        return Subscription(
            self.endpoint,
            self.patience,
            channels=channels,
            patterns=patterns,
            sink=sink,
            resumed=resumed,
            name=f"{self.source}/sub",
        )

    async def _hear_replies(self) -> None:
        async with self._replies_lock:
            if self._replies is None:
                topic = self.topics.reply(self._reply_to)
                replies = self._subscribe(channels=[topic], patterns=[], sink=self._reply, resumed=_nothing)
                await replies.open()
                self._replies = replies

    def _reply(self, _: bytes, payload: bytes) -> None:
        data = decode(payload).data
        if isinstance(data, Reply):
            self._answers.arrive(data)

    async def _look_at_server(self) -> None:
        """Say once in the log what makes this server unfit for records; a user without INFO is left in peace."""
        try:
            info = await self._redis.info()
        except (RedisError, OSError) as error:
            logger.debug("server.not_looked_at", server=self.endpoint.shown, error=str(error))
            return
        for finding in check_server(info, self.endpoint.shown, watched=bool(self.endpoint.sentinels)):
            if finding.level != "ok":
                logger.warning("server.unfit", server=finding.subject, finding=finding.text, advice=finding.advice)

    async def _prove(self) -> None:
        """Find a missing right now: inside a script it would leave half a record behind."""
        try:
            refused = await self._redis.eval(_PROVE, 0, *self._proves)
        except RedisError as error:
            raise EnvironmentFault(
                f"{self.endpoint.shown} refuses to run scripts: {error}; grant +@scripting"
            ) from error
        if refused:
            raise EnvironmentFault(
                f"user {self.endpoint.username or 'default'!r} at {self.endpoint.shown} may not append to, publish on "
                f"and subscribe to {refused.decode()}; grant it ~key and &channel rights (omega topics acl)"
            )


class _outage:  # noqa: N801 - reads as a statement
    """Turn the client's errors into one of ours that names the server, and its silence too.

    The client's retries are nested (a retry dials, and dialling retries): a server that accepts and says nothing would
    hold the caller nine time-outs long.
    """

    def __init__(self, endpoint: Endpoint, patience: Patience) -> None:
        self._endpoint = endpoint
        self._bound = asyncio.timeout(2 * patience.socket_s)

    async def __aenter__(self) -> None:
        await self._bound.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._bound.__aexit__(kind, error, trace)
        except TimeoutError:
            raise TransientError(f"{self._endpoint.shown} says nothing; the value is unknown") from error
        if isinstance(error, (RedisError, OSError)) and not isinstance(error, OmegaError):
            raise TransientError(f"{self._endpoint.shown} does not answer: {error}; the value is unknown") from error


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


def _nothing() -> None:
    """A missed reply shows as Stale to its asker."""
