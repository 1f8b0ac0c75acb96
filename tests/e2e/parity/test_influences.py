"""Psychology and cosmic factors in the farm and over history: the same at every bar, leg by leg and byte by byte.

One farm of processes, the cosmic service among them, trades 1,500 recorded minutes; the moon changes its phase.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omega.backtest import run
from omega.backtest.checks.farm_run import Replayed, Stretch, replay_farm, venue_funding
from omega.backtest.checks.parity import Parity, check_parity, stretch_of
from omega.backtest.checks.recorded import Recorded, read_recorded
from omega.backtest.checks.subjects import subjects
from omega.backtest.influences import Influences, load_influences
from omega.backtest.types import Costs, Result
from omega.config.loader import load, project_config
from omega.domain import timeframe_ns

ROOT = Path(__file__).resolve().parents[3]
BARS = 1_100
COSTS = Costs(taker=0.0006, maker=0.0002, slippage=0.0002)
PLANS = {
    "ema-btc": ("strategic", "simulation"),
    "trend-eth": ("newbie", "all"),
    "council-btc": ("aggressive", "simulation"),
}
"""Profile and preset by bot."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    loaded = load(config_dir=project_config())
    chosen = {one.name: one.plan for one in subjects(loaded.settings, ",".join(PLANS), trading=True)}
    plans = {
        name: plan.model_copy(update={"psychology": PLANS[name][0], "cosmic": PLANS[name][1]})
        for name, plan in chosen.items()
    }
    stretch = Stretch(ROOT / "data", None, 0, BARS)
    home = tmp_path_factory.mktemp("influenced")
    return asyncio.run(replay_farm(loaded.settings, plans, stretch, home, config=loaded.directories[0]))


def influences(recorded: Recorded, farm: Replayed, *, shift: int = 0) -> Influences:
    """The profile and the preset that the session names, over the history that it had."""
    charter = recorded.charter
    bars = stretch_of(recorded, farm.bars[str(charter["symbol"])])
    step_ns = timeframe_ns(str(charter["timeframe"]))
    return load_influences(charter["psychology"], charter["cosmic"], bars.ts, timeframe_ns=step_ns, shift=shift)


def compare(farm: Replayed, recorded: Recorded, given: Influences | None, monkeypatch: pytest.MonkeyPatch) -> Parity:
    """Compare a session with a back-test under `given`, whatever the session's own charter says."""
    bars, plain = farm.bars[str(recorded.charter["symbol"])], run.backtest

    def backtest(*args: Any, **more: Any) -> Result:
        return plain(*args, **{**more, "influences": given})

    monkeypatch.setattr(run, "backtest", backtest)
    return check_parity(recorded, bars, costs=COSTS, funding=venue_funding(None, 0.0001, bars))


def reasons(recorded: Recorded, stage: str, field: str) -> set[str]:
    entries = [entry for made in recorded.decisions.values() for entry in made.decision.audit]
    return {entry.why for entry in entries if (entry.stage, entry.field) == (stage, field)}


@pytest.mark.req("0.22")
@pytest.mark.parametrize("bot", PLANS)
def test_parity_with_psychology_and_cosmic_factors_is_leg_by_leg(
    bot: str, farm: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both act on the way, under moods and moons that change, and every leg is still the back-test's."""
    recorded = read_recorded(farm.sessions[bot])

    found = compare(farm, recorded, influences(recorded, farm), monkeypatch)

    assert found.sound, found.differences[0]
    assert found.bars == BARS
    assert found.trades >= 5
    assert len(reasons(recorded, "psychology", "leverage") | reasons(recorded, "psychology", "size")) >= 2
    assert len(reasons(recorded, "cosmic", "size")) >= 2


@pytest.mark.req("0.15")
@pytest.mark.parametrize("bot", ["ema-btc", "council-btc"])
def test_parity_traits_move_at_the_same_bars_by_the_same_figures(bot: str, farm: Replayed) -> None:
    """Every move that history makes is on record in the farm's decisions, and no other."""
    recorded = read_recorded(farm.sessions[bot])
    moves = influences(recorded, farm).moves(stretch_of(recorded, farm.bars[str(recorded.charter["symbol"])]))

    found = [
        (ts_ns, entry)
        for ts_ns, made in sorted(recorded.decisions.items())
        for entry in made.decision.audit
        if entry.why.startswith("adapts: ")
    ]

    after = [move for move in moves if move[0] > recorded.first_ns]
    assert len(after) >= 10
    assert [move for move in found if move[0] > recorded.first_ns] == after


def test_parity_moon_of_another_week_is_found(farm: Replayed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees the sky: the same influences at another time are another market's trades."""
    recorded = read_recorded(farm.sessions["ema-btc"])

    found = compare(farm, recorded, influences(recorded, farm, shift=12), monkeypatch)

    assert found.differences[0].quantity in {"entry", "size"}


def test_parity_other_profile_is_found(farm: Replayed, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = read_recorded(farm.sessions["ema-btc"])
    given = influences(recorded, farm)
    assert given.profile is not None
    calm = replace(given, profile=replace(given.profile, strength=0.0))

    found = compare(farm, recorded, calm, monkeypatch)

    assert found.differences[0].quantity in {"entry", "size"}


@pytest.mark.req("4.19")
def test_replay_of_a_session_with_psychology_and_cosmic_factors_makes_every_byte_again(farm: Replayed) -> None:
    place = str(farm.sessions["ema-btc"].parent)
    done = subprocess.run(
        [sys.executable, "-m", "omega.cli", "replay", place, "--json"],
        env={**os.environ, "OMEGA_CONFIG_DIR": str(ROOT / "config"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    outcome: dict[str, Any] = json.loads(done.stdout)

    assert (done.returncode, outcome["differences"]) == (0, [])
    assert outcome["decisions"] == BARS * len(PLANS)


@pytest.mark.parametrize("bot", PLANS)
def test_check_parity_goes_by_the_sessions_own_profile_and_preset(bot: str, farm: Replayed) -> None:
    recorded = read_recorded(farm.sessions[bot])
    bars = farm.bars[str(recorded.charter["symbol"])]

    found = check_parity(recorded, bars, costs=COSTS, funding=venue_funding(None, 0.0001, bars))

    assert found.sound, found.differences[0]


def test_session_holds_the_sky_of_every_hour_before_its_first_decision(farm: Replayed) -> None:
    """What a decision goes by is on record before it, whatever the cosmic service was doing meanwhile."""
    known: set[int] = set()
    for line in farm.sessions["ema-btc"].read_bytes().splitlines():
        noted = json.loads(line)
        if noted["saw"] == "read":
            known.add(noted["is"]["reading"]["as_of_ns"])
        if noted["saw"] == "closed":
            close_ns = noted["is"]["bar"]["ts_ns"] + 60_000_000_000
            assert close_ns - close_ns % 3_600_000_000_000 in known
