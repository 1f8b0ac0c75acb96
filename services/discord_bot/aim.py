"""Points the unmodified discord.py at another Discord, such as the local one.

Called once, before the client starts.
"""

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from omega.config import EnvironmentName, Settings
from omega.domain import Mode
from omega.errors import ConfigError


def aim(settings: Settings) -> None:
    """Aim at the addresses of the settings; empty ones leave Discord's own.

    Raises:
        ConfigError: an address is set in live mode: the token would go to a stranger.
    """
    bot = settings.discord_bot
    live = settings.environment.name is EnvironmentName.LIVE or settings.trading.mode is Mode.LIVE
    if live and (bot.api_base or bot.gateway_url):
        raise ConfigError("discord_bot.api_base and discord_bot.gateway_url are refused in live mode: remove them")
    if bot.api_base:
        Route.BASE = bot.api_base
    if bot.gateway_url:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(bot.gateway_url)
