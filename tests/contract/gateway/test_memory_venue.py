"""The venue in memory passes the numbered suite, as every adapter does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from omega.domain import Bar, Instrument, Kind, Side, Symbol, VenueName
from omega.testing.venue_contract import VenueContract
from services.gateway.memory_venue import MemoryVenue
from services.gateway.venue import Candles, OrderRequest, PlanKind, PlanRequest, PrivateFrame, Tick

BTC = Symbol("BTC-USDT.P")
RULES = Instrument(
    BTC, VenueName("memory"), BTC, "BTC", "USDT", Kind.SWAP, *map(Decimal, ("0.1", "0.0001", "0.0001", "5")), 125,
    Decimal("0.0002"), Decimal("0.0006"),
)  # fmt: skip


class MemoryDesk:
    symbol = BTC

    def __init__(self) -> None:
        self.heard: list[PrivateFrame] = []
        self.venue = MemoryVenue({BTC: RULES}, {BTC: Decimal(100_000)}, money=Decimal(200_000), now_ns=1)
        for minute in range(60):
            self.venue.bar(BTC, "1m", Bar(minute * 60_000_000_000, 1e5, 1e5, 1e5, 1e5, 1.0))

    def order(self, client_id: str, side: Side, size: Decimal, **more: Any) -> OrderRequest:
        return OrderRequest(client_id, self.symbol, side, size, **more)

    def plan(self, client_id: str, side: Side, size: Decimal, trigger: Decimal) -> PlanRequest:
        return PlanRequest(client_id, self.symbol, side, size, trigger, PlanKind.STOP)

    async def price(self) -> Decimal:
        return self.venue.prices[BTC]

    async def fill(self) -> None:
        self.venue.fill()

    def on_candles(self, candles: Candles) -> None: ...

    def on_tick(self, tick: Tick) -> None: ...

    def on_private(self, frame: PrivateFrame) -> None:
        self.heard.append(frame)

    def on_private_open(self) -> None: ...

    def on_lost(self, what: str, reason: str) -> None: ...


@pytest.fixture
async def desk() -> MemoryDesk:
    opened = MemoryDesk()
    await opened.venue.start(opened)
    return opened


@pytest.mark.req("2.127")
class TestMemoryVenue(VenueContract):
    """Every case of the suite."""


async def test_reduce_only_order_fills_what_there_is_to_reduce_and_ends(desk: MemoryDesk) -> None:
    """No execution of size zero, and never a position on the other side."""
    await desk.venue.place(desk.order("oentry", Side.BUY, Decimal("0.01")))
    desk.venue.fill()
    await desk.venue.place(desk.order("oexit1", Side.SELL, Decimal("0.03"), reduce_only=True))
    await desk.venue.place(desk.order("oexit2", Side.SELL, Decimal("0.01"), reduce_only=True))
    desk.venue.fill()

    ends = [await desk.venue.order(BTC, name) for name in ("oexit1", "oexit2")]
    assert [(str(end.status), end.filled) for end in ends if end] == [("canceled", Decimal("0.01")), ("canceled", 0)]
    assert [trade.size for trade in await desk.venue.trades(BTC)] == [Decimal("0.01")] * 2
    assert await desk.venue.positions() == []
