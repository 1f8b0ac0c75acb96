"""An order that the venue has taken and then knows nothing of: ended by proof, so that it blocks no exit for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from omega.domain import TERMINAL, OrderState, Side
from services.gateway.memory_venue import _Net
from services.gateway.venue import Status, VenueOrder

from .adversity import BTC, D, Desk, leave


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


def forget(desk: Desk, client_id: str) -> None:
    """Let the venue know an order no more, in no list."""
    for rows in (desk.venue._orders, desk.venue._resting):
        rows.pop(client_id, None)


async def until_over(desk: Desk, client_id: str) -> OrderState:
    def over() -> bool:
        order = desk.journal.order(client_id)
        return order is not None and order.state in TERMINAL

    async with asyncio.timeout(20):
        await desk.account.activity.until(over)
    order = desk.journal.order(client_id)
    assert order is not None
    return order.state


async def leaving(desk: Desk) -> str:
    """Let ann's exit of all that she holds be taken by the venue; return its client id."""
    await desk.venue.start(desk)  # type: ignore[arg-type]  # the desk hears what it needs
    desk.hold(1, "ann", "0.1")
    desk.venue._nets[BTC] = _Net(D("0.1"), D(1000))
    await desk.path.close_out(leave("ann", "0.1"))
    await desk.path.drain()
    order = desk.journal.by_intent("ann:1:0")
    assert order is not None
    assert order.state is OrderState.WORKING
    return order.client_id


async def test_exit_that_the_venue_has_lost_ends_and_another_one_passes(desk: Desk) -> None:
    name = await leaving(desk)
    forget(desk, name)
    await desk.recovery.reconcile()

    assert await until_over(desk, name) is OrderState.CANCELED
    await desk.path.close_out(leave("ann", "0.1", number=2))
    await desk.path.drain()
    again = desk.journal.by_intent("ann:2:0")
    assert again is not None
    assert again.state is OrderState.WORKING


async def test_exit_that_the_venue_has_lost_with_its_fill_is_filled_by_its_executions(desk: Desk) -> None:
    """The order is in no list, its execution is: what was traded decides."""
    name = await leaving(desk)
    await desk.venue.close()
    desk.venue.fill()
    forget(desk, name)
    await desk.venue.start(desk)  # type: ignore[arg-type]  # as above
    await desk.recovery.reconcile()

    assert await until_over(desk, name) is OrderState.FILLED
    assert desk.size() == 0
    assert not desk.account.ahead()


async def test_order_that_is_only_late_in_the_lists_goes_on(desk: Desk) -> None:
    """A venue that has taken it may show it a moment later."""
    name = await leaving(desk)
    kept = desk.venue._orders[name], desk.venue._resting[name]
    forget(desk, name)
    await desk.recovery.reconcile()
    desk.venue._orders[name], desk.venue._resting[name] = kept
    await asyncio.gather(*desk.look_ups._tasks.values())
    late = desk.journal.order(name)
    assert late is not None
    assert late.state is OrderState.WORKING
    desk.venue.fill()

    assert await until_over(desk, name) is OrderState.FILLED


async def test_order_that_was_proven_gone_and_comes_back_halts(desk: Desk) -> None:
    name = await leaving(desk)
    kept = desk.venue._orders[name]
    forget(desk, name)
    await desk.recovery.reconcile()
    await until_over(desk, name)
    halted = desk.account.halt.active
    desk.account.learn(kept)

    assert not halted
    assert "at the venue after all" in desk.account.halt.reason


def test_refused_order_that_the_venue_lists_as_refused_halts_nothing(desk: Desk) -> None:
    desk.entry(1, "ann", "0.1")
    desk.account.step("o1", OrderState.REJECTED, code="43012", reason="no money")
    listed = VenueOrder("v1", "o1", BTC, Side.BUY, D("0.1"), D(0), Status.REJECTED, reduce_only=False, ts_ns=5)
    desk.account.learn(listed)

    assert not desk.account.halt.active
