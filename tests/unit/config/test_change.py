"""Differences between settings trees, and which of them take effect when."""

from __future__ import annotations

import pytest

from omega.config import Bot, Cosmic, Factor, Settings
from omega.config.change import BETWEEN_BARS, Change
from omega.errors import ConfigError

BASE = Settings(bots={"a": Bot(strategy="s", symbol="X", params={"fast": 3, "slow": 9})})


def test_change_live_field_takes_effect_at_once_and_restart_field_keeps_its_old_value() -> None:
    change = Change.of_values(BASE, {"monitoring.log_level": "debug", "redis.pool_size": 9, "trading.max_leverage": 2})

    assert change.settings.monitoring.log_level == "debug"
    assert change.settings.redis.pool_size == BASE.redis.pool_size
    assert change.settings.trading.max_leverage == BASE.trading.max_leverage
    assert change.restart == ("redis.pool_size",)
    assert [difference.path for difference in change.waiting] == ["trading.max_leverage"]
    assert change.lines() == ("monitoring.log_level: info -> debug",)


def test_change_at_the_bar_takes_bar_fields_too() -> None:
    change = Change.of_values(BASE, {"trading.max_leverage": 2, "bots.a.params.fast": 5}).at_once(bar=True)

    assert change.settings.trading.max_leverage == 2
    assert change.settings.bots["a"].params == {"fast": 5, "slow": 9}
    assert change.waiting == ()


def test_change_new_factor_appears_at_the_bar() -> None:
    wanted = BASE.model_copy(update={"cosmic": Cosmic(factors={"moon_phase": Factor(enabled=True)})})

    assert Change.between(BASE, wanted).settings.cosmic.factors == {}
    assert Change.between(BASE, wanted, BETWEEN_BARS).settings.cosmic.factors["moon_phase"].enabled


def test_change_new_bot_needs_a_restart() -> None:
    wanted = BASE.model_copy(update={"bots": {**BASE.bots, "b": Bot(strategy="s", symbol="Y")}})
    change = Change.between(BASE, wanted, BETWEEN_BARS)

    assert change.restart == ("bots.b",)
    assert set(change.settings.bots) == {"a"}


def test_change_secret_is_never_written() -> None:
    change = Change.of_values(BASE, {"gateway.api_secret": "planted", "gateway.api_key": "planted"})

    assert change.settings.gateway.api_secret.get_secret_value() == "planted"
    assert "planted" not in str(change.lines())


@pytest.mark.parametrize("values", [{"trading.max_leverage": 99}, {"trading.nothing": 1}, {"nothing.at.all": 1}])
def test_change_wrong_value_changes_nothing(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Change.of_values(BASE, values)
