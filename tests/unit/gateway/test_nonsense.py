"""Answers that are well formed and cannot be true: nothing of them gets into books, limits or the way to exits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omega.bus.port import BusState
from omega.domain import Action, OrderState, Role, Side
from omega.errors import TransientError
from services.gateway.memory_venue import MemoryVenue
from services.gateway.risk.rules import Asked, findings, judge
from services.gateway.venue import Status, VenueOptions, VenueOrder
from services.gateway.venues import _unified as unified
from services.gateway.venues.bitget import Bitget

from .adversity import BTC, RULES, D, Desk, leave, trade


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-inf", float("nan")])
def test_number_that_is_none_is_refused_at_the_edge(text: object) -> None:
    """One NaN in the equity would break every comparison of the limits."""
    with pytest.raises(ValueError, match="where a number belongs"):
        unified.number(text)
    assert (unified.number(""), unified.number(None), unified.number("-0.5")) == (0, 0, D("-0.5"))


@pytest.mark.parametrize("rows", [[{"total": "NaN", "holdSide": "long", "symbol": "BTCUSDT"}], [{}], ["?"], None])
async def test_read_that_is_answered_with_nonsense_is_a_failed_read(rows: Any) -> None:
    """It is asked again; an error outside of the tree would end the task that compares books and venue."""
    venue = Bitget(VenueOptions(account="main", api_key="k", api_secret="s", passphrase="p"))

    class Client:
        async def fetch_positions(self) -> Any:
            return None if rows is None else [{"info": row} for row in rows]

    venue._data = Client()
    with pytest.raises(TransientError, match="cannot list the positions"):
        await venue.positions()


@pytest.mark.parametrize(("price", "size"), [("0", "0.1"), ("-5", "0.1"), ("1000", "-0.1")])
def test_execution_that_cannot_be_is_not_booked_and_a_person_is_called(desk: Desk, price: str, size: str) -> None:
    desk.entry(1, "ann", "0.1")
    odd = replace(trade(1, "0.1"), price=D(price), size=D(size))
    new = desk.private.take_trades([odd, trade(2, "0.05", client_id="o1")])

    assert (new, desk.size()) == (1, D("0.05"))
    assert "cannot be" in desk.account.halt.reason


async def test_order_that_is_told_more_filled_than_ordered_blocks_no_exit(desk: Desk) -> None:
    """What is told beyond the order can never be booked, and would count as under way for ever."""
    desk.hold(1, "ann", "0.1")
    await desk.path.close_out(leave("ann", "0.1"))
    await desk.path.drain()
    first = desk.journal.by_intent("ann:1:0")
    assert first is not None
    told = VenueOrder("v3", first.client_id, BTC, Side.SELL, D("0.1"), D(10), Status.FILLED, reduce_only=True, ts_ns=5)
    desk.account.learn(told)
    desk.account.take(trade(3, "0.1", side=Side.SELL, client_id=first.client_id), bot="ann", role=Role.EXIT)
    desk.hold(4, "ann", "0.1")
    await desk.path.close_out(leave("ann", "0.1", number=2))
    await desk.path.drain()

    second = desk.journal.by_intent("ann:2:0")
    assert second is not None
    assert second.state is OrderState.WORKING
    assert "more than was ordered" in desk.account.halt.reason


async def test_execution_of_the_far_future_does_not_hide_those_that_come_after_it(desk: Desk) -> None:
    """A stamp in the wrong unit: read only from there on, nothing would ever be found again."""
    await desk.venue.start(desk)  # type: ignore[arg-type]  # the desk hears what it needs
    desk.venue.now_ns = 1_000_000_000_000
    desk.entry(1, "ann", "0.1")
    desk.account.take(trade(1, "0.05", ts_ns=10**18 * 9), bot="ann", role=Role.ENTRY)
    desk.venue._trades.append(trade(2, "0.05", client_id="o1", ts_ns=desk.venue.now_ns + 1))
    await desk.recovery.read_trades()

    assert desk.size() == D("0.1")


@pytest.mark.parametrize(("side", "stop"), [(Side.SELL, "1100"), (Side.BUY, "900")])
def test_entry_whose_price_nobody_knows_is_denied(desk: Desk, side: Side, stop: str) -> None:
    """At a price of nothing it would be worth nothing, and fit every limit."""
    free = replace(RULES, min_notional=D(0))
    desk.venue.instruments = {BTC: free}
    desk.account.last.clear()
    wish = replace(leave("ann", "90", side=side), action=Action.ENTER, stop=D(stop), ref_price=D(0))
    found = judge(Asked(wish, 0, 0, BusState.CONNECTED, leased=True), desk.account)

    assert not found.verdict.allowed
    assert "price" in [rule for rule, _ in findings(Asked(wish, 0, 0, BusState.CONNECTED, leased=True), desk.account)]


@pytest.mark.parametrize(("asked", "sent"), [("0.0505", "0.050"), ("0.0005", "0.0005"), ("0", "0.1"), ("7", "0.1")])
async def test_exit_is_cut_to_the_steps_of_the_venue_and_to_what_is_held(desk: Desk, asked: str, sent: str) -> None:
    """A size between two steps would be refused; what is smaller than one is for the venue to judge."""
    desk.hold(1, "ann", "0.1")
    await desk.path.close_out(leave("ann", asked))
    await desk.path.drain()

    order = desk.journal.by_intent("ann:1:0")
    assert order is not None
    assert order.size == D(sent)


async def test_answer_about_another_order_proves_nothing(tmp_path: Path) -> None:
    """A venue that overlooks the id that was asked for tells of some other order."""

    class Absent(MemoryVenue):
        async def order(self, symbol: str, client_id: str) -> VenueOrder | None:
            return VenueOrder("v9", "x9", symbol, Side.BUY, D(1), D(0), Status.LIVE, reduce_only=False, ts_ns=5)

    desk = Desk(tmp_path, Absent({BTC: RULES}, {BTC: D(1000)}))
    await desk.venue.start(desk)  # type: ignore[arg-type]  # the desk hears what it needs
    desk.entry(1, "ann", "0.1")
    desk.account.step("o1", OrderState.UNRESOLVED)
    desk.look_ups.begin("o1")
    await asyncio.gather(*desk.look_ups._tasks.values())

    order = desk.journal.order("o1")
    assert order is not None
    assert (order.state, order.code) == (OrderState.REJECTED, "absent")
    desk.journal.close()


def test_execution_of_the_far_future_moves_no_day_and_no_lock(desk: Desk) -> None:
    desk.venue.now_ns = 1_000_000_000_000
    desk.entry(1, "ann", "0.1")
    desk.private.take_trades([trade(1, "0.1", ts_ns=10**18 * 9)])

    assert desk.size() == D("0.1")
    assert desk.account.risk.market_ns == desk.venue.now_ns
    assert desk.journal.last_fill_ns(BTC) == desk.venue.now_ns
