"""A send that ends in no way anybody has foreseen: its order is looked up, and does not block the bot's exits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from omega.domain import OrderState
from omega.errors import ConfigError, InvariantBroken
from services.gateway.memory_venue import MemoryVenue
from services.gateway.venue import Ack, OrderRequest

from .adversity import BTC, RULES, D, Desk, leave


class OddVenue(MemoryVenue):
    """A venue whose answers to orders break the adapter, before or after it has taken the order."""

    error: BaseException | None = None
    takes = False

    async def place(self, request: OrderRequest) -> Ack:
        ack = await super().place(request) if self.takes or self.error is None else None
        if self.error is not None:
            raise self.error
        assert ack is not None
        return ack


@pytest.fixture
def venue() -> OddVenue:
    return OddVenue({BTC: RULES}, {BTC: D(1000)})


@pytest.fixture
def desk(tmp_path: Path, venue: OddVenue) -> Iterator[Desk]:
    desk = Desk(tmp_path, venue)
    yield desk
    desk.journal.close()


async def until_over(desk: Desk) -> None:
    await desk.path.drain()
    async with asyncio.timeout(20):
        await desk.account.activity.until(
            lambda: not desk.look_ups.count and not desk.journal.in_state(OrderState.SENDING)
        )


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize("error", [KeyError("orderId"), InvariantBroken("odd"), ConfigError("no such symbol")], ids=str)
async def test_exit_whose_send_broke_is_looked_up(
    desk: Desk, venue: OddVenue, error: Exception, *, takes: bool
) -> None:
    """Left as it is it would count as under way for ever, and no other exit of the bot would pass."""
    desk.hold(1, "ann", "0.1")
    await venue.start(desk)  # type: ignore[arg-type]  # nothing is pushed here
    venue.error, venue.takes = error, takes
    await desk.path.close_out(leave("ann", "0.1"))
    await desk.path.drain()
    await until_over(desk)
    venue.error = None

    [order] = [desk.journal.by_intent("ann:1:0")]
    assert order is not None
    assert order.state is (OrderState.WORKING if takes else OrderState.REJECTED)
    assert desk.account.halt.active, "a person must see it"
    await desk.path.close_out(leave("ann", "0.1", number=2))
    await desk.path.drain()
    again = desk.journal.by_intent("ann:2:0")
    assert again is not None
    assert again.state is (OrderState.DENIED if takes else OrderState.WORKING), "never twice, never not at all"
    await desk.look_ups.close()
