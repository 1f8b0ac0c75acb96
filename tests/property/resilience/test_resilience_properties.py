"""Invariants of breaker and lanes over any history."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from omega.resilience import BreakerState, CircuitBreaker, Lane, RateLanes

STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "order", "ok", "bad", "gone", "wait"]), st.floats(0, 20)), max_size=60
)


@given(STEPS, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_breaker_any_history_never_lets_an_order_probe(
    steps: list[tuple[str, float]], failures: int, probes: int
) -> None:
    """Outside of CLOSED no order passes, and at most one read is under way."""
    now = [0.0]
    breaker = CircuitBreaker("v", "e", failures=failures, reset_s=10.0, probes=probes, clock=lambda: now[0])
    probing = 0
    for what, seconds in steps:
        closed = breaker.state is BreakerState.CLOSED
        if what == "wait":
            now[0] += seconds
        elif what in ("read", "order"):
            allowed = breaker.allow(read=what == "read")
            if not closed and allowed:
                assert what == "read"
                probing += 1
                assert probing == 1
        else:
            {"ok": breaker.succeeded, "bad": breaker.failed, "gone": breaker.given_up}[what]()
            probing = 0
        assert 0.0 <= breaker.retry_in_s <= 10.0 + 1e-9


@given(
    st.lists(st.tuples(st.sampled_from(list(Lane)), st.floats(0.1, 6.0), st.floats(0.0, 1.0)), min_size=1, max_size=80),
    st.floats(1.0, 20.0),
    st.floats(1.0, 5.0),
)
@settings(max_examples=150, deadline=None)
def test_lanes_any_demand_never_exceeds_burst_plus_rate(
    calls: list[tuple[Lane, float, float]], rate: float, burst: float
) -> None:
    """What was given out is at most a full bucket, what has flowed in, and one overdraft of the last call."""
    now = [0.0]
    lanes = RateLanes("x", rate=rate, burst=burst, clock=lambda: now[0])
    given_out, largest = 0.0, 0.0
    for lane, weight, pause in calls:
        now[0] += pause
        if lanes.try_acquire(lane, weight):
            given_out += weight
            largest = max(largest, weight)
        assert given_out <= burst + rate * now[0] + max(largest - burst, 0.0) + 1e-6


@given(st.lists(st.tuples(st.sampled_from(list(Lane)), st.booleans()), min_size=1, max_size=25))
@settings(max_examples=25, deadline=None)
def test_lanes_waiters_are_served_by_lane_then_arrival_whoever_gives_up(callers: list[tuple[Lane, bool]]) -> None:
    """The order of service is the order of (lane, arrival) of those who stayed."""

    async def play() -> tuple[list[int], int]:
        lanes = RateLanes("x", rate=1e-6, burst=1.0, reserve=0.0)
        assert lanes.try_acquire(Lane.EXIT)  # empty and all but standing still until everybody has queued
        served: list[int] = []

        async def call(number: int, lane: Lane) -> None:
            await lanes.acquire(lane)
            served.append(number)

        tasks = [asyncio.ensure_future(call(number, lane)) for number, (lane, _) in enumerate(callers)]
        await asyncio.sleep(0)
        for task, (_, stays) in zip(tasks, callers, strict=True):
            if not stays:
                task.cancel()
        await asyncio.sleep(0)
        lanes.configure(rate=5000.0, burst=1.0)
        await asyncio.gather(*tasks, return_exceptions=True)
        return served, lanes.waiting

    served, waiting = asyncio.run(play())

    assert served == sorted((n for n, (_, stays) in enumerate(callers) if stays), key=lambda n: (callers[n][0], n))
    assert waiting == 0
