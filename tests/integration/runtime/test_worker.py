"""The child process for heavy work: it answers, fails by class, is ended when late, and never sees a setting."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from omega.errors import Denied, Rejected, Stale, TransientError
from omega.runtime.worker import Worker

CHILD = """
import os, sys, time
from omega.errors import Denied
from omega.runtime.worker import work

def do(job):
    what, value = job
    if what == "double":
        print("this does not spoil the answer")
        return 2 * value
    if what == "deny":
        raise Denied(value)
    if what == "stumble":
        return [][value]
    if what == "die":
        os._exit(3)
    if what == "sleep":
        time.sleep(value)
    if what == "say much":
        open(value, "w").close()
        return bytes(50_000_000)
    if what == "environment":
        return sorted(name for name in os.environ if name.startswith("OMEGA_"))
    return os.getpid()

work(do)
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Worker, list[str]]]:
    (tmp_path / "heavy_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}")

    def make(within_s: float = 60.0) -> tuple[Worker, list[str]]:
        ended: list[str] = []
        return Worker("heavy_child", within_s=within_s, ended=ended.append), ended

    return make


async def test_worker_does_one_job_after_another_in_one_child(made: Callable[..., tuple[Worker, list[str]]]) -> None:
    worker, ended = made()
    assert worker.pid == 0

    assert await asyncio.gather(*(worker.run(("double", k)) for k in range(5))) == [0, 2, 4, 6, 8]
    pid = worker.pid
    assert await worker.run(("pid", 0)) == pid
    await worker.close()

    assert (worker.pid, ended) == (0, ["closed"])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_worker_job_that_fails_costs_that_job_alone(made: Callable[..., tuple[Worker, list[str]]]) -> None:
    worker, ended = made()

    with pytest.raises(Denied, match="not today"):
        await worker.run(("deny", "not today"))
    with pytest.raises(Rejected, match="IndexError: list index out of range"):
        await worker.run(("stumble", 3))
    assert await worker.run(("double", 4)) == 8
    assert ended == []
    with pytest.raises(TransientError, match="worker process died"):
        await worker.run(("die", 0))
    assert await worker.run(("double", 5)) == 10
    assert ended == ["died"]
    await worker.close()


async def test_worker_that_is_late_is_ended_and_the_next_job_gets_a_new_one(
    made: Callable[..., tuple[Worker, list[str]]],
) -> None:
    worker, ended = made(30.0)
    first = await worker.run(("pid", 0))
    worker.within_s = 0.2

    with pytest.raises(Stale, match=r"took longer than 0\.2 s"):
        await worker.run(("sleep", 600))
    worker.within_s = 30.0

    assert await worker.run(("pid", 0)) != first
    assert ended == ["late"]
    await worker.close()


async def test_worker_asker_that_goes_leaves_no_child_in_the_middle_of_an_answer(
    made: Callable[..., tuple[Worker, list[str]]],
) -> None:
    worker, ended = made()
    await worker.run(("double", 1))
    asking = asyncio.ensure_future(worker.run(("sleep", 600)))
    await asyncio.sleep(0)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert await worker.run(("double", 2)) == 4
    assert ended in (["late"], [])
    await worker.close()


async def test_worker_ends_a_child_in_the_middle_of_a_long_answer_that_nobody_reads(
    made: Callable[..., tuple[Worker, list[str]]], tmp_path: Path
) -> None:
    worker, ended = made()
    async with asyncio.timeout(120):
        for wait_s in (0.03, 0.06, 0.1):  # none of them must fall into the answer; most do
            begun = tmp_path / f"begun-{wait_s}"
            asking = asyncio.ensure_future(worker.run(("say much", str(begun))))
            while not begun.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.001)
            await asyncio.sleep(wait_s)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

        assert await worker.run(("double", 2)) == 4
        await worker.close()
    assert set(ended) == {"late", "closed"}


async def test_worker_sees_no_setting_of_the_farm(
    made: Callable[..., tuple[Worker, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_REDIS__PASSWORD", "secret")
    worker, _ = made()

    assert await worker.run(("environment", 0)) == []
    await worker.close()


async def test_worker_closed_while_it_works_fails_that_job_and_starts_no_other(
    made: Callable[..., tuple[Worker, list[str]]],
) -> None:
    worker, _ = made()
    await worker.run(("double", 1))
    working = asyncio.ensure_future(worker.run(("sleep", 600)))
    await asyncio.sleep(0)

    await worker.close()

    with pytest.raises(TransientError):
        await working
    with pytest.raises(TransientError, match="closing"):
        await worker.run(("double", 1))
    assert worker.pid == 0


async def test_worker_sees_its_child_to_the_end_when_whoever_ends_it_is_cancelled(
    made: Callable[..., tuple[Worker, list[str]]],
) -> None:
    worker, ended = made()
    await worker.run(("double", 1))
    pid = worker.pid
    resting = asyncio.ensure_future(worker.rest(-1.0))
    async with asyncio.timeout(30):
        while worker.pid:  # noqa: ASYNC110 - to the point where the child is being ended
            await asyncio.sleep(0)

    resting.cancel()
    await asyncio.gather(resting, return_exceptions=True)
    await worker.close()

    assert ended == ["idle"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_worker_rests_only_when_nobody_has_asked_for_a_while(
    made: Callable[..., tuple[Worker, list[str]]],
) -> None:
    worker, ended = made()
    await worker.run(("double", 1))

    await worker.rest(3600.0)
    assert worker.pid
    await worker.rest(0.0)

    assert (worker.pid, ended) == (0, ["idle"])


async def test_worker_that_is_closed_starts_no_child_for_what_still_waits(
    made: Callable[..., tuple[Worker, list[str]]],
) -> None:
    worker, ended = made()
    await worker.close()
    with pytest.raises(TransientError, match="closing"):
        await worker.run(("pid", 0))

    assert ended == []
