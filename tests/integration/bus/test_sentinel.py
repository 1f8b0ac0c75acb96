"""Fail-over with three real servers and three real Sentinels: what stays, what goes on, and what is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from omega.bus import BusState, Patience, Received, RedisBus, SendResult, connect
from omega.bus.endpoint import Endpoint, masked
from omega.errors import ConfigError, EnvironmentFault, TransientError
from omega.testing.bus_contract import decision, numbers
from omega.testing.sentinels import Watched, watched_servers
from omega.testing.servers import free_port

PATIENCE = Patience(
    connect_s=1.0, start_s=10.0, socket_s=2.0, degraded_s=0.5, isolated_s=1.0, ping_s=0.1, outbox=5_000, retry_s=0.01
)


@pytest.fixture
def watched() -> Iterator[Watched]:
    try:
        with watched_servers({"min-replicas-to-write": "1", "min-replicas-max-lag": "2"}) as running:
            yield running
    except EnvironmentFault as error:
        pytest.skip(str(error))


async def started(watched: Watched, source: str) -> RedisBus:
    bus = connect(watched.url, env="dev", source=source, patience=PATIENCE)
    await bus.start()
    return bus


async def settled(bus: RedisBus) -> None:
    """Wait until the bus is connected and its outbox is empty."""
    async with asyncio.timeout(30):
        while bus.state() is not BusState.CONNECTED or bus.waiting:  # noqa: ASYNC110 - two states, no one event
            await asyncio.sleep(0.05)


async def arrived(bus: RedisBus, topic: str, count: int) -> list[Received]:
    """Wait until a stream holds so many entries, and return what it holds."""
    async with asyncio.timeout(30):
        while True:
            try:
                kept = await bus.history(topic, count=2_000)
            except TransientError:
                kept = []
            if len(kept) >= count:
                return kept
            await asyncio.sleep(0.05)


@pytest.mark.req("0.28", "1.77")
async def test_primary_killed_bus_goes_on_with_the_promoted_replica_and_loses_no_record(watched: Watched) -> None:
    """Records flow while the primary dies: each is on the new one, in order; group and follower go on reading."""
    runner, reader = await started(watched, "runner/1"), await started(watched, "ledger/1")
    topic = reader.topics.decisions("xyko")
    old = watched.primary()
    grouped: set[int] = set()
    followed: set[int] = set()

    async def send_all() -> None:
        for number in range(400):
            await runner.send(decision("xyko", number), message_id=f"decision:{number}")
            await asyncio.sleep(0.005)
            if number == 150:
                old.kill()

    async def group() -> None:
        async with reader.records(topic, group="ledger", block_ms=100) as batches:
            while len(grouped) < 400:
                for delivery in await anext(batches):
                    async with delivery:
                        grouped.update(numbers([delivery.received]))

    async def follow() -> None:
        async with reader.follow(topic, since={topic: "0-0"}) as feed:
            while len(followed) < 400:
                followed.update(numbers([await anext(feed)]))

    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(group())
            tasks.create_task(follow())
            await send_all()
            new = await asyncio.to_thread(watched.until_promoted, old)
        await settled(runner)
        kept = [int(entry.envelope.id.partition(":")[2]) for entry in await arrived(reader, topic, 400)]
        await runner.put("dev:st:after", "yes")
        assert await reader.get("dev:st:after") == "yes"
    finally:
        await runner.close()
        await reader.close()

    assert new is not old
    assert kept == list(range(400))
    assert grouped == followed == set(range(400))
    assert runner.stats.reconnected >= 1


@pytest.mark.req("0.28")
async def test_records_that_only_the_old_primary_had_are_sent_again(watched: Watched) -> None:
    """The replicas stand still while the old primary acknowledges, then it dies: what it alone knew is not lost."""
    runner = await started(watched, "runner/1")
    topic = runner.topics.decisions("xyko")
    old, replicas = watched.servers[0], watched.servers[1:]
    try:
        await runner.send(decision("xyko", 0))
        for replica in replicas:
            replica.freeze()
        alone = [await runner.send(decision("xyko", number)) for number in range(1, 6)]
        old.kill()
        for replica in replicas:
            replica.thaw()
        await asyncio.to_thread(watched.until_promoted, old)
        await settled(runner)
        kept = numbers(await arrived(runner, topic, 6))
    finally:
        await runner.close()

    assert alone == [SendResult.SENT] * 5
    assert kept == [0, 1, 2, 3, 4, 5]


async def test_old_primary_that_comes_back_takes_no_writes(watched: Watched) -> None:
    """It stood still while another was promoted: without replicas, then as a replica, it refuses to write."""
    runner = await started(watched, "runner/1")
    old = watched.servers[0]
    try:
        await runner.send(decision("xyko", 0))
        old.freeze()
        await asyncio.to_thread(watched.until_promoted, old)
        old.thaw()
        end = time.monotonic() + 20
        answer = b""
        while not answer.startswith((b"-NOREPLICAS", b"-READONLY")) and time.monotonic() < end:
            await asyncio.sleep(0.1)
            try:
                answer = await asyncio.to_thread(old.command, "SET", "dev:st:ghost", "x")
            except (TimeoutError, OSError):
                continue
        await settled(runner)
        sent = await runner.send(decision("xyko", 1))
        kept = numbers(await arrived(runner, runner.topics.decisions("xyko"), 2))
    finally:
        await runner.close()

    assert answer.startswith((b"-NOREPLICAS", b"-READONLY")), answer
    assert sent in {SendResult.SENT, SendResult.BUFFERED}
    assert kept == [0, 1]


async def test_no_sentinel_answers_start_names_them_and_hides_the_password() -> None:
    url = f"redis+sentinel://omega:geheim@127.0.0.1:{free_port()},127.0.0.1:{free_port()}/farm/0"

    with pytest.raises(EnvironmentFault, match="no Sentinel names the primary farm") as caught:
        await connect(url, env="dev", source="runner/1", patience=Patience(start_s=0.5)).start()

    assert "geheim" not in str(caught.value)
    assert "redis+sentinel://omega:***@" in str(caught.value)


def test_sentinel_url_parts_are_read_and_wrong_ones_refused() -> None:
    read = Endpoint.parse("redis+sentinel://u:p@one:1,two/farm/3?sentinel_password=s%40x")

    assert [(one.host, one.port, one.password) for one in read.sentinels] == [("one", 1, "s@x"), ("two", 26379, "s@x")]
    assert (read.primary, read.db, read.username, read.password) == ("farm", 3, "u", "p")
    assert read.shown == "redis+sentinel://u:***@one:1,two:26379/farm/3"
    for wrong in ("redis+sentinel://one:1", "redis+sentinel:///farm", "redis+sentinel://one:x/farm"):
        with pytest.raises(ConfigError):
            Endpoint.parse(wrong)
    assert "s%40x" not in masked("redis+sentinel://u:p@one:1/farm?sentinel_password=s%40x")
