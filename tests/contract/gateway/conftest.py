"""Desks for the conformance suite over the wire server: one registered adapter at a fixture, listening."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from omega.domain import Side
from omega.plugins import venues
from omega.testing.wire import WireServer, wire_server
from services.gateway.venue import Candles, OrderRequest, PlanKind, PlanRequest, PrivateFrame, Tick, VenueOptions


class Desk:
    """One adapter at one wire server."""

    def __init__(self, server: WireServer, name: str, secret: str) -> None:
        self.server, self._name, self._secret = server, name, secret
        self.symbol = str(server.fixture.data["symbol"])
        self.tells_leverage = name != "binance"
        self.heard: list[PrivateFrame] = []
        self.ticks: list[Tick] = []
        self.bars: list[Candles] = []
        self.opened = self.lost = 0
        self.venue = self.unstarted()

    def unstarted(self, **more: Any) -> Any:
        given: dict[str, Any] = {
            "account": "main",
            "api_key": "wire-key",
            "api_secret": self._secret,
            "passphrase": "wire-pass",
            "rest_url": self.server.url,
            "ws_url": self.server.ws_url,
            "symbols": (self.symbol,),
            "timeout_ms": 1_500,
            "redial_s": (0.0, 0.05),
        }
        return venues.get(self._name).adapter(VenueOptions(**{**given, **more}))

    def order(self, client_id: str, side: Side, size: Decimal, **more: Any) -> OrderRequest:
        return OrderRequest(client_id, self.symbol, side, size, **more)

    def plan(self, client_id: str, side: Side, size: Decimal, trigger: Decimal) -> PlanRequest:
        return PlanRequest(client_id, self.symbol, side, size, trigger, PlanKind.STOP)

    async def price(self) -> Decimal:
        return Decimal(repr((await self.venue.candles(self.symbol, "1m", limit=1))[-1].close))

    async def fill(self) -> None:
        before, sent = len(self.heard), self.server.pushed
        await self.server.fill_orders()
        await self.until(lambda: len(self.heard) - before >= self.server.pushed - sent, "the pushes")

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        for _ in range(1_000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{what} did not come; opened {self.opened}, lost {self.lost}, heard {len(self.heard)}")

    def on_candles(self, candles: Candles) -> None:
        self.bars.append(candles)

    def on_tick(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def on_private(self, frame: PrivateFrame) -> None:
        self.heard.append(frame)

    def on_private_open(self) -> None:
        self.opened += 1

    def on_lost(self, what: str, reason: str) -> None:
        self.lost += what == "private"


@asynccontextmanager
async def wire_desk(name: str, *, secret: str = "wire-secret") -> AsyncIterator[Desk]:
    """Open a started adapter at its fixture, its private session subscribed."""
    venues.discover()
    async with wire_server(name) as server:
        desk = Desk(server, name, secret)
        try:
            await desk.venue.start(desk)
            await desk.until(lambda: desk.opened, "the private session")
            yield desk
        finally:
            await desk.venue.close()


@pytest.fixture
def open_desk() -> Callable[..., AbstractAsyncContextManager[Desk]]:
    return wire_desk
