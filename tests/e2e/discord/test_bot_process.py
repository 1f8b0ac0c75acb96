"""The Discord bot as a process against the local Discord as a process, over a real Valkey server."""

import asyncio
import signal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import BotStatus, Command, CommandResult, Message, RedisBus, SendResult, Verb
from omega.domain import Fill, Mode, Role, Side
from omega.testing.bounds import exit_code

D = Decimal


def fill(trade: str) -> Fill:
    values: dict[str, Any] = {
        "trade_id": trade, "order_id": f"o{trade}", "client_id": f"c{trade}", "bot": "fib-btc", "venue": "bitget",
        "account": "main", "symbol": "BTC-USDT.P", "side": Side.BUY, "price": D(100), "size": D(1), "fee": D("0.1"),
        "fee_coin": "USDT", "role": Role.ENTRY, "ts_ns": 1,
    }  # fmt: skip
    return Fill(**values)


def status() -> BotStatus:
    return BotStatus(
        "fib-btc", "ema_cross", Mode.PAPER, "bitget", "main", "BTC-USDT.P", "1m", "trade", False, 1, 100.0,
        D(1), D(100), D(5), D(0), D(1), D(1004), 3, 1, 1, 1, "enter", "crossed_up",
    )  # fmt: skip


async def play_the_farm(bus: RedisBus, heard: list[Command]) -> None:
    """Answer as the runner and the gateway would."""
    topics = (bus.topics.control("farm"), bus.topics.control("fib-btc"))
    async with bus.follow(*topics) as stream:
        async for received in stream:
            command = received.envelope.data
            assert isinstance(command, Command)
            heard.append(command)
            for service, target in (("runner-1", "fib-btc"), ("gateway", command.target)):
                await bus.send(CommandResult(command.command_id, service, target, "applied", "done"))


async def status_until(stage: Any, says: Callable[[str], bool]) -> dict[str, Any]:
    """Ask /status until its text fulfils a condition."""
    for _ in range(600):
        reply: dict[str, Any] = await stage.remote.act("slash", user="viewer", channel="ops", path="status")
        if says(reply["text"]):
            return reply
        await asyncio.sleep(0.1)
    raise AssertionError(f"/status never said it; it says {reply['text']}")


async def sent(bus: RedisBus, message: Message, message_id: str) -> None:
    """Send until the server has it."""
    for _ in range(600):
        if await bus.send(message, message_id=message_id) is not SendResult.BUFFERED:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("the server did not come back for this sender")


@pytest.mark.req("1.04", "1.25", "1.42", "1.43")
async def test_panic_travels_from_a_human_to_the_farm_and_back(stage: Any):
    bot = await stage.start_bot()
    bus = await stage.bus("farm/1")
    await stage.remote.until(lambda s: s["connected"] == 1 and s["commands"])
    heard: list[Command] = []
    farm = asyncio.create_task(play_the_farm(bus, heard))
    await asyncio.sleep(0.2)

    asked = await stage.remote.act("slash", user="operator", channel="ops", path="panic")
    pressed = await stage.remote.act("click", user="operator", message=asked["message"]["id"], button="PANIC")
    state = await stage.remote.until(
        lambda s: any("applied by 2 of 2" in m["text"] and not m["ephemeral"] for m in s["messages"])
    )
    farm.cancel()
    bot.send_signal(signal.SIGTERM)
    code = await asyncio.wait_for(bot.wait(), 60)
    after = await stage.remote.until(lambda s: s["connected"] == 0)

    assert [command.verb for command in heard] == [Verb.HALT, Verb.FLATTEN]
    assert pressed["callback"] == 6
    assert asked["ephemeral"]
    assert state["unknown_routes"] == []
    assert (code, after["closes"]) == (0, [1000])
    assert stage.world.token not in stage.log()


@pytest.mark.req("0.28")
async def test_server_killed_and_back_leaves_answers_and_loses_no_notice(stage: Any):
    await stage.start_bot()
    bus = await stage.bus("gateway/1")
    await stage.remote.until(lambda s: s["connected"] == 1 and s["commands"])
    await bus.send(status())
    await bus.send(fill("1"), message_id="fill:1")
    await stage.remote.until(lambda s: sum(m["channel"] == "fills" for m in s["messages"]) == 1)

    await stage.stop_redis()
    down = await status_until(stage, lambda text: "last known values" in text)
    await stage.start_redis()
    await sent(bus, fill("2"), "fill:2")
    state = await stage.remote.until(lambda s: sum(m["channel"] == "fills" for m in s["messages"]) == 2)

    assert "fib-btc" in down["text"]
    assert "+4.00 USDT" in down["text"]
    assert (state["connected"], state["identifies"]) == (1, 1)


async def test_panic_works_while_the_server_is_frozen_and_goes_out_once(stage: Any):
    await stage.start_bot()
    bus = await stage.bus("gateway/1")
    await stage.remote.until(lambda s: s["connected"] == 1 and s["commands"])
    await bus.send(status())
    await status_until(stage, lambda text: "fib-btc" in text)

    stage.redis.send_signal(signal.SIGSTOP)
    asked = await stage.remote.act("slash", user="trader", channel="ops", path="panic", options={"scope": "entries"})
    pressed = await stage.remote.act("click", user="trader", message=asked["message"]["id"], button="PANIC")
    await asyncio.sleep(1)
    again = await stage.remote.act("slash", user="viewer", channel="ops", path="status")
    stage.redis.send_signal(signal.SIGCONT)
    await stage.remote.until(lambda s: any(m["text"].startswith("PANIC\n") for m in s["messages"]))
    sent_now: list[Any] = []
    for _ in range(600):
        sent_now = [received.envelope.data for received in await bus.history(bus.topics.control("farm"))]
        if sent_now:
            break
        await asyncio.sleep(0.1)

    assert (asked["failed"], pressed["callback"]) == (False, 6)
    assert "fib-btc" in again["text"]
    assert [command.verb for command in sent_now] == [Verb.HALT]


async def test_second_process_takes_over_when_the_first_dies(stage: Any):
    first = await stage.start_bot("one")
    await stage.remote.until(lambda s: s["connected"] == 1)
    await stage.start_bot("two")
    await stage.logged("two", "another process holds the one gateway session")
    await asyncio.sleep(0.5)
    assert (await stage.remote.state())["identifies"] == 1

    first.send_signal(signal.SIGTERM)
    await exit_code(first)
    state = await stage.remote.until(lambda s: s["connected"] == 1 and s["identifies"] == 2)

    assert state["puts"] == 1


async def test_refused_token_ends_with_its_own_exit_status(stage: Any):
    (stage.home / "secrets" / "discord_bot__token").write_text("a-wrong-token-that-must-not-show")
    bot = await stage.start_bot()

    assert await asyncio.wait_for(bot.wait(), 60) == 78
    assert "reset the token" in stage.log()
    assert "a-wrong-token-that-must-not-show" not in stage.log()


@pytest.mark.req("2.125")
async def test_back_door_offers_every_act_and_names_what_is_wrong(stage: Any):
    remote = stage.remote
    await stage.start_bot()
    await remote.until(lambda s: s["connected"] == 1 and s["commands"])

    offered = await remote.act("autocomplete", user="viewer", channel="ops", path="status", focused="bot", typed="fib")
    await remote.act("assign", member="viewer", roles=["operator"])
    asked = await remote.act("slash", user="viewer", channel="ops", path="bots resume", options={"bot": "fib-btc"})
    seen = await remote.act("look", interaction=asked["interaction"])
    await remote.act("replay", interaction=asked["interaction"])
    await remote.act("fault", kind="answer", match="POST /channels/", status=500)
    await remote.act("fault", kind="late", seconds=0.1)
    await remote.act("fault", kind="clear")
    await remote.act("advance", seconds=1)
    await remote.act("fault", kind="reconnect")
    await remote.until(lambda s: s["resumes"] == 1)
    await remote.act("drop", code=4000)
    await remote.until(lambda s: s["resumes"] == 2)

    assert offered["choices"][0]["value"] == "fib-btc"
    assert seen["text"] == asked["text"]
    assert (await remote.refused("slash", user="viewer", channel="ops", path="nothing"))[0] == 409
    assert (await remote.refused("dance"))[0] == 400
    assert (await remote.refused("fault", kind="nothing"))[0] == 400
