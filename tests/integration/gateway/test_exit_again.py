"""An exit that is refused or lost outlives the gateway: killed at any point, the bot leaves, and leaves once."""

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
@pytest.mark.kills
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


@pytest.mark.req("0.54")
@pytest.mark.parametrize("faults", [("drop_before",), ("drop_after",), ("drop_before", "drop_before", "drop_after")])
async def test_exit_that_is_lost_is_carried_out_once(farm: Any, faults: tuple[str, ...]) -> None:
    """The request lost, the answer lost, both in a row: another order only after the proof that there is none."""
    leaving = farm.intent(action=Action.EXIT, side=Side.SELL)
    for what in faults:
        await farm.fault(what, path=PLACE)
    await farm.send(leaving)
    await until_taken(farm)
    await farm.step()

    assert farm.order(leaving).state is (OrderState.FILLED if faults == ("drop_after",) else OrderState.REJECTED)
    await check_left_once(farm)


@pytest.mark.req("0.54")
@pytest.mark.parametrize("point", ["proven_absent", "again_before_send", "again_after_send"])
async def test_lost_exit_goes_on_after_the_gateway_was_killed(farm: Any, point: str) -> None:
    """Killed with the proof just written, with the second order just written, or with its answer unread."""
    leaving = farm.intent(action=Action.EXIT, side=Side.SELL)
    await farm.fault("drop_before", path=PLACE)
    await die_at(farm, point, intent=leaving)
    await farm.open()
    assert (farm.order(leaving).state, farm.order(leaving).code) == (OrderState.REJECTED, "absent")
    assert len(waiting(farm)) == 1
    await until_taken(farm)
    await farm.step()

    await check_left_once(farm)


async def until_taken(farm: Any) -> None:
    """Wait until an order is at the venue and known to be."""
    journal = farm.gateway.account.journal
    await farm.until(lambda: journal.in_state(OrderState.WORKING), "an order at the venue", within_s=20)


async def check_left_once(farm: Any) -> None:
    assert (farm.size("alpha"), farm.size("beta")) == (0, Decimal("0.01"))
    assert sold(farm) == [Decimal("0.01")], "closed once"
    assert waiting(farm) == farm.gateway.account.journal.values("doubt:") == {}
    truth = await farm.invariants()
    assert (truth["books_equal_venue"], truth["every_position_has_stop"]) == (True, True)
    assert not farm.gateway.account.halt.active
