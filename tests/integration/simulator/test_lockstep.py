"""Lock-step over real sockets: the admin API moves the clock, private frames leave before public ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from services.simulator.candles import MINUTE_MS
from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions
from services.simulator.signature import sign

BTC = "BTC/USDT:USDT"
PUBLIC = [
    {"instType": "USDT-FUTURES", "channel": "ticker", "instId": "BTCUSDT"},
    {"instType": "USDT-FUTURES", "channel": "candle1m", "instId": "BTCUSDT"},
    {"instType": "USDT-FUTURES", "channel": "candle5m", "instId": "BTCUSDT"},
]
PRIVATE = [
    {"instType": "USDT-FUTURES", "channel": name, "instId": "default"} for name in ("orders", "fill", "positions")
] + [{"instType": "USDT-FUTURES", "channel": "account", "coin": "default"}]


class Line:
    """A bare WebSocket, to see what a parser would hide."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, message: Any) -> None:
        await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def hear(self, within: float = 3.0) -> Any:
        message = await self.socket.receive(timeout=within)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return message.data if message.data == "pong" else json.loads(message.data)

    async def login(self) -> Any:
        seconds = str(int(time.time()))
        arg = {
            "apiKey": "demo-key",
            "passphrase": "demo-pass",
            "timestamp": seconds,
            "sign": sign("demo-secret", f"{seconds}GET/user/verify"),
        }
        await self.say({"op": "login", "args": [arg]})
        return await self.hear()

    async def quiet(self) -> bool:
        await self.say("ping")
        return bool(await self.hear() == "pong")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.req("0.05")
async def test_step_pushes_private_frames_in_order_before_the_closed_candle(
    lockstep: Any, make_client: Any, admin: Any, session: Any
) -> None:
    async with (
        session.ws_connect(f"{lockstep.ws_url}/v2/ws/public") as public,
        session.ws_connect(f"{lockstep.ws_url}/v2/ws/private") as private,
        make_client(lockstep) as client,
    ):
        market, account = Line(public), Line(private)
        assert (await account.login())["code"] == 0
        await account.say({"op": "subscribe", "args": PRIVATE})
        await market.say({"op": "subscribe", "args": PUBLIC})
        for line, count in ((account, len(PRIVATE) + 2), (market, 2 * len(PUBLIC))):
            for _ in range(count):
                await line.hear()
        await client.load_markets()
        begun = lockstep.exchange.venue.now_ms
        await client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "e", "stopLossPrice": None})
        live = await account.hear()
        assert (live["arg"]["channel"], live["data"][0]["status"]) == ("orders", "live")
        assert (await account.hear())["arg"]["channel"] == "account"

        first = await admin(lockstep, "POST", f"/step?phase=orders&after={begun}")

        assert (first["ts"], first["fills"], first["published"]) == (begun + MINUTE_MS, 1, False)
        frames = [await account.hear() for _ in range(first["private"])]
        assert [frame["arg"]["channel"] for frame in frames] == ["orders", "fill", "positions", "account"]
        assert frames[0]["data"][0]["status"] == "filled"
        assert frames[0]["data"][0]["accBaseVolume"] == "0.01"
        assert frames[2]["data"][0]["total"] == "0.01"
        # Two first states, two frames of the new order, then this step: what the socket has had since it opened.
        assert first["private_seq"] == 2 + 2 + len(frames)
        assert await market.quiet()
        again = await admin(lockstep, "POST", f"/step?phase=orders&after={begun}")
        assert (again["ts"], again["private"], again["published"]) == (first["ts"], 0, False)

        second = await admin(lockstep, "POST", f"/step?phase=market&after={begun}")

        assert (second["ts"], second["published"]) == (first["ts"], True)
        shown = [await market.hear() for _ in PUBLIC]
        assert [frame["arg"]["channel"] for frame in shown] == ["candle1m", "candle5m", "ticker"]
        assert {frame["ts"] for frame in shown} == {begun + MINUTE_MS}
        assert [frame["action"] for frame in shown] == ["update", "update", "snapshot"]
        assert int(shown[0]["data"][0][0]) == begun
        assert shown[2]["data"][0]["ts"] == str(begun + MINUTE_MS)


async def test_step_without_private_news_publishes_at_once(lockstep: Any, admin: Any) -> None:
    begun = lockstep.exchange.venue.now_ms

    state = await admin(lockstep, "POST", "/step?phase=orders")

    assert state["published"]
    assert (await admin(lockstep, "GET", "/clock"))["ts"] == begun + MINUTE_MS
    assert (await admin(lockstep, "POST", "/step"))["remaining"] == state["remaining"] - 1


async def test_running_clock_refuses_to_be_stepped(running: Any, admin: Any) -> None:
    assert "lockstep" in (await admin(running, "POST", "/step"))["error"]


async def test_clock_stops_at_the_last_candle(admin: Any) -> None:
    options = SimulatorOptions(speed=0, limits=False, start="2025-06-03T23:58:00Z")
    async with local_simulator(options) as server:
        left = [(await admin(server, "POST", "/step"))["remaining"] for _ in range(4)]

    assert left == [1, 0, 0, 0]


async def test_reset_goes_back_to_the_first_state(lockstep: Any, make_client: Any, admin: Any) -> None:
    async with make_client(lockstep) as client:
        await client.load_markets()
        begun = lockstep.exchange.venue.now_ms
        await client.create_order(BTC, "market", "buy", 0.01)
        await admin(lockstep, "POST", "/step")

        await admin(lockstep, "POST", "/reset")

        assert await client.fetch_positions() == []
        assert lockstep.exchange.venue.now_ms == begun


async def test_order_by_hand_is_seen_by_the_client_as_not_its_own(lockstep: Any, make_client: Any, admin: Any) -> None:
    async with make_client(lockstep) as client:
        await client.load_markets()
        hand = await admin(lockstep, "POST", "/orders", {"symbol": "BTCUSDT", "side": "buy", "size": "0.02"})
        await admin(lockstep, "POST", "/step")

        order = await client.fetch_order(hand["orderId"], BTC)
        assert (order["info"]["enterPointSource"], order["filled"]) == ("WEB", 0.02)
        refused = await admin(lockstep, "POST", "/orders", {"symbol": "BTCUSDT", "side": "buy", "size": "900"})
        assert refused["code"] == "45113"
        rest = {"symbol": "BTCUSDT", "side": "buy", "size": "0.02", "orderType": "limit", "price": "95000"}
        resting = await admin(lockstep, "POST", "/orders", rest)
        assert (await admin(lockstep, "POST", "/cancel", {"orderId": resting["orderId"]}))["status"] == "canceled"
        state = await admin(lockstep, "GET", "/ledger")
        assert state["accounts"]["1000000001"]["positions"][0]["total"] == "0.02"


async def test_rights_of_a_key_are_shown_and_enforced(lockstep: Any, make_client: Any, admin: Any) -> None:
    async with make_client(lockstep) as client:
        await client.load_markets()
        assert (await client.privateSpotGetV2SpotAccountInfo())["data"]["authorities"] == ["readonly", "trade"]

        await admin(lockstep, "POST", "/rights", {"rights": ["read", "withdraw"]})

        assert (await client.privateSpotGetV2SpotAccountInfo())["data"]["authorities"] == ["readonly", "withdraw"]
        with pytest.raises(Exception, match="40014"):
            await client.create_order(BTC, "market", "buy", 0.01)


async def test_step_is_cheap_with_subscribers(lockstep: Any, session: Any) -> None:
    """The aim is a millisecond of CPU a step with four channels; three leave room for a busy machine."""
    async with session.ws_connect(f"{lockstep.ws_url}/v2/ws/public") as public:
        line = Line(public)
        args = [
            {"instType": "USDT-FUTURES", "channel": channel, "instId": symbol}
            for symbol in ("BTCUSDT", "ETHUSDT")
            for channel in ("candle1m", "ticker")
        ]
        await line.say({"op": "subscribe", "args": args})
        for _ in range(2 * len(args)):
            await line.hear()
        steps = 300
        begun = time.process_time()
        for _ in range(steps):
            await lockstep.exchange.step_orders()
            await lockstep.exchange.publish()
        used = (time.process_time() - begun) / steps

        for _ in range(steps * len(args)):
            await line.hear()
    assert used < 0.003


async def test_protocol_refusals_are_error_frames(lockstep: Any, session: Any) -> None:
    async with session.ws_connect(f"{lockstep.ws_url}/v2/ws/private") as socket:
        line = Line(socket)
        cases: list[tuple[Any, int]] = [
            ("nonsense", 30016),
            ({"op": "subscribe"}, 30016),
            ({"op": "dance", "args": []}, 30003),
            ({"op": "subscribe", "args": [PRIVATE[0]]}, 30004),
            ({"op": "subscribe", "args": [{**PUBLIC[0], "instId": "NOPE"}]}, 30001),
            ({"op": "subscribe", "args": [{**PUBLIC[0], "channel": "candle2H"}]}, 30001),
            ({"op": "login", "args": [{"apiKey": "nobody"}]}, 30011),
        ]
        for message, code in cases:
            await line.say(message)
            assert (await line.hear())["code"] == code, message
        assert await line.quiet()


async def test_client_that_talks_too_much_is_disconnected(session: Any) -> None:
    async with (
        local_simulator(SimulatorOptions(speed=0)) as server,
        session.ws_connect(f"{server.ws_url}/v2/ws/public") as socket,
    ):
        for _ in range(60):
            await socket.send_str("ping")
        frames = [await socket.receive(timeout=3) for _ in range(42)]

    texts = [frame.data for frame in frames if frame.type is aiohttp.WSMsgType.TEXT]
    assert json.loads(texts[-1])["code"] == 30007
    assert frames[-1].type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING}


async def test_unsubscribed_channel_falls_silent(lockstep: Any, admin: Any, session: Any) -> None:
    async with session.ws_connect(f"{lockstep.ws_url}/v2/ws/public") as socket:
        line = Line(socket)
        await line.say({"op": "subscribe", "args": PUBLIC[:1]})
        assert [(await line.hear()).get("event"), (await line.hear())["action"]] == ["subscribe", "snapshot"]
        await line.say({"op": "unsubscribe", "args": PUBLIC[:1]})
        assert (await line.hear())["event"] == "unsubscribe"

        await admin(lockstep, "POST", "/step")
        await asyncio.sleep(0.05)

        assert await line.quiet()
