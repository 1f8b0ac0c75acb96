"""All keys of an environment as a file and back, and a group set back to where its reader stands. For `omega dr`.

Keys are dumped by the server itself (DUMP, RESTORE), so streams keep their groups and what is pending in them; it needs
no file access to the server. Each key is one consistent value; two keys may be some milliseconds apart.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from omega.bus._follow import entry_key
from omega.bus.inspect import list_topics
from omega.bus.redis import RedisBus
from omega.errors import ConfigError, CorruptData, TransientError

_SCAN: Final = 500


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


async def restore_keys(bus: RedisBus, path: Path) -> int:
    """Put every key of a file back; return their number. Nothing that is there is overwritten.

    Raises:
        ConfigError: a key is there already.
        CorruptData: the file is no snapshot.
        TransientError: the server does not answer.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]  # noqa: ASYNC240 - see above
        keys = [(b64decode(row["key"]), b64decode(row["value"]), int(row["left_ms"])) for row in rows]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CorruptData(f"{path} is no snapshot of Redis: {error}") from error
    try:
        for key, _, _ in keys:
            if await bus.redis.exists(key):
                raise ConfigError(
                    f"Redis has {key.decode()} already: restore into an empty server, before the farm starts"
                )
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


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
