"""Child processes: restarted when they die, given up when they were told something wrong, gone at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omega.cli.farm.processes import Child, Processes, fatal, last_words
from omega.errors import ConfigError, EnvironmentFault
from omega.testing.service_contract import eventually

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


def child(folder: Path, code: str, name: str = "gateway") -> Child:
    return Child(name, [sys.executable, "-S", "-c", code, f"services.{name}"], {}, log=folder / f"{name}.log")


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    made = Processes()
    yield made
    await made.stop(within_s=2)


async def test_processes_killed_child_is_restarted(processes: Processes, tmp_path: Path) -> None:
    one = child(tmp_path, SLEEPER)
    await processes.start(one)
    await eventually(lambda: "up" in one.tail())
    first = one.pid
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: one.restarts == 1 and one.pid not in (0, first))
    await eventually(lambda: one.tail().count("up") == 2)

    assert one.rss_mb() > 0
    assert processes.failed is not None
    assert not processes.failed.done()


async def test_processes_exit_2_is_fatal_and_in_the_childs_own_words(processes: Processes, tmp_path: Path) -> None:
    code = "import sys; print('noise'); print('gateway: bacth is no field: did you mean batch?'); sys.exit(2)"
    one = child(tmp_path, code)
    await processes.start(one)
    assert processes.failed is not None
    failed = await asyncio.wait_for(processes.failed, 60)
    error = fatal(failed)

    assert type(error) is ConfigError
    assert error.exit_code == 2
    assert str(error) == f"gateway cannot start: bacth is no field: did you mean batch? (log: {one.log})"
    assert (one.restarts, one.pid) == (0, 0)


async def test_processes_other_exit_codes_are_tried_again(processes: Processes, tmp_path: Path) -> None:
    """A server that is not there yet heals by itself; nothing is given up for it."""
    one = child(tmp_path, "import sys; print('gateway: no answer'); sys.exit(3)")
    await processes.start(one)
    await eventually(lambda: one.restarts >= 1)

    assert processes.failed is not None
    assert not processes.failed.done()
    assert last_words(one) == "no answer"
    await eventually(lambda: one.process is not None and one.process.returncode == 3)
    assert type(fatal(one)) is EnvironmentFault


async def test_processes_polite_end_is_no_death(processes: Processes, tmp_path: Path) -> None:
    one = child(tmp_path, "print('bye')")
    await processes.start(one)
    await eventually(lambda: not one.pid)
    await asyncio.sleep(0.5)

    assert one.restarts == 0


async def test_processes_stop_ends_the_stubborn_too_and_the_last_last(tmp_path: Path) -> None:
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
    made = Processes()
    for name, code in (("redis", SLEEPER), ("gateway", stubborn), ("ledger", SLEEPER)):
        await made.start(child(tmp_path, code, name))
    for one in made.children.values():
        await eventually(lambda one=one: "up" in one.tail())
    gone: list[str] = []
    waits = [asyncio.create_task(_note(one, gone)) for one in made.children.values()]

    await made.stop(within_s=0.5, last="redis")
    await asyncio.wait_for(asyncio.gather(*waits), 60)

    assert [one.pid for one in made.children.values()] == [0, 0, 0]
    assert gone[-1] == "redis"
    assert made.children["gateway"].process is not None
    assert made.children["gateway"].process.returncode == -signal.SIGKILL


async def _note(one: Child, gone: list[str]) -> None:
    assert one.process is not None
    await one.process.wait()
    gone.append(one.name)


async def test_processes_one_that_is_just_being_started_again_ends_with_the_others(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[asyncio.subprocess.Process] = []
    again = asyncio.Event()
    create = asyncio.create_subprocess_exec

    async def slowly(*argv: str, **more: object) -> asyncio.subprocess.Process:
        made.append(await create(*argv, **more))  # type: ignore[arg-type]
        if len(made) > 1:  # the process is there, and nobody has been told yet
            again.set()
            await asyncio.sleep(0.2)
        return made[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    mark = tmp_path / "died"
    code = (
        f"import pathlib, sys, time; mark = pathlib.Path({str(mark)!r}); gone = mark.exists(); mark.touch(); "
        "time.sleep(60 if gone else 0); sys.exit(1)"
    )
    await processes.start(child(tmp_path, code))
    async with asyncio.timeout(20):
        await again.wait()
    await processes.stop(within_s=5)

    assert [one.returncode is not None for one in made] == [True, True]
