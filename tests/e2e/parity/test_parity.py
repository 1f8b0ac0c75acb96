"""The same bars through the back-test and through the farm's processes: every leg equal, and planted faults found.

Two farms (bots on one symbol would net at the venue) trade a stretch that crosses a funding instant with every bot in
a position, one of them with a trailing stop that the gateway moves at the venue; the tests compare with their sessions,
replay them, and tamper with them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omega.backtest.checks.causes import Kind
from omega.backtest.checks.farm_run import Replayed, Stretch, replay_farm, venue_funding
from omega.backtest.checks.parity import Parity, check_parity
from omega.backtest.checks.recorded import Recorded, read_recorded
from omega.backtest.checks.subjects import subjects
from omega.backtest.types import Costs
from omega.config.loader import load, project_config
from omega.domain import Action
from omega.domain.time import from_iso
from omega.engine import Bars, Signals
from omega.plugins import strategies

ROOT = Path(__file__).resolve().parents[3]
BOTS = ("fib-btc", "trend-eth", "ema-btc")
START = "2025-05-10T22:54:00Z"
TRAILING = "trend-eth-trailing"
TRAIL = {"trail": 0.004, "reward": 10.0}
BARS = 240
TRAILED_BARS = 300
COSTS = Costs(taker=0.0006, maker=0.0002, slippage=0.0002)

pytestmark = pytest.mark.slow


def replayed(home: Path, bots: tuple[str, ...], bars: int, **env: str) -> Replayed:
    """Run a farm over the stretch; one bot may be the trailing twin of trend-eth."""
    loaded = load(config_dir=project_config())
    chosen = subjects(loaded.settings, ",".join(bots).replace(TRAILING, "trend-eth"), trading=True)
    stretch = Stretch(ROOT / "data", None, from_iso(START), bars)
    plans = {one.name: one.plan for one in chosen}
    if TRAILING in bots:
        plans[TRAILING] = plans.pop("trend-eth").model_copy(update={"params": TRAIL})
    return asyncio.run(replay_farm(loaded.settings, plans, stretch, home, config=loaded.directories[0], extra_env=env))


@dataclass
class Farm:
    """What farms have left behind, by bot."""

    runs: dict[str, Replayed]

    def session(self, bot: str) -> Path:
        return self.runs[bot].sessions[bot]

    def recorded(self, bot: str) -> Recorded:
        return read_recorded(self.session(bot))

    def bars(self, bot: str) -> Bars:
        return self.runs[bot].bars[str(self.recorded(bot).charter["symbol"])]

    def compare(self, bot: str, *, bars: Bars | None = None, costs: Costs = COSTS, **changes: Any) -> Parity:
        """Compare a bot's session with a back-test, one of the two changed by what is planted."""
        recorded, own = self.recorded(bot), bars or self.bars(bot)
        recorded.charter = {**recorded.charter, **changes}
        return check_parity(recorded, own, costs=costs, funding=venue_funding(None, 0.0001, self.bars(bot)))


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Farm:
    first = replayed(tmp_path_factory.mktemp("one"), BOTS[:2], BARS)
    second = replayed(tmp_path_factory.mktemp("two"), (BOTS[2], TRAILING), TRAILED_BARS)
    return Farm({BOTS[0]: first, BOTS[1]: first, BOTS[2]: second, TRAILING: second})


@pytest.fixture
def omega(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a person would, in an empty directory."""

    def call(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "omega.cli", *args],
            cwd=tmp_path,
            env={**os.environ, "OMEGA_CONFIG_DIR": str(ROOT / "config"), "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


@pytest.mark.parametrize("bot", BOTS)
def test_parity_every_leg_of_the_farm_equals_the_back_tests(bot: str, farm: Farm) -> None:
    """Time, side, size, prices, fee and funding."""
    found = farm.compare(bot)

    assert found.sound, found.differences[0]
    assert (found.bars, found.trades >= 3) == (TRAILED_BARS if bot == "ema-btc" else BARS, True)
    assert farm.recorded(bot).funded, "the stretch was chosen for its funding"


def test_parity_trailing_stop_fills_where_the_back_test_says(farm: Farm) -> None:
    recorded = farm.recorded(TRAILING)
    moved = [intent for intent in recorded.intents if intent.action is Action.TIGHTEN]
    trailed = {intent.stop for intent in moved} & {fill.price for fill in recorded.fills}

    found = farm.compare(TRAILING)
    without = farm.compare(TRAILING, params={"reward": TRAIL["reward"]})

    assert found.sound, found.differences[0]
    assert found.bars == TRAILED_BARS
    assert len(moved) >= 3
    assert trailed, "a stop has filled at a price that it was moved to"
    assert not without.sound, "a back-test that does not trail is told apart"


def test_parity_different_fee_is_found(farm: Farm) -> None:
    found = farm.compare("ema-btc", costs=replace(COSTS, taker=0.0004))

    assert found.differences[0].quantity == "fee"
    assert {one.kind for one in found.differences} == {Kind.CONFIG}


def test_parity_different_slippage_is_found(farm: Farm) -> None:
    found = farm.compare("ema-btc", costs=replace(COSTS, slippage=0.0))

    assert found.differences[0].quantity == "entry_price"
    assert {one.kind for one in found.differences} == {Kind.CONFIG}


def test_parity_dropped_bar_is_found(farm: Farm) -> None:
    """A minute is missing in the data that the farm had."""
    bars, first = farm.bars("ema-btc"), farm.recorded("ema-btc").first_ns
    row = int(np.searchsorted(bars.ts, first)) + 100
    kept = np.arange(bars.n) != row
    columns = (getattr(bars, name)[kept] for name in ("ts", "open", "high", "low", "close", "volume"))

    found = farm.compare("ema-btc", bars=Bars(*columns))

    first_found = found.differences[0]
    assert (first_found.kind, first_found.quantity, first_found.ts_ns) == (Kind.DATA, "bar", bars.ts[row])


def test_parity_strategy_that_peeks_is_found(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shift(-1) in the back-test earns what no farm can: the decisions differ on the same bars."""
    entry = strategies.get("ema_cross")

    def signals(bars: Bars, params: Any) -> Signals:
        made: Signals = entry.signals(bars, params)
        side = np.zeros_like(made.side)
        side[:-1] = made.side[1:]
        return replace(made, side=side)

    monkeypatch.setitem(strategies._entries, "ema_cross", replace(entry, signals=signals))
    found = farm.compare("ema-btc")

    assert found.differences[0].quantity == "entry"
    assert Kind.CODE in {one.kind for one in found.differences}


def test_parity_late_intent_is_found(tmp_path: Path) -> None:
    """A farm whose intents are too old when the gateway has them in hand: the gate denies them by their deadline."""
    run = replayed(tmp_path, ("ema-btc",), 60, OMEGA_RUNNER__INTENT_TTL_S="0.000001")

    found = Farm({"ema-btc": run}).compare("ema-btc")

    assert found.trades >= 1
    assert {one.kind for one in found.differences} == {Kind.LATENCY}
    assert "'deadline'" in found.differences[0].cause


@pytest.mark.req("4.19")
def test_replay_of_the_farms_sessions_makes_every_intent_again(farm: Farm, omega: Callable[..., Any]) -> None:
    done = omega("replay", str(farm.session(BOTS[0]).parent), "--json")
    outcome = json.loads(done.stdout)

    assert (done.returncode, outcome["differences"]) == (0, [])
    assert outcome["decisions"] == BARS * 2
    assert outcome["intents"] >= 10
    assert {one["bot"] for one in outcome["sessions"]} == set(BOTS[:2])


def test_replay_of_a_tampered_session_names_the_line(farm: Farm, omega: Callable[..., Any], tmp_path: Path) -> None:
    text = farm.session("ema-btc").read_bytes()
    changed = tmp_path / "ema-btc.session.jsonl"
    changed.write_bytes(text.replace(b'\\"side\\":\\"buy\\"', b'\\"side\\":\\"sell\\"', 1))

    done = omega("replay", str(changed), "--json")
    outcome = json.loads(done.stdout)
    words = omega("replay", str(changed)).stdout

    assert done.returncode == 1
    assert {one["what"] for one in outcome["differences"]} == {"log", "intent"}
    assert f"line {outcome['differences'][0]['line']}" in words


def test_check_parity_of_a_session_ends_with_its_exit_code(farm: Farm, omega: Callable[..., Any]) -> None:
    session = ("--session", str(farm.session("ema-btc")), "--json")

    fine = omega("check", "parity", "ema-btc", *session)
    found = omega("check", "parity", "ema-btc", *session, OMEGA_SIMULATOR__SLIPPAGE="0.001")

    assert (fine.returncode, json.loads(fine.stdout)["differences"]) == (0, [])
    assert found.returncode == 1
    assert json.loads(found.stdout)["classes"]["config"] > 0


def test_check_unknown_bot_is_refused_with_those_there_are(omega: Callable[..., Any]) -> None:
    done = omega("check", "lookahead", "nobody")

    assert done.returncode == 2
    assert "fib-btc" in done.stderr
