"""The silent Redis stall (jesse, PR 619): the server accepts and says nothing. Everybody notices within a bound."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import replace
from typing import Self

import pytest

from omega.bus import BusState, connect
from omega.bus.lease import lease_key
from omega.errors import EnvironmentFault, TransientError
from omega.testing.bus_contract import QUICK, decision, numbers, reached, some
from omega.testing.servers import ValkeyServer

from .conftest import Build


class Mute:
    """A door in front of a server that can go deaf for the connections that stand, and stay open for new ones."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.deaf = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close themselves

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        deaf = self.deaf
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass(source, target, deaf))
            self._tasks.add(task)

    def mute(self) -> None:
        """Swallow everything on the connections that stand; the next ones work."""
        self.deaf.set()
        self.deaf = asyncio.Event()

    @staticmethod
    async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        try:
            with suppress(OSError):
                while data := await source.read(1 << 16):
                    if deaf.is_set():
                        continue
                    target.write(data)
                    await target.drain()
        finally:
            target.transport.abort()


@pytest.mark.req("0.28", "2.29")
async def test_silent_redis_stall_of_a_subscription_alone_is_noticed_and_nothing_is_missed(
    server: ValkeyServer, build: Build
) -> None:
    """The pub/sub connection is half dead while the server lives: it is dialled anew, and the gap is read."""
    runner = await build("runner/1")
    async with Mute(server.port) as door:
        reader = connect(f"redis://127.0.0.1:{door.port}/0", env="dev", source="ledger/1", patience=QUICK)
        await reader.start()
        try:
            async with reader.follow(reader.topics.decisions("xyko")) as feed:
                await runner.send(decision("xyko", 0))
                got = await some(feed, 1)
                door.mute()
                for number in range(1, 6):
                    await runner.send(decision("xyko", number))
                got += await some(feed, 5)
            await reached(reader, BusState.CONNECTED)
            resumed = reader.stats.resumed
        finally:
            await reader.close()

    assert numbers(got) == [0, 1, 2, 3, 4, 5]
    assert resumed >= 1


@pytest.mark.req("0.28")
async def test_silent_redis_stall_isolates_refuses_reads_and_lets_go_of_the_lease(
    server: ValkeyServer, build: Build
) -> None:
    """The whole server stands still: ISOLATED, no lease is trusted, a read raises, and all comes back by itself."""
    bus = await build("runner/1", replace(QUICK, socket_s=1.0))
    lease = await bus.lease("xyko", ttl_s=1.5)
    server.freeze()
    try:
        await reached(bus, BusState.ISOLATED)
        async with asyncio.timeout(60):
            while lease.held:  # noqa: ASYNC110 - it ages by itself
                await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            with pytest.raises(TransientError, match="unknown"):
                await bus.get(lease_key(bus.topics, "xyko"))
    finally:
        server.thaw()
    await reached(bus, BusState.CONNECTED)


async def test_server_that_accepts_and_never_answers_is_no_server_at_start() -> None:
    """A port that takes connections and stays silent: the start gives up within its bound and says so."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        bus = connect(f"redis://127.0.0.1:{silent.getsockname()[1]}", env="dev", source="runner/1", patience=QUICK)
        async with asyncio.timeout(20):
            with pytest.raises(EnvironmentFault, match="silent for"):
                await bus.start()
