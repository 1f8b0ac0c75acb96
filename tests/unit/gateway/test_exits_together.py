"""Exits of several bots on one venue position that is smaller than all of theirs: none is refused for want of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from omega.domain import OrderState, Side
from services.gateway.memory_venue import _Net

from .adversity import BTC, D, Desk, leave


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


async def test_two_exits_that_share_one_net_position_are_both_filled(desk: Desk) -> None:
    """ann and cat are long, bob is short: both exits fit the net position alone, together they turn it around."""
    await desk.venue.start(desk)  # type: ignore[arg-type]  # the desk hears what it needs
    desk.hold(1, "ann", "0.1")
    desk.hold(2, "bob", "0.1", side=Side.SELL, stop="1100")
    desk.hold(3, "cat", "0.1")
    desk.venue._nets[BTC] = _Net(D("0.1"), D(1000))
    for bot in ("ann", "cat"):
        await desk.path.close_out(leave(bot, "0.1"))
    await desk.path.drain()
    desk.venue.fill()

    orders = [desk.journal.by_intent(f"{bot}:1:0") for bot in ("ann", "cat")]
    assert [order.state for order in orders if order is not None] == [OrderState.FILLED, OrderState.FILLED]
    assert [order.reduce_only for order in orders if order is not None] == [True, False]
    assert [desk.size(bot) for bot in ("ann", "bob", "cat")] == [0, D("-0.1"), 0]


async def test_lone_exit_stays_reduce_only(desk: Desk) -> None:
    await desk.venue.start(desk)  # type: ignore[arg-type]  # as above
    desk.hold(1, "ann", "0.1")
    await desk.path.close_out(leave("ann", "0.1"))

    order = desk.journal.by_intent("ann:1:0")
    assert order is not None
    assert order.reduce_only
    await desk.path.drain()
