"""The Bitget adapter passes the numbered suite over the local exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from omega.domain import Side
from omega.testing.venue_contract import VenueContract
from services.gateway.venue import Candles, OrderRequest, PlanKind, PlanRequest, PrivateFrame, Tick, VenueOptions
from services.gateway.venues.bitget import Bitget
from services.simulator.account import AccountSpec
from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions
from services.simulator.server import Server


class BitgetDesk:
    """One adapter at one simulator in lock-step; it listens too."""

    symbol = "BTC-USDT.P"
    tells_leverage = True

    def __init__(self, server: Server) -> None:
        self.server = server
        self.heard: list[PrivateFrame] = []
        self.opened = asyncio.Event()
        self.venue = Bitget(
            VenueOptions(
                account="main",
                api_key="demo-key",
                api_secret="demo-secret",
                passphrase="demo-pass",
                rest_url=server.url,
                ws_url=server.ws_url,
                symbols=(self.symbol,),
            )
        )

    def order(self, client_id: str, side: Side, size: Decimal, **more: Any) -> OrderRequest:
        return OrderRequest(client_id, self.symbol, side, size, **more)

    def plan(self, client_id: str, side: Side, size: Decimal, trigger: Decimal) -> PlanRequest:
        return PlanRequest(client_id, self.symbol, side, size, trigger, PlanKind.STOP)

    async def price(self) -> Decimal:
        return Decimal(repr((await self.venue.candles(self.symbol, "1m", limit=1))[-1].close))

    async def fill(self) -> None:
        before = len(self.heard)
        sent = await self.server.exchange.step_orders()
        await self.server.exchange.publish()
        for _ in range(300):
            if len(self.heard) >= before + sent:
                break
            await asyncio.sleep(0.01)

    def on_candles(self, candles: Candles) -> None: ...

    def on_tick(self, tick: Tick) -> None: ...

    def on_private(self, frame: PrivateFrame) -> None:
        self.heard.append(frame)

    def on_private_open(self) -> None:
        self.opened.set()

    def on_lost(self, what: str, reason: str) -> None: ...


@pytest.fixture
async def desk() -> AsyncIterator[BitgetDesk]:
    rich = AccountSpec(usdt=Decimal(200_000))
    async with local_simulator(SimulatorOptions(speed=0, limits=False, warmup=300, accounts=(rich,))) as server:
        opened = BitgetDesk(server)
        try:
            await opened.venue.start(opened)
            async with asyncio.timeout(60):
                await opened.opened.wait()
            yield opened
        finally:
            await opened.venue.close()


@pytest.mark.req("0.05", "1.90", "3.15", "2.127")
class TestBitget(VenueContract):
    """Every case of the suite."""

    async def test_start_forms_an_order_to_its_signature_and_sends_none(self, desk: BitgetDesk) -> None:
        """What ccxt loads at its first order is loaded before the first real one; the exchange has seen none."""
        orders, _ = desk.venue.clients

        asked = {path for path, _ in desk.server.edge.answered}

        assert "/api/v2/mix/order/place-order" in orders.last_request_url
        assert "rehearsal" in orders.last_request_body
        assert orders.last_request_headers["ACCESS-SIGN"]
        assert not any("order/place" in path for path in asked)


async def test_trigger_orders_beyond_one_page_are_all_read(desk: BitgetDesk) -> None:
    """Fifty bots with a stop and a target each: an old stop that is not seen would be placed again and again."""
    venue, price = desk.venue, await desk.price()
    await venue.place(desk.order("entry", Side.BUY, Decimal(1)))
    await desk.fill()
    trigger = desk.venue.instruments[desk.symbol].price(price * Decimal("0.9"))
    for number in range(105):
        await venue.place_plan(desk.plan(f"s{number}", Side.SELL, Decimal("0.001"), trigger))

    assert {plan.client_id for plan in await venue.plans(every=False)} >= {f"s{number}" for number in range(105)}
