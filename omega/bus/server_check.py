"""Is this Redis server fit for records? Asked when a bus connects, by `omega doctor` and `omega topics doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MEMORY_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a human should know. `level` is `ok`, `warn` or `bad`; `advice` is the next step."""

    level: str
    subject: str
    text: str
    advice: str


def check_server(info: Mapping[str, Any], subject: str, *, watched: bool = False) -> list[Finding]:
    """Judge what a server tells about itself.

    Args:
        info: the answer to INFO, every section.
        subject: the server as it may be shown.
        watched: it is reached through Sentinels, so that a replica may take over.
    """
    return [
        finding
        for finding in (
            _of_log(info, subject),
            _of_last_write(info, subject),
            _of_eviction(info, subject),
            _of_role(info, subject),
            _of_replicas(info, subject) if watched else None,
            _of_memory(info, subject),
        )
        if finding is not None
    ]


def check_default_user(user: Mapping[str, Any], subject: str) -> list[Finding]:
    """Judge the answer to ACL GETUSER default, which only an administrator gets.

    Source: https://github.com/valkey-io/valkey/issues/3983
    """
    if user["enabled"] or "+@all" in user["categories"]:
        return []
    text = "the default user is off and has no rights: on a restart many servers drop what scripts wrote, every record"
    return [Finding("bad", subject, text, "ACL SETUSER default off resetpass ~* &* +@all (nobody can log in as it)")]


def _of_log(info: Mapping[str, Any], subject: str) -> Finding | None:
    if int(info.get("aof_enabled", 0)):
        return None
    text = "the append-only file is off: a restart loses every record since the last snapshot"
    return Finding("bad", subject, text, "set appendonly yes and appendfsync everysec")


def _of_last_write(info: Mapping[str, Any], subject: str) -> Finding | None:
    if str(info.get("aof_last_write_status", "ok")) == "ok":
        return None
    return Finding("bad", subject, "the append-only file could not be written", "free the disk of the server")


def _of_eviction(info: Mapping[str, Any], subject: str) -> Finding | None:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        return None
    text = f"maxmemory-policy is {policy}: when memory runs out the server drops streams, leases and epochs"
    return Finding("bad", subject, text, "set maxmemory-policy noeviction; producers trim")


def _of_role(info: Mapping[str, Any], subject: str) -> Finding | None:
    if str(info.get("role", "master")) == "master":
        return None
    return Finding("bad", subject, "this server is a replica and takes no writes", "point redis.url at the primary")


def _of_replicas(info: Mapping[str, Any], subject: str) -> Finding | None:
    wanted = info.get("min_slaves_good_slaves")
    if wanted is not None:  # INFO tells it only where min-replicas-to-write is set
        return None
    text = "min-replicas-to-write is not set: a primary that was cut off goes on taking writes that are lost"
    return Finding("warn", subject, text, "set min-replicas-to-write 1 and min-replicas-max-lag 10")


def _of_memory(info: Mapping[str, Any], subject: str) -> Finding:
    used, limit = int(info["used_memory"]), int(info.get("maxmemory", 0))
    text = f"{used / 2**20:.1f} MiB used" + (f" of {limit / 2**20:.0f}" if limit else ", no limit set")
    if limit and used > limit * _MEMORY_SHARE:
        return Finding("bad", subject, text, "raise maxmemory, or keep fewer entries")
    return Finding("ok", subject, text, "")
