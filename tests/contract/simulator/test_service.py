"""The simulator lives as every service does."""

from __future__ import annotations

import pytest

from omega.bus.port import Bus
from omega.config import Settings
from omega.runtime import BaseService
from omega.testing.service_contract import ServiceContract
from services.simulator.service import SimulatorService


@pytest.mark.req("4.18")
class TestSimulator(ServiceContract):
    """On the recorded candles that the project carries, in lock-step, on free ports."""

    def settings(self) -> Settings:
        own = {"port": 0, "admin_port": 0, "speed": "lockstep", "symbols": ["BTC-USDT.P"]}
        return Settings.model_validate({**super().settings().model_dump(), "simulator": own})

    def make(self, settings: Settings, bus: Bus) -> BaseService:
        return SimulatorService(settings=settings, bus=bus)
