"""A bot with a trailing stop: the stop that the gateway moves at the venue fills where the back-test's does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from omega.backtest.checks.farm_run import Replayed, Stretch, replay_farm, venue_funding
from omega.backtest.checks.parity import check_parity
from omega.backtest.checks.recorded import read_recorded
from omega.backtest.checks.subjects import subjects
from omega.backtest.types import Costs
from omega.config.loader import load, project_config
from omega.domain import Action
from omega.domain.time import from_iso

ROOT = Path(__file__).resolve().parents[3]
BOT = "trend-eth"
BARS = 300
COSTS = Costs(taker=0.0006, maker=0.0002, slippage=0.0002)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    loaded = load(config_dir=project_config())
    [chosen] = subjects(loaded.settings, BOT, trading=True)
    plan = chosen.plan.model_copy(update={"params": {"trail": 0.004, "reward": 10.0}})
    stretch = Stretch(ROOT / "data", None, from_iso("2025-05-10T22:54:00Z"), BARS)
    home = tmp_path_factory.mktemp("trailing")
    return asyncio.run(replay_farm(loaded.settings, {BOT: plan}, stretch, home, config=loaded.directories[0]))


def test_parity_trailing_stop_fills_where_the_back_test_says(farm: Replayed) -> None:
    recorded = read_recorded(farm.sessions[BOT])
    bars = farm.bars[str(recorded.charter["symbol"])]
    funding = venue_funding(None, 0.0001, bars)

    found = check_parity(recorded, bars, costs=COSTS, funding=funding)

    assert found.sound, found.differences[0]
    assert found.bars == BARS
    moved = [intent for intent in recorded.intents if intent.action is Action.TIGHTEN]
    trailed = {intent.stop for intent in moved} & {fill.price for fill in recorded.fills}
    assert len(moved) >= 3
    assert trailed, "a stop has filled at a price that it was moved to"

    recorded.charter = {**recorded.charter, "params": {"reward": 10.0}}
    without = check_parity(recorded, bars, costs=COSTS, funding=funding)
    assert not without.sound, "a back-test that does not trail is told apart"
