"""A refused exit outlives the gateway: killed before or after it is sent again, the bot leaves, and leaves once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from omega.domain import Action, OrderState, Side

from .dying import die_at

BOTS = {name: {"strategy": "ema_cross", "symbol": "BTC-USDT.P"} for name in ("alpha", "beta")}
PLACE = "/place-order"


@pytest.fixture
async def farm(make_bench: Callable[..., Any]) -> AsyncIterator[Any]:
    """Two bots that hold the same: an exit of one that were doubled would find the other's position to close."""
    async with make_bench(bots=BOTS, proof_of_absence_s=0.3) as bench:
        for bot in BOTS:
            await bench.enter(bot=bot)
        yield bench


def sold(bench: Any) -> list[Decimal]:
    book = bench.server.exchange.venue.book
    return [order.filled for order in book.orders.values() if order.source == "API" and order.side < 0]


def waiting(bench: Any) -> dict[str, str]:
    found: dict[str, str] = bench.gateway.account.journal.values("again:")
    return found


@pytest.mark.req("0.54")
@pytest.mark.parametrize("point", ["refused", "after_send"])
async def test_refused_exit_goes_on_after_the_gateway_was_killed(farm: Any, point: str) -> None:
    """Killed with the refusal just written, or when the second order is at the venue and nobody has read its answer."""
    leaving = farm.intent(action=Action.EXIT, side=Side.SELL)
    await farm.fault("code", path=PLACE, code="429")
    await die_at(farm, point, intent=leaving)
    await farm.open()
    journal = farm.gateway.account.journal
    assert farm.order(leaving).state is OrderState.REJECTED
    assert len(waiting(farm)) == 1
    await farm.until(lambda: journal.in_state(OrderState.WORKING), "another order", within_s=20)
    await farm.step()

    assert (farm.size("alpha"), farm.size("beta")) == (0, Decimal("0.01"))
    assert sold(farm) == [Decimal("0.01")], "closed once"
    assert waiting(farm) == {}
    truth = await farm.invariants()
    assert (truth["books_equal_venue"], truth["every_position_has_stop"]) == (True, True)
