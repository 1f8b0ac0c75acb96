"""A bot's symbol must be one that the gateway publishes. Checked when the settings are loaded."""

from __future__ import annotations

from omega.config.models import Settings
from omega.errors import ConfigError


def check_symbols(settings: Settings) -> None:
    """Refuse bots on symbols or timeframes that nobody would ever send bars of.

    Raises:
        ConfigError: a bot names another symbol or timeframe than the gateway's.
    """
    symbols, timeframes = settings.gateway.symbols, settings.gateway.timeframes
    for name, bot in settings.bots.items():
        if bot.symbol not in symbols:
            raise ConfigError(
                f"bots.{name}.symbol is {bot.symbol}, which the gateway does not publish (gateway.symbols: "
                f"{', '.join(symbols)}): correct the symbol, or add it to gateway.symbols"
            )
        timeframe = bot.timeframe or settings.trading.timeframe
        if timeframe not in timeframes:
            raise ConfigError(
                f"bots.{name} wants {timeframe} bars, which the gateway does not publish (gateway.timeframes: "
                f"{', '.join(timeframes)}): correct it, or add it to gateway.timeframes"
            )
