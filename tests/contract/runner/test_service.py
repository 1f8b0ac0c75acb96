"""The runner lives as every service does."""

from __future__ import annotations

from decimal import Decimal

import pytest

from omega.bus import MemoryBus
from omega.bus.instruments import keep_instrument
from omega.bus.port import Bus
from omega.config import Settings
from omega.domain import Instrument, Kind, Symbol, VenueName
from omega.runtime import BaseService
from omega.testing.service_contract import ServiceContract, eventually
from services.runner.service import RunnerService

ETH = Instrument(
    symbol=Symbol("ETH-USDT.P"),
    venue=VenueName("bitget"),
    venue_symbol="ETH/USDT:USDT",
    base="ETH",
    quote="USDT",
    kind=Kind.SWAP,
    price_step=Decimal("0.01"),
    size_step=Decimal("0.01"),
    min_size=Decimal("0.01"),
    min_notional=Decimal(5),
    max_leverage=100,
    maker_fee=Decimal("0.0002"),
    taker_fee=Decimal("0.0006"),
)


@pytest.mark.req("2.69", "4.18", "2.81", "2.129")
class TestRunner(ServiceContract):
    """Alone it is not ready: nobody has published what it trades."""

    becomes_ready = False

    def settings(self) -> Settings:
        base = super().settings()
        more = {"runner": {"bot": "one"}, "bots": {"one": {"strategy": "ema_cross", "symbol": "ETH-USDT.P"}}}
        return Settings.model_validate({**base.model_dump(), **more})

    def make(self, settings: Settings, bus: Bus) -> BaseService:
        return RunnerService(settings=settings, bus=bus)

    async def test_runner_is_ready_when_the_gateway_has_published_the_instrument(self) -> None:
        bus = MemoryBus(env="dev", source="contract/1")
        gateway = bus.peer("gateway/1")
        service = self.make(self.settings(), bus)
        await service.initialize()
        await service.start()
        try:
            await eventually(lambda: "not published ETH-USDT.P" in service.readiness()[1], what="the reason")
            await gateway.start()
            await keep_instrument(gateway, ETH)
            await eventually(lambda: service.ready, what="readiness")
        finally:
            await service.shutdown()
            await gateway.close()
