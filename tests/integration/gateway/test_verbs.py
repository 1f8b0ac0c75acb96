"""What people order of one bot holds at the gate: over a dead runner, a restart, and a bus that forgets everything."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import Command, CommandResult, MemoryBus, Verb
from omega.bus.standing import read_standing
from omega.domain import Action, OrderState, Side

BOTS = {name: {"strategy": "ema_cross", "symbol": "BTC-USDT.P"} for name in ("alpha", "beta")}


@pytest.fixture
async def farm(make_bench: Callable[..., Any]) -> AsyncIterator[Any]:
    async with make_bench(bots=BOTS) as bench:
        yield bench


async def order(bench: Any, verb: Verb, target: str = "alpha", reason: str = "drill", **params: Any) -> CommandResult:
    """Give a command and return the gateway's last word on it."""
    name = f"{verb}-{target}-{time.time_ns()}"
    await bench.bus.send(Command(name, verb, target, "ann", reason, params))
    await bench.until(lambda: bench.gateway.account.journal.command_stage(name), f"an answer to {verb}")
    await bench.settle()
    results = [item.envelope.data for item in await bench.bus.history(bench.bus.topics.control_results())]
    answers = [one for one in results if isinstance(one, CommandResult) and one.command_id == name]
    return answers[-1]


async def verdict(bench: Any, **changes: Any) -> tuple[OrderState, str]:
    intent = bench.intent(**changes)
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    found = bench.order(intent)
    return found.state, found.code


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.DRAIN])
async def test_paused_bot_enters_no_more_while_others_do_and_exits_pass(farm: Any, verb: Verb) -> None:
    await farm.enter()
    assert (await order(farm, verb)).stage == "accepted"

    assert await verdict(farm) == (OrderState.DENIED, "paused")
    assert (await verdict(farm, bot="beta"))[0] is OrderState.WORKING
    assert (await verdict(farm, action=Action.EXIT, side=Side.SELL))[0] is OrderState.WORKING
    await order(farm, Verb.RESUME)
    await farm.step()
    assert (await verdict(farm))[0] is OrderState.WORKING


async def test_pause_survives_a_restart_of_the_gateway(farm: Any) -> None:
    await order(farm, Verb.PAUSE)
    await farm.close()
    await farm.open()

    assert await verdict(farm) == (OrderState.DENIED, "paused")
    assert await read_standing(farm.bus, "alpha") == "paused"


async def test_pause_of_the_farm_is_kept_for_each_bot_and_lifted_by_its_resume(farm: Any) -> None:
    await order(farm, Verb.PAUSE, "farm")
    assert [await verdict(farm, bot=bot) for bot in BOTS] == [(OrderState.DENIED, "paused")] * 2
    await order(farm, Verb.RESUME, "beta")

    assert (await verdict(farm, bot="beta"))[0] is OrderState.WORKING
    assert await verdict(farm, bot="alpha") == (OrderState.DENIED, "paused")


async def test_flatten_of_one_bot_whose_runner_is_dead_is_done_by_the_gateway(farm: Any) -> None:
    await farm.enter()
    await farm.enter(bot="beta", size="0.02")
    assert (await order(farm, Verb.FLATTEN)).stage == "accepted"
    await farm.until(lambda: farm.gateway.account.reserved("BTC-USDT.P", bot="alpha"), "the closing order")
    await farm.step()

    assert (farm.size("alpha"), farm.size("beta")) == (0, Decimal("0.02"))
    assert await verdict(farm) == (OrderState.DENIED, "paused")
    assert not farm.gateway.account.halt.active, "one bot's flatten halts nobody else"


async def test_commands_from_before_the_first_start_hold_entries_back_and_close_nothing(
    make_bench: Callable[..., Any],
) -> None:
    """A new journal on an old bus: last month's flatten must not close what is held today; each is answered."""
    async with make_bench(start=False, bots=BOTS) as bench:
        bench.bus = MemoryBus(source="test/1", hub=bench.hub)
        for verb, bot in ((Verb.FLATTEN, "alpha"), (Verb.PAUSE, "beta")):
            await bench.bus.send(Command(f"old-{verb}", verb, bot, "ann", "before there was a gateway"))
        await bench.open()
        assert (await order(bench, Verb.RESUME)).stage == "accepted"
        await bench.enter()

        assert (bench.size("alpha"), bench.gateway.flattener.wanted) == (Decimal("0.01"), [])
        assert await verdict(bench, bot="beta") == (OrderState.DENIED, "paused")
        journal = bench.gateway.account.journal
        assert [journal.command_stage(f"old-{verb}") for verb in (Verb.FLATTEN, Verb.PAUSE)] == ["accepted"] * 2


# positions that no order of ours made ---------------------------------------------------------------------------------


async def by_hand(bench: Any, side: str, size: str) -> None:
    body = {"symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginMode": "crossed", "marginCoin": "USDT"}
    await bench.admin("POST", "/orders", {**body, "size": size, "side": side})
    await bench.step()


def stop_below(bench: Any) -> str:
    return str((bench.price() * Decimal("0.97")).quantize(Decimal("0.1")))


async def test_adopted_position_belongs_to_the_bot_and_gets_its_stop(farm: Any) -> None:
    await by_hand(farm, "buy", "0.02")
    external = farm.gateway.account.books.book("external", "BTC-USDT.P")
    level = stop_below(farm)
    answer = await order(farm, Verb.ADOPT, symbol="BTC-USDT.P", stop=level)

    assert (answer.stage, farm.size("alpha"), farm.size("external")) == ("confirmed", Decimal("0.02"), 0)
    assert farm.gateway.account.books.book("alpha", "BTC-USDT.P").entry == external.entry
    assert [(plan.size, plan.trigger) for plan in farm.plans()] == [(Decimal("0.02"), Decimal(level))]
    truth = await farm.invariants()
    assert truth["books_equal_venue"], truth
    assert truth["every_position_has_stop"], truth
    await farm.close()
    await farm.open()
    assert farm.size("alpha") == Decimal("0.02")


ADOPTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "alpha", "with a stop"),
    ({"stop": "200000"}, "alpha", "losing side"),
    ({"stop": "80000.123"}, "alpha", "price step"),
    ({"stop": "NaN"}, "alpha", "number above zero"),
    ({"stop": "80000", "size": "5"}, "alpha", "no part of"),
    ({"stop": "80000", "target": "70000"}, "alpha", "winning side"),
    ({"stop": "80000"}, "nobody", "no bot that runs"),
    ({"stop": "80000", "symbol": "ETH-USDT.P"}, "alpha", "nothing in ETH"),
    ({"stop": "80000", "symbol": "NO-USDT.P"}, "alpha", "not traded"),
]


async def test_adoption_that_is_unsound_is_refused_and_moves_nothing(farm: Any) -> None:
    await by_hand(farm, "buy", "0.02")
    for params, target, words in ADOPTIONS:
        command = Command(f"adopt-{words}", Verb.ADOPT, target, "ann", "x", {"symbol": "BTC-USDT.P", **params})
        assert await farm.gateway.commands.apply(command) == "refused", words
        await farm.until(lambda: farm.gateway.outbox.clear, "the answer")
        results = [item.envelope.data for item in await farm.bus.history(farm.bus.topics.control_results())]
        told = [one.detail for one in results if one.command_id == command.command_id]
        assert words in told[-1]
    nameless = Command("adopt-nameless", Verb.ADOPT, "alpha", "ann", "", {"symbol": "BTC-USDT.P", "stop": "80000"})

    assert await farm.gateway.commands.apply(nameless) == "refused"
    assert farm.size("external") == Decimal("0.02")


async def test_external_position_is_closed_on_a_persons_word(farm: Any) -> None:
    await farm.enter()
    await by_hand(farm, "buy", "0.02")
    answer = await order(farm, Verb.ADOPT, "farm", symbol="BTC-USDT.P", close=True)
    await farm.step()

    assert answer.stage == "applied"
    assert (farm.size("external"), farm.size("alpha")) == (0, Decimal("0.01"))
    assert (await farm.invariants())["books_equal_venue"]


async def test_position_closed_by_hand_is_taken_off_the_bot_and_its_exit_opens_nothing(farm: Any) -> None:
    """The bot's own exit would open a naked short: the venue is flat already."""
    await farm.enter(size="0.02")
    await by_hand(farm, "sell", "0.02")

    assert (farm.size("alpha"), farm.size("external")) == (0, 0)
    assert farm.plans() == []
    assert await verdict(farm, action=Action.EXIT, side=Side.SELL, size="0.02") == (OrderState.DENIED, "flat")
    assert (await farm.invariants())["books_equal_venue"]


async def test_position_turned_by_hand_closes_the_bots_by_size_and_the_rest_is_external(farm: Any) -> None:
    one, two = farm.intent(bot="alpha", size="0.01"), farm.intent(bot="beta", size="0.02")
    await farm.send(one, two)
    await farm.settle(0, one.intent_id, two.intent_id)
    await farm.step()
    await by_hand(farm, "sell", "0.015")
    assert (farm.size("alpha"), farm.size("beta")) == (Decimal("0.005"), Decimal("0.01"))
    assert sorted(plan.size for plan in farm.plans()) == [Decimal("0.005"), Decimal("0.01")]
    await by_hand(farm, "sell", "0.02")

    assert (farm.size("alpha"), farm.size("beta"), farm.size("external")) == (0, 0, Decimal("-0.005"))
    assert (await farm.invariants())["books_equal_venue"]


async def test_reconcile_names_whose_what_is(farm: Any) -> None:
    await farm.enter()
    await by_hand(farm, "buy", "0.02")
    found = await farm.bus.ask("gateway", "reconcile", within_ns=60_000_000_000)

    assert found["equal"]
    [row] = found["symbols"]
    assert (row["venue"], row["books"], row["external"], row["residual"]) == (
        "0.03",
        {"alpha": "0.01", "external": "0.02"},
        "0.02",
        "0",
    )
    assert (found["unresolved"], found["unstopped"]) == ([], [])


async def test_budget_names_who_used_it(farm: Any) -> None:
    await farm.enter()
    await farm.enter(bot="beta")
    found = await farm.bus.ask("gateway", "budget", within_ns=60_000_000_000)

    assert {"alpha", "beta", "gateway"} <= set(found["last_minute"])
    assert found["last_minute"]["alpha"]["orders"] >= 1
    assert set(found["groups"]) == {"orders", "reads", "market"}


async def test_clock_that_is_wrong_denies_entries_and_not_exits(farm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await farm.enter()

    async def later() -> int:
        return time.time_ns() + 3_000_000_000

    monkeypatch.setattr(farm.gateway.account.venue, "time_ns", later)
    assert await farm.gateway.clock.measure() > 2
    assert await verdict(farm) == (OrderState.DENIED, "clock")
    assert (await verdict(farm, action=Action.EXIT, side=Side.SELL))[0] is OrderState.WORKING
    monkeypatch.undo()
    assert abs(await farm.gateway.clock.measure()) < 2
    await farm.step()
    assert (await verdict(farm))[0] is OrderState.WORKING
