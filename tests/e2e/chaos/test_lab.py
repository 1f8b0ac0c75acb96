"""The fault lab over a farm of processes: a short matrix breaks nothing, and each guard is missed when it is gone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from omega.chaos.guards import GUARDS
from omega.chaos.lab import LabOptions, run_seed
from omega.chaos.scenarios import SCENARIOS

MATRIX = {"order-path": 2, "stops": 3, "venue": 3}
"""Scenarios of the short matrix with their numbers of faults; `make chaos` runs the long one."""
FAULTS = {"fsync": 1, "fence": 3, "dedup": 3, "look-up": 2, "reservation": 1}
LONG = "OMEGA_TEST_CHAOS"
"""Set it and the guards are taken out one by one, which takes some minutes; `make chaos` does."""


async def run(name: str, faults: int, home: Path, *, without: tuple[str, ...] = (), seed: int = 3) -> dict[str, Any]:
    """Run one seed."""
    options = LabOptions(
        scenario=SCENARIOS[name], seed=seed, home=home, faults=faults, without=without, tight=name == "crowd"
    )
    return await run_seed(options)


async def omega(*words: str) -> tuple[int, str, str]:
    """Call the command as a person does; return exit code, stdout, stderr."""
    argv = (sys.executable, "-m", "omega.cli", *words)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MATRIX))
async def test_lab_short_matrix_breaks_no_invariant(name: str, tmp_path: Path) -> None:
    """Faults were done, orders were traded, everything healed, nothing broke."""
    result = await run(name, MATRIX[name], tmp_path)

    assert result["violations"] == [], result
    assert sum(result["faults"].values()) + len(result["skipped"]) == MATRIX[name]
    assert result["faults"], result["skipped"]
    assert result["orders"] > 0
    assert result["duplicates"] == 0


@pytest.mark.slow
@pytest.mark.skipif(LONG not in os.environ, reason=f"ten farms of processes: `make chaos` runs it, or set {LONG}=1")
@pytest.mark.parametrize("name", sorted(GUARDS))
async def test_lab_finds_the_guard_that_is_gone(name: str, tmp_path: Path) -> None:
    """Without the guard the scenario that names it breaks what it guards; with it the same schedule breaks nothing."""
    guard = GUARDS[name]

    spoiled = await run(guard.scenario, FAULTS[name], tmp_path / "without", without=(name,))
    intact = await run(guard.scenario, FAULTS[name], tmp_path / "with")

    found = {row["invariant"] for row in spoiled["violations"]}
    assert found & set(guard.expects), spoiled
    assert intact["violations"] == [], intact
    assert spoiled["schedule"] == intact["schedule"]


async def test_lab_command_lists_and_refuses_by_name() -> None:
    """`omega chaos list` names every scenario; a name that does not exist is a usage error with the choice."""
    _, listed, _ = await omega("chaos", "list", "--json")
    code, _, said = await omega("chaos", "run", "rain")

    told = json.loads(listed)
    assert {row["name"] for row in told["scenarios"]} == set(SCENARIOS)
    assert {row["name"] for row in told["guards"]} == set(GUARDS)
    assert (code, "choose from" in said) == (2, True), said
