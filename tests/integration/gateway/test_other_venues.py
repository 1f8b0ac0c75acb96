"""The whole gateway over the wire shapes of four venues: enter, be filled, be stopped, leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import MemoryBus, MemoryHub
from omega.config import Settings
from omega.domain import Action, Intent, OrderState, Side, intent_id
from omega.testing.wire import Fault, WireServer, wire_server
from services.gateway.service import GatewayService

SECRETS = {"kraken": "d2lyZS1zZWNyZXQ="}
SECOND_NS = 1_000_000_000
ATTACHED = {"bybit", "okx"}
pytestmark = pytest.mark.req("0.05", "1.11", "2.16")


@dataclass
class Gateway:
    """One gateway at one wire server."""

    name: str
    server: WireServer
    service: GatewayService
    bus: MemoryBus
    sent: int = 0

    @property
    def symbol(self) -> str:
        return str(self.server.fixture.data["symbol"])

    @property
    def size(self) -> Decimal:
        return self.service.account.venue.instruments[self.symbol].min_size * 20

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        for _ in range(1_500):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{what} did not come: {self.service.requests.status()}")

    async def told_the_time(self) -> None:
        """Push prices until the gateway has heard the venue's own time, for which it waits a while at its start."""
        async with asyncio.timeout(30):
            while not self.service.account.venue.venue_ns():
                await self.server.push("ticker")
                await asyncio.sleep(0.02)

    async def send(self, action: Action, side: Side) -> Any:
        self.sent += 1
        account = self.service.account
        intent = Intent(
            intent_id=intent_id("alpha", self.sent, 0),
            bot="alpha",  # type: ignore[arg-type]
            venue=self.name,  # type: ignore[arg-type]
            account="main",  # type: ignore[arg-type]
            symbol=self.symbol,  # type: ignore[arg-type]
            action=action,
            side=side,
            size=self.size,
            bar_ts_ns=account.newest_bar_ns.get((self.symbol, "1m"), 0),
            ref_price=account.price(self.symbol),
            stop=Decimal(60_000) if action is Action.ENTER else None,
        )
        await self.bus.send(intent)
        known = account.journal.by_intent
        waiting = {OrderState.INTENT, OrderState.SENDING}
        await self.until(lambda: (o := known(intent.intent_id)) and o.state not in waiting, "the order")
        return known(intent.intent_id)

    def stops(self) -> list[Any]:
        return [plan for plan in self.server.book.plans if plan.status == "live"]


@pytest.fixture(params=["binance", "bybit", "okx", "kraken"])
async def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gateway]:
    name = str(request.param)
    async with wire_server(name) as server:
        settings = Settings.model_validate(
            {
                "environment": {"name": "dev", "instance": "test"},
                "trading": {"venue": name, "capital": "20000"},
                "monitoring": {"port": 0, "drain_s": 5},
                "runner": {"window": 100},
                "gateway": {
                    "rest_url": server.url,
                    "ws_url": server.ws_url,
                    "api_key": "wire-key",
                    "api_secret": SECRETS.get(name, "wire-secret"),
                    "passphrase": "wire-pass",
                    "journal": str(tmp_path / "gateway.sqlite"),
                    "halt_file": str(tmp_path / "HALT"),
                    "symbols": [server.fixture.data["symbol"]],
                    "look_up_s": [0.05, 0.1, 0.2],
                    "look_up_every_s": 0.2,
                    "reconcile_s": 0.5,
                    "lanes": {"orders_per_s": 1000, "reads_per_s": 1000, "market_per_s": 1000, "burst": 1000},
                },
            }
        )
        hub = MemoryHub()
        service = GatewayService(settings=settings, bus=MemoryBus(source="gateway/test", hub=hub))
        opened = Gateway(name, server, service, MemoryBus(source="test/1", hub=hub))
        try:
            await asyncio.gather(service.initialize(), opened.told_the_time())
            await service.start()
            await opened.until(lambda: service.ready, "ready")
            for push in ("last", "ticker"):
                await server.push(push)
            await opened.until(lambda: opened.symbol in service.market.ticks, "a price")
            yield opened
        finally:
            await service.shutdown()


async def test_position_is_stopped_at_the_venue_and_its_stop_goes_with_it(gateway: Gateway) -> None:
    """Attached where the venue can, right after the fill elsewhere; once, of the right size, and gone at the end."""
    order = await gateway.send(Action.ENTER, Side.BUY)
    assert order.state is OrderState.WORKING
    await gateway.server.fill_orders()
    books, keeper = gateway.service.account.books, gateway.service.keeper
    await gateway.until(lambda: books.book("alpha", gateway.symbol).size == gateway.size, "the fill")
    await gateway.until(lambda: keeper.stop_of("alpha", gateway.symbol)[0] == gateway.size, "the stop")
    await gateway.until(lambda: keeper.idle and len(gateway.stops()) == 1, "one stop, and no second that stays")

    [stop] = gateway.stops()
    coins = gateway.server.book.coins
    assert (stop.size * coins, Decimal(stop.trigger), stop.side) == (gateway.size, Decimal(60_000), "sell")
    assert bool(stop.client_id) is (gateway.name not in ATTACHED)
    await gateway.until(
        lambda: gateway.service.account.journal.order(order.client_id).state is OrderState.FILLED,  # type: ignore[union-attr]
        "the order's end",
    )
    assert keeper.naked_max_s < 10

    leave = await gateway.send(Action.EXIT, Side.SELL)
    await gateway.server.fill_orders()
    await gateway.until(lambda: not books.book("alpha", gateway.symbol).size, "the exit")
    await gateway.until(lambda: not gateway.stops(), "the end of the stop")

    assert leave.reduce_only
    assert gateway.server.book.position == 0
    assert len([o for o in gateway.server.book.orders if o.client_id]) == 2
    found = await gateway.bus.ask("gateway", "invariants", within_ns=60 * SECOND_NS)
    assert isinstance(found, dict)
    assert (found["books_equal_venue"], found["duplicate_client_ids"], found["unstopped"]) == (True, 0, [])


async def test_answer_lost_after_accept_is_looked_up_and_never_sent_twice(gateway: Gateway) -> None:
    """The order is found by its client id, filled, stopped; one request left."""
    route = gateway.server.fixture.data["entry"]["route"]
    gateway.server.faults.append(Fault(route, "drop", accepted=True))
    order = await gateway.send(Action.ENTER, Side.BUY)
    await gateway.server.fill_orders()
    books, keeper = gateway.service.account.books, gateway.service.keeper
    await gateway.until(lambda: books.book("alpha", gateway.symbol).size == gateway.size, "the fill")
    await gateway.until(lambda: keeper.stop_of("alpha", gateway.symbol)[0] == gateway.size, "the stop")

    mine = [o for o in gateway.server.book.orders if o.client_id == order.client_id]
    assert len(mine) == 1
    assert not gateway.service.account.halt.active
