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


class TestMemoryVenue(VenueContract):
    """Every case of the suite."""
