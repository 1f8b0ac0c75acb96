"""The gateway lives as every service does, on a real simulator."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from omega.bus.port import Bus
from omega.config import Settings
from omega.runtime import BaseService
from omega.testing.service_contract import ServiceContract
from services.gateway.service import GatewayService
from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions


@pytest.mark.req("4.18", "2.81", "2.129", "1.53")
class TestGateway(ServiceContract):
    """The exchange runs on an event loop of its own: some tests of the contract are not asynchronous."""

    @pytest.fixture(autouse=True)
    def exchange(self) -> Iterator[None]:
        self.folders: list[Path] = []
        self.urls = ("", "")
        opened, closing = threading.Event(), threading.Event()

        async def serve() -> None:
            async with local_simulator(SimulatorOptions(speed=0, limits=False, warmup=300)) as server:
                self.urls = (server.url, server.ws_url)
                opened.set()
                await asyncio.to_thread(closing.wait)

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        assert opened.wait(20), "the simulator did not start"
        yield
        closing.set()
        thread.join(10)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def settings(self) -> Settings:
        folder = Path(tempfile.mkdtemp(prefix="omega-gateway-"))
        self.folders.append(folder)
        own = {
            "rest_url": self.urls[0],
            "ws_url": self.urls[1],
            "api_key": "demo-key",
            "api_secret": "demo-secret",
            "passphrase": "demo-pass",
            "journal": str(folder / "journal.db"),
            "halt_file": str(folder / "HALT"),
            "symbols": ["BTC-USDT.P"],
        }
        more = {"runner": {"window": 120}, "gateway": own}
        return Settings.model_validate({**super().settings().model_dump(), **more})

    def make(self, settings: Settings, bus: Bus) -> BaseService:
        return GatewayService(settings=settings, bus=bus)
