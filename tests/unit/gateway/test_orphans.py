"""A position that no entry of the bot has opened: it has no stop of its own, is told as naked, and is closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from omega.domain import Role, Side
from services.gateway.protection import wanted

from .adversity import BTC, D, Desk, trade


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, naked_close_s=1e-9)
    yield desk
    desk.journal.close()


def closed(desk: Desk) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    async def close_out(bot: str, _symbol: str, size: object, _reason: str) -> None:
        found.append((bot, str(size)))

    desk.keeper.close_out = close_out
    return found


@pytest.mark.parametrize("other", [True, False], ids=["beside another bot", "alone"])
async def test_stop_and_exit_that_both_fill_leave_no_naked_position(desk: Desk, *, other: bool) -> None:
    """The stop fires at the venue while the bot's exit is on its way: both are filled where others hold the symbol."""
    done = closed(desk)
    desk.hold(1, "ann", "0.1")
    if other:
        desk.hold(2, "bob", "0.1")
    for number in (3, 4):
        desk.account.take(trade(number, "0.1", side=Side.SELL, client_id=""), bot="ann", role=Role.EXIT)
    await desk.keeper.look()
    await desk.keeper.look()

    assert desk.size("ann") == D("-0.1")
    assert done[-1:] == [("ann", "-0.1")]
    assert desk.keeper.naked_max_s > 0


async def test_position_that_its_own_entry_has_opened_is_left_alone(desk: Desk) -> None:
    done = closed(desk)
    desk.hold(1, "ann", "0.1")
    desk.hold(2, "bob", "0.1", side=Side.SELL, stop="1100")
    await desk.keeper.look()
    await desk.keeper.look()

    assert done == []


async def test_entry_that_is_told_after_its_stop_leaves_no_guard_behind(desk: Desk) -> None:
    """News come in any order; a leg of a flat bot would give its next position the wrong stop."""
    desk.entry(1, "ann", "0.1")
    desk.account.take(trade(3, "0.1", side=Side.SELL, client_id=""), bot="ann", role=Role.STOP)
    desk.account.take(trade(1, "0.1"), bot="ann", role=Role.ENTRY)
    left = desk.journal.guards(BTC, "ann")
    desk.hold(2, "ann", "0.1", stop="950")

    assert left == []
    [want] = wanted(desk.account.books.open(BTC), desk.journal.guards(BTC))
    assert want.trigger == 950
