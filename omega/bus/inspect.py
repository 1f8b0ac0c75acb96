"""Looking at the bus from outside: topics, tails, dead letters, and what is wrong with it. Behind `omega topics`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_core import from_json

from omega.bus import _scripts
from omega.bus.codec import WIRE_NAMES
from omega.bus.envelope import Envelope
from omega.bus.messages import BY_NAME, SPECS, MessageClass
from omega.bus.port import Bus, Received
from omega.bus.redis import RedisBus

_SCAN = 500
_LOOKED_AT = 200
_LAG = 50
_MEMORY_SHARE = 0.6
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
class Finding:
    """Something that a human should know. `level` is `ok`, `warn` or `bad`; `advice` is the next step."""

    level: str
    subject: str
    text: str
    advice: str


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
    findings.append(await _of_memory(bus))
    return findings


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
    for group in info.groups:
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


async def _of_memory(bus: RedisBus) -> Finding:
    info = await bus.redis.info("memory")
    used, limit = int(info["used_memory"]), int(info.get("maxmemory", 0))
    text = f"{used / 2**20:.1f} MiB used" + (f" of {limit / 2**20:.0f}" if limit else ", no limit set")
    if limit and used > limit * _MEMORY_SHARE:
        return Finding("bad", bus.endpoint.shown, text, "raise maxmemory, or keep fewer entries")
    return Finding("ok", bus.endpoint.shown, text, "")


def is_record(name: str) -> bool:
    """Tell whether a message type is a record (it has a stream)."""
    return BY_NAME[name].delivery is MessageClass.RECORD
