"""An entry that has waited for its turn is asked about again; an exit always goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from omega.bus.envelope import Envelope
from omega.bus.memory import MemoryBus
from omega.bus.messages import Verb
from omega.config import Settings
from omega.domain import Action, Intent, OrderState, Role, Side
from omega.telemetry import Metrics
from services.gateway.account import Account
from services.gateway.journal import Journal
from services.gateway.lookup import LookUps
from services.gateway.memory_venue import MemoryVenue
from services.gateway.orderpath import OrderPath
from services.gateway.risk.scopes import Entity, Scope
from services.gateway.rows import JournalOrder
from services.gateway.turns import Turns
from services.gateway.venue import Trade

from .adversity import BTC, RULES, D

WAIT_S = 0.05


class OpenVenue(MemoryVenue):
    """A venue whose session stands."""

    def connected(self) -> bool:
        return True


class Desk:
    """An order path whose lane gives out nothing for a moment."""

    def __init__(self, folder: Path) -> None:
        config = Settings.model_validate(
            {
                "gateway": {"halt_file": str(folder / "HALT"), "breaker": {"failures": 1}},
                "bots": {"ann": {"strategy": "ema_cross", "symbol": BTC, "capital": "1000"}},
            }
        )
        metrics, self.journal = Metrics(), Journal(folder / "j.sqlite")
        self.journal.open()
        self.venue = OpenVenue({BTC: RULES}, {BTC: D(1000)})
        self.now_ns = 10**18
        turns = Turns("bitget", config.gateway, metrics)
        self.account = Account(
            settings=config,
            journal=self.journal,
            venue=self.venue,
            metrics=metrics,
            turns=turns,
            clock=lambda: self.now_ns,
        )
        self.leased = True
        self.path = OrderPath(self.account, MemoryBus(), LookUps(self.account), leased=lambda: self.leased)
        turns.slow_down(WAIT_S)

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

    def hold(self) -> None:
        """Let ann hold something."""
        trade = Trade(
            "t1", "v1", "o1", BTC, Side.BUY, D(1000), D("0.1"), D(0), "USDT", maker=False, forced=False, ts_ns=1
        )
        self.account.take(trade, bot="ann", role=Role.ENTRY)


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
    desk.hold()
    order = desk.accept(Action.EXIT, Side.SELL)
    happens(desk)

    assert (await desk.ended(order)).state is OrderState.WORKING
