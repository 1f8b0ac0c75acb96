"""The Discord bot lives as every service does; without a Discord it is alive, started and not ready."""

from __future__ import annotations

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from omega.bus.port import Bus
from omega.config import Settings
from omega.runtime import BaseService
from omega.testing.service_contract import ServiceContract
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
