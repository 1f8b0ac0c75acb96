"""A real server for the tests of the bus, and buses that are closed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from omega.bus import Patience, RedisBus, connect
from omega.errors import EnvironmentFault
from omega.testing.bus_contract import QUICK
from omega.testing.servers import ValkeyServer, valkey_server

Build = Callable[..., Awaitable[RedisBus]]


@pytest.fixture(scope="module")
def running_server() -> Iterator[ValkeyServer]:
    try:
        with valkey_server() as running:
            yield running
    except EnvironmentFault as error:
        pytest.skip(str(error))


@pytest.fixture
def server(running_server: ValkeyServer) -> ValkeyServer:
    if not running_server.running:
        running_server.start()
    running_server.command("FLUSHALL")
    return running_server


@pytest.fixture
async def build(server: ValkeyServer) -> AsyncIterator[Build]:
    made: list[RedisBus] = []

    async def start(source: str = "runner/1", patience: Patience = QUICK) -> RedisBus:
        bus = connect(server.url, env="dev", source=source, patience=patience)
        await bus.start()
        made.append(bus)
        return bus

    yield start
    for bus in made:
        await bus.close()
