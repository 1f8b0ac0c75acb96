"""Scripted faults: what a client sees, and what the venue did meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions

BTC = "BTC/USDT:USDT"


@pytest.mark.req("0.54")
@pytest.mark.parametrize(
    ("fault", "kind", "placed"),
    [
        ({"what": "drop_before"}, ccxt.NetworkError, False),
        ({"what": "drop_after"}, ccxt.NetworkError, True),
        ({"what": "delay", "seconds": 1.5}, ccxt.RequestTimeout, True),
        ({"what": "http_503"}, ccxt.ExchangeNotAvailable, False),
        ({"what": "code", "code": "40725"}, ccxt.ExchangeError, False),
        ({"what": "code", "code": "429"}, ccxt.DDoSProtection, False),
        ({"what": "http_429"}, ccxt.DDoSProtection, False),
        ({"what": "http_418"}, ccxt.DDoSProtection, False),
        ({"what": "maintenance"}, ccxt.OnMaintenance, False),
        ({"what": "clock_skew", "seconds": 60}, ccxt.InvalidNonce, False),
    ],
    ids=lambda value: value.get("what") + value.get("code", "") if isinstance(value, dict) else "",
)
async def test_fault_on_the_order_path_hits_once_and_its_effect_is_known(
    lockstep: Any, make_client: Any, admin: Any, fault: dict[str, Any], kind: type[Exception], placed: bool
) -> None:
    async with make_client(lockstep, timeout=700) as client:
        await client.load_markets()
        await admin(lockstep, "POST", "/faults", {**fault, "path": "place-order"})

        with pytest.raises(kind):
            await client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "in-doubt"})

        await asyncio.sleep(1.0 if fault["what"] == "delay" else 0)
        if placed:
            found = await client.fetch_order("", BTC, {"clientOrderId": "in-doubt"})
            assert found["clientOrderId"] == "in-doubt"
        else:
            with pytest.raises(ccxt.OrderNotFound):
                await client.fetch_order("", BTC, {"clientOrderId": "in-doubt"})
        assert (await client.create_order(BTC, "market", "buy", 0.01))["id"]


async def test_fault_that_repeats_hits_so_many_times(lockstep: Any, make_client: Any, admin: Any) -> None:
    async with make_client(lockstep) as client:
        await client.load_markets()
        await admin(lockstep, "POST", "/faults", {"what": "code", "code": "40725", "path": "ticker", "times": 2})

        for _ in range(2):
            with pytest.raises(ccxt.ExchangeError, match="40725"):
                await client.fetch_ticker(BTC)
        assert await client.fetch_ticker(BTC)


async def test_unknown_fault_is_refused_with_the_list(lockstep: Any, admin: Any) -> None:
    answer = await admin(lockstep, "POST", "/faults", {"what": "earthquake"})

    assert "drop_after" in answer["error"]


async def test_closed_socket_fails_the_watch_and_the_next_one_dials_anew(
    lockstep: Any, make_client: Any, admin: Any
) -> None:
    async with make_client(lockstep) as client:
        await client.load_markets()
        await client.watch_ticker(BTC)
        pending = asyncio.create_task(client.watch_ticker(BTC))
        await asyncio.sleep(0.05)

        assert (await admin(lockstep, "POST", "/faults", {"what": "ws_close", "path": "public"}))["hit"] == 1

        with pytest.raises(ccxt.NetworkError):
            await asyncio.wait_for(pending, 60)
        assert (await asyncio.wait_for(client.watch_ticker(BTC), 60))["last"] > 0


async def test_silent_sockets_say_nothing_for_a_while(running: Any, make_client: Any, admin: Any) -> None:
    async with make_client(running) as client:
        await client.load_markets()
        await client.watch_ticker(BTC)

        await admin(running, "POST", "/faults", {"what": "ws_silent", "seconds": 0.6})
        before = running.exchange.venue.now_ms
        ticker = await asyncio.wait_for(client.watch_ticker(BTC), 60)

        assert ticker["timestamp"] - before >= 60_000 * 0.3


@pytest.mark.req("2.18")
async def test_rate_limit_answers_429_and_recovers(make_client: Any) -> None:
    async with local_simulator(SimulatorOptions(speed=0)) as server, make_client(server) as client:
        await client.load_markets()

        results = await asyncio.gather(
            *(client.create_order(BTC, "market", "buy", 0.0001) for _ in range(25)), return_exceptions=True
        )
        limited = [item for item in results if isinstance(item, ccxt.DDoSProtection)]
        assert limited
        assert all("429" in str(item) for item in limited)
        assert len([item for item in results if isinstance(item, dict)]) >= 10
        await asyncio.sleep(0.3)
        assert (await client.create_order(BTC, "market", "buy", 0.0001))["id"]
