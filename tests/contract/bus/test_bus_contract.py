"""The bus contract, over the bus in memory and over Redis on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from omega.bus import Bus, MemoryBus, MemoryHub, RedisBus, connect
from omega.errors import EnvironmentFault
from omega.testing.bus_contract import QUICK, BusContract
from omega.testing.servers import ValkeyServer, valkey_server


class MemoryWorld:
    def __init__(self) -> None:
        self.hub = MemoryHub()
        self.buses: list[MemoryBus] = []

    async def bus(self, source: str) -> Bus:
        bus = MemoryBus(source=source, hub=self.hub, patience=QUICK)
        self.buses.append(bus)
        return bus

    async def down(self) -> None:
        self.hub.down()

    async def up(self) -> None:
        self.hub.up()

    async def flush(self) -> None:
        self.hub.server.flush()


class RedisWorld:
    def __init__(self, server: ValkeyServer) -> None:
        self.server = server
        self.buses: list[RedisBus] = []

    async def bus(self, source: str) -> Bus:
        bus = connect(self.server.url, env="dev", source=source, patience=QUICK)
        await bus.start()
        self.buses.append(bus)
        return bus

    async def down(self) -> None:
        self.server.kill()

    async def up(self) -> None:
        self.server.start()

    async def flush(self) -> None:
        self.server.command("FLUSHALL")

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


@pytest.mark.req("0.03", "0.53", "1.82", "2.125", "2.127")
class TestMemoryBus(BusContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[MemoryWorld]:
        made = MemoryWorld()
        yield made
        for bus in made.buses:
            await bus.close()


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    try:
        with valkey_server() as running:
            yield running
    except EnvironmentFault as error:
        pytest.skip(str(error))


@pytest.mark.req("0.03", "0.28", "0.53", "1.82", "2.112", "4.40", "2.127")
class TestRedisBus(BusContract):
    @pytest.fixture
    async def world(self, server: ValkeyServer) -> AsyncIterator[RedisWorld]:
        if not server.running:
            server.start()
        server.command("FLUSHALL")
        made = RedisWorld(server)
        yield made
        await made.close()
