"""A group's own connection: a reader that is cancelled, a server that stands still, one that refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.exceptions import ResponseError

from omega.bus._group_wire import GroupWire
from omega.bus.endpoint import Endpoint
from omega.bus.wire import Wire, WireLost, dial
from omega.testing.bus_contract import QUICK
from omega.testing.servers import ValkeyServer

PATIENCE = replace(QUICK, socket_s=0.4)


@pytest.fixture
async def person(server: ValkeyServer) -> AsyncIterator[Wire]:
    wire = await dial(Endpoint.parse(server.url), name="person", within_s=2.0)
    await wire.call("FLUSHALL")
    await wire.call("XGROUP", "CREATE", "stream", "group", "0", "MKSTREAM")
    yield wire
    wire.abort()


@pytest.fixture
async def reader(server: ValkeyServer) -> AsyncIterator[GroupWire]:
    made = GroupWire(Endpoint.parse(server.url), PATIENCE, name="reader")
    yield made
    made.close()


async def test_group_wire_reads_what_came_and_what_was_trimmed_meanwhile(person: Wire, reader: GroupWire) -> None:
    first = await person.call("XADD", "stream", "*", "m", "one")
    second = await person.call("XADD", "stream", "*", "m", "two")
    news = await reader.xreadgroup("group", "me", {"stream": ">"}, count=10, block=50)
    await person.call("XDEL", "stream", first)
    mine = await reader.xreadgroup("group", "me", {"stream": "0"}, count=10)

    assert news == [(b"stream", [(first, {b"m": b"one"}), (second, {b"m": b"two"})])]
    assert mine == [(b"stream", [(first, {}), (second, {b"m": b"two"})])]
    assert await reader.xreadgroup("group", "me", {"stream": ">"}, count=10, block=20) == []


async def test_group_wire_cancelled_read_takes_nothing_from_the_next_one(person: Wire, reader: GroupWire) -> None:
    waiting = asyncio.create_task(reader.xreadgroup("group", "me", {"stream": ">"}, count=10, block=10_000))
    while b"cmd=xreadgroup" not in await person.call("CLIENT", "LIST"):  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(60):
        while b"cmd=xreadgroup" in await person.call("CLIENT", "LIST"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    came = await person.call("XADD", "stream", "*", "m", "one")

    assert await reader.xreadgroup("group", "me", {"stream": ">"}, count=10) == [(b"stream", [(came, {b"m": b"one"})])]


async def test_group_wire_notices_a_server_that_stands_still_and_goes_on_with_it(
    server: ValkeyServer, person: Wire, reader: GroupWire
) -> None:
    await reader.xreadgroup("group", "me", {"stream": ">"}, count=10)
    server.freeze()
    try:
        with pytest.raises(WireLost, match=r"said nothing for 0\.4 s"):
            await reader.xreadgroup("group", "me", {"stream": ">"}, count=10)
    finally:
        server.thaw()
    await person.call("XADD", "stream", "*", "m", "one")

    assert [len(rows) for _, rows in await reader.xreadgroup("group", "me", {"stream": ">"}, count=10)] == [1]


async def test_group_wire_tells_a_refusal_as_the_server_does(person: Wire, reader: GroupWire) -> None:
    await person.call("XGROUP", "DESTROY", "stream", "group")
    with pytest.raises(ResponseError, match="NOGROUP"):
        await reader.xreadgroup("group", "me", {"stream": ">"}, count=10)
