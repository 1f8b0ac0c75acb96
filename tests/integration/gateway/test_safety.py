"""Gate, halts, commands, kill switch, bus away: entries stop, exits and stops go on."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from omega.bus import Command, CommandResult, HaltChanged, OrderEvent, Verb
from omega.domain import Action, Mode, OrderState, Side
from omega.errors import ConfigError
from omega.runtime.kill import sign
from services.gateway.service import GatewayService

KEY = "kill-me-softly"


async def verdict(bench: Any, **changes: Any) -> tuple[OrderState, str]:
    """Send one intent and return its state and the rule."""
    intent = bench.intent(**changes)
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    order = bench.order(intent)
    return order.state, order.code


BROKEN_RULES: list[tuple[dict[str, Any], str]] = [
    ({"stop": None}, "stop"),
    ({"stop": "200000"}, "stop"),
    ({"target": "10000"}, "target"),
    ({"size": "0.00001"}, "rules"),
    ({"size": "5"}, "order_notional"),
    ({"leverage": 50}, "leverage"),
    ({"symbol": "NO-USDT.P", "stop": "1"}, "symbol"),
    ({"stop": "90000.123"}, "rules"),
    ({"action": Action.EXIT, "side": Side.SELL}, "flat"),
    ({"size": "NaN"}, "corrupt"),
]


@pytest.mark.req("1.11")
async def test_gate_breaks_one_rule_and_names_it(bench: Any) -> None:
    for changes, rule in BROKEN_RULES:
        assert await verdict(bench, **changes) == (OrderState.DENIED, rule), changes


async def test_gate_counts_what_is_under_way(bench: Any) -> None:
    """Capital 20000 at 3x is 60000, the account's limit 50000: no interleaving gets past it."""
    intents = [bench.intent(bot=f"bot{n}", size="0.1") for n in range(8)]
    await bench.send(*intents)
    await bench.settle(0, *(intent.intent_id for intent in intents))

    states = [bench.order(intent).state for intent in intents]
    assert states.count(OrderState.WORKING) == int(50_000 / (bench.price() * Decimal("0.1")))
    assert {bench.order(i).code for i in intents if bench.order(i).state is OrderState.DENIED} == {"notional"}


async def test_gate_refuses_an_older_epoch_and_a_passed_deadline(bench: Any) -> None:
    old, new = await bench.bus.lease("runner:alpha"), None
    await old.release()
    new = await bench.bus.lease("runner:alpha")
    fresh = bench.intent()
    await bench.send(fresh, lease=new)
    await bench.settle(0, fresh.intent_id)
    await bench.step()
    assert bench.gateway.account.journal.epoch("alpha") == new.epoch
    from omega.bus import Envelope

    stale = bench.intent(bot="alpha")
    envelope = Envelope("x1", "intent", 1, time.time_ns(), "runner/old", old.epoch, 1, "", "", "alpha", 0, "", stale)
    bench.gateway.path.accept([(envelope, stale)])
    assert (bench.order(stale).state, bench.order(stale).code) == (OrderState.DENIED, "fence")

    late = bench.intent(bot="beta")
    envelope = Envelope(
        "x2", "intent", 1, time.time_ns(), "runner/b", 0, 1, "", "", "beta", time.time_ns() - 1, "", late
    )
    bench.gateway.path.accept([(envelope, late)])
    assert (bench.order(late).state, bench.order(late).code) == (OrderState.DENIED, "deadline")


async def command(bench: Any, verb: Verb, reason: str = "drill", actor: str = "ann") -> list[str]:
    name = f"{verb}-{time.time_ns()}"
    await bench.bus.send(Command(name, verb, "farm", actor, reason))

    def stages() -> str:
        return str(bench.gateway.account.journal.command_stage(name))

    await bench.until(lambda: stages() in {"confirmed", "refused", "applied"}, f"the end of {verb}")
    await bench.settle()
    results = [item.envelope.data for item in await bench.bus.history(bench.bus.topics.control_results())]
    return [r.stage for r in results if isinstance(r, CommandResult) and r.command_id == name]


async def test_halt_latches_over_a_restart_until_a_named_person_releases_it(bench: Any) -> None:
    assert await command(bench, Verb.HALT) == ["confirmed"]
    assert await verdict(bench) == (OrderState.DENIED, "halt")
    await bench.close()
    await bench.open()
    assert await verdict(bench) == (OrderState.DENIED, "halt")
    assert await command(bench, Verb.RELEASE, reason="") == ["refused"]
    assert await command(bench, Verb.RELEASE, reason="looked at it") == ["confirmed"]
    assert (await verdict(bench))[0] is OrderState.WORKING
    changes = [(event.halted, event.by) for event in await bench.events() if isinstance(event, HaltChanged)]
    assert changes == [(True, "ann"), (False, "ann")]


async def test_halt_outlives_a_lost_journal_by_the_key_on_the_bus(bench: Any) -> None:
    await command(bench, Verb.HALT)
    key = bench.bus.topics.state("halt", "bitget", "main")
    for _ in range(300):
        if await bench.bus.get(key):
            break
        await asyncio.sleep(0.01)
    await bench.close()
    for left in bench.folder.iterdir():
        left.unlink()
    await bench.open()

    assert await verdict(bench) == (OrderState.DENIED, "halt")


async def test_halt_file_alone_halts(bench: Any) -> None:
    (bench.folder / "HALT").write_text("by hand")

    assert await verdict(bench) == (OrderState.DENIED, "halt")


async def test_flatten_closes_every_bot_and_halts(bench: Any) -> None:
    await bench.enter(bot="alpha")
    await bench.enter(bot="beta", size="0.02")
    name = f"flatten-{time.time_ns()}"
    await bench.bus.send(Command(name, Verb.FLATTEN, "farm", "ann", "drill"))
    journal = bench.gateway.account.journal
    await bench.until(lambda: len(journal.in_state(OrderState.WORKING)) == 2, "the closing orders")
    await bench.admin("POST", "/step")
    await bench.until(lambda: bench.gateway.account.journal.command_stage(name) == "confirmed", "flat")

    assert (bench.size("alpha"), bench.size("beta")) == (0, 0)
    assert bench.gateway.account.halt.active
    assert bench.plans() == []


async def enter_under_a_lease(bench: Any, bot: str, **more: Any) -> None:
    """Enter as a real runner does: every message carries the epoch of the bot's lease."""
    lease = await bench.bus.lease(f"bot:{bot}")
    intent = bench.intent(bot=bot, **more)
    await bench.send(intent, lease=lease)
    await bench.settle(0, intent.intent_id)
    await bench.step()
    assert bench.gateway.account.journal.epoch(bot) == lease.epoch > 0


async def test_flatten_passes_the_fence_of_bots_that_have_an_epoch(bench: Any) -> None:
    """The fence keeps old runners away; the gateway's own closing orders must never be taken for one."""
    await enter_under_a_lease(bench, "alpha")
    name = f"flatten-{time.time_ns()}"
    await bench.bus.send(Command(name, Verb.FLATTEN, "farm", "ann", "drill"))
    await bench.until(lambda: bench.gateway.account.journal.in_state(OrderState.WORKING), "the closing order")
    await bench.admin("POST", "/step")
    await bench.until(lambda: bench.gateway.account.journal.command_stage(name) == "confirmed", "flat")

    assert bench.size("alpha") == 0


async def test_stop_of_a_leg_that_offsets_another_bot_is_carried_out_by_the_gateway(bench: Any) -> None:
    """The venue shows the net alone: the offset part of a position has its stop in the gateway, and it closes."""
    await enter_under_a_lease(bench, "alpha", size="0.02")
    price = bench.price()
    near = (price * Decimal("1.00001")).quantize(Decimal("0.1"), rounding="ROUND_UP")
    await enter_under_a_lease(bench, "beta", size="0.01", side=Side.SELL, stop=str(near))
    for _ in range(30):
        await bench.step()
        if bench.size("beta") == 0:
            break

    assert bench.size("beta") == 0
    assert bench.size("alpha") == Decimal("0.02")


@pytest.mark.req("0.28", "2.124")
async def test_kill_switch_works_with_the_bus_dead(make_bench: Any) -> None:
    async with make_bench(kill_key=KEY) as bench:
        await bench.enter()
        bench.hub.down()
        url = f"http://127.0.0.1:{bench.gateway.health.port}/kill"
        body = json.dumps(
            {"verb": "halt", "actor": "ann", "reason": "x", "ts": time.time(), "nonce": "n" * 16}
        ).encode()
        async with aiohttp.ClientSession() as session:

            async def post(signature: str) -> int:
                async with session.post(url, data=body, headers={"X-Omega-Signature": signature}) as answer:
                    return answer.status

            assert await post("forged") == 401
            assert not bench.gateway.account.halt.active
            assert await post(sign(KEY, body)) == 200
            assert await post(sign(KEY, body)) == 409
        assert bench.gateway.account.halt.active
        assert (bench.folder / "HALT").exists()
        bench.hub.up()


@pytest.mark.req("0.28")
async def test_bus_away_stops_are_guarded_and_events_follow_in_order(bench: Any) -> None:
    await bench.enter()
    [child] = bench.plans()
    bench.hub.down()
    await bench.admin(
        "POST", "/cancel", {"orderId": child.order_id, "symbol": "BTCUSDT", "productType": "USDT-FUTURES"}
    )
    await bench.until(lambda: bench.plans() and bench.plans()[0].client_oid.startswith("s"), "the stop without the bus")
    from omega.bus import Envelope

    entry = bench.intent(bot="beta")
    bench.gateway.path.accept([(Envelope("x", "intent", 1, 0, "r", 0, 1, "", "", "beta", 0, "", entry), entry)])
    assert (bench.order(entry).state, bench.order(entry).code) == (OrderState.DENIED, "bus")
    waiting = [item.message_id for item in bench.gateway.account.journal.pending(after=bench.gateway.outbox._upto)]
    assert waiting
    bench.hub.up()
    await bench.until(lambda: bench.gateway.outbox.clear, "the events")

    events = await bench.events()
    assert [e.state for e in events if isinstance(e, OrderEvent) and e.bot == "beta"] == [OrderState.DENIED]
    assert len({repr(event) for event in events}) == len(events)


async def test_live_mode_without_its_switches_is_refused(bench: Any) -> None:
    settings = bench.gateway.settings
    live = settings.model_copy(update={"trading": settings.trading.model_copy(update={"mode": Mode.LIVE})})

    with pytest.raises(ConfigError, match=r"live mode is not switched on: .*live_accounts.*confirmed_limits.*rest_url"):
        GatewayService(settings=live, bus=bench.bus)


async def test_second_gateway_on_one_journal_is_refused(bench: Any) -> None:
    from omega.errors import EnvironmentFault
    from services.gateway.journal import Journal

    with pytest.raises(EnvironmentFault, match="held by another gateway"):
        Journal(bench.folder / "gateway.sqlite").open()


async def test_key_that_may_withdraw_is_refused(make_bench: Any) -> None:
    async with make_bench(start=False) as bench:

        async def may() -> bool:
            return True

        from services.gateway.venues.bitget import Bitget

        plain, Bitget.may_withdraw = Bitget.may_withdraw, lambda _self: may()
        try:
            with pytest.raises(ConfigError, match="may withdraw"):
                await bench.open()
        finally:
            Bitget.may_withdraw = plain
            bench.service = None


@pytest.mark.req("0.28")
async def test_lease_in_doubt_comes_back_with_the_server(bench: Any) -> None:
    """A server that is away for longer than a lease is trusted says nothing about another gateway: nobody is fenced."""
    lease = bench.gateway._lease
    bench.hub.down()
    await bench.until(lambda: not bench.gateway.leased(), "the doubt")
    bench.hub.up()
    await bench.until(bench.gateway.leased, "the lease")

    assert bench.gateway._lease is lease
    assert not lease.lost
    assert (await bench.enter()).bot == "alpha"
