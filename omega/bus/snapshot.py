"""All keys of an environment as a file and back, and a group set back to where its reader stands. For `omega dr`.

Keys are dumped by the server itself (DUMP, RESTORE), so streams keep their groups and what is pending in them; it needs
no file access to the server. Each key is one consistent value; two keys may be some milliseconds apart.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from omega.bus._follow import entry_key
from omega.bus.inspect import list_topics
from omega.bus.redis import RedisBus
from omega.errors import ConfigError, CorruptData, TransientError

_SCAN: Final = 500
DUMPING: Final = ("SCAN", "DUMP", "PTTL")
RESTORING: Final = ("EXISTS", "RESTORE")
REWINDING: Final = ("SCAN", "XGROUP SETID")
"""What each part asks of the server."""


async def check_rights(bus: RedisBus, commands: Iterable[str]) -> None:
    """Try commands on a key that is not there: nothing is changed, and a server that refuses does so before the work.

    Raises:
        ConfigError: the user of this connection may not give one of them; all that are missing are named.
        TransientError: the server does not answer.
    """
    key = f"{bus.topics.env}:no:such:key"
    probes: dict[str, tuple[str | bytes | int, ...]] = {
        "SCAN": ("SCAN", 0, "COUNT", 1),
        "DUMP": ("DUMP", key),
        "PTTL": ("PTTL", key),
        "EXISTS": ("EXISTS", key),
        "RESTORE": ("RESTORE", key, 0, b"no value"),
        "XGROUP SETID": ("XGROUP", "SETID", key, "probe", "0-0"),
    }
    missing = []
    try:
        user = _name(await bus.redis.execute_command("ACL WHOAMI"))
        for command in dict.fromkeys(commands):
            try:
                await bus.redis.execute_command(*probes[command])
            except NoPermissionError:
                missing.append(command)
            except ResponseError:
                continue  # it may, and the key is not there
    except RedisError as error:
        raise TransientError(f"Redis does not tell what its user may do: {error}") from error
    if missing:
        raise ConfigError(
            f"the Redis user {user!r} may not {', '.join(missing)}: log in as the one who runs the server, "
            "OMEGA_REDIS__USERNAME=admin OMEGA_REDIS__PASSWORD=... (docs/howto/redis.md); nothing was done"
        )


async def dump_keys(bus: RedisBus, path: Path) -> int:
    """Write every key of the environment into a file, one JSON object a line; return their number.

    Raises:
        TransientError: the server does not answer.
    """
    count = 0
    try:
        with path.open("w", encoding="utf-8") as file:
            async for key in bus.redis.scan_iter(match=f"{bus.topics.env}:*", count=_SCAN):
                value, left_ms = await bus.redis.dump(key), await bus.redis.pttl(key)
                if value is None:  # it expired meanwhile
                    continue
                row = {"key": _text(key), "value": _text(value), "left_ms": max(left_ms, 0)}
                file.write(json.dumps(row) + "\n")
                count += 1
    except RedisError as error:
        raise TransientError(f"Redis does not give its keys: {error}; check the rights of the user") from error
    return count


async def check_room(bus: RedisBus, path: Path) -> None:
    """See that a snapshot can be put back, before anything else is.

    Raises:
        ConfigError: a key is there already.
        CorruptData: the file is no snapshot.
        TransientError: the server does not answer.
    """
    try:
        await _check_free(bus, _read(path))
    except RedisError as error:
        raise TransientError(f"Redis does not tell its keys: {error}") from error


async def restore_keys(bus: RedisBus, path: Path) -> int:
    """Put every key of a file back; return their number. Nothing that is there is overwritten.

    Raises:
        ConfigError: a key is there already.
        CorruptData: the file is no snapshot.
        TransientError: the server does not answer.
    """
    keys = _read(path)
    try:
        await _check_free(bus, keys)
        for key, value, left_ms in keys:
            await bus.redis.restore(key, left_ms, value)
    except RedisError as error:
        raise TransientError(f"Redis does not take the keys: {error}") from error
    return len(keys)


async def rewind_group(bus: RedisBus, group: str, ends: Mapping[str, str]) -> dict[str, str]:
    """Set a group back on every stream that it has read further than its reader's database holds.

    Args:
        bus: connected.
        group: the consumer group.
        ends: the newest entry by topic that the database holds.

    Returns:
        The topics that were set back with the entry they go on behind.
    """
    moved: dict[str, str] = {}
    for stream in await list_topics(bus):
        entry_id = ends.get(stream.topic, "") or "0-0"
        read = next((one.last_id for one in stream.groups if one.name == group), "0-0")
        if entry_key(read.encode()) > entry_key(entry_id.encode()):
            await bus.redis.xgroup_setid(stream.topic, group, entry_id)
            moved[stream.topic] = entry_id
    return moved


def _read(path: Path) -> list[tuple[bytes, bytes, int]]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [(b64decode(row["key"]), b64decode(row["value"]), int(row["left_ms"])) for row in rows]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CorruptData(f"{path} is no snapshot of Redis: {error}") from error


async def _check_free(bus: RedisBus, keys: Iterable[tuple[bytes, bytes, int]]) -> None:
    for key, _, _ in keys:
        if await bus.redis.exists(key):
            raise ConfigError(f"Redis has {key.decode()} already: restore into an empty server, before the farm starts")


def _name(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
