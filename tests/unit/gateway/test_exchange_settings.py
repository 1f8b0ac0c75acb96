"""Which exchange the settings name, and when its test side is left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from omega.config import Settings, load
from omega.errors import ConfigError
from omega.plugins import venues
from services.gateway.exchange_service import ExchangeService
from services.gateway.service import open_venue

KEYS = {"api_key": "demo-key", "api_secret": "demo-secret", "passphrase": "demo-pass"}


def at(venue: str) -> Settings:
    return Settings.model_validate({"trading": {"venue": venue}, "gateway": KEYS})


@pytest.mark.req("2.01")
def test_exchange_that_nobody_registered_is_refused_with_those_there_are() -> None:
    venues.discover()

    with pytest.raises(ConfigError, match="bitgat") as caught:
        open_venue(at("bitgat"))

    assert all(name in str(caught.value) for name in venues.names())


@pytest.mark.req("2.01")
@pytest.mark.parametrize("name", ["bitget", "binance", "bybit", "okx", "kraken"])
def test_exchange_of_the_settings_is_the_adapter_that_is_opened(name: str) -> None:
    venues.discover()

    assert isinstance(open_venue(at(name)), venues.get(name).adapter)


def service(settings: Settings) -> ExchangeService:
    account: Any = SimpleNamespace(settings=settings, venue_name=settings.trading.venue)
    path: Any = None
    return ExchangeService(account, path, dict)


@pytest.mark.req("2.04")
def test_exchange_is_the_test_side_unless_all_three_switches_of_live_mode_are_set() -> None:
    switches = {"trading.mode": "live", "trading.live_accounts": "main", "trading.confirmed_limits": "true"}

    assert service(Settings()).use_testnet is True
    assert service(load(env="paper", environ={}).settings).use_testnet is True
    assert service(load(env="live", environ={}, overrides=switches).settings).use_testnet is False
