"""Readers of pub/sub: `Follow` loses nothing (the stream fills its holes), `Signals` keeps the latest of each topic."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Self

from redis.exceptions import RedisError

from omega._structlog import structlog
from omega.bus._lanes import behind, patterned
from omega.bus._subscription import Subscription
from omega.bus.codec import decode
from omega.bus.envelope import Envelope
from omega.bus.port import Received
from omega.bus.stats import BusStats
from omega.bus.topics import Topics
from omega.errors import CorruptData

_PAGE = 512
_BEHIND = 1_000
_RETRY_S = 0.2
_SIGNAL = ord("{")

EntryId = tuple[int, int]

logger = structlog.get_logger(__name__)


def entry_key(entry_id: str | bytes) -> EntryId:
    """Return an entry id as it sorts; `0` is before everything."""
    moment, _, number = (entry_id.decode() if isinstance(entry_id, bytes) else entry_id).partition("-")
    return int(moment), int(number or 0)


class WireReading:
    """How payloads and entries of a real server are read; the bus in memory has its own."""

    @staticmethod
    def split(payload: Any) -> tuple[str, Any]:
        """Separate what was published into the entry id (empty for a signal) and the envelope's bytes."""
        if payload[0] == _SIGNAL:
            return "", payload
        end = payload.index(b" ")
        return payload[:end].decode(), payload[end + 1 :]

    @staticmethod
    def decode(raw: Any) -> Envelope:
        """Read the envelope's bytes."""
        return decode(raw)


class Feed(AsyncIterator[Received]):
    """What both readers share: waiting for the next arrival, names of topics, unreadable messages."""

    def __init__(self, stats: BusStats, reading: Any) -> None:
        self._stats = stats
        self._split = reading.split
        self._decode = reading.decode
        self._waiter: asyncio.Future[None] | None = None
        self._names: dict[bytes, str] = {}
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Received:
        raise NotImplementedError

    def _name(self, topic: bytes) -> str:
        name = self._names.get(topic)
        if name is None:
            name = self._names[topic] = topic.decode()
        return name

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _read(self, topic: str, raw: Any) -> Envelope | None:
        try:
            return self._decode(raw)  # type: ignore[no-any-return]
        except CorruptData as error:
            self._stats.corrupt += 1
            logger.warning("message.skipped", topic=topic, error=str(error))
            return None

    def _end(self) -> None:
        self._closed = True
        self._wake()


class Signals(Feed):
    """The latest message of every topic, in the order in which topics first had news."""

    def __init__(
        self, subscribe: Callable[..., Subscription], patterns: Sequence[str], stats: BusStats, reading: Any
    ) -> None:
        super().__init__(stats, reading)
        starred = [pattern for pattern in patterns if "*" in pattern]
        exact = [pattern for pattern in patterns if "*" not in pattern]
        self._latest: dict[bytes, Any] = {}
        self._given: dict[bytes, Any] = {}
        self._overlap = len(patterns) > 1 and bool(starred)
        self._subscription = subscribe(channels=exact, patterns=starred, sink=self._sink, resumed=self._wake)

    async def __aenter__(self) -> AsyncIterator[Received]:
        await self._subscription.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()
        await self._subscription.close()

    async def __anext__(self) -> Received:
        while True:
            if self._closed:
                raise StopAsyncIteration
            if not self._latest:
                await self._wait()
                continue
            topic = next(iter(self._latest))
            payload = self._latest.pop(topic)
            if self._overlap and self._given.get(topic) == payload:
                continue
            self._given[topic] = payload
            entry_id, raw = self._split(payload)
            name = self._name(topic)
            envelope = self._read(name, raw)
            if envelope is not None:
                self._stats.received += 1
                return Received(name, entry_id, envelope)

    def _sink(self, topic: bytes, payload: Any) -> None:
        if topic in self._latest:
            self._stats.conflated += 1
        self._latest[topic] = payload
        if self._waiter is not None:
            self._wake()


class Follow(Feed):
    """Topics complete and in order. Entry ids grow by stream, so whatever comes twice is told by its id.

    A stream of a pattern that appears later is new as a whole: it is read from its beginning.
    """

    def __init__(
        self,
        subscribe: Callable[..., Subscription],
        redis: Any,
        topics: Sequence[str],
        since: Mapping[str, str],
        stats: BusStats,
        reading: Any,
        names: Topics,
    ) -> None:
        super().__init__(stats, reading)
        self._redis = redis
        self._names_of = names
        self._topics = tuple(dict.fromkeys(topics))
        self._growing = any(map(patterned, self._topics))
        self._since = since
        self._last: dict[str, EntryId] = {}
        self._seqs: dict[tuple[str, str, int, str], int] = {}
        self._raw: deque[tuple[bytes, Any]] = deque()
        self._ready: deque[Received] = deque()
        self._behind = True
        self._subscription = subscribe(
            channels=[topic for topic in self._topics if not patterned(topic)],
            patterns=[topic for topic in self._topics if patterned(topic)],
            sink=self._sink,
            resumed=self._resumed,
        )

    async def __aenter__(self) -> AsyncIterator[Received]:
        for topic in await self._streams():
            self._last[topic] = await self._start_of(topic)
        await self._subscription.open()
        return self

    async def _streams(self) -> list[str]:
        return [name for names in await behind(self._redis, self._names_of, self._topics) for name in names]

    async def __aexit__(self, *_: object) -> None:
        self._end()
        await self._subscription.close()

    async def __anext__(self) -> Received:
        while True:
            if self._ready:
                return self._ready.popleft()
            if self._closed:
                raise StopAsyncIteration
            if self._behind:
                await self._catch_up()
            elif self._raw:
                topic, payload = self._raw.popleft()
                if not self._raw:
                    self._subscription.resume()
                received = self._accept(self._name(topic), payload)
                if received is not None:
                    return received
            else:
                await self._wait()

    def _sink(self, topic: bytes, payload: Any) -> None:
        self._raw.append((topic, payload))
        if len(self._raw) >= _BEHIND:
            self._subscription.pause()
        if self._waiter is not None:
            self._wake()

    def _resumed(self) -> None:
        self._stats.resumed += 1
        self._behind = True
        self._wake()

    async def _start_of(self, topic: str) -> EntryId:
        """Return the id behind which to read: what the caller has seen, or what is newest now."""
        seen = self._since.get(topic) or next(
            (key for name, key in self._since.items() if patterned(name) and fnmatchcase(topic, name)), ""
        )
        if seen:
            return entry_key(seen)
        newest = await self._redis.xrevrange(topic, count=1)
        return entry_key(newest[0][0]) if newest else (0, 0)

    def _accept(self, topic: str, payload: Any) -> Received | None:
        """Return the message when it is the next one; a hole sends the reader to the stream, which has it too."""
        entry_id, raw = self._split(payload)
        if not entry_id:
            envelope = self._read(topic, raw)
            return None if envelope is None else self._give(topic, "", envelope)
        key = entry_key(entry_id)
        last = self._last.get(topic)
        if last is None:  # a new stream of a pattern: its first entries may be older than the subscription
            self._last[topic] = (0, 0)
            self._behind = True
            return None
        if key <= last:
            return None
        envelope = self._read(topic, raw)
        if envelope is None:
            self._last[topic] = key
            return None
        place = (topic, envelope.source, envelope.epoch, envelope.key)
        expected = self._seqs.get(place, envelope.seq - 1) + 1
        if envelope.seq > expected:
            self._stats.gaps += 1
            logger.info("stream.gap_found", topic=topic, source=envelope.source, expected=expected, came=envelope.seq)
            self._seqs[place] = envelope.seq - 1
            self._behind = True
            self._raw.appendleft((topic.encode(), payload))
            return None
        self._last[topic] = key
        self._seqs[place] = envelope.seq
        return self._give(topic, entry_id, envelope)

    def _give(self, topic: str, entry_id: str, envelope: Envelope) -> Received:
        self._stats.received += 1
        return Received(topic, entry_id, envelope)

    async def _catch_up(self) -> None:
        """Read a round of the streams behind what was given; several topics are merged by time.

        A topic that filled its page bounds the round: what lies behind its last entry waits for the next one.
        """
        self._behind = False
        try:
            if self._growing:
                for topic in await self._streams():
                    self._last.setdefault(topic, (0, 0))
            streams = list(self._last.items())
            pages = [
                await self._redis.xrange(topic, min=f"({last[0]}-{last[1]}", count=_PAGE) for topic, last in streams
            ]
        except (RedisError, OSError) as error:
            self._behind = True
            logger.debug("stream.read_retried", error=str(error))
            await asyncio.sleep(_RETRY_S)
            return
        full = [entry_key(page[-1][0])[0] for page in pages if len(page) == _PAGE]
        horizon = min(full, default=1 << 63)
        self._behind = self._behind or bool(full)  # a loss during the reads has set it again
        found = []
        for (topic, _), page in zip(streams, pages, strict=True):
            for entry_id, fields in page:
                key = entry_key(entry_id)
                if key[0] > horizon:
                    break
                self._last[topic] = key
                envelope = self._read(topic, fields[b"m"])
                if envelope is not None:
                    self._seqs[topic, envelope.source, envelope.epoch, envelope.key] = envelope.seq
                    found.append((key[0], envelope.ts_ns, Received(topic, entry_id.decode(), envelope)))
        found.sort(key=_when)
        self._stats.received += len(found)
        self._ready.extend(received for _, _, received in found)


def _when(entry: tuple[int, int, Received]) -> tuple[int, int]:
    return entry[0], entry[1]


async def history(redis: Any, names: Topics, topic: str, *, count: int, after: str, reading: Any) -> list[Received]:
    """Return entries of a stream, or of all streams of a pattern in the order in which they came; see `Bus.history`."""
    found: list[tuple[EntryId, Received]] = []
    [streams] = await behind(redis, names, [topic])
    for stream in streams:
        rows = (
            list(reversed(await redis.xrevrange(stream, count=count)))
            if after == "-"
            else await redis.xrange(stream, min=f"({after}", count=count)
        )
        found += [
            (entry_key(entry_id), Received(stream, entry_id.decode(), reading.decode(fields[b"m"])))
            for entry_id, fields in rows
        ]
    if len(streams) > 1:
        found.sort(key=_position)
        found = found[-count:] if after == "-" else found[:count]
    return [received for _, received in found]


def _position(entry: tuple[EntryId, Received]) -> EntryId:
    return entry[0]
