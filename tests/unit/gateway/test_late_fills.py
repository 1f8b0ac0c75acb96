"""Executions are the truth of a book whatever their order says: in parts, late, doubled, behind a cancel."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from omega.config import Settings
from omega.domain import Fill, Instrument, Kind, OrderState, Role, Side
from omega.telemetry import Metrics
from services.gateway.account import Account
from services.gateway.journal import Journal
from services.gateway.private import PrivateSide
from services.gateway.protection import stop_sizes, wanted
from services.gateway.rows import JournalOrder
from services.gateway.stops import StopKeeper
from services.gateway.turns import Turns
from services.gateway.venue import PrivateFrame, Status, Trade, VenueOrder

D = Decimal
BTC = "BTC-USDT.P"
RULES = Instrument(
    symbol=BTC, venue="bitget", venue_symbol="BTC/USDT:USDT", base="BTC", quote="USDT", kind=Kind.SWAP,
    price_step=D("0.1"), size_step=D("0.001"), min_size=D("0.001"), min_notional=D(5), max_leverage=125,
    maker_fee=D("0.0002"), taker_fee=D("0.0006"),
)  # type: ignore[arg-type]  # fmt: skip


class Desk:
    """The private side of an account without a venue, and one entry order of ann at work."""

    def __init__(self, folder: Path) -> None:
        config = Settings.model_validate({"gateway": {"halt_file": str(folder / "HALT")}})
        metrics = Metrics()
        self.journal = Journal(folder / "j.sqlite")
        self.journal.open()
        venue: Any = SimpleNamespace(instruments={BTC: RULES}, venue_ns=lambda: 1)
        turns = Turns("bitget", config.gateway, metrics)
        self.account = Account(settings=config, journal=self.journal, venue=venue, metrics=metrics, turns=turns)
        self.private = PrivateSide(self.account, StopKeeper(self.account))
        self.journal.admit(
            JournalOrder(
                "o1", "i1", "ann", BTC, Side.BUY, D("0.1"), Role.ENTRY, False, D(900), None, D(1000), 1, 0, "", 1,
                state=OrderState.SENDING,
            )
        )  # fmt: skip

    def trade(self, number: int, size: str, *, client_id: str = "o1", side: Side = Side.BUY, ts_ns: int = 5) -> Trade:
        names = f"t{number}", "v1", client_id, BTC
        return Trade(*names, side, D(1000), D(size), D("0.01"), "USDT", maker=False, forced=False, ts_ns=ts_ns)

    def order(self, status: Status, filled: str) -> VenueOrder:
        return VenueOrder("v1", "o1", BTC, Side.BUY, D("0.1"), D(filled), status, reduce_only=False, ts_ns=5)

    def hear(self, **frame: Any) -> None:
        self.private.hear(PrivateFrame(**frame, count=1))

    @property
    def size(self) -> Decimal:
        return self.account.books.book("ann", BTC).size

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

        assert (desk.size, desk.stopped()) == (D(whole), D(whole))
    found = desk.journal.order("o1")
    assert found is not None
    assert (found.state, found.filled) == (OrderState.WORKING, D("0.1"))


def test_fill_after_cancel_is_booked_and_stopped(desk: Desk) -> None:
    desk.hear(orders=(desk.order(Status.LIVE, "0"),))
    desk.hear(orders=(desk.order(Status.CANCELED, "0"),))
    desk.hear(trades=(desk.trade(1, "0.04"),))

    found = desk.journal.order("o1")
    assert found is not None
    assert (found.state, desk.size, desk.stopped()) == (OrderState.CANCELED, D("0.04"), D("0.04"))
    assert [item.message.bot for item in desk.journal.pending() if isinstance(item.message, Fill)] == ["ann"]


def test_fill_before_the_answer_to_the_send_finds_its_bot(desk: Desk) -> None:
    desk.hear(trades=(desk.trade(1, "0.1"),))
    desk.account.step("o1", OrderState.WORKING, order_id="v1")
    desk.hear(orders=(desk.order(Status.FILLED, "0.1"),))

    found = desk.journal.order("o1")
    assert found is not None
    assert (found.state, desk.size) == (OrderState.FILLED, D("0.1"))


def test_late_and_doubled_fills_count_once_each(desk: Desk) -> None:
    early, late = desk.trade(1, "0.03", ts_ns=9), desk.trade(2, "0.02", ts_ns=3)
    desk.hear(trades=(early, late, early))
    desk.hear(trades=(late,))

    assert desk.size == D("0.05")


def test_fill_that_names_only_the_venues_order_id_is_the_bots(desk: Desk) -> None:
    desk.account.step("o1", OrderState.WORKING, order_id="v1")
    desk.hear(trades=(desk.trade(1, "0.1", client_id=""),))

    assert desk.size == D("0.1")


def test_order_of_a_stranger_moves_no_order_of_ours(desk: Desk) -> None:
    strange = VenueOrder("v9", "theirs", BTC, Side.SELL, D(1), D(1), Status.FILLED, reduce_only=False, ts_ns=5)
    desk.hear(orders=(strange,))

    assert desk.journal.counts() == {"sending": 1}
    assert desk.size == 0


def test_hand_made_trade_against_a_bot_closes_its_part_and_its_stop(desk: Desk) -> None:
    desk.hear(trades=(desk.trade(1, "0.1"),))
    theirs = Trade("t2", "v2", "theirs", BTC, Side.SELL, D(1000), D("0.06"), D(0), "USDT", False, False, 6)
    desk.hear(trades=(theirs,))

    assert (desk.size, desk.stopped()) == (D("0.04"), D("0.04"))
    assert desk.account.books.book("external", BTC).size == 0
