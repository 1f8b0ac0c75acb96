"""The part of a Redis server that the bus needs, in this process: streams, groups, pub/sub, keys. Under MemoryBus.

Exact and repeatable; entries are the envelopes themselves, never bytes.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from redis.exceptions import ConnectionError as ServerGone
from redis.exceptions import ResponseError

from omega.bus import _scripts
from omega.bus._follow import EntryId, entry_key

Sink = Callable[[bytes, Any], None]
Entry = tuple[bytes, dict[bytes, Any]]

FENCED, DUPLICATE = "FENCED", "DUPLICATE"
_TRIMMED_BY = 100


@dataclass(slots=True)
class Pending:
    """One delivery that nobody has acknowledged."""

    consumer: str
    since: float
    count: int


@dataclass(slots=True)
class Group:
    """One consumer group of one stream."""

    last: EntryId
    pending: dict[EntryId, Pending] = field(default_factory=dict)


@dataclass(slots=True)
class Stream:
    """Entries in order, with their ids beside them for searching."""

    ids: list[EntryId] = field(default_factory=list)
    entries: list[dict[bytes, Any]] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)

    def after(self, key: EntryId, count: int | None) -> list[tuple[EntryId, dict[bytes, Any]]]:
        """Return up to `count` entries behind an id."""
        start = bisect_right(self.ids, key)
        stop = None if count is None else start + count
        return list(zip(self.ids[start:stop], self.entries[start:stop], strict=True))


class MemoryServer:
    """Streams, groups, keys and subscribers, with the methods of redis-py that the bus calls."""

    def __init__(
        self, *, now_ns: Callable[[], int] = time.time_ns, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.now_ns = now_ns
        self.monotonic = monotonic
        self.online = True
        self.streams: dict[str, Stream] = {}
        self._keys: dict[str, tuple[str, float]] = {}
        self._exact: dict[bytes, list[Sink]] = {}
        self._starred: list[tuple[str, Sink]] = []
        self._readers: list[asyncio.Future[None]] = []
        self._scripts: dict[str, Callable[[Sequence[str], Sequence[Any]], Any]] = {
            _scripts.TAKE_LEASE.text: self._take_lease,
            _scripts.RENEW_LEASE.text: self._renew_lease,
            _scripts.RELEASE_LEASE.text: self._release_lease,
            _scripts.BURY.text: self._bury,
            _scripts.REVIVE.text: self._revive,
        }

    # -- what the bus itself calls -------------------------------------------------------------------------------

    def subscribe(self, channels: Sequence[str], patterns: Sequence[str], sink: Sink) -> None:
        """Hand what is published to a sink."""
        for channel in channels:
            self._exact.setdefault(channel.encode(), []).append(sink)
        self._starred.extend((pattern, sink) for pattern in patterns)

    def unsubscribe(self, sink: Sink) -> None:
        """Forget a sink."""
        for sinks in self._exact.values():
            sinks[:] = [other for other in sinks if other != sink]
        self._starred = [(pattern, other) for pattern, other in self._starred if other != sink]

    def publish(self, topic: str, payload: Any) -> None:
        """Hand a payload to everybody who is subscribed now."""
        raw = topic.encode()
        for sink in tuple(self._exact.get(raw, ())):
            sink(raw, payload)
        for pattern, sink in tuple(self._starred):
            if fnmatchcase(topic, pattern):
                sink(raw, payload)

    def send(
        self,
        mark: str,
        topics: Sequence[str],
        envelope: Any,
        *,
        keep: int,
        dedup_s: float,
        fence: tuple[str, int] | None,
    ) -> str:
        """Fence, deduplicate, append and publish one record, like the script of the same name."""
        if fence is not None and fence[1] < int(self._get(fence[0]) or 0):
            return FENCED
        if self._get(mark) is not None:
            return DUPLICATE
        self._keys[mark] = ("1", self.monotonic() + dedup_s)
        for topic in topics:
            new = topic not in self.streams
            entry_id = self._append(topic, {b"m": envelope}, keep)
            self.publish(topic, (entry_id, envelope))
            if new:
                self.publish(f"{topic.partition(':')[0]}:st:streams", topic.encode())
        return topics[0]

    def announce(self, topics: Iterable[str]) -> None:
        """Make streams, empty as yet, and tell the readers of patterns."""
        for topic in topics:
            self._stream(topic, make=True)
            self.publish(f"{topic.partition(':')[0]}:st:streams", topic.encode())

    def flush(self) -> None:
        """Forget everything, as FLUSHALL does; subscribers stay."""
        self.streams.clear()
        self._keys.clear()

    def gone(self) -> None:
        """Be unreachable: whoever waits is told."""
        self.online = False
        self._wake()

    # -- the methods of redis-py -----------------------------------------------------------------------------------

    async def xrange(self, topic: str, min: str = "-", max: str = "+", count: int | None = None) -> list[Entry]:  # noqa: A002 - redis-py's names
        """Return entries of a stream, oldest first."""
        stream = self._stream(topic)
        if min.startswith("("):
            rows = stream.after(entry_key(min[1:]), count)
        else:
            low = (0, 0) if min == "-" else entry_key(min)
            rows = stream.after((low[0], low[1] - 1), count)
        if max != "+":
            rows = [row for row in rows if row[0] <= entry_key(max)]
        return [(_text(key), fields) for key, fields in rows]

    async def xrevrange(self, topic: str, count: int | None = None) -> list[Entry]:
        """Return entries of a stream, newest first."""
        stream = self._stream(topic)
        pairs = zip(reversed(stream.ids), reversed(stream.entries), strict=True)
        return [(_text(key), fields) for (key, fields), _ in zip(pairs, range(count or len(stream.ids)), strict=False)]

    async def xgroup_create(self, topic: str, group: str, id: str = "0", *, mkstream: bool = False) -> None:  # noqa: A002 - redis-py's name
        """Make a consumer group."""
        stream = self._stream(topic, make=mkstream)
        if group in stream.groups:
            raise ResponseError("BUSYGROUP Consumer Group name already exists")
        stream.groups[group] = Group(entry_key(id))

    async def xreadgroup(
        self, group: str, consumer: str, streams: Mapping[str, str], count: int, block: int | None = None
    ) -> list[list[Any]]:
        """Read as a consumer: what is new (`>`), or its own pending behind an id."""
        deadline = None if block is None else self.monotonic() + block / 1_000
        while True:
            found = [
                [topic.encode(), rows]
                for topic, after in streams.items()
                if (rows := self._group_rows(topic, group, consumer, after, count)) or after != ">"
            ]
            if found or deadline is None:
                await asyncio.sleep(0)
                return found
            left = deadline - self.monotonic()
            if left <= 0:
                return []
            await self._more(left)

    async def xpending_range(
        self,
        topic: str,
        group: str,
        min: str | bytes,  # noqa: A002 - redis-py's name
        max: str | bytes,  # noqa: A002 - redis-py's name
        count: int,
        consumername: str | None = None,
        idle: int | None = None,
    ) -> list[dict[str, Any]]:
        """List what is pending."""
        low = (0, 0) if min == "-" else entry_key(min)
        high = (1 << 63, 0) if max == "+" else entry_key(max)
        now = self.monotonic()
        rows = [
            {"message_id": _text(key), "times_delivered": pending.count}
            for key, pending in sorted(self._group(topic, group).pending.items())
            if low <= key <= high
            and consumername in (None, pending.consumer)
            and (now - pending.since) * 1_000 >= (idle or 0)
        ]
        return rows[:count]

    async def xclaim(
        self, topic: str, group: str, consumer: str, min_idle_time: int, message_ids: Sequence[str]
    ) -> list[Entry]:
        """Take pending entries over."""
        owned = self._group(topic, group).pending
        stream = self._stream(topic)
        now = self.monotonic()
        claimed = []
        for entry_id in message_ids:
            key = entry_key(entry_id)
            pending = owned.get(key)
            if pending is None or (now - pending.since) * 1_000 < min_idle_time:
                continue
            place = bisect_right(stream.ids, key) - 1
            if place < 0 or stream.ids[place] != key:
                del owned[key]
                continue
            owned[key] = Pending(consumer, now, pending.count + 1)
            claimed.append((_text(key), stream.entries[place]))
        return claimed

    async def xack(self, topic: str, group: str, *entry_ids: str) -> int:
        """Acknowledge deliveries."""
        owned = self._group(topic, group).pending
        return sum(owned.pop(entry_key(entry_id), None) is not None for entry_id in entry_ids)

    async def xlen(self, topic: str) -> int:
        """Return how many entries a stream holds."""
        return len(self._stream(topic).ids)

    async def xinfo_groups(self, topic: str) -> list[dict[str, Any]]:
        """Describe the groups of a stream."""
        stream = self._stream(topic)
        return [
            {
                "name": name.encode(),
                "pending": len(group.pending),
                "lag": len(stream.ids) - bisect_right(stream.ids, group.last),
                "last-delivered-id": _text(group.last),
            }
            for name, group in stream.groups.items()
        ]

    async def smembers(self, _: str) -> set[bytes]:
        """Return the index of streams: the only set that the bus keeps, and here it is what there is."""
        self._alive()
        return {name.encode() for name in self.streams}

    async def sadd(self, _: str, *names: str) -> int:
        """Note streams in the index; see `smembers`."""
        return len(names)

    async def set(self, key: str, value: str, px: int | None = None) -> bool:
        """Keep a value."""
        self._alive()
        self._keys[key] = (value, self.monotonic() + px / 1_000 if px else float("inf"))
        return True

    async def get(self, key: str) -> bytes | None:
        """Return a value."""
        self._alive()
        value = self._get(key)
        return None if value is None else value.encode()

    async def getdel(self, key: str) -> bytes | None:
        """Return a value and forget it."""
        value = await self.get(key)
        self._keys.pop(key, None)
        return value

    async def eval(self, text: str, numkeys: int, *words: Any) -> Any:
        """Run one of the bus's scripts."""
        self._alive()
        return self._scripts[text](words[:numkeys], words[numkeys:])

    # -- the scripts -------------------------------------------------------------------------------------------------

    def _take_lease(self, keys: Sequence[str], words: Sequence[Any]) -> int:
        if self._get(keys[0]) is not None:
            return 0
        epoch = int(self._get(keys[1]) or 0) + 1
        self._keys[keys[0]] = (str(words[0]), self.monotonic() + words[1] / 1_000)
        self._keys[keys[1]] = (str(epoch), float("inf"))
        return epoch

    def _renew_lease(self, keys: Sequence[str], words: Sequence[Any]) -> int:
        if self._get(keys[0]) not in (None, words[0]) or self._get(keys[1]) not in (None, str(words[2])):
            return 0
        self._keys[keys[0]] = (str(words[0]), self.monotonic() + words[1] / 1_000)
        self._keys[keys[1]] = (str(words[2]), float("inf"))
        return 1

    def _release_lease(self, keys: Sequence[str], words: Sequence[Any]) -> int:
        if self._get(keys[0]) != words[0]:
            return 0
        del self._keys[keys[0]]
        return 1

    def _bury(self, keys: Sequence[str], words: Sequence[Any]) -> int:
        group, entry_id, envelope, reason, attempts, length = words
        fields = {b"m": envelope, b"stream": keys[0].encode(), b"group": group.encode(), b"entry": entry_id.encode()}
        fields |= {b"reason": str(reason).encode(), b"attempts": str(attempts).encode()}
        self._append(keys[1], fields, length)
        return int(self._group(keys[0], group).pending.pop(entry_key(entry_id), None) is not None)

    def _revive(self, keys: Sequence[str], words: Sequence[Any]) -> str | None:
        dead = self._stream(keys[0])
        key = entry_key(words[0])
        if key not in dead.ids:
            return None
        place = dead.ids.index(key)
        del dead.ids[place], dead.entries[place]
        entry_id = self._append(keys[1], {b"m": words[1]}, words[2])
        self.publish(keys[1], (entry_id, words[1]))
        return entry_id

    # -- inside ------------------------------------------------------------------------------------------------------

    def _alive(self) -> None:
        if not self.online:
            raise ServerGone("the server in memory is switched off")

    def _get(self, key: str) -> str | None:
        value, until = self._keys.get(key, ("", 0.0))
        return value if until > self.monotonic() else None

    def _stream(self, topic: str, *, make: bool = False) -> Stream:
        self._alive()
        return self.streams.setdefault(topic, Stream()) if make else self.streams.get(topic) or Stream()

    def _group(self, topic: str, group: str) -> Group:
        found = self._stream(topic).groups.get(group)
        if found is None:
            raise ResponseError(f"NOGROUP No such key '{topic}' or consumer group '{group}'")
        return found

    def _append(self, topic: str, fields: dict[bytes, Any], keep: int) -> str:
        stream = self.streams.setdefault(topic, Stream())
        moment = self.now_ns() // 1_000_000
        last = stream.ids[-1] if stream.ids else (0, 0)
        key = (moment, 0) if moment > last[0] else (last[0], last[1] + 1)
        stream.ids.append(key)
        stream.entries.append(fields)
        surplus = len(stream.ids) - keep
        if surplus >= _TRIMMED_BY and surplus % _TRIMMED_BY == 0:  # cutting the head off each time would cost
            floors = [min(group.pending, default=group.last) for group in stream.groups.values()]
            cut = min(surplus, bisect_left(stream.ids, min(floors, default=(1 << 63, 0))))
            del stream.ids[:cut], stream.entries[:cut]
        self._wake()
        return f"{key[0]}-{key[1]}"

    def _group_rows(self, topic: str, group: str, consumer: str, after: str, count: int) -> list[Entry]:
        owned = self._group(topic, group)
        stream = self._stream(topic)
        now = self.monotonic()
        if after == ">":
            rows = stream.after(owned.last, count)
            for key, _ in rows:
                owned.pending[key] = Pending(consumer, now, 1)
                owned.last = key
            return [(_text(key), fields) for key, fields in rows]
        behind = entry_key(after)
        keys = [key for key, pending in sorted(owned.pending.items()) if key > behind and pending.consumer == consumer][
            :count
        ]
        known = dict(zip(stream.ids, stream.entries, strict=True)) if keys else {}
        for key in keys:
            owned.pending[key] = Pending(consumer, now, owned.pending[key].count + 1)
        return [(_text(key), known.get(key, {})) for key in keys]

    async def _more(self, within_s: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._readers.append(future)
        try:
            async with asyncio.timeout(within_s):
                await future
        except TimeoutError:
            return

    def _wake(self) -> None:
        if self._readers:
            readers, self._readers = self._readers, []
            for future in readers:
                if not future.done():
                    future.set_result(None)


def _text(key: EntryId) -> bytes:
    return b"%d-%d" % key
