"""Commands that were given before the gateway first started: what holds entries back counts, all are answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from omega.bus import Command, CommandResult, Verb
from omega.bus.topics import FARM
from omega.domain import SECOND_NS

from .adversity import BOTS, Desk

SINCE_NS = 1_000_000 * SECOND_NS


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A gateway that first started at `SINCE_NS`, a minute ago; ann holds something."""
    desk = Desk(tmp_path)
    for bot in BOTS:
        desk.journal.put(f"commands_since:{bot}", str(SINCE_NS))
    desk.account.clock = lambda: SINCE_NS + 60 * SECOND_NS
    desk.hold(1, "ann", "0.1")
    yield desk
    desk.journal.close()


async def give(desk: Desk, verb: Verb, target: str, *, before: bool = True) -> CommandResult:
    stamp = SINCE_NS + (-5 if before else 5) * SECOND_NS
    await desk.commands.apply(Command("c1", verb, target, "ann", "leaving"), sent_ns=stamp)
    results = [item.message for item in desk.journal.pending() if isinstance(item.message, CommandResult)]
    return results[-1]


@pytest.mark.req("0.28")
@pytest.mark.parametrize(
    ("verb", "standing"), [(Verb.PAUSE, "paused"), (Verb.DRAIN, "draining"), (Verb.FLATTEN, "paused")]
)
async def test_order_to_a_bot_holds_its_entries_back_however_old(desk: Desk, verb: Verb, standing: str) -> None:
    answer = await give(desk, verb, "ann")

    assert (answer.stage, desk.account.standing.of("ann")) == ("accepted", standing)
    assert desk.flattener.wanted == [], "what is held today is not what it meant"


@pytest.mark.req("0.28")
@pytest.mark.parametrize("verb", [Verb.HALT, Verb.FLATTEN])
async def test_halt_of_the_farm_is_honoured_however_old(desk: Desk, verb: Verb) -> None:
    answer = await give(desk, verb, FARM)

    assert (answer.stage, desk.account.halt.active) == ("confirmed", True)
    assert desk.flattener.wanted == []


@pytest.mark.parametrize("target", ["ann", FARM])
async def test_old_flatten_says_that_it_closes_nothing(desk: Desk, target: str) -> None:
    answer = await give(desk, Verb.FLATTEN, target)

    assert "65 s old" in answer.detail
    assert "flatten again" in answer.detail


@pytest.mark.parametrize("target", ["ann", FARM])
async def test_flatten_that_was_given_while_the_gateway_was_down_closes(desk: Desk, target: str) -> None:
    """However late it is read: this journal was there before it."""
    answer = await give(desk, Verb.FLATTEN, target, before=False)

    assert answer.stage == "accepted"
    assert "ann" in desk.flattener.wanted


@pytest.mark.parametrize("verb", [Verb.RESUME, Verb.RELEASE, Verb.CALM])
async def test_command_that_adds_risk_is_refused_when_it_is_old(desk: Desk, verb: Verb) -> None:
    await desk.commands.apply(Command("c0", Verb.PAUSE, "ann", "ann", "news"))
    answer = await give(desk, verb, "ann")

    assert (answer.stage, desk.account.standing.of("ann")) == ("refused", "paused")
