"""Rate lanes: who is served when, and what a cancelled wait leaves behind."""

from __future__ import annotations

import asyncio
import time

import pytest

from omega.resilience import Lane, RateLanes


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def queue(lanes: RateLanes, order: list[str], name: str, lane: Lane, weight: float = 1.0) -> asyncio.Task[None]:
    async def take() -> None:
        await lanes.acquire(lane, weight)
        order.append(name)

    task = asyncio.ensure_future(take())
    await asyncio.sleep(0)
    return task


def test_lanes_burst_then_rate() -> None:
    clock = Clock()
    lanes = RateLanes("orders", rate=10.0, burst=2.0, reserve=0.0, clock=clock)

    assert [lanes.try_acquire(Lane.ENTRY) for _ in range(3)] == [True, True, False]
    clock.now += 0.1

    assert lanes.try_acquire(Lane.ENTRY)
    assert not lanes.try_acquire(Lane.ENTRY)


def test_lanes_reserve_is_left_for_exits() -> None:
    lanes = RateLanes("orders", rate=10.0, burst=3.0, reserve=1.0, clock=Clock())

    assert [lanes.try_acquire(Lane.ENTRY) for _ in range(3)] == [True, True, False]
    assert lanes.try_acquire(Lane.EXIT)


@pytest.mark.req("2.18")
async def test_lanes_exit_overtakes_every_entry_that_waits() -> None:
    lanes = RateLanes("orders", rate=10.0, burst=1.0, reserve=0.0)
    order: list[str] = []
    assert lanes.try_acquire(Lane.EXIT)

    tasks = [await queue(lanes, order, f"entry{i}", Lane.ENTRY) for i in range(3)]
    tasks += [await queue(lanes, order, "data", Lane.DATA), await queue(lanes, order, "read", Lane.READ)]
    tasks += [await queue(lanes, order, "stop", Lane.STOP), await queue(lanes, order, "exit", Lane.EXIT)]
    await asyncio.gather(*tasks)

    assert order == ["exit", "stop", "read", "entry0", "entry1", "entry2", "data"]


async def test_lanes_heavy_waiter_is_not_passed_by_light_ones() -> None:
    lanes = RateLanes("orders", rate=500.0, burst=4.0, reserve=0.0)
    order: list[str] = []
    assert lanes.try_acquire(Lane.EXIT, 2.0)

    tasks = [await queue(lanes, order, "heavy", Lane.ENTRY, 4.0), await queue(lanes, order, "light", Lane.ENTRY)]
    await asyncio.gather(*tasks)

    assert order == ["heavy", "light"]


async def test_lanes_more_than_the_bucket_is_asked_of_a_full_one() -> None:
    clock = Clock()
    lanes = RateLanes("orders", rate=10.0, burst=2.0, reserve=0.0, clock=clock)

    assert lanes.try_acquire(Lane.EXIT, 5.0)
    assert lanes.tokens == pytest.approx(-3.0)
    clock.now += 0.45

    assert lanes.tokens == pytest.approx(1.5)


async def test_lanes_cancelled_waiter_takes_nothing_and_wakes_the_next() -> None:
    lanes = RateLanes("orders", rate=100.0, burst=1.0, reserve=0.0)
    order: list[str] = []
    assert lanes.try_acquire(Lane.EXIT)
    first = await queue(lanes, order, "first", Lane.EXIT)
    second = await queue(lanes, order, "second", Lane.ENTRY)

    first.cancel()
    await second

    assert order == ["second"]
    assert lanes.waiting == 0


async def test_lanes_cancelled_in_the_turn_of_its_grant_gives_back() -> None:
    clock = Clock()
    lanes = RateLanes("orders", rate=1.0, burst=1.0, reserve=0.0, clock=clock)
    assert lanes.try_acquire(Lane.EXIT)
    task = await queue(lanes, [], "late", Lane.EXIT)

    clock.now += 1.0
    lanes.configure(rate=1.0, burst=1.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert lanes.try_acquire(Lane.ENTRY)


async def test_lanes_pause_gives_out_nothing_for_a_while() -> None:
    lanes = RateLanes("orders", rate=1000.0, burst=5.0, reserve=0.0)

    lanes.pause(0.05)
    began = time.monotonic()
    assert not lanes.try_acquire(Lane.EXIT)
    await lanes.acquire(Lane.EXIT)

    assert time.monotonic() - began >= 0.05


async def test_lanes_waits_are_reported() -> None:
    waits: list[tuple[Lane, float]] = []
    lanes = RateLanes(
        "orders", rate=100.0, burst=1.0, reserve=0.0, on_wait=lambda lane, wait: waits.append((lane, wait))
    )

    await lanes.acquire(Lane.EXIT)
    await lanes.acquire(Lane.ENTRY)

    assert [lane for lane, _ in waits] == [Lane.EXIT, Lane.ENTRY]
    assert waits[0][1] == 0.0
    assert waits[1][1] > 0.0
