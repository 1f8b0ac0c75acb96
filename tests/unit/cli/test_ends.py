"""The end of a farm on one machine: whatever breaks or is cut on the way, no process, port or task stays behind."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from omega.cli.farm import Farm, FarmOptions
from omega.cli.farm.processes import Child, Processes
from omega.cli.up import _replay
from omega.config import Settings
from omega.testing.service_contract import eventually

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


def child(folder: Path, name: str, code: str = SLEEPER) -> Child:
    return Child(name, [sys.executable, "-S", "-c", code], {}, log=folder / f"{name}.log")


async def running(processes: Processes, *children: Child) -> None:
    for one in children:
        await processes.start(one)
        await eventually(lambda one=one: "up" in one.tail(), what=f"the start of {one.name}")


def farm_at(home: Path) -> Farm:
    options = FarmOptions(bots=(), speed="60", bars=0, home=home, seed=1, start="", data="", redis_url="", extra_env={})
    return Farm(Settings(), options)


async def test_processes_stop_that_is_cut_kills_the_stubborn_and_the_last(tmp_path: Path) -> None:
    """Whoever asked for the end does not wait any longer: what does not go by itself is killed."""
    made = Processes()
    stubborn, last = child(tmp_path, "gateway", STUBBORN), child(tmp_path, "redis")
    await running(made, stubborn, last)

    stopping = asyncio.create_task(made.stop(within_s=600, last="redis"))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping

    assert (stubborn.pid, last.pid) == (0, 0)


async def test_farm_whose_connection_breaks_at_the_end_stops_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = farm_at(tmp_path)
    one = child(tmp_path, "cosmic")
    await running(farm.processes, one)

    async def breaks() -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(farm.admin, "close", breaks)
    with pytest.raises(ConnectionResetError):
        await farm.stop()

    assert one.pid == 0


async def test_replay_that_is_cancelled_leaves_no_task_behind(tmp_path: Path) -> None:
    """The farm is taken down next: nobody may go on asking it."""
    farm = farm_at(tmp_path)
    farm.observer = farm.conductor = None  # type: ignore[assignment]  # nothing is asked of them before the cut
    try:
        replaying = asyncio.create_task(_replay(farm, asyncio.Event()))
        await asyncio.sleep(0)
        replaying.cancel()
        await asyncio.wait({replaying})

        assert asyncio.all_tasks() == {asyncio.current_task()}
    finally:
        await farm.stop()
