"""`RedisClient` of the two class diagrams, every method on a real server."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator

import pytest

from omega.bus import Envelope, Patience, RedisClient, Topics
from omega.errors import ConfigError, EnvironmentFault, TransientError
from omega.testing.bus_contract import QUICK, decision, quote
from omega.testing.servers import ValkeyServer, free_port

TOPICS = Topics("dev")


def wrapped(message, kind: str, ident: str = "01JVNS4P00A1B2C3D4E5F6G7H8") -> Envelope:  # noqa: ANN001 - any message
    return Envelope(ident, kind, 1, time.time_ns(), "test/1", 0, 1, ident, "", "k", 0, "", message)


@pytest.fixture
async def redis(server: ValkeyServer) -> AsyncIterator[RedisClient]:
    made = RedisClient("127.0.0.1", server.port, patience=QUICK)
    yield made
    await made.disconnect()


@pytest.mark.req("1.55", "1.56", "1.57", "2.24", "2.25", "2.26", "1.22")
def test_client_has_the_surface_of_both_class_boxes():
    made = RedisClient("h", 7000, 2, "secret")

    assert (made.host, made.port, made.db, made.password, made.client, made.pubsub) == (
        "h",
        7000,
        2,
        "secret",
        None,
        None,
    )
    for name in ("connect", "disconnect", "get", "set", "delete", "publish", "subscribe", "keys"):
        assert inspect.iscoroutinefunction(getattr(made, name)), name
    assert inspect.isasyncgenfunction(made.listen)
    assert "secret" not in repr(made)


@pytest.mark.parametrize(("port", "db"), [(0, 0), (65_536, 0), (6379, -1)])
def test_client_out_of_range_is_a_config_error(port: int, db: int):
    with pytest.raises(ConfigError, match="write"):
        RedisClient("h", port, db)


@pytest.mark.req("1.59", "1.60", "1.61", "2.32", "2.33", "2.34")
async def test_client_set_get_delete(redis: RedisClient):
    assert await redis.get("dev:st:a") is None
    assert await redis.set("dev:st:a", "1", ttl_s=60)
    assert not await redis.set("dev:st:a", "2", only_if_absent=True)
    assert await redis.get("dev:st:a") == "1"
    assert 0 < await redis.client.pttl("dev:st:a") <= 60_000
    await redis.set("dev:st:a", "1", ttl_s=0.02)
    await asyncio.sleep(0.1)
    assert await redis.get("dev:st:a") is None
    await redis.set("dev:st:b", "x")
    await redis.set("dev:st:c", "y")
    assert await redis.delete("dev:st:b", "dev:st:c", "dev:st:none") == 2
    assert await redis.delete() == 0


@pytest.mark.req("1.63")
async def test_client_keys_scans_and_never_calls_keys(server: ValkeyServer, redis: RedisClient):
    for number in range(30):
        await redis.set(f"dev:st:k{number:02}", "x")
    server.command("CONFIG", "RESETSTAT")

    assert await redis.keys("dev:st:k0*") == [f"dev:st:k0{number}" for number in range(10)]
    stats = server.command("INFO", "commandstats")
    assert b"cmdstat_scan" in stats
    assert b"cmdstat_keys" not in stats


@pytest.mark.req("1.62", "2.35", "2.36", "2.37")
async def test_client_publish_subscribe_listen(redis: RedisClient):
    await redis.subscribe(TOPICS.quote("bitget", "BTC-USDT.P"))
    await redis.subscribe("dev:evt:*")

    assert await redis.publish(TOPICS.quote("bitget", "BTC-USDT.P"), wrapped(quote(1), "md.quote")) == 1
    assert await redis.publish(TOPICS.decisions("xyko"), wrapped(decision("xyko", 1), "decision", "one")) == 0
    heard = redis.listen()
    got = {(await asyncio.wait_for(anext(heard), 60)).envelope.type for _ in range(2)}
    await heard.aclose()

    assert got == {"md.quote", "decision"}
    assert await redis.client.xlen(TOPICS.decisions("xyko")) == 1
    with pytest.raises(TypeError, match="Envelope"):
        await redis.publish("dev:x", "text")  # type: ignore[arg-type]


@pytest.mark.req("1.58", "2.29", "2.37")
async def test_client_survives_a_server_restart(server: ValkeyServer, redis: RedisClient):
    await redis.subscribe(TOPICS.quote("bitget", "BTC-USDT.P"))
    heard = redis.listen()
    await redis.set("dev:st:a", "1")
    await asyncio.to_thread(server.restart)

    hearing = asyncio.ensure_future(anext(heard))
    async with asyncio.timeout(60):
        while not hearing.done():
            try:
                await redis.publish(TOPICS.quote("bitget", "BTC-USDT.P"), wrapped(quote(1), "md.quote"))
            except TransientError:
                continue
            await asyncio.sleep(0.05)
    await heard.aclose()

    assert hearing.result().envelope.type == "md.quote"
    assert await redis.get("dev:st:a") == "1"


@pytest.mark.req("1.59", "2.30")
async def test_client_unreachable_is_an_error_and_not_absence():
    redis = RedisClient("127.0.0.1", free_port(), patience=Patience(start_s=0.6))
    with pytest.raises(EnvironmentFault):
        await redis.connect()
    with pytest.raises(TransientError):
        await redis.get("dev:st:a")
    with pytest.raises(ConfigError, match="subscribe"):
        await anext(redis.listen())


@pytest.mark.req("2.31")
async def test_client_disconnect_leaves_no_task(redis: RedisClient):
    before = asyncio.all_tasks()
    await redis.connect()
    await redis.subscribe("dev:evt:*")
    await redis.disconnect()

    assert asyncio.all_tasks() == before
