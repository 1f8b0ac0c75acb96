"""The simulator as a service: settings become options, metrics tell what happened."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from omega.bus import MemoryBus
from omega.config import load
from services.simulator import placing
from services.simulator.intake import Fields
from services.simulator.service import SimulatorService, options_of, venue_symbol


def loaded(**changes: str) -> Any:
    overrides = {
        "simulator.port": "0",
        "simulator.admin_port": "0",
        "simulator.speed": "lockstep",
        **{f"simulator.{name}": value for name, value in changes.items()},
    }
    return load(env="dev", environ={}, overrides=overrides, service="simulator").settings


@pytest.mark.parametrize("text", ["BTC-USDT.P", "BTCUSDT", "BTC/USDT:USDT", "btc-usdt.p"])
def test_symbol_in_any_spelling_is_the_venues(text: str) -> None:
    assert venue_symbol(text) == "BTCUSDT"


def test_settings_become_options() -> None:
    options = options_of(loaded(speed="60", limits="off", seed="3", symbols="BTC-USDT.P"))

    assert (options.speed, options.limits, options.seed, options.symbols) == (60.0, False, 3, ("BTCUSDT",))
    assert options_of(loaded()).lockstep
    assert [(spec.uid, spec.key) for spec in options.accounts] == [("1000000001", "demo-key")]


async def test_service_lives_and_counts_what_happened() -> None:
    service = SimulatorService(settings=loaded(), bus=MemoryBus(source="simulator"))
    assert service.readiness() == (False, "the candles are being read")
    await service.initialize()
    await service.start()
    try:
        server = service.server
        venue = server.exchange.venue
        order = {"symbol": "BTCUSDT", "side": "buy", "size": "0.01", "orderType": "market"}
        placing.place(venue, next(iter(venue.accounts.values())), Fields(order))
        await server.exchange.step_orders()
        async with aiohttp.ClientSession() as session:
            for path in ("/api/v2/public/time", "/prefix/api/v2/public/time", "/api/v2/nowhere", "/nowhere"):
                async with session.get(f"{server.url}{path}") as answer:
                    assert (await answer.json())["code"] == ("00000" if "time" in path else "40404")

        metrics = service.get_metrics()

        assert service.readiness()[0]
        assert service.details()["fills"] == 1
        assert metrics["omega_simulator_steps_total"] == 1
        assert metrics['omega_simulator_fills_total{symbol="BTCUSDT"}'] == 1
        assert metrics['omega_simulator_requests_total{code="00000",path="/api/v2/public/time"}'] == 2
        assert metrics['omega_simulator_requests_total{code="40404",path=""}'] == 2
        assert metrics["omega_simulator_clock_seconds"] == venue.now_ms / 1000
    finally:
        await service.shutdown()
