"""The stop keeper at a venue that says no: what stands is taken away only when its replacement stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from omega.domain import Role, Side
from omega.errors import OmegaError, Rejected, Unresolved
from services.gateway.memory_venue import MemoryVenue
from services.gateway.rows import JournalPlan
from services.gateway.venue import Ack, PlanKind, PlanOrder, PlanRequest, Trade

from . import adversity
from .adversity import BTC, RULES, D

STOP = D(900)


class StubbornVenue(MemoryVenue):
    """A venue that answers the placing of a stop as the test says, and writes down what was done in which order."""

    answer: OmegaError | None = None
    done: tuple[str, ...] = ()

    async def place_plan(self, request: PlanRequest) -> Ack:
        if self.answer is not None:
            raise self.answer
        self.done += (f"place {request.size.normalize()}",)
        return await super().place_plan(request)

    async def resize_plan(self, plan: PlanOrder, size: Decimal, trigger: Decimal | None = None) -> None:
        raise Rejected("no trigger order is changed in place", kind="MODE")

    async def cancel_plan(self, plan: PlanOrder) -> bool:
        self.done += (f"cancel {plan.size}",)
        return await super().cancel_plan(plan)


class Desk(adversity.Desk):
    """ann holds 0.1 from one entry whose stop is 900."""

    venue: StubbornVenue

    def __init__(self, folder: Path, *, target: Decimal | None = None) -> None:
        super().__init__(folder, StubbornVenue({BTC: RULES}, {BTC: D(1000)}))
        self.closed: list[Decimal] = []

        async def close_out(_bot: str, _symbol: str, size: Decimal, _reason: str) -> None:
            self.closed.append(size)

        self.keeper.close_out = close_out
        self.hold(1, "ann", "0.1", target=target)

    async def stand(self, size: str, *, trigger: Decimal = STOP, kind: PlanKind = PlanKind.STOP) -> None:
        """Let a trigger order of ann's stand at the venue."""
        name = f"s{len(self.venue._plans)}"
        ack = await MemoryVenue.place_plan(self.venue, PlanRequest(name, BTC, Side.SELL, D(size), trigger, kind))
        self.journal.put_plan(JournalPlan(name, ack.order_id, "ann", BTC, kind.value, D(size), trigger, True, "o1"))

    async def standing(self) -> list[tuple[str, Decimal, Decimal]]:
        return sorted((plan.kind.value, plan.size, plan.trigger) for plan in await self.venue.plans())


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


@pytest.mark.parametrize("answer", [Rejected("no", code="1", kind="RULES"), Unresolved("no answer")])
async def test_old_stops_stay_while_their_replacement_does_not_stand(desk: Desk, answer: OmegaError) -> None:
    await desk.stand("0.06", trigger=D(880))
    await desk.stand("0.04", trigger=D(890))
    desk.venue.answer = answer
    await desk.keeper.look()

    assert await desk.standing() == [("stop", D("0.04"), D(890)), ("stop", D("0.06"), D(880))]

    desk.venue.answer = None
    await desk.keeper.look()

    assert await desk.standing() == [("stop", D("0.1"), STOP)]


async def test_stop_without_an_answer_is_looked_for_soon(desk: Desk) -> None:
    desk.venue.answer = Unresolved("no answer")
    await desk.keeper.look()
    desk.venue.answer = None
    looking = asyncio.create_task(desk.keeper.run())
    async with asyncio.timeout(60):
        while not await desk.standing():  # noqa: ASYNC110 - the venue is asked, it tells nobody
            await asyncio.sleep(0.02)
    looking.cancel()

    assert await desk.standing() == [("stop", D("0.1"), STOP)]


@pytest.mark.parametrize("before", ["0.04", "0.16"])
async def test_stop_that_cannot_be_resized_is_replaced_before_it_goes(desk: Desk, before: str) -> None:
    await desk.stand(before)
    await desk.keeper.look()

    assert desk.venue.done == ("place 0.1", f"cancel {before}")
    assert await desk.standing() == [("stop", D("0.1"), STOP)]
    assert desk.keeper.naked_s("ann", BTC) == 0
    assert [plan.size for plan in desk.journal.live_plans()] == [D("0.1")]


@pytest.mark.parametrize("before", ["0.04", "0.16"])
async def test_target_that_cannot_be_resized_is_replaced(tmp_path: Path, before: str) -> None:
    desk = Desk(tmp_path, target=D(1100))
    await desk.stand("0.1")
    await desk.stand(before, trigger=D(1100), kind=PlanKind.TARGET)
    await desk.keeper.look()

    assert desk.venue.done == ("place 0.1", f"cancel {before}")
    assert await desk.standing() == [("stop", D("0.1"), STOP), ("target", D("0.1"), D(1100))]
    desk.journal.close()


@pytest.mark.parametrize("before", ["0.04", "0.16"])
@pytest.mark.parametrize("answer", [Rejected("no", code="1", kind="RULES"), Unresolved("no answer")])
async def test_stop_whose_replacement_does_not_stand_stays(desk: Desk, before: str, answer: OmegaError) -> None:
    await desk.stand(before)
    desk.venue.answer = answer
    await desk.keeper.look()

    assert await desk.standing() == [("stop", D(before), STOP)]
    assert not desk.closed
    assert not desk.account.halt.active


@pytest.mark.parametrize("before", ["0.04", "0.16"])
async def test_stop_that_outlived_its_replacement_is_what_goes(desk: Desk, before: str) -> None:
    """The keeper died between the new stop and the end of the old one."""
    await desk.stand(before)
    await desk.stand("0.1")
    await desk.keeper.look()

    assert desk.venue.done == (f"cancel {before}",)
    assert await desk.standing() == [("stop", D("0.1"), STOP)]


@pytest.mark.req("2.12")
@pytest.mark.parametrize("answer", [Rejected("no", code="1", kind="RULES"), Unresolved("no answer")])
async def test_stop_of_one_bot_stays_until_anothers_that_takes_over_stands(desk: Desk, answer: OmegaError) -> None:
    """Cat offsets ann, bob comes in with the nearer stop: the net position is guarded by ann's until bob's stands."""
    await desk.stand("0.1")
    desk.hold(2, "bob", "0.1", stop="950")
    desk.hold(3, "cat", "0.1", Side.SELL, stop="1100")
    desk.venue.answer = answer
    await desk.keeper.look()

    assert await desk.standing() == [("stop", D("0.1"), STOP)]

    desk.venue.answer = None
    await desk.keeper.look()

    assert desk.venue.done == ("place 0.1", "cancel 0.1")
    assert await desk.standing() == [("stop", D("0.1"), D(950))]


@pytest.mark.parametrize("stranger", [False, True], ids=["alone", "beside a hand-made position"])
async def test_stop_that_arrives_after_its_replacement_is_taken_away(desk: Desk, *, stranger: bool) -> None:
    """It was not answered, not found, placed anew, and is there after all: two would close twice."""
    if stranger:
        theirs = Trade(
            "t9", "v9", "theirs", BTC, Side.BUY, D(1000), D("0.1"), D(0), "USDT", maker=False, forced=False, ts_ns=1
        )
        desk.account.take(theirs, bot="external", role=Role.EXTERNAL)
    desk.venue.answer = Unresolved("no answer")
    await desk.keeper.look()
    [first] = [plan for plan in desk.journal.live_plans() if not plan.order_id]
    desk.venue.answer = None
    await desk.keeper.look()
    late = PlanRequest(first.client_id, BTC, Side.SELL, D("0.1"), STOP, PlanKind.STOP)
    await MemoryVenue.place_plan(desk.venue, late)
    await desk.keeper.look()
    await desk.keeper.look()

    assert await desk.standing() == [("stop", D("0.1"), STOP)]
