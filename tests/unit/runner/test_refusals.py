"""A runner that cannot be right does not start: what is wrong, and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from omega.bus import MemoryBus
from omega.config import Settings
from omega.errors import ConfigError
from services.runner.service import RunnerService

BOT: dict[str, Any] = {"strategy": "ema_cross", "symbol": "BTC-USDT.P"}


def make(bot: str = "alpha", window: int = 2_000, **changes: Any) -> RunnerService:
    settings = Settings.model_validate(
        {"runner": {"bot": bot, "window": window}, "bots": {"alpha": {**BOT, **changes}}}
    )
    return RunnerService(settings=settings, bus=MemoryBus())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bot": "beta"}, r"'beta'.*known: alpha.*OMEGA_RUNNER__BOT"),
        ({"bot": ""}, r"no configured bot \(known: alpha\)"),
        ({"strategy": "ema_crosss"}, r"ema_crosss.*ema_cross"),
        ({"params": {"fats": 3}}, r"fats.*fast"),
        ({"params": {"fast": 1}}, "fast"),
        ({"window": 300}, r"alpha needs 520 bars of warm-up; raise runner\.window above 300"),
    ],
)
def test_runner_wrong_setting_is_refused_with_the_way_out(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make(**changes)


def test_runner_window_just_above_the_warm_up_is_enough() -> None:
    assert make(window=521).window.bars().n == 0


async def test_runner_not_ready_says_what_is_missing() -> None:
    service = make()

    assert service.readiness() == (False, "the lease of the bot is not held")
