"""Consumer groups: at least once, own pending first, higher topics first, dead letters after too many failures."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Self

from redis.exceptions import RedisError, ResponseError

from omega._structlog import structlog
from omega.bus import _scripts
from omega.bus._follow import entry_key
from omega.bus._lanes import Lanes
from omega.bus._link import passing
from omega.bus._subscription import Subscription
from omega.bus.endpoint import Patience
from omega.bus.port import Delivery, Received
from omega.bus.stats import BusStats
from omega.bus.topics import Topics
from omega.errors import CorruptData, EnvironmentFault, Fenced, InvariantBroken, TransientError

_ACK_DELAY_S = 0.005
_GROWING_MS = 100
"""How long a reader of a pattern waits at most before it looks whether a new stream was announced."""
_RETRY_S = 0.2
_GONE = ("NOGROUP", "UNBLOCKED")
"""The stream or its group has vanished; a server of before 7.2 tells whoever is waiting on it by the second word."""
DEAD_LENGTH = 10_000
_SHARE = 8
"""Entries of one stream in one read at least, however many streams share it."""

logger = structlog.get_logger(__name__)


class GroupDelivery:
    """One record in the hands of a group. A clean exit acknowledges; an error leaves it pending and it comes again.

    Errors are kept from the consumer's loop, so one bad record does not stop the good ones; only what must stop the
    process (Fenced, InvariantBroken, a cancellation) goes through.
    """

    __slots__ = ("_reader", "attempts", "received")

    def __init__(self, received: Received, attempts: int, reader: GroupReader) -> None:
        self.received = received
        self.attempts = attempts
        self._reader = reader

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        topic, entry_id = self.received.topic, self.received.entry_id
        if error is None:
            self._reader.acknowledge(topic, entry_id)
            return False
        if not isinstance(error, Exception) or isinstance(error, (Fenced, InvariantBroken)):
            self._reader.let_go(topic, entry_id)
            return False
        await self._reader.failed(self, f"{type(error).__name__}: {error}")
        return True


class GroupReader(AsyncIterator[list[Delivery]]):
    """Reads topics as one consumer of a group, in batches of one topic each; a pattern is one topic.

    The server counts entries by stream, so the streams share a batch: all of them alike at first, and those alone that
    had news when one of them had more to give.
    """

    def __init__(
        self,
        redis: Any,
        topics: Sequence[str],
        *,
        read: Callable[..., Awaitable[Sequence[Any]]],
        done: Callable[[], None] = lambda: None,
        subscribe: Callable[..., Subscription],
        group: str,
        consumer: str,
        batch: int,
        ranked: bool,
        block_ms: int,
        names: Topics,
        patience: Patience,
        stats: BusStats,
        reading: Any,
    ) -> None:
        self._decode = reading.decode
        self._redis = redis
        self._read_group = read
        self._done = done
        self._lanes = Lanes(redis, names, topics, subscribe)
        self._group = group
        self._consumer = consumer
        self._batch = batch
        self._ranked = ranked
        # A BLOCK that outlasts the socket time-out raises instead of returning empty.
        self._block_ms = max(1, min(block_ms, int(patience.socket_s * 1_000 / 2)))
        self._names = names
        self._patience = patience
        self._stats = stats
        self._last: dict[str, str] = {}
        self._in_hand: set[tuple[str, str]] = set()
        self._pages: deque[tuple[int, list[Delivery]]] = deque()
        self._owed: deque[tuple[int, str, str]] = deque()
        """(place, topic, entry id behind which to go on): what this consumer had in hand and has not read again."""
        self._due: list[tuple[float, str, str]] = []
        self._acks: dict[str, list[str]] = {}
        self._flush_handle: asyncio.TimerHandle | None = None
        self._flushing: set[asyncio.Task[None]] = set()
        self._next_claim = 0.0
        self._busy = 0
        self._begun = False
        self._closed = False

    async def __aenter__(self) -> AsyncIterator[list[Delivery]]:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if self._flush_handle is not None:
            self._flush_handle.cancel()
        self._done()
        try:
            await asyncio.gather(*self._flushing)
            await self._flush()
        finally:
            await self._lanes.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Delivery]:
        while not self._closed:
            try:
                batch = await self._next_batch()
            except ResponseError as error:
                await self._recover(error)
                continue
            except (RedisError, OSError, TransientError) as error:
                logger.debug("group.read_retried", group=self._group, error=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            if batch:
                self._stats.received += len(batch)
                return batch
        raise StopAsyncIteration

    def acknowledge(self, topic: str, entry_id: str) -> None:
        """Note that the effect of a delivery is durable; acknowledgements travel together a few milliseconds later."""
        self._in_hand.discard((topic, entry_id))
        self._acks.setdefault(topic, []).append(entry_id)
        if self._flush_handle is None:
            self._flush_handle = asyncio.get_running_loop().call_later(_ACK_DELAY_S, self._flush_soon)

    def let_go(self, topic: str, entry_id: str) -> None:
        """Leave a delivery pending: the process is about to stop."""
        self._in_hand.discard((topic, entry_id))

    async def failed(self, delivery: GroupDelivery, reason: str) -> None:
        """Try a delivery again later, or bury it after the last attempt."""
        topic, entry_id = delivery.received.topic, delivery.received.entry_id
        logger.warning(
            "delivery.failed", topic=topic, entry=entry_id, group=self._group, attempts=delivery.attempts, error=reason
        )
        if delivery.attempts >= self._patience.failures:
            try:
                entry = await self._redis.xrange(topic, min=entry_id, max=entry_id)
                await self._bury(topic, entry_id, entry[0][1][b"m"] if entry else b"", reason, delivery.attempts)
            except (RedisError, OSError) as error:
                logger.debug("burial.retried", topic=topic, entry=entry_id, error=str(error))
            else:
                return
        wait_s = self._patience.retry_s * 2 ** (delivery.attempts - 1)
        self._due.append((time.monotonic() + wait_s, topic, entry_id))
        self._due.sort()

    async def _begin(self) -> None:
        self._pages.clear()
        self._in_hand.clear()
        await self._lanes.refresh()
        await self._make_groups(self._lanes.all)
        self._owed = deque((place, topic, "0") for place, topics in enumerate(self._lanes.of) for topic in topics)
        self._next_claim = time.monotonic() + self._patience.claim_s
        self._begun = True

    async def _next_batch(self) -> list[Delivery]:
        if not self._begun:
            await self._begin()
        while self._owed and not self._pages:
            await self._own_pending(*self._owed.popleft())
        if self._pages:
            return await self._next_page()
        if self._lanes.stale:
            await self._make_groups(await self._lanes.refresh())
        now = time.monotonic()
        if self._due and self._due[0][0] <= now:
            _, topic, entry_id = self._due.pop(0)
            self._in_hand.discard((topic, entry_id))
            return await self._claimed(topic, [entry_id], 0)
        if now >= self._next_claim:
            self._next_claim = now + self._patience.claim_s
            self._lanes.stale = self._lanes.growing
            await self._claim_left_behind()
            if self._pages:
                return self._pages.popleft()[1]
        self._pages.extend(await self._read(len(self._lanes.of), self._wait_ms(now)))
        return self._pages.popleft()[1] if self._pages else []

    async def _next_page(self) -> list[Delivery]:
        """Give what was read before, unless a higher topic has news by now: entries never delay an exit."""
        if not self._ranked:
            return self._pages.popleft()[1]
        higher = await self._read(self._pages[0][0], None)
        self._pages.extendleft(reversed(higher))
        return self._pages.popleft()[1]

    def _wait_ms(self, now: float) -> int:
        wait_ms = min(self._block_ms, _GROWING_MS) if self._lanes.growing else self._block_ms
        return max(1, min(wait_ms, int((self._due[0][0] - now) * 1_000))) if self._due else wait_ms

    async def _read(self, places: int, block_ms: int | None) -> list[tuple[int, list[Delivery]]]:
        """Ask the first so many topics in one round trip; pages of each that has news, in their order."""
        place_of = {name: place for place, names in enumerate(self._lanes.of[:places]) for name in names}
        if not place_of:
            await asyncio.sleep((block_ms or 0) / 1_000)
            return []
        where = dict.fromkeys(place_of, ">")
        shares = min(self._busy or len(where), len(where))
        count = min(self._batch, max(_SHARE, self._batch // shares))
        reply = await self._read_group(self._group, self._consumer, where, count=count, block=block_ms)
        if places == len(self._lanes.of):
            self._busy = len(reply) if any(len(entries) == count for _, entries in reply) else 0
        pages: dict[int, list[Delivery]] = {}
        for raw, entries in reply:
            topic = raw.decode()
            pages.setdefault(place_of[topic], []).extend(await self._deliver(topic, entries, None))
        for place, page in pages.items():
            if len(self._lanes.of[place]) > 1:  # several streams of one pattern: in the order in which they came
                page.sort(key=_came)
        return [(place, part) for place in sorted(pages) for part in _parts(pages[place], self._batch)]

    async def _deliver(self, topic: str, entries: Sequence[Any], counts: dict[str, int] | None) -> list[Delivery]:
        """Turn entries into deliveries; what cannot be read, or has been tried too often, is buried."""
        page: list[Delivery] = []
        for raw_id, fields in entries:
            entry_id = raw_id.decode()
            if counts is None:
                self._last[topic] = entry_id
            attempts = 1 if counts is None else counts.get(entry_id, 1)
            if not fields:  # trimmed away while it was pending
                self.acknowledge(topic, entry_id)
                continue
            raw = fields[b"m"]
            if attempts > self._patience.failures:
                await self._bury(
                    topic, entry_id, raw, f"delivered {attempts - 1} times, never acknowledged", attempts - 1
                )
                continue
            try:
                envelope = self._decode(raw)
            except CorruptData as error:
                self._stats.corrupt += 1
                await self._bury(topic, entry_id, raw, f"CorruptData: {error}", attempts)
                continue
            self._stats.redelivered += attempts > 1
            self._in_hand.add((topic, entry_id))
            published = raw if isinstance(raw, bytes) else b""
            page.append(GroupDelivery(Received(topic, entry_id, envelope, published), attempts, self))
        return page

    async def _own_pending(self, place: int, topic: str, after: str) -> None:
        """Queue a page of what this consumer had in hand when it died, oldest first, and owe the next one.

        News of a topic is read only when nothing of it is owed any more, so that order holds and memory does too.
        """
        reply = await self._read_group(self._group, self._consumer, {topic: after}, count=self._batch)
        entries = reply[0][1] if reply else []
        if not entries:
            return
        self._owed.appendleft((place, topic, entries[-1][0].decode()))
        page = await self._deliver(topic, entries, await self._counts(topic, entries))
        if page:
            self._pages.append((place, page))

    async def _counts(self, topic: str, entries: Sequence[Any]) -> dict[str, int]:
        rows = await self._redis.xpending_range(
            topic, self._group, min=entries[0][0], max=entries[-1][0], count=10_000, consumername=self._consumer
        )
        return {row["message_id"].decode(): int(row["times_delivered"]) for row in rows}

    async def _claimed(self, topic: str, entry_ids: list[str], idle_ms: int) -> list[Delivery]:
        entries = await self._redis.xclaim(topic, self._group, self._consumer, idle_ms, entry_ids)
        return await self._deliver(topic, entries, await self._counts(topic, entries)) if entries else []

    async def _claim_left_behind(self) -> None:
        """Take over what another consumer (or an earlier life of this one) has left pending for too long."""
        idle_ms = int(self._patience.claim_idle_s * 1_000)
        for place, topic in [(place, name) for place, names in enumerate(self._lanes.of) for name in names]:
            rows = await self._redis.xpending_range(
                topic, self._group, min="-", max="+", count=self._batch, idle=idle_ms
            )
            ids = [row["message_id"].decode() for row in rows]
            ids = [entry_id for entry_id in ids if (topic, entry_id) not in self._in_hand]
            if ids:
                page = await self._claimed(topic, ids, idle_ms)
                if page:
                    self._pages.append((place, page))

    async def _bury(self, topic: str, entry_id: str, raw: Any, reason: str, attempts: int) -> None:
        self._in_hand.discard((topic, entry_id))
        dead = self._names.dead_letters(topic)
        words = (self._group, entry_id, raw, reason, attempts, DEAD_LENGTH)
        await self._redis.eval(_scripts.BURY.text, 2, topic, dead, *words)
        self._stats.buried += 1
        logger.error(
            "delivery.buried", topic=topic, entry=entry_id, group=self._group, dead_letters=dead, reason=reason
        )

    async def _recover(self, error: ResponseError) -> None:
        """Make vanished groups again; wait out what passes by itself; any other refusal is a human's to mend."""
        if passing(error):
            await asyncio.sleep(_RETRY_S)
            return
        if not any(word in str(error) for word in _GONE):
            raise EnvironmentFault(
                f"Redis refuses group {self._group} on {', '.join(self._lanes.topics)}: {error}; "
                "check the rights of the user (omega topics acl)"
            ) from error
        self._stats.groups_recreated += 1
        logger.warning("group.recreated", group=self._group, topics=self._lanes.topics)
        try:
            await self._make_groups(self._lanes.all)
        except (RedisError, OSError):
            await asyncio.sleep(_RETRY_S)

    async def _make_groups(self, topics: Sequence[str]) -> None:
        for topic in topics:
            try:
                await self._redis.xgroup_create(topic, self._group, id=await self._start_of(topic), mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        if topics:  # a stream that a group has made is announced by nobody: its first message finds it there
            await self._redis.sadd(self._names.streams(), *topics)

    async def _start_of(self, topic: str) -> str:
        """Return where a group begins: behind what it has read, or at 0 when it is new or the stream is younger."""
        last = self._last.get(topic)
        if last is None:
            return "0"
        newest = await self._redis.xrevrange(topic, count=1)
        return last if newest and entry_key(newest[0][0]) >= entry_key(last) else "0"

    def _flush_soon(self) -> None:
        self._flush_handle = None
        task = asyncio.create_task(self._flush(), name=f"bus-ack:{self._group}")
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)

    async def _flush(self) -> None:
        """Acknowledge what is done; what cannot be told now is delivered again later, which consumers bear."""
        acks, self._acks = self._acks, {}
        try:
            for topic, ids in acks.items():
                await self._redis.xack(topic, self._group, *ids)
        except (RedisError, OSError) as error:
            for topic, ids in acks.items():
                self._acks.setdefault(topic, []).extend(ids)
            logger.debug("acknowledgement.retried", group=self._group, error=str(error))
            if not self._closed and self._flush_handle is None:
                self._flush_handle = asyncio.get_running_loop().call_later(_RETRY_S, self._flush_soon)


def _parts(page: list[Delivery], size: int) -> list[list[Delivery]]:
    return [page[start : start + size] for start in range(0, len(page), size)]


def _came(delivery: Delivery) -> tuple[int, int]:
    return entry_key(delivery.received.entry_id)
