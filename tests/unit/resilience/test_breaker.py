"""The circuit breaker as a state machine over a clock that stands still."""

from __future__ import annotations

import asyncio

import pytest

from omega.errors import Rejected, TransientError, Unresolved
from omega.resilience import Breakers, BreakerState, CircuitBreaker
from omega.telemetry import Metrics


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(clock: Clock, **limits: float) -> tuple[CircuitBreaker, list[str]]:
    seen: list[str] = []
    breaker = CircuitBreaker(
        "bitget",
        "orders",
        failures=int(limits.get("failures", 3)),
        reset_s=limits.get("reset_s", 10.0),
        probes=int(limits.get("probes", 2)),
        clock=clock,
        on_change=lambda circuit, old: seen.append(f"{old}>{circuit.state}"),
    )
    return breaker, seen


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        assert breaker.allow(read=True)
        breaker.failed()


@pytest.mark.req("0.27")
def test_breaker_failures_in_a_row_open_it() -> None:
    breaker, seen = make(Clock())

    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.state is BreakerState.CLOSED
    fail(breaker)

    assert seen == ["closed>open"]
    assert not breaker.allow(read=True)
    assert breaker.retry_in_s == 10.0


@pytest.mark.req("0.27")
def test_breaker_half_open_lets_one_read_through_and_never_an_order() -> None:
    clock = Clock()
    breaker, _ = make(clock)
    fail(breaker, 3)

    clock.now += 10.0

    assert not breaker.allow(read=False)
    assert breaker.allow(read=True)
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.allow(read=True)
    assert not breaker.allow(read=False)


def test_breaker_enough_sound_probes_close_it() -> None:
    clock = Clock()
    breaker, seen = make(clock)
    fail(breaker, 3)
    clock.now += 10.0

    for _ in range(2):
        assert not breaker.allow(read=False)
        assert breaker.allow(read=True)
        breaker.succeeded()

    assert seen == ["closed>open", "open>half_open", "half_open>closed"]
    assert breaker.allow(read=False)


def test_breaker_failed_probe_opens_it_again_for_the_whole_time() -> None:
    clock = Clock()
    breaker, _ = make(clock)
    fail(breaker, 3)
    clock.now += 10.0
    assert breaker.allow(read=True)

    breaker.failed()

    assert breaker.state is BreakerState.OPEN
    clock.now += 9.9
    assert not breaker.allow(read=True)


def test_breaker_cancelled_probe_frees_its_place() -> None:
    clock = Clock()
    breaker, _ = make(clock)
    fail(breaker, 3)
    clock.now += 10.0

    with pytest.raises(asyncio.CancelledError), breaker.guard(read=True):
        raise asyncio.CancelledError

    assert breaker.allow(read=True)


@pytest.mark.parametrize("error", [TransientError("x"), Unresolved("x"), TimeoutError(), ConnectionResetError()])
def test_breaker_guard_counts_silence_as_failure(error: Exception) -> None:
    breaker, _ = make(Clock(), failures=1)

    with pytest.raises(type(error)), breaker.guard(read=False):
        raise error

    assert breaker.state is BreakerState.OPEN
    with pytest.raises(TransientError, match="bitget orders is not called"), breaker.guard(read=True):
        pytest.fail("the block must not run")


def test_breaker_guard_counts_a_refusal_as_an_answer() -> None:
    breaker, _ = make(Clock(), failures=1)

    with pytest.raises(Rejected), breaker.guard(read=False):
        raise Rejected("no money", code="43012")

    assert breaker.state is BreakerState.CLOSED


@pytest.mark.req("0.27")
def test_breakers_state_is_a_metric_and_an_event() -> None:
    clock, metrics, told = Clock(), Metrics(), []
    breakers = Breakers(
        metrics, failures=1, clock=clock, on_change=lambda circuit, old: told.append((circuit.endpoint, old))
    )
    orders, reads = breakers.of("bitget", "orders"), breakers.of("bitget", "reads")

    orders.failed()

    assert breakers.of("bitget", "orders") is orders
    assert metrics['omega_breaker_state{endpoint="orders",venue="bitget"}'] == 2
    assert metrics['omega_breaker_state{endpoint="reads",venue="bitget"}'] == 0
    assert metrics["breaker_opened_total"] == 1
    assert breakers.open == ["bitget orders"]
    assert told == [("orders", BreakerState.CLOSED)]
    assert reads.allow(read=False)


def test_breakers_configure_reaches_the_circuits_that_exist() -> None:
    breakers = Breakers(Metrics(), failures=9)
    circuit = breakers.of("bitget", "orders")

    breakers.configure(failures=1, reset_s=1.0, probes=1)
    circuit.failed()

    assert circuit.state is BreakerState.OPEN
