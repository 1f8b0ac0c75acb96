"""The three switches of live mode, and what may never meet real money. Checked by the loader before anything starts."""

from __future__ import annotations

from omega.config.models import EnvironmentName, Settings
from omega.domain import Mode
from omega.errors import ConfigError


def wants_live(settings: Settings) -> bool:
    """Tell whether any setting asks for real money."""
    modes = [settings.trading.mode, *(bot.mode for bot in settings.bots.values() if bot.enabled)]
    in_live = settings.environment.name is EnvironmentName.LIVE and settings.trading.mode is not Mode.SHADOW
    return in_live or Mode.LIVE in modes


def check_live(settings: Settings, *, service: str = "") -> None:
    """Refuse live mode unless every switch is set and no test address is in the way.

    Raises:
        ConfigError: real money was asked for and something is missing or forbidden.
    """
    if service == "simulator" and settings.environment.name is EnvironmentName.LIVE:
        raise ConfigError("the simulator does not start in the live environment: start it with OMEGA_ENV=dev or paper")
    if not wants_live(settings):
        return
    faults = [*_switches(settings), *_forbidden(settings)]
    if faults:
        raise ConfigError(
            f"live mode was asked for and refused: {'; '.join(faults)}. Nothing was started. "
            "Set what is missing, or go back to OMEGA_ENV=paper with trading.mode: paper"
        )


def _switches(settings: Settings) -> list[str]:
    trading = settings.trading
    faults: list[str] = []
    if settings.environment.name is not EnvironmentName.LIVE:
        faults.append(f"the environment is {settings.environment.name} (start with OMEGA_ENV=live)")
    if trading.mode is not Mode.LIVE:
        faults.append(f"trading.mode is {trading.mode} (first switch: set it to live)")
    if trading.account not in trading.live_accounts:
        faults.append(f"account {trading.account} is not in trading.live_accounts (second switch: list it)")
    if not trading.confirmed_limits:
        limits = f"{trading.max_leverage}x, {trading.max_order_notional} an order, {trading.max_notional} in all"
        faults.append(
            f"trading.confirmed_limits is false (third switch: read the limits, {limits}, and set it to true)"
        )
    return faults


def _forbidden(settings: Settings) -> list[str]:
    addresses = {
        "gateway.rest_url": settings.gateway.rest_url,
        "gateway.ws_url": settings.gateway.ws_url,
        "discord_bot.api_base": settings.discord_bot.api_base,
        "discord_bot.gateway_url": settings.discord_bot.gateway_url,
    }
    return [f"{name} is set to {url}, which is for tests (leave it empty)" for name, url in addresses.items() if url]
