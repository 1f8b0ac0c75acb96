"""Fair shares inside a lane: a chatty bot waits behind the others, never the others behind it."""

from __future__ import annotations

import asyncio

import pytest

from omega.resilience import Breakers, BreakerState, Lane, RateLanes
from omega.telemetry import Metrics

NOTHING, RATE = 1e-9, 500.0


async def served(lanes: RateLanes, asked: list[tuple[str, Lane]]) -> list[str]:
    """Ask for all of them before anything is given out, and return the names in the order they were served."""
    lanes.configure(rate=NOTHING, burst=1.0)
    order: list[str] = []

    async def take(name: str, lane: Lane) -> None:
        await lanes.acquire(lane, name=name)
        order.append(name)

    tasks = []
    for name, lane in asked:
        tasks.append(asyncio.ensure_future(take(name, lane)))
        await asyncio.sleep(0)
    lanes.configure(rate=RATE, burst=1.0)
    await asyncio.gather(*tasks)
    return order


def lanes(rate: float = NOTHING) -> RateLanes:
    found = RateLanes("orders", rate=rate, burst=1.0, reserve=0.0)
    assert found.try_acquire(Lane.EXIT)
    return found


@pytest.mark.req("2.18")
async def test_lanes_chatty_bot_does_not_starve_the_others() -> None:
    order = await served(lanes(), [("chatty", Lane.ENTRY)] * 30 + [("quiet", Lane.ENTRY), ("calm", Lane.ENTRY)])

    assert order.index("quiet") <= 3
    assert order.index("calm") <= 4
    assert order.count("chatty") == 30


async def test_lanes_urgent_lane_comes_first_whoever_asks() -> None:
    order = await served(lanes(), [("quiet", Lane.ENTRY)] + [("chatty", Lane.ENTRY)] * 3 + [("chatty-exit", Lane.EXIT)])

    assert order[0] == "chatty-exit"


async def test_lanes_latecomer_starts_with_the_present_round() -> None:
    """Who was silent has saved nothing up: it shares from now on."""
    bucket = lanes(RATE)
    order: list[str] = []

    async def take(name: str) -> None:
        await bucket.acquire(Lane.ENTRY, name=name)
        order.append(name)
        if len(order) == 4:
            late.extend(asyncio.ensure_future(take("late")) for _ in range(4))

    late: list[asyncio.Future[None]] = []
    await asyncio.gather(*(asyncio.ensure_future(take("early")) for _ in range(8)))
    await asyncio.gather(*late)

    tail = order[4:]
    assert tail[:7].count("early") >= 2
    assert tail[:7].count("late") >= 2


async def test_lanes_names_without_a_queue_leave_nothing_behind() -> None:
    bucket = lanes()
    await served(bucket, [(f"bot{number}", Lane.ENTRY) for number in range(20)])
    await served(bucket, [("again", Lane.ENTRY)])

    assert len(bucket._rounds) <= 1


def test_breaker_tripped_opens_at_once_and_a_read_probes_it() -> None:
    now = [0.0]
    circuit = Breakers(Metrics(), failures=5, reset_s=10.0, probes=1, clock=lambda: now[0]).of("bitget", "private")
    circuit.trip()
    assert (circuit.state, circuit.allow(read=True)) == (BreakerState.OPEN, False)
    now[0] = 10.5

    assert not circuit.allow(read=False)
    assert circuit.allow(read=True)
    circuit.succeeded()
    assert circuit.state is BreakerState.CLOSED
