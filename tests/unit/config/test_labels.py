"""Selectors over the bots' own labels and the built-in ones."""

from __future__ import annotations

import pytest

from omega.config import Settings
from omega.config.labels import labels_of, select
from omega.errors import ConfigError

FARM = Settings.model_validate(
    {
        "bots": {
            "ema-btc": {"strategy": "ema_cross", "symbol": "BTC-USDT.P", "labels": {"family": "trend", "desk": "a"}},
            "ema-eth": {"strategy": "ema_cross", "symbol": "ETH-USDT.P", "labels": {"family": "trend"}},
            "fib-btc": {"strategy": "strategic_fibonacci", "symbol": "BTC-USDT.P", "mode": "shadow"},
            "off": {"strategy": "ema_cross", "symbol": "BTC-USDT.P", "enabled": False, "labels": {"family": "trend"}},
        }
    }
)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("family=trend", ["ema-btc", "ema-eth"]),
        ("family==trend, symbol=BTC-USDT.P", ["ema-btc"]),
        ("symbol!=BTC-USDT.P", ["ema-eth"]),
        ("family!=trend", ["fib-btc"]),
        ("desk", ["ema-btc"]),
        ("!family", ["fib-btc"]),
        ("mode=shadow", ["fib-btc"]),
        ("bot=ema-eth", ["ema-eth"]),
        ("account=main,venue=bitget,timeframe=1m", ["ema-btc", "ema-eth", "fib-btc"]),
    ],
)
def test_select_returns_the_enabled_bots_that_meet_every_term(selector: str, names: list[str]) -> None:
    assert select(FARM, selector) == names


@pytest.mark.parametrize(("selector", "words"), [("", "empty"), (" , ", "empty"), ("family=grid", "family=trend")])
def test_select_nobody_is_an_error_that_names_the_labels(selector: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        select(FARM, selector)


def test_built_in_label_is_not_covered_by_the_bots_own() -> None:
    plan = FARM.bots["ema-btc"].model_copy(update={"labels": {"bot": "another", "mode": "live"}})
    found = labels_of(FARM.model_copy(update={"bots": {"ema-btc": plan}}), "ema-btc")

    assert (found["bot"], found["mode"]) == ("ema-btc", "paper")
