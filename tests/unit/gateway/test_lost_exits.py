"""Exits whose request or answer is lost, in any order, over kills of the gateway: the bot leaves, and leaves once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omega.domain import OrderState, Role, Side
from omega.errors import Rejected, Unresolved
from services.gateway.again import ExitsAgain
from services.gateway.exchange_service import flatten
from services.gateway.memory_venue import MemoryVenue, _Net
from services.gateway.rows import JournalOrder
from services.gateway.venue import Ack, OrderRequest

from .adversity import BTC, RULES, D, Desk, leave, trade

WITHIN_S = 60.0


class Fate(StrEnum):
    """What becomes of one request."""

    LOST = "lost on its way"
    UNHEARD = "taken, and its answer lost"
    REFUSED = "refused for a reason that passes"
    KILLED_LOST = "lost, and the gateway killed before it knows"
    KILLED_TAKEN = "taken, and the gateway killed before it knows"
    KILLED_PROVEN = "lost, and the gateway killed between the proof and another order"


class FateVenue(MemoryVenue):
    """A venue to which requests come as they are fated; those after the last one come well, and fill at once."""

    def __init__(self, fates: Sequence[Fate]) -> None:
        super().__init__({BTC: RULES}, {BTC: D(1000)})
        self.fates = list(fates)
        self.fate: Fate | None = None
        self.killed = asyncio.Event()

    async def place(self, request: OrderRequest) -> Ack:
        self.fate = fate = self.fates.pop(0) if self.fates else None
        if fate is Fate.REFUSED:
            raise Rejected("the clock was off", code="40008", kind="CLOCK")
        if fate in {Fate.LOST, Fate.KILLED_PROVEN}:
            raise Unresolved("no answer")
        if fate is not Fate.KILLED_LOST:
            ack = await super().place(request)
            asyncio.get_running_loop().call_soon(self.fill)
        if fate in {Fate.KILLED_LOST, Fate.KILLED_TAKEN}:
            self.killed.set()
            await asyncio.Event().wait()  # nobody hears the answer: the process ends
        if fate is Fate.UNHEARD:
            raise Unresolved("no answer")
        return ack


class Life:
    """One process of the gateway over the same journal and venue."""

    def __init__(self, folder: Path, venue: FateVenue) -> None:
        quick = {"proof_of_absence_s": 0, "look_up_s": [0.001], "look_up_every_s": 0.001}
        self.desk = desk = Desk(folder, venue, **quick)
        self.venue = venue
        self.again = ExitsAgain(desk.account, desk.recovery)
        self.again.close_out = self._close_out
        desk.account.on_fill = self.again.filled
        desk.account.on_step, desk.look_ups.on_absent = self.again.stepped, self._absent
        desk.path.note_refusal = self.again.note
        desk.path.on_refusal = lambda _kind, order: self.again.refused(order)

    async def start(self) -> None:
        self.desk.account.load()
        await self.venue.start(self.desk)  # type: ignore[arg-type]  # the desk hears what it needs
        await self.desk.recovery.start()
        self.again.resume()

    async def until_flat(self) -> bool:
        """Wait until ann has left and nothing is under way; False when the process was killed before."""

        def over() -> bool:
            done = not self.desk.size() and not self.desk.journal.live()
            return done or self.venue.killed.is_set()

        async with asyncio.timeout(WITHIN_S):
            while not over():  # noqa: ASYNC110 - a kill and an order: no one event
                await asyncio.sleep(0.001)
        return not self.venue.killed.is_set()

    async def end(self) -> None:
        """Let nothing go on, as when the process is killed."""
        self.venue.killed.clear()
        await self.venue.close()
        for task in self.desk.path._tasks:
            task.cancel()
        await self.desk.path.drain()
        await self.desk.look_ups.close()
        await self.again.close()
        self.desk.journal.close()

    def _absent(self, order: JournalOrder) -> None:
        if self.venue.fate is Fate.KILLED_PROVEN:
            self.venue.fate = None
            self.venue.killed.set()
            for task in self.again._tasks.values():
                task.cancel()  # a killed process sends nothing more
        else:
            self.again.absent(order)

    async def _close_out(self, bot: str, symbol: str, size: Decimal, reason: str) -> None:
        exits = [order for order in self.desk.account.reserved(symbol, bot=bot) if order.role is not Role.ENTRY]
        if not exits:
            await self.desk.path.close_out(flatten(self.desk.account, bot, symbol, size, reason))


async def leaves(folder: Path, fates: Sequence[Fate]) -> tuple[Life, int]:
    """Let ann, beside bob who holds the same, leave through these fates; return the last life and their number."""
    venue = FateVenue(fates)
    life, lives = Life(folder, venue), 1
    for number, bot in enumerate(("ann", "bob"), 1):
        life.desk.hold(number, bot, "0.1")
    venue._nets[BTC] = _Net(D("0.2"), D(1000))
    await life.start()
    await life.desk.path.close_out(leave("ann", "0.1"))
    while not await life.until_flat():
        await life.end()
        life, lives = Life(folder, venue), lives + 1
        await life.start()
    return life, lives


def sold(life: Life) -> list[Decimal]:
    """The sizes of the orders that the venue has filled."""
    return [order.filled for order in life.venue._orders.values()]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_S", "_MOST_S", "_LOOK_S", "_READ_S"):
        monkeypatch.setattr(f"services.gateway.again.{name}", 0.001)


@pytest.mark.req("0.54")
@settings(max_examples=20)
@given(st.lists(st.sampled_from(Fate), max_size=4))
@example([Fate.LOST])
@example([Fate.UNHEARD])
@example([Fate.LOST, Fate.LOST, Fate.UNHEARD])
@example([Fate.KILLED_PROVEN, Fate.LOST, Fate.KILLED_TAKEN])
def test_exit_is_carried_out_once_whatever_is_lost(fates: list[Fate]) -> None:
    """bob's equal position is what a doubled order would close."""

    async def run(folder: Path) -> None:
        life, lives = await leaves(folder, fates)
        desk = life.desk
        kept = {**desk.journal.values("again:"), **desk.journal.values("doubt:")}
        halted = desk.account.halt.active
        await life.end()

        assert (desk.size("ann"), desk.size("bob")) == (0, D("0.1"))
        assert sold(life) == [D("0.1")], "closed once"
        assert life.venue._nets[BTC].size == D("0.1")
        assert kept == {}
        assert not halted
        assert lives == 1 + sum(fate.name.startswith("KILLED") for fate in used(fates))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


def used(fates: Sequence[Fate]) -> list[Fate]:
    """The fates up to the first with which the order is at the venue: what comes after meets no request."""
    taken = [number for number, fate in enumerate(fates) if fate in {Fate.UNHEARD, Fate.KILLED_TAKEN}]
    return list(fates[: taken[0] + 1] if taken else fates)


async def test_part_that_a_lost_exit_was_to_close_is_closed_and_no_more(tmp_path: Path) -> None:
    life = Life(tmp_path, FateVenue([Fate.LOST]))
    life.desk.hold(1, "ann", "0.1")
    life.venue._nets[BTC] = _Net(D("0.1"), D(1000))
    await life.start()
    await life.desk.path.close_out(leave("ann", "0.04"))
    async with asyncio.timeout(WITHIN_S):
        while life.desk.size() == D("0.1"):  # noqa: ASYNC110 - the book is told to nobody else
            await asyncio.sleep(0.001)
    await life.desk.path.drain()
    left = life.desk.size()
    await life.end()

    assert (left, sold(life)) == (D("0.06"), [D("0.04")])


async def test_position_opened_after_the_stop_has_fired_is_no_business_of_a_lost_exit(tmp_path: Path) -> None:
    """The stop closes what the exit meant before there is proof; an equal position is open when the proof comes."""
    life = Life(tmp_path, FateVenue([]))
    desk = life.desk
    desk.hold(1, "ann", "0.1")
    lost = lost_exit(desk)
    desk.account.take(trade(2, "0.1", side=Side.SELL, client_id=""), bot="ann", role=Role.STOP)
    desk.hold(3, "ann", "0.1")
    life.venue._nets[BTC] = _Net(D("0.1"), D(1000))
    await life.start()
    async with asyncio.timeout(WITHIN_S):
        await desk.account.activity.until(lambda: not desk.look_ups.count)
    waits = dict(life.again._tasks)
    kept = {**desk.journal.values("again:"), **desk.journal.values("doubt:")}
    await life.end()

    assert lost.state is OrderState.UNRESOLVED
    assert (waits, kept, sold(life)) == ({}, {}, [])


async def test_lost_exit_waits_while_the_venue_holds_something_else(tmp_path: Path) -> None:
    """An execution that no list tells yet would make another order close another bot's part."""
    life = Life(tmp_path, FateVenue([]))
    desk = life.desk
    for number, bot in enumerate(("ann", "bob"), 1):
        desk.hold(number, bot, "0.1")
    lost_exit(desk)
    life.venue._nets[BTC] = _Net(D("0.1"), D(1000))
    await life.start()
    async with asyncio.timeout(WITHIN_S):
        await desk.account.activity.until(lambda: not desk.look_ups.count)
    for _ in range(20):
        await asyncio.sleep(0.001)
    before = sold(life)
    life.venue._nets[BTC] = _Net(D("0.2"), D(1000))
    await life.until_flat()
    await life.end()

    assert (before, sold(life)) == ([], [D("0.1")])


async def test_lost_entry_is_not_sent_again(tmp_path: Path) -> None:
    life = Life(tmp_path, FateVenue([]))
    life.desk.entry(1, "ann", "0.1")
    life.desk.account.step("o1", OrderState.UNRESOLVED)
    await life.start()
    async with asyncio.timeout(WITHIN_S):
        await life.desk.account.activity.until(lambda: not life.desk.look_ups.count)
    waits = dict(life.again._tasks)
    await life.end()

    assert (waits, sold(life)) == ({}, [])


async def test_proof_that_the_disk_refuses_is_written_down_when_it_has_room(tmp_path: Path) -> None:
    life = Life(tmp_path, FateVenue([]))
    desk = life.desk
    desk.hold(1, "ann", "0.1")
    life.venue._nets[BTC] = _Net(D("0.1"), D(1000))
    await life.start()
    lost_exit(desk)
    refused = asyncio.Event()
    conclude = desk.look_ups._conclude

    def full(client_id: str) -> None:
        refused.set()
        conclude(client_id)

    desk.look_ups._conclude = full  # type: ignore[method-assign]  # tells when the disk has refused
    desk.journal.full = True
    desk.look_ups.begin("o9")
    async with asyncio.timeout(WITHIN_S):
        await refused.wait()
    desk.journal.full = False
    await life.until_flat()
    await life.end()

    assert sold(life) == [D("0.1")]


def lost_exit(desk: Desk) -> JournalOrder:
    """Let ann's exit be journalled and come into doubt."""
    request = desk.entry(9, "ann", "0.1", side=Side.SELL, role=Role.EXIT, stop="0")
    found = desk.account.step(request.client_id, OrderState.UNRESOLVED)
    assert found is not None
    return found
