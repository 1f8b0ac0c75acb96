"""Leases on a real server: renewal, doubt, loss, and epochs that never fall."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from omega.bus.lease import _now
from omega.errors import Fenced
from omega.testing.bus_contract import decision
from omega.testing.servers import ValkeyServer

from .conftest import Build

WITHIN_S = 60.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - a lease tells nobody
            await asyncio.sleep(0.01)


async def test_lease_is_renewed_beyond_its_time(build: Build):
    lease = await (await build()).lease("xyko", ttl_s=1.0)
    taken = lease._renewed
    await until(lambda: lease._renewed > taken + 1.0)

    assert not lease.lost


async def test_lease_is_not_trusted_before_another_could_take_it(server: ValkeyServer, build: Build):
    """Two thirds of the time without renewal end the trust; the server forgets only after the whole."""
    bus = await build()
    lease = await bus.lease("xyko", ttl_s=0.9)
    server.freeze()
    asked = trusted = began = time.monotonic()
    try:
        async with asyncio.timeout(WITHIN_S):
            while lease.held:
                trusted = asked
                await asyncio.sleep(0.01)
                asked = time.monotonic()  # before the look: a machine that stands still in between makes it no later
    finally:
        server.thaw()

    assert trusted - began < 0.9
    with pytest.raises(Fenced):
        await bus.send(decision("xyko", 1), lease=lease)


async def test_lease_taken_by_another_is_lost_for_good(server: ValkeyServer, build: Build):
    first, second = await build("runner/1"), await build("runner/2")
    old = await first.lease("xyko", ttl_s=0.6)
    server.command("DEL", "dev:st:lease:xyko")
    new = await second.lease("xyko", ttl_s=5.0)
    await until(lambda: old.lost)

    assert (old.held, new.lost) == (False, False)
    assert new.epoch > old.epoch


async def test_lease_survives_a_server_that_forgot_everything(server: ValkeyServer, build: Build):
    """Nobody else has taken it, so its owner keeps it with its epoch."""
    bus = await build()
    lease = await bus.lease("xyko", ttl_s=0.6)
    epoch = lease.epoch
    server.command("FLUSHALL")
    flushed = _now()
    await until(lambda: lease._renewed > flushed)

    assert (lease.lost, lease.epoch) == (False, epoch)
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
