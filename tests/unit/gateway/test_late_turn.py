"""An entry that has waited for its turn is asked about again; an exit always goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from omega.bus.envelope import Envelope
from omega.bus.messages import Verb
from omega.domain import Action, Intent, OrderState, Side
from services.gateway.memory_venue import MemoryVenue
from services.gateway.risk.scopes import Entity, Scope
from services.gateway.rows import JournalOrder

from . import adversity
from .adversity import BTC, RULES, D

WAIT_S = 0.05


class OpenVenue(MemoryVenue):
    """A venue whose session stands."""

    def connected(self) -> bool:
        return True


class Desk(adversity.Desk):
    """An order path whose lane gives out nothing for a moment."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, OpenVenue({BTC: RULES}, {BTC: D(1000)}), breaker={"failures": 1})
        self.now_ns = 10**18
        self.account.clock = lambda: self.now_ns
        self.account.turns.slow_down(WAIT_S)

    def accept(self, action: Action, side: Side) -> JournalOrder:
        stop = D(900) if action is Action.ENTER else None
        intent = Intent(
            "i9", "ann", "bitget", "main", BTC, action, side, D("0.1"), 1, D(1000), stop
        )  # type: ignore[arg-type]  # fmt: skip
        deadline_ns = self.now_ns + 10**9
        envelope = Envelope("e1", "intent", 1, self.now_ns, "ann", 1, 0, "", "", "", deadline_ns, "", intent)
        (order,) = self.path.accept([(envelope, intent)])
        return order

    async def ended(self, order: JournalOrder) -> JournalOrder:
        await self.path.drain()
        found = self.journal.order(order.client_id)
        assert found is not None
        return found


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


def _halt(desk: Desk) -> None:
    desk.account.halt_entries("a person said so")


def _halt_bot(desk: Desk) -> None:
    desk.account.halt.set("enough", by="ann's friend", ts_ns=1, entity=Entity(Scope.BOT, "ann"))


def _pause(desk: Desk) -> None:
    desk.account.standing.tell("ann", Verb.PAUSE)


def _lose_lease(desk: Desk) -> None:
    desk.leased = False


def _pass_deadline(desk: Desk) -> None:
    desk.now_ns += 2 * 10**9


LATER = [_halt, _halt_bot, _pause, _lose_lease, _pass_deadline]


@pytest.mark.parametrize("happens", LATER)
async def test_entry_is_not_sent_when_what_let_it_pass_is_gone(desk: Desk, happens: Callable[[Desk], None]) -> None:
    order = desk.accept(Action.ENTER, Side.BUY)
    happens(desk)
    ended = await desk.ended(order)

    assert (ended.state, ended.code) == (OrderState.REJECTED, "not_sent")
    assert not await desk.venue.open_orders()
    assert not desk.account.turns.open(), "a decision of ours counted as a failure of the venue"


async def test_entry_that_nothing_speaks_against_is_sent_late(desk: Desk) -> None:
    ended = await desk.ended(desk.accept(Action.ENTER, Side.BUY))

    assert ended.state is OrderState.WORKING


@pytest.mark.parametrize("happens", LATER)
async def test_exit_is_sent_whatever_happens(desk: Desk, happens: Callable[[Desk], None]) -> None:
    desk.hold(1, "ann", "0.1")
    order = desk.accept(Action.EXIT, Side.SELL)
    happens(desk)

    assert (await desk.ended(order)).state is OrderState.WORKING
