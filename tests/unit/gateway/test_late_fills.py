"""Executions are the truth of a book whatever their order says: in parts, late, doubled, behind a cancel."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus.messages import RiskVerdict
from omega.bus.port import BusState
from omega.domain import (
    AccountName,
    Action,
    BotName,
    Fill,
    Intent,
    IntentId,
    OrderState,
    Role,
    Side,
    Symbol,
    VenueName,
)
from omega.errors import EnvironmentFault
from services.gateway.protection import stop_sizes, wanted
from services.gateway.risk.rules import Asked, judge
from services.gateway.venue import PrivateFrame, Status, Trade, VenueOrder

from . import adversity
from .adversity import BTC, D, trade


class Desk(adversity.Desk):
    """One entry order of ann at work."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.entry(1, "ann", "0.1")

    def trade(self, number: int, size: str, **more: Any) -> Trade:
        return trade(number, size, **{"client_id": "o1", **more})

    def order(self, status: Status, filled: str) -> VenueOrder:
        return VenueOrder("v1", "o1", BTC, Side.BUY, D("0.1"), D(filled), status, reduce_only=False, ts_ns=5)

    def hear(self, **frame: Any) -> None:
        self.private.hear(PrivateFrame(**frame, count=1))

    def stopped(self) -> Decimal:
        """How much of ann's position a stop should cover."""
        sizes = self.account.books.open(BTC)
        return stop_sizes(wanted(sizes, self.journal.guards(BTC))).get("ann", D(0))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.journal.close()


def test_partial_fills_grow_book_and_stop_together(desk: Desk) -> None:
    for number, (part, whole) in enumerate([("0.03", "0.03"), ("0.02", "0.05"), ("0.05", "0.1")]):
        desk.hear(orders=(desk.order(Status.LIVE, whole),), trades=(desk.trade(number, part),))

        assert (desk.size(), desk.stopped()) == (D(whole), D(whole))
    found = desk.journal.order("o1")
    assert found is not None
    assert (found.state, found.filled) == (OrderState.WORKING, D("0.1"))


def test_fill_after_cancel_is_booked_and_stopped(desk: Desk) -> None:
    desk.hear(orders=(desk.order(Status.LIVE, "0"),))
    desk.hear(orders=(desk.order(Status.CANCELED, "0"),))
    desk.hear(trades=(desk.trade(1, "0.04"),))

    found = desk.journal.order("o1")
    assert found is not None
    assert (found.state, desk.size(), desk.stopped()) == (OrderState.CANCELED, D("0.04"), D("0.04"))
    assert [item.message.bot for item in desk.journal.pending() if isinstance(item.message, Fill)] == ["ann"]


def test_fill_before_the_answer_to_the_send_finds_its_bot(desk: Desk) -> None:
    desk.hear(trades=(desk.trade(1, "0.1"),))
    desk.account.step("o1", OrderState.WORKING, order_id="v1")
    desk.hear(orders=(desk.order(Status.FILLED, "0.1"),))

    found = desk.journal.order("o1")
    assert found is not None
    assert (found.state, desk.size()) == (OrderState.FILLED, D("0.1"))


def test_late_and_doubled_fills_count_once_each(desk: Desk) -> None:
    early, late = desk.trade(1, "0.03", ts_ns=9), desk.trade(2, "0.02", ts_ns=3)
    desk.hear(trades=(early, late, early))
    desk.hear(trades=(late,))

    assert desk.size() == D("0.05")


def test_fill_that_names_only_the_venues_order_id_is_the_bots(desk: Desk) -> None:
    desk.account.step("o1", OrderState.WORKING, order_id="v1")
    desk.hear(trades=(desk.trade(1, "0.1", client_id=""),))
    desk.hear(orders=(desk.order(Status.FILLED, "0.1"),))

    assert (desk.size(), desk.stopped()) == (D("0.1"), D("0.1"))
    assert desk.account.ahead() == []


def test_symbol_that_is_closed_for_entries_still_lets_exits_out(desk: Desk) -> None:
    """What the venue has taken out of trading may only be left."""
    desk.hear(trades=(desk.trade(1, "0.1"),))
    desk.account.closed.add(BTC)
    desk.account.venue.connected = lambda: True  # type: ignore[method-assign]

    def verdict(action: Action, side: Side, reason: str) -> RiskVerdict:
        stop = D(900) if action is Action.ENTER else None
        intent = Intent(
            intent_id=IntentId(f"ann:{reason}"), bot=BotName("ann"), venue=VenueName("bitget"),
            account=AccountName("main"), symbol=Symbol(BTC), action=action, side=side, size=D("0.1"), stop=stop,
            ref_price=D(1000), bar_ts_ns=1, reason=reason,
        )  # fmt: skip
        return judge(Asked(intent, 0, 1, BusState.CONNECTED, leased=True), desk.account).verdict

    assert verdict(Action.EXIT, Side.SELL, "leave").allowed
    assert verdict(Action.ENTER, Side.BUY, "again").rule == "symbol"


def test_adopted_size_counts_against_the_limits_at_once(desk: Desk) -> None:
    """The sums of the gate move with the books, for the bot and for what nobody owned."""
    desk.hear(trades=(Trade("t9", "v9", "theirs", BTC, Side.BUY, D(1000), D("0.3"), D(0), "USDT", False, False, 6),))
    desk.account.adopt("ann", BTC, D("0.2"), stop=D(900), target=None, key="k")

    held = desk.account.risk.reservations._held
    assert (held["ann", BTC], held["external", BTC]) == (D("0.2"), D("0.1"))


def test_release_that_the_disk_refuses_frees_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries stay halted, in memory and by the file, until the release is written."""
    desk.account.halt_entries("by hand")

    def refused(*_: Any) -> None:
        raise EnvironmentFault("the disk is full")

    monkeypatch.setattr(desk.journal, "put", refused)
    with pytest.raises(EnvironmentFault):
        desk.account.halt.release("all is well", by="ann", ts_ns=1)

    assert desk.account.halt.active
    assert desk.account.halt.latches


def test_order_of_a_stranger_moves_no_order_of_ours(desk: Desk) -> None:
    strange = VenueOrder("v9", "theirs", BTC, Side.SELL, D(1), D(1), Status.FILLED, reduce_only=False, ts_ns=5)
    desk.hear(orders=(strange,))

    assert desk.journal.counts() == {"sending": 1}
    assert desk.size() == 0


def test_hand_made_trade_against_a_bot_closes_its_part_and_its_stop(desk: Desk) -> None:
    desk.hear(trades=(desk.trade(1, "0.1"),))
    theirs = Trade("t2", "v2", "theirs", BTC, Side.SELL, D(1000), D("0.06"), D(0), "USDT", False, False, 6)
    desk.hear(trades=(theirs,))

    assert (desk.size(), desk.stopped()) == (D("0.04"), D("0.04"))
    assert desk.account.books.book("external", BTC).size == 0


def test_hand_made_trade_against_several_bots_turns_no_book_around(desk: Desk) -> None:
    """Two of three steps are closed by a person: two bots are flat, none is short."""
    for number, bot in enumerate(("ann", "bob", "cat"), start=1):
        desk.account.take(desk.trade(number, "0.001", client_id=""), bot=bot, role=Role.ENTRY)
    theirs = Trade("t9", "v9", "theirs", BTC, Side.SELL, D(1000), D("0.002"), D(0), "USDT", False, False, 6)
    desk.hear(trades=(theirs,))

    assert sorted(desk.account.books.open(BTC).values()) == [D("0.001")]
