"""The embedded Redis server of `omega up`: ready once it has read back what the run before has left."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from omega.bus.acl import ADMIN
from omega.bus.endpoint import Endpoint
from omega.bus.wire import dial
from omega.cli.farm.processes import Processes
from omega.cli.farm.redis_server import Keys, redis_child, wait_for_redis
from omega.errors import EnvironmentFault
from omega.testing.servers import free_port

KEYS = 400


async def test_redis_that_loads_a_long_run_is_waited_for(tmp_path: Path) -> None:
    keys = Keys.fresh("dev", ["fib-btc"])
    login = keys.login(await _leave_keys(tmp_path, keys), ADMIN)
    child, _ = redis_child(tmp_path, free_port(), keys.acl(["fib-btc"]))
    # It loads for more than a second, and answers meanwhile that it does.
    child.argv += ["--key-load-delay", "4000", "--loading-process-events-interval-bytes", "1024"]
    processes = Processes()
    try:
        begun = time.monotonic()
        await processes.start(child)
        await wait_for_redis(child, login)
        assert time.monotonic() - begun > KEYS * 0.003
        wire = await dial(Endpoint.parse(login), name="test", within_s=1.0)
        assert await wire.call("DBSIZE") == KEYS
        wire.abort()
    finally:
        await processes.stop()


async def _leave_keys(home: Path, keys: Keys) -> str:
    """Run a server until it has written its keys into one file; return its URL."""
    child, url = redis_child(home, free_port(), keys.acl(["fib-btc"]))
    processes = Processes()
    try:
        await processes.start(child)
        await wait_for_redis(child, keys.login(url, ADMIN))
        wire = await dial(Endpoint.parse(keys.login(url, ADMIN)), name="test", within_s=1.0)
        for number in range(KEYS):
            await wire.call("SET", f"key:{number}", "x" * 100)
        await wire.call("BGREWRITEAOF")
        while b"aof_rewrite_in_progress:0" not in await wire.call("INFO", "persistence"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        wire.abort()
    finally:
        await processes.stop()
    return url


async def test_redis_that_keeps_dying_is_told_with_its_own_words(tmp_path: Path) -> None:
    keys = Keys.fresh("dev", ["fib-btc"])
    child, url = redis_child(tmp_path, free_port(), keys.acl(["fib-btc"]))
    child.argv += ["--maxmemory-policy", "nothing-of-the-kind"]
    processes = Processes()
    try:
        await processes.start(child)
        with pytest.raises(EnvironmentFault, match="nothing-of-the-kind"):
            await wait_for_redis(child, keys.login(url, "cli"))
    finally:
        await processes.stop()
