"""Live mode and its three switches."""

from __future__ import annotations

import pytest

from omega.config import load
from omega.domain import Mode
from omega.errors import ConfigError

SWITCHES = {
    "trading.mode": "live",
    "trading.live_accounts": "main",
    "trading.confirmed_limits": "true",
}


def of(env: str, overrides: dict[str, str], service: str = "") -> Mode:
    return load(env=env, environ={}, overrides=overrides, service=service).settings.trading.mode


@pytest.mark.req("2.04")
def test_live_with_all_three_switches_is_let_through() -> None:
    assert of("live", SWITCHES) is Mode.LIVE


@pytest.mark.req("2.04")
@pytest.mark.parametrize("missing", list(SWITCHES))
def test_live_without_one_switch_is_refused_in_one_paragraph(missing: str) -> None:
    off = {"trading.mode": "paper", "trading.live_accounts": "other", "trading.confirmed_limits": "false"}

    with pytest.raises(ConfigError) as caught:
        of("live", SWITCHES | {missing: off[missing]})

    assert missing in str(caught.value)
    assert "Nothing was started" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_live_environment_as_shipped_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"second switch.*third switch"):
        of("live", {})


def test_live_mode_outside_of_the_live_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match="start with OMEGA_ENV=live"):
        of("paper", SWITCHES)


def test_live_mode_of_a_single_bot_is_refused_too() -> None:
    with pytest.raises(ConfigError, match="first switch"):
        of("paper", {"bots.fib-btc.mode": "live"})


@pytest.mark.parametrize(
    "setting", ["gateway.rest_url", "gateway.ws_url", "discord_bot.api_base", "discord_bot.gateway_url"]
)
def test_live_with_a_test_address_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} is set to http://127"):
        of("live", SWITCHES | {setting: "http://127.0.0.1:1"})


def test_live_simulator_is_refused() -> None:
    with pytest.raises(ConfigError, match="the simulator does not start in the live environment"):
        of("live", SWITCHES, service="simulator")


def test_live_environment_in_shadow_needs_no_switch() -> None:
    assert of("live", {"trading.mode": "shadow"}) is Mode.SHADOW
