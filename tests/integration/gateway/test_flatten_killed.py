"""A flatten that a person has ordered is carried out whatever dies: the runner, the gateway, and when."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import Command, CommandResult, Verb
from omega.domain import OrderState
from omega.errors import TransientError
from services.gateway.flattening import Wish, _wishes_of

from .dying import die_at

BOTS = {name: {"strategy": "ema_cross", "symbol": "BTC-USDT.P"} for name in ("alpha", "beta")}
FLATTEN = Command("flatten-1", Verb.FLATTEN, "alpha", "ann", "drill")


@pytest.fixture
async def farm(make_bench: Callable[..., Any]) -> AsyncIterator[Any]:
    async with make_bench(bots=BOTS, proof_of_absence_s=0.3) as bench:
        yield bench


def sold(bench: Any) -> list[Decimal]:
    """The sizes of our orders that the venue has filled on the selling side."""
    book = bench.server.exchange.venue.book
    return [order.filled for order in book.orders.values() if order.source == "API" and order.side < 0]


async def until_confirmed(bench: Any, command_id: str = "flatten-1") -> None:
    """Let the venue go on whenever an order waits for it, until the gateway says that it is done."""
    journal = bench.gateway.account.journal

    def told() -> bool:
        return bool(journal.command_stage(command_id) == "confirmed")

    for _ in range(6):
        await bench.until(lambda: told() or journal.in_state(OrderState.WORKING), "a closing order or the end")
        if told():
            return
        await bench.admin("POST", "/step")
        await bench.until(lambda: told() or not journal.in_state(OrderState.WORKING), "its fill")
    raise AssertionError("it closes and closes")


async def stages(bench: Any, command_id: str = "flatten-1") -> list[str]:
    await bench.until(lambda: bench.gateway.outbox.clear, "the answers")
    results = [item.envelope.data for item in await bench.bus.history(bench.bus.topics.control_results())]
    return [one.stage for one in results if isinstance(one, CommandResult) and one.command_id == command_id]


@pytest.mark.req("0.54")
@pytest.mark.parametrize("point", ["told", "before_send", "after_send"])
@pytest.mark.kills
async def test_flatten_goes_on_after_the_gateway_was_killed(farm: Any, point: str) -> None:
    await farm.enter()
    await farm.enter(bot="beta", size="0.02")
    await die_at(farm, point, command=FLATTEN)
    await farm.open()
    await until_confirmed(farm)

    assert (farm.size("alpha"), farm.size("beta")) == (0, Decimal("0.02"))
    assert sold(farm) == [Decimal("0.01")], "closed once, of its own size"
    assert farm.gateway.flattener.wanted == []
    assert await stages(farm) == ["accepted", "confirmed"]
    truth = await farm.invariants()
    assert (truth["books_equal_venue"], truth["every_position_has_stop"]) == (True, True)


async def test_flatten_whose_order_is_lost_closes_once(farm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two want it closed after the proof: the flatten, and whoever sends a lost exit again."""
    await farm.enter()
    await farm.enter(bot="beta", size="0.02")
    monkeypatch.setattr("services.gateway.commands.RUNNER_S", 0.0)
    for _ in range(2):
        await farm.fault("drop_before", path="/place-order")
    await farm.gateway.commands.apply(FLATTEN)
    await until_confirmed(farm)
    journal = farm.gateway.account.journal

    assert (farm.size("alpha"), farm.size("beta")) == (0, Decimal("0.02"))
    assert sold(farm) == [Decimal("0.01")], "closed once, of its own size"
    assert {**journal.values("again:"), **journal.values("doubt:")} == {}
    assert await stages(farm) == ["accepted", "confirmed"]


@pytest.mark.kills
async def test_flatten_closes_what_an_entry_under_way_opens_after_the_kill(farm: Any) -> None:
    """Nothing is held when the command comes: the order that is at the venue would open it behind its back."""
    entry = farm.intent()
    await die_at(farm, "told", intent=entry, command=FLATTEN)
    await farm.open()
    assert farm.order(entry).state is OrderState.WORKING
    await until_confirmed(farm)

    assert farm.order(entry).filled == Decimal("0.01")
    assert (farm.size("alpha"), sold(farm)) == (0, [Decimal("0.01")])
    assert farm.plans() == []


@pytest.mark.req("0.28")
@pytest.mark.kills
async def test_flatten_of_all_goes_on_after_the_gateway_was_killed(farm: Any) -> None:
    await farm.enter()
    await farm.enter(bot="beta", size="0.02")
    command = Command("flatten-1", Verb.FLATTEN, "farm", "ann", "drill")
    await die_at(farm, "after_send", command=command)
    await farm.open()
    await until_confirmed(farm)

    assert (farm.size("alpha"), farm.size("beta")) == (0, 0)
    assert sorted(sold(farm)) == [Decimal("0.01"), Decimal("0.02")]
    assert farm.gateway.account.halt.active
    assert await stages(farm) == ["accepted", "confirmed"]


async def test_resume_gives_an_unfinished_flatten_up(farm: Any) -> None:
    await farm.enter()
    await farm.gateway.commands.apply(FLATTEN)
    await farm.gateway.commands.apply(Command("resume-1", Verb.RESUME, "alpha", "ann", "a mistake"))
    await farm.close()
    await farm.open()

    assert farm.gateway.flattener.wanted == []
    assert farm.size("alpha") == Decimal("0.01")
    assert await stages(farm) == ["accepted", "refused"]


async def test_every_flatten_of_a_bot_gets_its_outcome(farm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one, and one of the whole farm, do not make the first be forgotten; nor does a kill in between."""
    await farm.enter()
    await farm.enter(bot="beta", size="0.02")
    monkeypatch.setattr("services.gateway.commands.RUNNER_S", 60.0)
    for command in (
        FLATTEN,
        Command("flatten-2", Verb.FLATTEN, "alpha", "bob", "hurry"),
        Command("flatten-3", Verb.FLATTEN, "beta", "bob", "drill"),
    ):
        await farm.gateway.commands.apply(command)
    await farm.gateway.commands.apply(Command("resume-1", Verb.RESUME, "beta", "ann", "a mistake"))
    await farm.close()
    await farm.open()
    await farm.gateway.commands.apply(Command("flatten-4", Verb.FLATTEN, "farm", "cat", "enough"))
    for command_id in ("flatten-1", "flatten-2", "flatten-4"):
        await until_confirmed(farm, command_id)

    assert (farm.size("alpha"), farm.size("beta")) == (0, 0)
    assert sorted(sold(farm)) == [Decimal("0.01"), Decimal("0.02")], "each closed once"
    told = [await stages(farm, f"flatten-{number}") for number in (1, 2, 3, 4)]
    assert told == [
        ["accepted", "confirmed"],
        ["accepted", "confirmed"],
        ["accepted", "refused"],
        ["accepted", "confirmed"],
    ]


async def test_flatten_that_is_asked_for_again_is_not_put_off(farm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await farm.enter()
    monkeypatch.setattr("services.gateway.commands.RUNNER_S", 60.0)
    await farm.gateway.commands.apply(FLATTEN)
    due_s = farm.gateway.flattener._errands["alpha"].due_s
    await farm.gateway.commands.apply(Command("flatten-2", Verb.FLATTEN, "alpha", "ann", "hurry"))

    assert farm.gateway.flattener._errands["alpha"].due_s == due_s


async def test_resume_in_the_middle_of_a_flatten_leaves_the_rest_alone(
    farm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first bot's order is on its way when a person gives both up: the second keeps what it has."""
    await farm.enter()
    await farm.enter(bot="beta", size="0.02")
    monkeypatch.setattr("services.gateway.commands.RUNNER_S", 60.0)
    flattener, commands = farm.gateway.flattener, farm.gateway.commands
    for bot in BOTS:
        await commands.apply(Command(f"flatten-{bot}", Verb.FLATTEN, bot, "ann", "drill"))
    for errand in flattener._errands.values():
        errand.due_s = 0.0
    close_out = flattener.close_out

    async def given_up(bot: str, *rest: Any) -> None:
        await commands.apply(Command("resume-1", Verb.RESUME, "farm", "ann", "a mistake"))
        await close_out(bot, *rest)

    flattener.close_out = given_up
    await flattener.look()

    assert flattener.wanted == []
    assert {order.bot for order in farm.gateway.account.journal.in_state(OrderState.SENDING, OrderState.WORKING)} == {
        "alpha"
    }


async def test_flatten_is_not_over_while_the_venue_cannot_be_read(farm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> None:
        raise TransientError("the venue does not answer")

    monkeypatch.setattr(farm.gateway.recovery, "reconcile", silent)
    monkeypatch.setattr("services.gateway.commands.RUNNER_S", 0.0)
    await farm.gateway.commands.apply(FLATTEN)
    await farm.gateway.flattener.look()
    assert farm.gateway.flattener.wanted == ["alpha"]
    monkeypatch.undo()
    await until_confirmed(farm)

    assert farm.gateway.flattener.wanted == []


def test_wish_of_an_older_journal_is_read() -> None:
    """There was one a bot, kept by itself."""
    wish = Wish("flatten-1", "alpha", "ann")

    assert _wishes_of(json.dumps(asdict(wish))) == [wish]
    assert _wishes_of(json.dumps([asdict(wish), asdict(wish)])) == [wish, wish]
