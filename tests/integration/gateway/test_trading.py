"""The order path over the real wire: entry, stop at the venue, exit, and what the books say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from omega.bus import OrderEvent
from omega.domain import Action, Fill, OrderState, Role, Side


@pytest.mark.req("0.05", "2.12")
async def test_entry_confirmed_and_filled_has_its_stop_at_the_venue_and_is_never_naked(bench: Any) -> None:
    intent = bench.intent()
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)

    assert bench.order(intent).state is OrderState.WORKING
    await bench.step()

    assert bench.order(intent).state is OrderState.FILLED
    assert bench.size() == Decimal("0.01")
    [plan] = bench.plans()
    assert (plan.size, plan.trigger) == (Decimal("0.01"), intent.stop)
    truth = await bench.invariants()
    assert truth["books_equal_venue"], truth
    assert truth["every_position_has_stop"], truth
    assert truth["naked_seconds_max"] == 0
    assert truth["duplicate_client_ids"] == 0


async def test_entry_events_come_in_order_with_latency(bench: Any) -> None:
    await bench.step()
    intent = await bench.enter()

    events = await bench.events()
    states = [event.state for event in events if isinstance(event, OrderEvent)]
    assert states == [OrderState.SENDING, OrderState.WORKING, OrderState.FILLED]
    assert all(e.latency_ns > 0 for e in events if isinstance(e, OrderEvent) and e.state is not OrderState.SENDING)
    [fill] = [event for event in events if isinstance(event, Fill)]
    assert (fill.bot, fill.role, fill.size, fill.side) == (intent.bot, Role.ENTRY, intent.size, Side.BUY)
    assert fill.fee > 0


async def test_exit_flattens_the_book_and_takes_the_stop_away(bench: Any) -> None:
    await bench.enter()
    leave = bench.intent(Action.EXIT, Side.SELL)
    await bench.send(leave)
    await bench.settle(0, leave.intent_id)
    await bench.step()

    assert bench.size() == 0
    assert bench.plans() == []
    assert bench.order(leave).reduce_only
    truth = await bench.invariants()
    assert truth["books_equal_venue"], truth
