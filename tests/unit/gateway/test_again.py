"""An exit that was refused or lost is sent again for the position that it meant, and no other, over a restart too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from omega.domain import OrderState, Role, Side
from services.gateway.again import ExitsAgain
from services.gateway.classify import RefusalKind
from services.gateway.memory_venue import _Net

from .adversity import BTC, D, Desk, trade


class Retried:
    """The exits that were sent again, and who sends them."""

    def __init__(self, desk: Desk) -> None:
        self.sent: list[Decimal] = []
        self.again = ExitsAgain(desk.account, desk.recovery)
        self.again.close_out = self._close_out
        desk.account.on_fill = self.again.filled
        desk.account.on_step, desk.look_ups.on_absent = self.again.stepped, self.again.absent
        self._desk = desk
        self._order = replace(desk.entry(9, "ann", "0.1", side=Side.SELL), role=Role.EXIT)
        desk.account.step("o9", OrderState.REJECTED)

    async def _close_out(self, bot: str, _symbol: str, size: Decimal, _reason: str) -> None:
        """Close what is wanted, filled at once."""
        self.sent.append(size)
        self._desk.account.take(trade(90, str(size), side=Side.SELL, client_id=""), bot=bot, role=Role.EXIT)

    def refuse(self, kind: RefusalKind = RefusalKind.RATE, *, role: Role = Role.EXIT) -> None:
        order = replace(self._order, role=role)
        with self._desk.journal.transaction():
            self.again.note(kind, order)
        self.again.refused(order)

    async def over(self) -> None:
        await asyncio.gather(*self.again._tasks.values(), return_exceptions=True)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr("services.gateway.again._FIRST_S", 0.0)
    monkeypatch.setattr("services.gateway.again._LOOK_S", 0.0)
    monkeypatch.setattr("services.gateway.again._READ_S", 0.0)
    desk = Desk(tmp_path)
    desk.hold(1, "ann", "0.1")
    venue_holds(desk, "0.1")
    yield desk
    desk.journal.close()


@pytest.fixture
def retried(desk: Desk) -> Retried:
    return Retried(desk)


@pytest.mark.parametrize("kind", [RefusalKind.RATE, RefusalKind.MAINT, RefusalKind.CLOCK])
async def test_exit_is_sent_again_for_what_is_held(desk: Desk, retried: Retried, kind: RefusalKind) -> None:
    retried.refuse(kind)
    kept = desk.journal.values("again:")
    await retried.over()

    assert retried.sent == [D("0.1")]
    assert (len(kept), desk.journal.values("again:")) == (1, {}), "kept until it is done"


async def test_position_that_was_opened_meanwhile_is_left_alone(desk: Desk, retried: Retried) -> None:
    """The bot has left and entered again: its new position is not what the old exit meant."""
    retried.refuse()
    desk.account.take(trade(2, "0.1", side=Side.SELL, client_id=""), bot="ann", role=Role.EXIT)
    desk.hold(3, "ann", "0.1")
    await retried.over()

    assert retried.sent == []


@pytest.mark.parametrize(
    ("kind", "role"), [(RefusalKind.RULES, Role.EXIT), (RefusalKind.FUNDS, Role.EXIT), (RefusalKind.RATE, Role.ENTRY)]
)
async def test_entries_and_refusals_for_good_are_not_sent_again(
    desk: Desk, retried: Retried, kind: RefusalKind, role: Role
) -> None:
    retried.refuse(kind, role=role)
    await retried.over()

    assert retried.sent == []
    assert desk.journal.values("again:") == {}


async def test_refusal_for_good_ends_one_that_passes(desk: Desk, retried: Retried) -> None:
    retried.refuse()
    retried.refuse(RefusalKind.RULES)
    await retried.over()

    assert retried.sent == []
    assert desk.journal.values("again:") == {}


async def test_exit_is_sent_again_by_the_next_life(desk: Desk, retried: Retried) -> None:
    retried.refuse()
    await retried.again.close()
    desk.account.load()
    next_life = Retried(desk)
    next_life.again.resume()
    await next_life.over()

    assert (retried.sent, next_life.sent) == ([], [D("0.1")])


async def test_next_life_leaves_a_book_alone_that_has_changed(desk: Desk, retried: Retried) -> None:
    """Its stop has fired while the gateway was down."""
    retried.refuse()
    await retried.again.close()
    desk.account.on_fill = lambda _fill: None
    desk.account.take(trade(2, "0.04", side=Side.SELL, client_id=""), bot="ann", role=Role.STOP)
    next_life = Retried(desk)
    next_life.again.resume()
    await next_life.over()

    assert next_life.sent == []
    assert desk.journal.values("again:") == {}


async def test_next_life_waits_for_what_may_have_closed_it_already(desk: Desk, retried: Retried) -> None:
    """An order of the former life that nobody has looked up, or an execution that the venue has not told yet."""
    retried.refuse()
    await retried.again.close()
    desk.journal.admit(replace(retried._order, client_id="o7", intent_id="i7", state=OrderState.UNRESOLVED))
    venue_holds(desk, "0")
    next_life = Retried(desk)
    next_life.again.resume()
    await _turns()
    under_way = list(next_life.sent)
    desk.account.step("o7", OrderState.REJECTED)
    await _turns()
    unread = list(next_life.sent)
    venue_holds(desk, "0.1")
    await next_life.over()

    assert (under_way, unread, next_life.sent) == ([], [], [D("0.1")])


async def test_exit_waits_for_a_disk_that_is_full(desk: Desk, retried: Retried) -> None:
    """Nothing was sent: the next try finds room, or a person finds the halt."""

    async def refuses(*_: object) -> None:
        desk.journal.full = True
        try:
            desk.journal.put("key", "value")
        finally:
            desk.journal.full = False
            retried.again.close_out = retried._close_out

    retried.again.close_out = refuses
    retried.refuse()
    await retried.over()

    assert retried.sent == [D("0.1")]
    assert desk.account.halt.active


async def test_exit_that_cannot_be_sent_for_a_mistake_of_ours_halts_entries(desk: Desk, retried: Retried) -> None:
    """The bot holds what it wanted to leave: a person has to know. The next start tries again."""

    async def breaks(*_: object) -> None:
        raise ZeroDivisionError

    retried.again.close_out = breaks
    retried.refuse()
    await retried.over()
    await asyncio.sleep(0)

    assert "exit of ann" in desk.account.halt.reason
    assert len(desk.journal.values("again:")) == 1


def venue_holds(desk: Desk, size: str) -> None:
    desk.venue._nets[BTC] = _Net(D(size), D(1000))


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
