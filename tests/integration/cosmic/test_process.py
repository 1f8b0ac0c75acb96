"""The cosmic container as a process with its own Redis user: a feed over HTTP, killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from omega.bus import RedisBus, connect
from omega.bus.acl import acl_file, users
from omega.domain import FeedState, Reading
from omega.errors import EnvironmentFault
from omega.testing.bounds import exit_code
from omega.testing.servers import ValkeyServer, valkey_server
from omega.topology import redis_user

ROOT = Path(__file__).resolve().parents[3]
PASSWORDS = {one.name: f"pw-{one.name}" for one in users("dev", ())}
HOUR_NS = 3_600 * 10**9


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    path = tmp_path / "users.acl"
    path.write_text(acl_file(list(users("dev", ())), PASSWORDS, admin="boss"), encoding="utf-8")
    try:
        with valkey_server({"aclfile": str(path)}) as running:
            yield running
    except EnvironmentFault as error:
        pytest.skip(str(error))


def url_of(server: ValkeyServer, service: str) -> str:
    name = redis_user("dev", service)
    return f"redis://{name}:{PASSWORDS[name]}@127.0.0.1:{server.port}/0"


@asynccontextmanager
async def feeds(answer: dict[str, object]) -> AsyncIterator[str]:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(answer["body"], status=200 if answer["body"] else 503)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/feed"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def container(server: ValkeyServer, url: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    values = {
        "OMEGA_ENV": "dev",
        "OMEGA_REDIS_URL": url_of(server, "cosmic"),
        "OMEGA_COSMIC__CLOCK": "wall",
        "OMEGA_REDIS__LEASE_TTL_S": "2",
        "OMEGA_COSMIC__TABLE_HOURS": "48",
        "OMEGA_COSMIC__PUBLISH_S": "0.2",
        "OMEGA_COSMIC__FEEDS__FEAR_GREED": json.dumps({"enabled": True, "url": url, "every_s": 0.2}),
        "PYTHONPATH": str(ROOT),
    }
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cosmic", cwd=ROOT, env={**os.environ, **values}, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await exit_code(process)


async def reading_until(bus: RedisBus, factor: str, wanted: FeedState) -> Reading:
    async with bus.signals(bus.topics.reading(factor)) as signals, asyncio.timeout(60):
        async for received in signals:
            reading = received.envelope.data
            if isinstance(reading, Reading) and reading.state is wanted:
                return reading
    raise AssertionError(factor)


@pytest.mark.req("0.18", "0.49", "1.71")
async def test_container_reads_its_feed_and_after_a_kill_its_last_good_value(server: ValkeyServer, tmp_path: Path):
    log = tmp_path / "cosmic.log"
    stamp = (time.time_ns() - 2 * HOUR_NS) // 10**9
    answer: dict[str, object] = {"body": {"data": [{"value": "12", "timestamp": str(stamp)}]}}
    bus = connect(url_of(server, "discord_bot"), env="dev", source="discord_bot/1")
    await bus.start()

    async with feeds(answer) as url:
        async with container(server, url, log) as first:
            live = await reading_until(bus, "global_sentiment", FeedState.LIVE)
            moon = await reading_until(bus, "moon_phase", FeedState.CALCULATED)
            first.send_signal(signal.SIGKILL)
            await exit_code(first)
        answer["body"] = None
        async with container(server, url, log):
            kept = await reading_until(bus, "global_sentiment", FeedState.LIVE)
            told = await bus.ask("cosmic", "feeds", within_ns=30 * 10**9)
    await bus.close()

    assert (live.raw, live.label) == (12.0, "despair")
    assert (kept.raw, kept.as_of_ns) == (live.raw, live.as_of_ns)
    assert moon.confidence == 1.0
    assert isinstance(told, dict)
    assert 7_200 <= told["fear_greed"]["age_s"] < 7_500
    text = log.read_text(encoding="utf-8")
    assert "feed.failed" in text
    assert text.count("feed.failed") == 1
    assert "NOPERM" not in text
    assert "task.failed" not in text
