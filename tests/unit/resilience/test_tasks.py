"""Tasks that were started end when their owner ends, also those that a library keeps from hearing of it."""

import asyncio

import pytest

from omega.resilience import ended, finished


async def test_ended_returns_when_every_task_has_ended_whatever_came_of_it() -> None:
    async def fails() -> None:
        raise ValueError("nobody asks")

    sleeping, failed = asyncio.create_task(asyncio.sleep(600)), asyncio.create_task(fails())
    await asyncio.sleep(0)

    await ended([sleeping, failed])

    assert sleeping.cancelled()
    assert failed.done()


async def test_ended_cancels_again_what_a_library_has_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11: `wait_for` returns its result to a task that is cancelled as the result comes."""
    monkeypatch.setattr("omega.tasks._AGAIN_S", 0.01)
    connected = asyncio.get_running_loop().create_future()

    async def session() -> None:
        await asyncio.wait_for(connected, 60.0)
        await asyncio.sleep(600)

    task = asyncio.create_task(session())
    await asyncio.sleep(0)
    connected.set_result(None)

    async with asyncio.timeout(30):
        await ended([task])

    assert task.cancelled()


async def test_finished_does_a_clean_up_whole_when_its_task_is_cancelled_meanwhile() -> None:
    done: list[str] = []

    async def leave() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.append("closed")

    task = asyncio.create_task(finished(leave()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert done == ["closed"]


async def test_finished_passes_on_what_the_clean_up_raises() -> None:
    async def leave() -> None:
        raise ValueError("it cannot be closed")

    with pytest.raises(ValueError, match="it cannot be closed"):
        await finished(leave())
