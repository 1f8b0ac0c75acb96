"""What the bot refuses to start with, and who may do what."""

import asyncio
from importlib.metadata import version
from typing import Any

import discord
import pytest
from discord.ext import commands
from discord.http import Route

from omega.bus import MemoryBus
from omega.config import Settings
from omega.errors import ConfigError, TransientError
from services.discord_bot.aim import aim
from services.discord_bot.client import FarmClient
from services.discord_bot.service import DiscordBotService, _raise_from
from services.discord_bot.tiers import Tier, tier_of

GOOD: dict[str, Any] = {
    "token": "t",
    "guild_id": "1",
    "tiers": {"11": "viewer", "12": "operator"},
    "elevated_users": ["9"],
}


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"discord_bot": {**GOOD, **changes}})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"token": ""}, "discord_bot__token"),
        ({"guild_id": ""}, "guild_id"),
        ({"tiers": {"operators": "operator"}}, "use ids, never names"),
        ({"elevated_users": ["bob"]}, "use ids, never names"),
        ({"persona": "xiko"}, "xyko"),
    ],
)
def test_bad_setting_is_refused_with_the_way_out(changes: dict[str, Any], says: str):
    with pytest.raises(ConfigError, match=says):
        DiscordBotService(settings=settings(**changes), bus=MemoryBus())


async def test_changed_settings_are_checked_before_they_apply():
    service = DiscordBotService(settings=settings(), bus=MemoryBus())
    await service.on_config(service.settings, settings(persona="biel"))
    with pytest.raises(ConfigError):
        await service.on_config(service.settings, settings(guild_id="x"))


@pytest.mark.req("2.107")
@pytest.mark.parametrize(
    ("user", "roles", "default", "held"),
    [
        (5, (11,), "none", Tier.VIEWER),
        (5, (11, 12), "none", Tier.OPERATOR),
        (5, (99,), "none", Tier.NONE),
        (5, (), "viewer", Tier.VIEWER),
        (9, (), "none", Tier.ADMIN),
    ],
)
def test_highest_listed_role_decides(user: int, roles: tuple[int, ...], default: str, held: Tier):
    assert tier_of(settings(default_tier=default).discord_bot, user, roles) is held


@pytest.mark.parametrize("where", ["environment", "trading"])
def test_another_discord_is_refused_in_live_mode(where: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    key = {"environment": "name", "trading": "mode"}[where]
    live = Settings.model_validate(
        {where: {key: "live"}, "discord_bot": {**GOOD, "api_base": "http://127.0.0.1:1/api/v10"}}
    )

    with pytest.raises(ConfigError, match="refused in live mode"):
        aim(live)
    assert Route.BASE == "https://discord.com/api/v10"


class _Ended:
    """A task that ended with an error."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def result(self) -> None:
        if self.error is not None:
            raise self.error


class _Socket:
    close_code = 4004


@pytest.mark.parametrize(
    ("error", "becomes", "status"),
    [
        (discord.LoginFailure("no"), ConfigError, 78),
        (discord.ConnectionClosed(_Socket(), shard_id=None, code=4004), ConfigError, 78),  # type: ignore[arg-type]
        (discord.ConnectionClosed(_Socket(), shard_id=None, code=4011), TransientError, 3),  # type: ignore[arg-type]
        (OSError("net"), TransientError, 3),
        (None, TransientError, 3),
    ],
)
def test_end_of_the_session_is_an_error_of_our_tree(error: BaseException | None, becomes: type, status: int):
    with pytest.raises(becomes) as caught:
        _raise_from(_Ended(error))  # type: ignore[arg-type]
    assert caught.value.exit_code == status


@pytest.mark.req("1.91")
async def test_client_reads_no_message_and_has_slash_commands_alone():
    """Trading needs guilds and nothing privileged; text that people write reaches the bot in no way."""
    settings = Settings.model_validate({"discord_bot": {"token": "t", "guild_id": "1"}})
    service = DiscordBotService(settings=settings, bus=MemoryBus())
    client = FarmClient(service.desk, service.metrics, asyncio.Event())

    assert tuple(map(int, version("discord.py").split(".")[:2])) >= (2, 7)
    assert client.intents.value == discord.Intents(guilds=True).value
    assert not client.intents.message_content
    assert not isinstance(client, commands.Bot)
    assert not hasattr(client, "on_message")
    client.tree.plant(client.home)
    assert {type(one) for one in client.tree.get_commands(guild=client.home)} <= {
        discord.app_commands.Command,
        discord.app_commands.Group,
    }
    assert client.tree.get_commands(guild=client.home)
