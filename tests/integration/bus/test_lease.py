"""Leases on a real server: renewal, doubt, loss, and epochs that never fall."""

from __future__ import annotations

import asyncio
import time

import pytest

from omega.errors import Fenced
from omega.testing.bus_contract import decision
from omega.testing.servers import ValkeyServer

from .conftest import Build


async def test_lease_is_renewed_beyond_its_time(build: Build):
    lease = await (await build()).lease("xyko", ttl_s=0.3)
    await asyncio.sleep(0.8)

    assert lease.held


async def test_lease_is_not_trusted_before_another_could_take_it(server: ValkeyServer, build: Build):
    """Two thirds of the time without renewal end the trust; the server forgets only after the whole."""
    bus = await build()
    lease = await bus.lease("xyko", ttl_s=0.9)
    server.freeze()
    began = time.monotonic()
    try:
        while lease.held and time.monotonic() - began < 3:  # noqa: ASYNC110 - the property is what is tested
            await asyncio.sleep(0.01)
        doubted = time.monotonic() - began
    finally:
        server.thaw()

    assert doubted < 0.9
    with pytest.raises(Fenced):
        await bus.send(decision("xyko", 1), lease=lease)


async def test_lease_taken_by_another_is_lost_for_good(server: ValkeyServer, build: Build):
    first, second = await build("runner/1"), await build("runner/2")
    old = await first.lease("xyko", ttl_s=0.6)
    server.command("DEL", "dev:st:lease:xyko")
    new = await second.lease("xyko", ttl_s=5.0)
    await asyncio.sleep(0.5)

    assert (old.held, new.held) == (False, True)
    assert new.epoch > old.epoch


async def test_lease_survives_a_server_that_forgot_everything(server: ValkeyServer, build: Build):
    """Nobody else has taken it, so its owner keeps it with its epoch."""
    bus = await build()
    lease = await bus.lease("xyko", ttl_s=0.6)
    epoch = lease.epoch
    server.command("FLUSHALL")
    await asyncio.sleep(0.5)

    assert (lease.held, lease.epoch) == (True, epoch)
    assert server.command("GET", "dev:st:epoch:xyko").split()[-1] == str(epoch).encode()


async def test_epoch_grows_also_over_the_loss_of_the_server(server: ValkeyServer, build: Build):
    """A gateway's journal remembers old epochs: after FLUSHALL the next one must not be lower."""
    bus = await build()
    first = await bus.lease("xyko", ttl_s=5.0)
    await first.release()
    server.command("FLUSHALL")
    await asyncio.sleep(1.05)
    second = await bus.lease("xyko", ttl_s=5.0)

    assert second.epoch > first.epoch
