"""Looking at the bus from outside: topics, tails, dead letters, and what is wrong with it. Behind `omega topics`."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Protocol

from pydantic_core import from_json
from redis.exceptions import RedisError, ResponseError

from omega.bus import _scripts
from omega.bus.codec import WIRE_NAMES
from omega.bus.envelope import Envelope
from omega.bus.memory import MemoryBus
from omega.bus.messages import BY_NAME, SPECS, MessageClass
from omega.bus.port import Bus, Received
from omega.bus.redis import RedisBus
from omega.bus.samples import samples
from omega.bus.server_check import Finding, check_default_user, check_server
from omega.bus.topics import Topics
from omega.errors import ConfigError, TransientError

_SCAN = 500
_LOOKED_AT = 200
_LAG = 50
_HELD = 200
"""Entries above the wanted length that trimming by whole nodes leaves by itself."""
_COUNTED = 1_000
_REPLAY_PAGE = 100


class Inspectable(Bus, Protocol):
    """A bus that shows its server."""

    @property
    def redis(self) -> Any:
        """The client of the server."""


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """One consumer group: how far behind, and how much in hand. A lag of -1 is unknown to the server."""

    name: str
    consumers: int
    pending: int
    lag: int
    last_id: str


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """One stream as it is on the server."""

    topic: str
    entries: int
    last_id: str
    memory: int
    groups: tuple[GroupInfo, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a group could not digest."""

    entry_id: str
    stream: str
    group: str
    origin: str
    reason: str
    attempts: int
    data: Any


async def list_topics(bus: RedisBus, *, pattern: str = "*") -> list[TopicInfo]:
    """Return the streams of the environment, by name."""
    match = f"{bus.topics.env}:{pattern}"
    names = [name.decode() async for name in bus.redis.scan_iter(match=match, count=_SCAN, _type="stream")]
    return [await _topic(bus, name) for name in sorted(names)]


async def tail(bus: Bus, *topics: str, count: int = 10) -> AsyncIterator[Received]:
    """Yield the last `count` entries of every topic, then everything that comes."""
    seen: dict[str, str] = {}
    for topic in topics:
        for received in await bus.history(topic, count=count):
            seen[topic] = received.entry_id
            yield received
    async with bus.follow(*topics, since=seen) as feed:
        async for received in feed:
            yield received


async def dead_letters(bus: Inspectable, stream: str) -> list[DeadLetter]:
    """Return what lies in the dead letters of a stream, oldest first."""
    return [
        DeadLetter(
            entry_id=entry_id.decode(),
            stream=fields[b"stream"].decode(),
            group=fields[b"group"].decode(),
            origin=fields[b"entry"].decode(),
            reason=fields[b"reason"].decode(),
            attempts=int(fields[b"attempts"]),
            data=fields[b"m"],
        )
        for entry_id, fields in await bus.redis.xrange(bus.topics.dead_letters(stream))
    ]


async def replay_dead_letters(bus: Inspectable, stream: str, *, limit: int = 0) -> int:
    """Send dead letters to their stream again, oldest first, and return how many went.

    Every group of the stream sees them again; consumers are idempotent, so only the one that failed acts.

    Args:
        bus: a started bus.
        stream: the stream they came from (not the dead letters' own name).
        limit: how many at most, 0 = all that lie there now.
    """
    letters = await dead_letters(bus, stream)
    dead = bus.topics.dead_letters(stream)
    sent = 0
    for letter in letters[: limit or None]:
        keep = _keep(letter.data)
        sent += bool(await bus.redis.eval(_scripts.REVIVE.text, 2, dead, stream, letter.entry_id, letter.data, keep))
    return sent


async def doctor(bus: RedisBus) -> list[Finding]:
    """Look for old message versions, groups that lag or are missing, dead letters and memory that runs out."""
    topics = await list_topics(bus)
    findings = [*_missing_groups(topics, bus.topics.env)]
    for info in topics:
        findings += _of_groups(info)
        findings += await _of_entries(bus, info)
    return findings + await server_findings(bus)


async def server_findings(bus: RedisBus) -> list[Finding]:
    """Look at the server itself: append-only file, eviction, role, replicas, memory."""
    shown = bus.endpoint.shown
    found = check_server(await bus.redis.info(), shown, watched=bool(bus.endpoint.sentinels))
    try:
        return found + check_default_user(await bus.redis.acl_getuser("default"), shown)
    except ResponseError:  # only an administrator may ask, and servers without users cannot be asked
        return found


async def drop_group(bus: RedisBus, stream: str, group: str) -> int:
    """Forget a consumer group that nobody serves any more, and return how many records it had not read or acknowledged.

    Until then the stream is kept for it beyond its length.

    Raises:
        ConfigError: the stream has no such group.
    """
    info = await _topic(bus, stream) if await bus.redis.exists(stream) else None
    found = next((one for one in info.groups if one.name == group), None) if info is not None else None
    if found is None:
        raise ConfigError(f"{stream} has no group {group!r}: see `omega topics list`")
    await bus.redis.xgroup_destroy(stream, group)
    return max(found.lag, 0) + found.pending


async def held(bus: Bus, *topics: str) -> int:
    """Return how many entries the streams behind topics hold."""
    assert isinstance(bus, (RedisBus, MemoryBus))
    return sum([int(await bus.redis.xlen(stream)) for stream in await bus.streams(*topics)])


async def surplus(bus: Bus, *topics: str) -> int:
    """Return how many entries the streams behind topics hold beyond their lengths for groups that lag."""
    assert isinstance(bus, (RedisBus, MemoryBus))
    found = 0
    for stream in await bus.streams(*topics):
        found += max(0, await bus.redis.xlen(stream) - (kept(stream) or sys.maxsize) - _HELD)
    return found


async def backlog(bus: Bus, *topics: str, group: str) -> int:
    """Return how many entries of the streams behind topics a group has not read or not acknowledged.

    The server counts; no entry is read unless it has lost count (after deletions), and then at most 1,000 a stream.

    Raises:
        TransientError: the server is away.
    """
    assert isinstance(bus, (RedisBus, MemoryBus))
    streams = await bus.streams(*topics)
    try:
        return sum([await _backlog(bus.redis, stream, group) for stream in streams])
    except (RedisError, OSError) as error:
        raise TransientError(f"cannot count what group {group} has not read: {error}; ask again") from error


async def _backlog(redis: Any, stream: str, group: str) -> int:
    entries = int(await redis.xlen(stream))
    rows = await redis.xinfo_groups(stream) if entries else ()
    row = next((row for row in rows if row["name"].decode() == group), None)
    if row is None:
        return entries
    lag = row.get("lag")
    if lag is None:
        last = row["last-delivered-id"].decode()
        lag = len(await redis.xrange(stream, min=f"({last}", count=_COUNTED))
    return int(lag) + int(row["pending"])


def kept(topic: str) -> int:
    """Return how many entries a stream is meant to keep, 0 when no message of the registry goes there."""
    env = topic.partition(":")[0]
    return next((keep for pattern, keep in _lengths(env) if fnmatchcase(topic, pattern)), 0)


@cache
def _lengths(env: str) -> tuple[tuple[str, int], ...]:
    topics = Topics(env)
    names = [(topic, spec.keep) for spec in SPECS for sample in samples(spec.name) for topic in topics.of(sample)]
    return tuple((re.sub(r"<[^>]*>", "*", topic), keep) for topic, keep in names if keep)


async def _topic(bus: RedisBus, name: str) -> TopicInfo:
    info = await bus.redis.xinfo_stream(name)
    rows = await bus.redis.xinfo_groups(name)
    groups = tuple(
        GroupInfo(
            name=row["name"].decode(),
            consumers=int(row["consumers"]),
            pending=int(row["pending"]),
            lag=-1 if row.get("lag") is None else int(row["lag"]),
            last_id=row["last-delivered-id"].decode(),
        )
        for row in rows
    )
    memory = await bus.redis.memory_usage(name) or 0
    return TopicInfo(name, int(info["length"]), info["last-generated-id"].decode(), int(memory), groups)


def _keep(data: Any) -> int:
    name = data.type if isinstance(data, Envelope) else str(from_json(data).get("type"))
    return BY_NAME[name].keep if name in BY_NAME else max(spec.keep for spec in SPECS)


def _missing_groups(topics: list[TopicInfo], env: str) -> list[Finding]:
    """Every stream of intents has a gateway that drains it."""
    return [
        Finding("bad", info.topic, f"{info.entries} intents and no group gateway", "start the gateway of that account")
        for info in topics
        if info.topic.startswith(f"{env}:intent:") and not any(group.name == "gateway" for group in info.groups)
    ]


def _of_groups(info: TopicInfo) -> list[Finding]:
    findings = []
    surplus = info.entries - kept(info.topic) if kept(info.topic) else 0
    for group in info.groups:
        if surplus > _HELD and group.lag + group.pending > kept(info.topic):
            text = f"group {group.name} holds {surplus} entries beyond the {kept(info.topic)} that are kept"
            advice = f"start {group.name}, or give it up: omega topics drop-group {info.topic} {group.name}"
            findings.append(Finding("bad", info.topic, text, advice))
        behind = max(group.lag, 0) + group.pending
        if behind > _LAG:
            text = f"group {group.name} is {group.lag} behind with {group.pending} in hand"
            findings.append(Finding("warn", info.topic, text, f"see whether {group.name} runs, and its log"))
    if ":dlq:" in info.topic and info.entries:
        text = f"{info.entries} dead letters"
        findings.append(Finding("bad", info.topic, text, "read the reasons, mend the consumer, then replay them"))
    return findings


async def _of_entries(bus: RedisBus, info: TopicInfo) -> list[Finding]:
    """Name who still sends an old version, and what this build cannot read at all."""
    old: dict[tuple[str, int, str], int] = {}
    findings = []
    for _, fields in await bus.redis.xrevrange(info.topic, count=_LOOKED_AT):
        try:
            wire = from_json(fields[b"m"])
            name, version = str(wire["type"]), int(wire[WIRE_NAMES["version"]])
        except (ValueError, KeyError, TypeError):
            findings.append(Finding("bad", info.topic, "holds an entry that is no envelope", "find who writes to it"))
            break
        if name not in BY_NAME or version != BY_NAME[name].version:
            place = (name, version, str(wire.get(WIRE_NAMES["source"])))
            old[place] = old.get(place, 0) + 1
    for (name, version, source), count in sorted(old.items()):
        text = f"{source} sent {count} of {name} version {version}"
        findings.append(Finding("warn", info.topic, text, f"update {source}, or this build"))
    return findings


def is_record(name: str) -> bool:
    """Tell whether a message type is a record (it has a stream)."""
    return BY_NAME[name].delivery is MessageClass.RECORD
