"""A refused exit is sent again for the position that it meant, and for no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from omega.domain import Role, Side
from services.gateway.again import ExitsAgain
from services.gateway.classify import RefusalKind

from .adversity import D, Desk, trade


class Retried:
    """The exits that were sent again, and who sends them."""

    def __init__(self, desk: Desk) -> None:
        self.sent: list[Decimal] = []
        self.again = ExitsAgain(desk.account)
        self.again.close_out = self._close_out
        self._order = replace(desk.entry(9, "ann", "0.1", side=Side.SELL), role=Role.EXIT)

    async def _close_out(self, _bot: str, _symbol: str, size: Decimal, _reason: str) -> None:
        self.sent.append(size)

    def refuse(self, kind: RefusalKind = RefusalKind.RATE, *, role: Role = Role.EXIT) -> None:
        self.again.refused(kind, replace(self._order, role=role))

    async def over(self) -> None:
        await asyncio.gather(*self.again._tasks)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr("services.gateway.again._FIRST_S", 0.0)
    desk = Desk(tmp_path)
    desk.hold(1, "ann", "0.1")
    yield desk
    desk.journal.close()


@pytest.mark.parametrize("kind", [RefusalKind.RATE, RefusalKind.MAINT, RefusalKind.CLOCK])
async def test_exit_is_sent_again_for_what_is_held(desk: Desk, kind: RefusalKind) -> None:
    retried = Retried(desk)
    retried.refuse(kind)
    await retried.over()

    assert retried.sent == [D("0.1")]


async def test_position_that_was_opened_meanwhile_is_left_alone(desk: Desk) -> None:
    """The bot has left and entered again: its new position is not what the old exit meant."""
    retried = Retried(desk)
    retried.refuse()
    desk.account.take(trade(2, "0.1", side=Side.SELL, client_id=""), bot="ann", role=Role.EXIT)
    desk.hold(3, "ann", "0.1")
    await retried.over()

    assert retried.sent == []


@pytest.mark.parametrize(
    ("kind", "role"), [(RefusalKind.RULES, Role.EXIT), (RefusalKind.FUNDS, Role.EXIT), (RefusalKind.RATE, Role.ENTRY)]
)
async def test_entries_and_refusals_for_good_are_not_sent_again(desk: Desk, kind: RefusalKind, role: Role) -> None:
    retried = Retried(desk)
    retried.refuse(kind, role=role)
    await retried.over()

    assert retried.sent == []
