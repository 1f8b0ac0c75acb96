"""The whole farm as processes: it trades, repeats itself exactly, and no kill -9 loses or doubles an order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from omega.testing.farm import BOTS, essence, replay

BARS = 240
KINDS = ["gateway", "simulator", "runner-fib-btc", "ledger", "cosmic", "analytics", "redis"]
TWICE = ["redis", "simulator", "gateway", "runner-ema-btc"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One clean run that the others are compared with."""
    return asyncio.run(replay(tmp_path_factory.mktemp("clean"), BARS))


def sound(outcome: dict[str, Any]) -> None:
    invariants = outcome["invariants"]
    assert invariants["books_equal_venue"], invariants
    assert invariants["every_position_has_stop"], invariants
    assert invariants["duplicate_client_ids"] == 0


@pytest.mark.slow
async def test_lockstep_recorded_bars_trades_and_holds_every_invariant(undisturbed: dict[str, Any]) -> None:
    """Every bot decides on every bar, orders are filled, books equal the venue, stops stand, the ledger agrees."""
    sound(undisturbed)
    assert undisturbed["bars"] == BARS
    assert undisturbed["orders_total"] > 0
    assert undisturbed["fills_total"] > 0
    assert set(undisturbed["bots"]) == set(BOTS)
    for name, bot in undisturbed["bots"].items():
        assert bot["decisions"] == BARS, name
    assert undisturbed["bots"]["positions"]["intents"] == 0
    assert undisturbed["first_fill_s"] > 0
    assert all(process["rss_mb"] > 0 for process in undisturbed["processes"])


@pytest.mark.slow
async def test_second_run_with_every_process_killed_makes_the_same_fills(
    undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """The same seed gives the same orders and fills, and a kill -9 of each process in turn changes none of them.

    Restarted and recovered; bus, venue, gateway and a bot die again later; no order doubled or lost, stops stand.
    """
    turns = [*KINDS, *TWICE]
    disturb = {BARS // (len(turns) + 1) * (number + 1): kind for number, kind in enumerate(turns)}

    outcome = await replay(tmp_path, BARS, disturb=disturb)

    sound(outcome)
    restarts = {process["name"]: process["restarts"] for process in outcome["processes"]}
    assert {kind for kind in turns if restarts[kind] < turns.count(kind)} == set()
    assert essence(outcome) == essence(undisturbed)
