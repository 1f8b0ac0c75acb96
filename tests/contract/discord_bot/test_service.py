"""The Discord bot lives as every service does; without a Discord it is alive, started and not ready."""

from __future__ import annotations

import asyncio

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from omega.bus import MemoryBus
from omega.bus.port import Bus
from omega.config import Settings
from omega.runtime import BaseService, State
from omega.testing.service_contract import STARTED_S, ServiceContract, eventually
from services.discord_bot.front import Front
from services.discord_bot.service import DiscordBotService

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.req("4.18")
class TestDiscordBot(ServiceContract):
    """Nobody listens at the address of its Discord."""

    becomes_ready = False

    @pytest.fixture(autouse=True)
    def _aimed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The service aims discord.py as a whole: tests that follow find Discord's own addresses again."""
        monkeypatch.setattr(Route, "BASE", Route.BASE)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)

    def settings(self) -> Settings:
        own = {"token": "token", "guild_id": "1", "api_base": NOWHERE, "gateway_url": NOWHERE.replace("http", "ws")}
        return Settings.model_validate({**super().settings().model_dump(), "discord_bot": own})

    def make(self, settings: Settings, bus: Bus) -> BaseService:
        return DiscordBotService(settings=settings, bus=bus)

    async def test_session_that_failed_is_closed_whole_when_the_service_ends_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A connection that nobody closes any more stays open for as long as the process lives."""
        closing, go_on = asyncio.Event(), asyncio.Event()

        async def slow(_: Front) -> None:
            closing.set()
            await go_on.wait()

        monkeypatch.setattr(Front, "close", slow)
        service = DiscordBotService(settings=self.settings(), bus=MemoryBus())
        running = asyncio.ensure_future(service.run())
        await asyncio.wait_for(closing.wait(), STARTED_S)
        client = service.client
        assert client is not None

        service.request_stop("test")
        await eventually(lambda: service.phase is State.DRAINING, what="the end")
        go_on.set()
        await running

        assert client.is_closed()
