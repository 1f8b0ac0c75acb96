"""Openings and closings that a cancellation cuts while the server is silent: no connection and no task stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import pytest

from omega.bus import RedisBus, connect
from omega.bus.endpoint import Endpoint
from omega.bus.wire import dial
from omega.testing.bus_contract import QUICK, decision
from omega.testing.servers import ValkeyServer

WITHIN_S = 60.0


class Door:
    """A way to a server on which a command is swallowed, and with it all that follows on its connection."""

    def __init__(self, port: int, *, deaf_to: bytes) -> None:
        self._behind, self._word = port, b"\r\n" + deaf_to + b"\r\n"
        self._clients: set[asyncio.Task[None]] = set()
        self.swallowed = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close themselves

    async def empty(self) -> None:
        """Wait until every client has gone."""
        async with asyncio.timeout(WITHIN_S):
            while self._clients:
                await asyncio.wait(self._clients)

    def bus(self, source: str = "runner/1") -> RedisBus:
        return connect(self.url, env="dev", source=source, patience=QUICK)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        back = asyncio.ensure_future(self._pass(far_reader, writer))
        try:
            await self._pass(reader, far_writer, self._word)
        finally:
            back.cancel()
            far_writer.transport.abort()
            writer.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, word: bytes = b"") -> None:
        deaf = False
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if word and word in data:
                    deaf = True
                    self.swallowed.set()
                if not deaf:
                    target.write(data)
                    await target.drain()


async def cut(work: Coroutine[Any, Any, object], when: asyncio.Event) -> None:
    """Cancel work once something has happened."""
    doing, happened = asyncio.ensure_future(work), asyncio.ensure_future(when.wait())
    async with asyncio.timeout(WITHIN_S):
        await asyncio.wait({doing, happened}, return_when=asyncio.FIRST_COMPLETED)
        happened.cancel()
        doing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doing


def tasks_of_the_bus() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("bus-")}


async def entered(bus: RedisBus) -> None:
    async with bus.signals(bus.topics.heartbeat("*", "*")):
        pass


@asynccontextmanager
async def started(door: Door) -> AsyncIterator[RedisBus]:
    bus = door.bus()
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


@pytest.mark.parametrize("word", [b"SCRIPT", b"EVAL", b"INFO"])
async def test_start_that_is_cut_leaves_no_connection(server: ValkeyServer, word: bytes) -> None:
    """The service's bound on its start cuts it wherever it waits."""
    async with Door(server.port, deaf_to=word) as door:
        await cut(door.bus().start(), door.swallowed)

        await door.empty()
        assert not tasks_of_the_bus()


async def test_subscription_that_is_cut_before_it_is_confirmed_leaves_no_connection(server: ValkeyServer) -> None:
    async with Door(server.port, deaf_to=b"PSUBSCRIBE") as door:
        async with started(door) as bus:
            await cut(entered(bus), door.swallowed)

        await door.empty()
        assert not tasks_of_the_bus()


async def test_reader_that_is_cut_while_it_acknowledges_lets_go_of_its_ear(server: ValkeyServer) -> None:
    """A reader of a pattern listens for new streams: that connection is closed too."""
    async with Door(server.port, deaf_to=b"XACK") as door, started(door) as bus:

        async def read_one() -> None:
            async with bus.records(bus.topics.decisions("*"), group="ledger") as batches:
                async for batch in batches:
                    for delivery in batch:
                        async with delivery:
                            pass
                    return

        await bus.send(decision("xyko", 1))
        await cut(read_one(), door.swallowed)

        assert not {name for name in tasks_of_the_bus() if name.startswith("bus-subscription")}


async def test_close_that_is_cut_while_it_flushes_still_disconnects(server: ValkeyServer) -> None:
    """The service's end has a bound; what is still buffered then is said in the log, and everything is closed."""
    async with Door(server.port, deaf_to=b"EVALSHA") as door:
        bus = door.bus()
        await bus.start()
        asked = asyncio.ensure_future(bus.send(decision("xyko", 1)))
        await door.swallowed.wait()
        server.freeze()  # nobody takes the record that has come back
        try:
            bus._ready().cut()
            await asked
            assert bus.waiting == 1
            begun = asyncio.Event()
            asyncio.get_running_loop().call_later(0.2, begun.set)
            await cut(bus.close(), begun)
        finally:
            server.thaw()

        await door.empty()
        assert not tasks_of_the_bus()


async def test_connection_whose_peer_reads_nothing_is_closed_all_the_same(server: ValkeyServer) -> None:
    """What waits to be written would keep the socket open for as long as the peer stands still."""
    wire = await dial(Endpoint.parse(server.url), name="runner/1", within_s=30.0)
    server.freeze()
    try:
        wire.send(b"*2\r\n$4\r\nECHO\r\n$67108864\r\n" + bytes(67_108_864))
        await wire.close()
        async with asyncio.timeout(WITHIN_S):
            await wire._closed

        assert not wire.open
    finally:
        server.thaw()
