"""The traps of Redis and of its client that were measured, each sprung on a real server."""

from __future__ import annotations

import asyncio
import time

import pytest

from omega.bus import BusState, Patience, SendResult, connect
from omega.errors import EnvironmentFault, TransientError
from omega.runtime.bus_watch import BusWatch
from omega.telemetry import Metrics
from omega.testing.bus_contract import QUICK, decision, numbers, order, quote, reached, some
from omega.testing.servers import ValkeyServer, free_port, valkey_server

from .conftest import Build


async def test_start_without_a_server_names_it_and_what_to_do_within_three_seconds():
    bus = connect(f"redis://:geheim@127.0.0.1:{free_port()}", env="dev", source="runner/1")
    began = time.monotonic()

    with pytest.raises(EnvironmentFault) as caught:
        await bus.start()

    assert time.monotonic() - began < 3.0
    assert "redis://:***@127.0.0.1" in str(caught.value)
    assert "OMEGA_REDIS_URL" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.req("2.26", "2.27")
async def test_start_with_a_wrong_password_or_database_is_refused_clearly():
    with valkey_server({"requirepass": "richtig"}) as locked:
        for url, hint in (
            (f"redis://:falsch@127.0.0.1:{locked.port}", "password"),
            (f"redis://:richtig@127.0.0.1:{locked.port}/99", "database"),
        ):
            with pytest.raises(EnvironmentFault, match=hint) as caught:
                await connect(url, env="dev", source="runner/1").start()
            assert "falsch" not in str(caught.value).replace("falsche", "")
            assert "richtig" not in str(caught.value)
        bus = connect(f"redis://:richtig@127.0.0.1:{locked.port}", env="dev", source="runner/1")
        await bus.start()
        assert await bus.send(quote(1)) is SendResult.SENT
        await bus.close()


@pytest.mark.req("2.43")
async def test_right_to_the_key_without_the_channel_writes_nothing(server: ValkeyServer, build: Build):
    """A script is not rolled back: the check comes before the first write, and `proves` finds it at start."""
    server.command("ACL", "SETUSER", "half", "on", ">pw", "~*", "+@all", "resetchannels", "&dev:evt:bot:*")
    url = f"redis://half:pw@127.0.0.1:{server.port}/0"
    full = await build("gateway/1")
    half = connect(url, env="dev", source="gateway/2", patience=QUICK)
    await half.start()
    topics = (half.topics.bot_events("xyko"), half.topics.ledger())

    for _ in range(2):  # the second try must not be told that it is a duplicate
        with pytest.raises(EnvironmentFault, match="NOPERM"):
            await half.send(order("xyko"), message_id="same")
    await half.close()

    assert [await full.history(topic) for topic in topics] == [[], []]
    with pytest.raises(EnvironmentFault, match="evt:ledger"):
        await connect(url, env="dev", source="gateway/2", patience=QUICK, proves=topics).start()


async def test_wrong_type_of_a_key_writes_nothing_of_the_record(server: ValkeyServer, build: Build):
    bus = await build("gateway/1")
    server.command("SET", bus.topics.ledger(), "in the way")

    with pytest.raises(EnvironmentFault, match="WRONGTYPE"):
        await bus.send(order("xyko"))

    assert await bus.history(bus.topics.bot_events("xyko")) == []


@pytest.mark.req("0.28")
@pytest.mark.parametrize(
    ("refusing", "accepting"),
    [
        (("min-replicas-to-write", "1"), ("min-replicas-to-write", "0")),
        (("maxmemory", "1"), ("maxmemory", "0")),
    ],
    ids=["NOREPLICAS", "OOM"],
)
async def test_group_waits_while_a_server_takes_no_writes_and_goes_on(
    refusing: tuple[str, str], accepting: tuple[str, str], server: ValkeyServer, build: Build
):
    """A fail-over leaves a primary without its replica for a while: nobody has to start the readers again."""
    runner, ledger = await build("runner/1"), await build("ledger/1")
    await runner.send(decision("xyko", 1))
    server.command("CONFIG", "SET", *refusing)
    try:
        async with ledger.records(ledger.topics.decisions("xyko"), group="ledger", block_ms=50) as batches:
            reading = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0.5)
            assert not reading.done()
            server.command("CONFIG", "SET", *accepting)
            async with asyncio.timeout(30):
                [delivery] = await reading
            async with delivery as received:
                assert numbers([received]) == [1]
    finally:
        server.command("CONFIG", "SET", *accepting)


async def test_scripts_flushed_are_loaded_again(server: ValkeyServer, build: Build):
    bus = await build()
    server.command("SCRIPT", "FLUSH")

    assert await bus.send(decision("xyko", 1)) is SendResult.SENT


async def test_many_concurrent_calls_share_a_small_pool(build: Build):
    """200 at once neither exhaust the pool nor wait for ever."""
    bus = await build("runner/1", Patience(pool_size=2))

    sent = await asyncio.gather(*(bus.send(decision("xyko", number)) for number in range(200)))
    read = await asyncio.gather(*(bus.get("dev:st:none") for _ in range(50)))

    assert set(sent) == {SendResult.SENT}
    assert set(read) == {None}
    assert numbers(await bus.history(bus.topics.decisions())) == list(range(200))


@pytest.mark.req("2.28")
async def test_pool_tells_its_size_its_use_and_who_had_to_wait(build: Build):
    """Twenty blocking calls on three connections: three are busy, the others wait and are counted, all are served."""
    metrics = Metrics()
    bus = await build("runner/1", Patience(pool_size=3, socket_s=10))
    watch, before = BusWatch(service="x", bus=bus, metrics=metrics), bus.pool_use().waits
    calls = [asyncio.ensure_future(bus.redis.blpop(["nothing-comes"], timeout=0.2)) for _ in range(20)]
    while bus.pool_use().waits - before < 17:  # noqa: ASYNC110 - the pool tells nobody
        await asyncio.sleep(0)
    busy = bus.pool_use()
    watch.update()
    answers = await asyncio.gather(*calls)

    assert answers == [None] * 20
    assert (busy.used, busy.allowed) == (3, 3)
    assert bus.pool_use().used == 0
    assert metrics['omega_bus_connections{service="x",state="allowed"}'] == 3
    assert metrics['omega_bus_connections{service="x",state="used"}'] == 3
    assert metrics["omega_bus_pool_waits_total"] == before + 17


async def test_idle_group_outlives_the_socket_timeout(build: Build):
    """BLOCK stays below the time-out, so an idle reader does not raise."""
    bus = await build("ledger/1", Patience(socket_s=0.2))
    async with bus.records(bus.topics.decisions(), group="ledger", block_ms=7_000) as batches:
        reading = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0.7)
        assert not reading.done()
        await bus.send(decision("xyko", 1))
        assert len(await asyncio.wait_for(reading, 60)) == 1


@pytest.mark.req("2.29")
async def test_subscriber_cut_off_resumes_and_misses_nothing(server: ValkeyServer, build: Build):
    runner, reader = await build("runner/1"), await build("ledger/1")
    async with reader.follow(reader.topics.decisions()) as feed:
        await runner.send(decision("xyko", 0))
        got = await some(feed, 1)
        for number in range(1, 40):
            if number % 10 == 1:
                server.command("CLIENT", "KILL", "TYPE", "pubsub")
            await runner.send(decision("xyko", number))
        got += await some(feed, 39)

    assert numbers(got) == list(range(40))
    assert reader.stats.resumed >= 1


@pytest.mark.req("2.22")
async def test_follow_hole_in_the_sequence_is_read_from_the_stream(build: Build):
    """A message that pub/sub has swallowed is found by its missing number."""
    runner, reader = await build("runner/1"), await build("ledger/1")
    async with reader.follow(reader.topics.decisions()) as feed:
        await runner.send(decision("xyko", 0))
        got = await some(feed, 1)
        await runner.send_many([decision("xyko", number) for number in (1, 2, 3)])
        async with asyncio.timeout(60):
            while len(feed._raw) < 3:  # noqa: ASYNC110 - what the socket brings, before anybody reads it
                await asyncio.sleep(0.01)
        while len(feed._raw) > 1:
            feed._raw.popleft()
        got += await some(feed, 3)

    assert numbers(got) == [0, 1, 2, 3]
    assert reader.stats.gaps == 1


async def test_follow_reader_far_behind_stops_reading_and_loses_nothing(build: Build):
    """Beyond a thousand waiting messages the server holds them, not this process."""
    runner, reader = await build("runner/1"), await build("ledger/1")
    async with reader.follow(reader.topics.decisions()) as feed:
        for start in range(0, 5_000, 500):
            await runner.send_many([decision("xyko", number) for number in range(start, start + 500)])
        async with asyncio.timeout(60):
            while not feed._subscription._paused:  # noqa: ASYNC110 - what the socket brings, before anybody reads it
                await asyncio.sleep(0.01)
        got = await some(feed, 5_000)

    assert numbers(got) == list(range(5_000))


@pytest.mark.req("0.28")
async def test_frozen_server_degrades_then_isolates_and_nothing_is_doubled(server: ValkeyServer, build: Build):
    """A server that stands still takes what was in flight later: the retry is told that it is a duplicate."""
    bus = await build()
    server.freeze()
    try:
        flying = [asyncio.ensure_future(bus.send(decision("xyko", number))) for number in range(5)]
        await reached(bus, BusState.DEGRADED)
        await reached(bus, BusState.ISOLATED)
        results = await asyncio.gather(*flying)
    finally:
        server.thaw()
    await reached(bus, BusState.CONNECTED)

    assert set(results) == {SendResult.BUFFERED}
    assert numbers(await bus.history(bus.topics.decisions())) == list(range(5))


@pytest.mark.req("0.28", "0.53", "1.58")
async def test_server_killed_under_a_stream_of_records_loses_and_doubles_none(server: ValkeyServer, build: Build):
    """SIGKILL and restart in the middle of a burst: every record once, in order, for stream and follower."""
    runner = await build("runner/1", Patience(ping_s=0.1, outbox=5_000))
    reader = await build("ledger/1")

    async def produce() -> None:
        for number in range(1_500):
            await runner.send(decision("xyko", number))
            if number % 10 == 0:
                await asyncio.sleep(0.001)

    async with reader.follow(reader.topics.decisions()) as feed:
        producing = asyncio.ensure_future(produce())
        for _ in range(2):
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.restart)
        await producing
        got = await some(feed, 1_500, 20)
        await reached(runner, BusState.CONNECTED)

    assert numbers(got) == list(range(1_500))
    assert numbers(await reader.history(reader.topics.decisions(), count=2_000)) == list(range(1_500))
    assert runner.stats.reconnected >= 1


async def test_get_during_an_outage_raises_and_is_not_absence(server: ValkeyServer, build: Build):
    bus = await build()
    server.kill()

    with pytest.raises(TransientError, match="unknown"):
        await bus.get("dev:st:halt")


@pytest.mark.req("2.31")
async def test_close_leaves_no_task_and_no_connection(server: ValkeyServer):
    before = asyncio.all_tasks()
    bus = connect(server.url, env="dev", source="runner/leaver", patience=QUICK)
    await bus.start()
    await bus.lease("xyko")
    async with (
        bus.follow(bus.topics.decisions()),
        bus.records(bus.topics.decisions(), group="g") as batches,
        asyncio.timeout(30),
    ):
        await bus.send(decision("xyko", 1))
        await anext(batches)
    await bus.close()
    await asyncio.sleep(0.05)

    assert asyncio.all_tasks() == before
    assert b"leaver" not in server.command("CLIENT", "LIST")
