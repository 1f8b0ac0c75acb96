"""The Discord bot as a service in this process: a bus in memory, the local Discord on a real socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from omega import plugins
from omega.bus import (
    AccountStatus,
    AuditNote,
    BookLine,
    BotStatus,
    Command,
    CommandResult,
    HaltChanged,
    Heartbeat,
    MemoryBus,
    MindStatus,
    Verb,
)
from omega.config import Gateway, Settings
from omega.cosmic import Place, Sky, read_factors
from omega.domain import FeedState, Fill, Mode, Reading, Role, Side
from omega.errors import ConfigError
from omega.runtime.kill import sign
from omega.testing.discord import LocalDiscord, Message, World, payloads
from services.discord_bot.service import DiscordBotService

D = Decimal
Start = Callable[..., AbstractAsyncContextManager[DiscordBotService]]
BOTS = ("fib-btc", "trend-eth")


def settings_for(local: LocalDiscord, **changes: Any) -> Settings:
    world = local.world
    bot = {
        "enabled": True,
        "token": world.token,
        "api_base": local.environment["DISCORD_API_BASE"],
        "gateway_url": local.environment["DISCORD_GATEWAY_URL"],
        "guild_id": world.guild_id,
        "tiers": {role.id: name for name, role in world.roles.items()},
        "default_tier": "none",
        "channels": {name: world.channel(name_).id for name, name_ in (("trades", "fills"), ("alerts", "alerts"))},
        "persona": "xyko",
        **changes,
    }
    bots = {name: {"strategy": "ema_cross", "symbol": "BTC-USDT.P", "persona": "biel"} for name in BOTS}
    return Settings.model_validate({"discord_bot": bot, "bots": bots})


@pytest.fixture(name="bus")
def bus_fixture() -> MemoryBus:
    return MemoryBus(source="discord_bot/1")


@pytest.fixture(name="start")
def start_fixture(local: LocalDiscord, bus: MemoryBus) -> Start:
    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[DiscordBotService]:
        service = DiscordBotService(settings=settings_for(local, **changes), bus=bus)
        await service.initialize()
        await service.start()
        try:
            await until(lambda: service.client and service.client.loaded and local.gateway.connected)
            yield service
        finally:
            await service.shutdown()

    return start


def status_of(bot: str, **changes: Any) -> BotStatus:
    values: dict[str, Any] = {
        "bot": bot, "strategy": "ema_cross", "mode": Mode.PAPER, "venue": "bitget", "account": "main",
        "symbol": "BTC-USDT.P", "timeframe": "1m", "state": "trade", "read_only": False, "bar_ts_ns": 1,
        "price": 100.0, "position": D("0.5"), "entry": D(100), "realised": D("12.5"), "unrealised": D(3),
        "fees": D(1), "equity": D(1014), "decisions": 7, "intents": 2, "orders": 2, "fills": 2,
        "last_action": "enter", "reason": "crossed_up",
    }  # fmt: skip
    return BotStatus(**{**values, **changes})


def account_of(**changes: Any) -> AccountStatus:
    line = BookLine("fib-btc", "BTC-USDT.P", D("0.5"), D(100), D(106), D(0), D(1), D(0), D("0.5"), D(97), 0.0)
    values: dict[str, Any] = {
        "venue": "bitget", "account": "main", "mode": Mode.PAPER, "equity": D(1000), "available": D(900),
        "books": (line,), "venue_positions": {}, "residuals": {}, "unresolved": 0, "naked_s_max": 0.0,
        "halted": False, "halt_reason": "", "connected": True, "ts_ns": 1,
    }  # fmt: skip
    return AccountStatus(**{**values, **changes})


def fill_of(trade: str, side: Side, price: str, role: Role, **changes: Any) -> Fill:
    values: dict[str, Any] = {
        "trade_id": trade, "order_id": f"o{trade}", "client_id": f"c{trade}", "bot": "fib-btc", "venue": "bitget",
        "account": "main", "symbol": "BTC-USDT.P", "side": side, "price": D(price), "size": D("0.5"), "fee": D("0.1"),
        "fee_coin": "USDT", "role": role, "ts_ns": 1,
    }  # fmt: skip
    return Fill(**{**values, **changes})


async def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the conditions span processes of different kinds
            await asyncio.sleep(0.01)


async def everything_known(bus: MemoryBus, service: DiscordBotService) -> None:
    farm = bus.peer("gateway/1")
    for bot in BOTS:
        await farm.send(status_of(bot))
    await farm.send(account_of())
    now = time.time_ns()
    await farm.send(
        Reading(
            "moon_phase",
            0.5,
            0.75,
            "fraction",
            "waxing <@300000000000000004>",
            "DE421",
            now,
            3600,
            1.0,
            FeedState.CALCULATED,
        )
    )
    await farm.send(Heartbeat("gateway", "gateway-1", "ready", 1))
    await until(lambda: service.view.readings and service.view.accounts and len(service.view.bots) == len(BOTS))


@asynccontextmanager
async def answering(bus: MemoryBus, *, silent: tuple[str, ...] = ()) -> AsyncIterator[list[Command]]:
    """Play every runner and the gateway: apply each command."""
    farm, heard = bus.peer("farm/1"), []

    async def live() -> None:
        topics = (farm.topics.control("farm"), *(farm.topics.control(bot) for bot in BOTS))
        async with farm.follow(*topics) as stream:
            ready.set()
            async for received in stream:
                command = received.envelope.data
                assert isinstance(command, Command)
                heard.append(command)
                targets = (*BOTS, "farm") if command.target == "farm" else (command.target,)
                for target in targets:
                    service = "gateway" if target == "farm" else f"runner-{target}"
                    if target not in silent:
                        await farm.send(CommandResult(command.command_id, service, target, "applied", "done"))

    ready = asyncio.Event()
    task = asyncio.create_task(live())
    async with asyncio.timeout(60):
        await ready.wait()
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def audits(bus: MemoryBus, count: int = 1) -> list[AuditNote]:
    """Wait for so many audit records and return all of them."""
    async with asyncio.timeout(60):
        while True:
            notes = [received.envelope.data for received in await bus.history(bus.topics.audit())]
            if len(notes) >= count:
                return [note for note in notes if isinstance(note, AuditNote)]
            await asyncio.sleep(0.01)


# ---- life


@pytest.mark.req("1.25", "1.04")
async def test_session_starts_ready_with_presence_and_closes_with_1000(
    local: LocalDiscord, start: Start, bus: MemoryBus
):
    async with start() as service:
        assert service.readiness() == (True, "")
        await until(lambda: local.gateway.connected[0].presence)
        assert "road for 2 bots" in str(local.gateway.connected[0].presence)
        assert local.gateway.connected[0].intents == 1

    await local.gateway.wait_connected(0)
    assert local.log.closes == [1000]
    assert local.log.unknown_routes == []


@pytest.mark.req("1.26")
async def test_unchanged_tree_is_not_sent_again(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start():
        names = {command["name"] for command in local.state.commands.scopes[local.world.guild_id]}
    async with start():
        pass
    local.state.commands.scopes.clear()
    async with start():
        pass

    assert names == {"help", "status", "positions", "bots", "cosmic", "analyse", "panic"}
    assert local.state.commands.puts == 2  # the first start, and the one that found its commands gone


async def test_second_bot_waits_for_the_lease(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start():
        second = DiscordBotService(settings=settings_for(local), bus=bus.peer("discord_bot/2"))
        await second.initialize()
        await second.start()
        await asyncio.sleep(0.3)

        assert second.readiness() == (False, "another process holds the one gateway session")
        assert local.gateway.identifies == 1
        await second.shutdown()


async def test_dropped_session_resumes_and_answers(local: LocalDiscord, start: Start):
    async with start():
        await local.gateway.drop(4000)
        await local.gateway.wait_connected(0)
        reply = await local.slash("viewer", "ops", "bots list")

        assert "Bots" in reply.text
        assert local.gateway.resumes == 1


async def test_strange_guild_is_left(local: LocalDiscord, start: Start):
    stranger = World(guild_id="100000000000000077", guild_name="strange")
    async with start():
        joined = payloads.guild_create(stranger, with_members=False)
        del joined["unavailable"]  # how Discord tells a join from a guild that came back
        await local.gateway.dispatch("GUILD_CREATE", joined)
        await until(lambda: local.state.left_guilds)

    assert local.state.left_guilds == ["100000000000000077"]


async def test_guild_that_the_bot_is_not_in_ends_the_service(local: LocalDiscord, bus: MemoryBus):
    service = DiscordBotService(settings=settings_for(local, guild_id="100000000000000077"), bus=bus)
    await service.initialize()
    await service.start()
    await until(lambda: service.stopping)
    await service.shutdown()

    assert isinstance(service.error, ConfigError)
    assert "check discord_bot.guild_id" in str(service.error)


async def test_interaction_from_another_guild_is_refused(local: LocalDiscord, start: Start):
    async with start():
        asked = await local.slash("admin", "ops", "status")
        payload = {**asked.payload, "guild_id": "100000000000000077"}
        foreign = local.state.interactions.open(2, asked.user, asked.channel_id, payload, None)
        await local.gateway.dispatch("INTERACTION_CREATE", payload)
        await foreign.until(lambda one: one.callback is not None)

    assert "E-GUILD" in foreign.text
    assert foreign.ephemeral


async def test_changed_command_tells_to_reload(local: LocalDiscord, start: Start):
    async with start() as service:
        assert service.client is not None
        service.client.tree.remove_command("status", guild=service.client.home)
        reply = await local.slash("viewer", "ops", "status")

    assert "E-CMD" in reply.text


async def test_bug_in_a_handler_is_told_and_audited(
    local: LocalDiscord, start: Start, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
):
    async with start() as service:
        monkeypatch.setattr(service.desk, "view", None)
        reply = await local.slash("viewer", "ops", "status")
        notes = await audits(bus)

    assert "E-BUG" in reply.text
    assert notes[-1].outcome == "broken"


# ---- reading


@pytest.mark.req("1.82", "1.43", "0.55")
async def test_reads_answer_from_memory_with_age_and_voice(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start() as service:
        await everything_known(bus, service)
        status = await local.slash("viewer", "ops", "status")
        one = await local.slash("viewer", "ops", "status", bot="fib-btc")
        positions = await local.slash("viewer", "ops", "positions")
        listed = await local.slash("viewer", "fills", "bots list")
        cosmic = await local.slash("viewer", "ops", "cosmic now")

    assert "PAPER · Farm" in status.text
    assert "+29.00 USDT" in status.text  # two bots of 12.5 + 3 - 1
    assert "as of 0 s ago" in status.text
    assert "crossed\\_up" in one.text
    assert "0.5 @ 97" in one.text
    assert "0 without a whole stop" in positions.text
    assert "+3.00" in positions.text
    assert [status.ephemeral, positions.ephemeral, listed.ephemeral] == [True, True, False]  # #fills is the farm's own
    assert "fib-btc" in listed.text
    assert "No proven effect" in cosmic.text
    assert "<@300000000000000004>" not in cosmic.text
    assert all(reply.ack_s is not None and reply.ack_s < 1 for reply in (status, one, positions, listed, cosmic))


@pytest.mark.req("0.15", "0.55")
async def test_mood_tells_state_of_mind_and_calm_is_a_command(local: LocalDiscord, start: Start, bus: MemoryBus):
    mind = MindStatus("newbie", "fearful", 0.3, 0.4, 0.7, 0.3, 0.1, 0, 2, 0, "volatile", 0.775, live=True)
    async with start() as service, answering(bus) as heard:
        unheard = await local.slash("viewer", "ops", "bots mood", bot="trend-eth")
        await everything_known(bus, service)
        await bus.peer("runner/1").send(status_of("fib-btc", emotion="fearful", mind=mind))
        await until(lambda: service.view.bots["fib-btc"].value.mind)
        feeling = await local.slash("viewer", "ops", "bots mood", bot="fib-btc")
        off = await local.slash("viewer", "ops", "bots mood", bot="trend-eth")
        refused = await local.slash("trader", "ops", "bots calm", bot="fib-btc")
        asked = await local.slash("operator", "ops", "bots calm", bot="fib-btc")
        before, question = list(heard), asked.text
        pressed = await local.click("operator", asked.message, "Calm")
        calmed = await pressed.until(lambda reply: "of 1" in reply.text)

    assert before == []
    assert "fearful, entries at 78%" in question
    assert "Nothing is heard of" in unheard.text
    assert all(part in feeling.text for part in ("fearful", "newbie", "78%", "0.30, 0.40, 0.70", "volatile"))
    assert "only shrink" in feeling.text
    assert "experimental" in feeling.text
    assert "Psychology is off" in off.text
    assert "E-TIER" in refused.text
    assert "applied by 1 of 1" in calmed.text
    assert [(command.verb, command.target) for command in heard] == [(Verb.CALM, "fib-btc")]


@pytest.mark.req("0.28")
async def test_bus_down_answers_last_values_under_a_banner_and_refuses_changes(
    local: LocalDiscord, start: Start, bus: MemoryBus
):
    async with start() as service:
        await everything_known(bus, service)
        bus.hub.down()
        status = await local.slash("viewer", "ops", "status")
        refused = await local.slash("operator", "ops", "bots resume", bot="fib-btc")
        uncalmed = await local.slash("operator", "ops", "bots calm", bot="fib-btc")
        panic = await local.slash("trader", "ops", "panic", scope="entries")
        pressed = await local.click("trader", panic.message, "PANIC")
        await pressed.until(lambda reply: "message bus is down" in reply.text)
        bus.hub.up()

    assert "last known values" in status.text
    assert "fib-btc" in status.text
    assert "E-BUS" in refused.text
    assert "E-BUS" in uncalmed.text
    sent = [one.envelope.data for one in await bus.history(bus.topics.control("farm"))]
    assert [command.verb for command in sent] == [Verb.HALT]  # the outbox delivered it


@pytest.mark.req("0.28")
async def test_bus_down_panic_goes_past_it_to_the_gateways_kill_switch(local: LocalDiscord, bus: MemoryBus):
    heard: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        signed = request.headers["X-Omega-Signature"] == sign("kill-key", body)
        heard.append({**json.loads(body), "signed": signed})
        return web.json_response({"stage": "confirmed", "halted": True})

    app = web.Application()
    app.router.add_post("/kill", answer)
    async with TestServer(app) as gateway:
        way = Gateway(kill_url=str(gateway.make_url("/")), kill_key=SecretStr("kill-key"))
        service = DiscordBotService(settings=settings_for(local).model_copy(update={"gateway": way}), bus=bus)
        await service.initialize()
        await service.start()
        try:
            await until(lambda: service.client and service.client.loaded and local.gateway.connected)
            await everything_known(bus, service)
            bus.hub.down()
            panic = await local.slash("trader", "ops", "panic", scope="entries")
            pressed = await local.click("trader", panic.message, "PANIC")
            await pressed.until(lambda reply: "told **directly**" in reply.text)
        finally:
            bus.hub.up()
            await service.shutdown()

    [told] = heard
    assert (told["verb"], told["signed"]) == ("halt", True)
    assert await bus.history(bus.topics.control("farm")) == []


@pytest.mark.req("2.107", "2.124")
@pytest.mark.parametrize(
    ("user", "path", "options", "code"),
    [
        ("stranger", "status", {}, "E-NOROLE"),
        ("stranger", "help", {}, "E-NOROLE"),
        ("viewer", "panic", {}, "E-TIER"),
        ("viewer", "bots pause", {"bot": "fib-btc"}, "E-TIER"),
        ("trader", "bots resume", {"bot": "fib-btc"}, "E-TIER"),
        ("trader", "panic", {"scope": "everything"}, "E-TIER"),
        ("operator", "bots pause", {"bot": "nobody"}, "E-ARG"),
    ],
)
async def test_lower_tier_is_refused_and_audited(
    local: LocalDiscord, start: Start, bus: MemoryBus, user: str, path: str, options: dict[str, str], code: str
):
    async with start():
        reply = await local.slash(user, "ops", path, **options)
        assert code in reply.text
        notes = await audits(bus)

    assert await bus.history(bus.topics.control("farm")) == []
    assert notes[-1].actor == f"discord:{local.world.member(user).id}"
    assert notes[-1].outcome.startswith(("denied", "refused"))
    assert reply.ephemeral or path == "bots pause"


async def test_autocomplete_offers_states_and_refuses_strangers(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start() as service:
        await everything_known(bus, service)
        offered = await local.autocomplete("viewer", "ops", "status", "bot", "fib")
        refused = await local.autocomplete("stranger", "ops", "status", "bot", "fib")

    assert offered.choices == [{"name": "fib-btc - trade, BTC-USDT.P", "value": "fib-btc"}]
    assert "E-NOROLE" in refused.choices[0]["name"]


async def test_roles_not_loaded_yet_fails_closed(
    local: LocalDiscord, bus: MemoryBus, aimed: Callable[[LocalDiscord], None]
):
    local.faults.hold_guilds = True
    service = DiscordBotService(settings=settings_for(local), bus=bus)
    await service.initialize()
    await service.start()
    await local.wait_commands()
    reply = await local.slash("admin", "ops", "panic")
    await local.gateway.release_guilds()
    await until(lambda: service.client is not None and service.client.loaded)
    later = await local.slash("admin", "ops", "panic")
    await service.shutdown()

    assert "E-START" in reply.text
    assert "Panic?" in later.text


async def test_help_lists_what_the_tier_may_do(local: LocalDiscord, start: Start):
    async with start():
        viewer = await local.slash("viewer", "ops", "help")
        admin = await local.slash("admin", "ops", "help", topic="panic")

    assert "</status:" in viewer.text
    assert "panic" not in viewer.text.partition("you are")[0]
    assert admin.text.startswith("Help\n</panic:")
    assert admin.ephemeral


# ---- changing


@pytest.mark.req("1.42")
async def test_panic_halts_and_flattens_after_one_button(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start() as service, answering(bus) as heard:
        await everything_known(bus, service)
        asked = await local.slash("operator", "ops", "panic")
        assert heard == []
        assert asked.ephemeral
        assert "**1** known" in asked.text
        pressed = await local.click("operator", asked.message, "PANIC")
        await pressed.until(lambda reply: reply.followups)
        await until(lambda: len(heard) == 2)
        notes = await audits(bus, 3)

    assert [(command.verb, command.target) for command in heard] == [(Verb.HALT, "farm"), (Verb.FLATTEN, "farm")]
    assert {command.actor for command in heard} == {f"discord:{local.world.member('operator').id}"}
    assert heard[0].command_id.startswith(pressed.id)
    public = pressed.followups[0]
    assert public.text.count("accepted → applied by 3 of 3") == 2
    assert not public.ephemeral
    assert asked.message.components == []
    assert [note.outcome for note in notes if note.action == "panic"] == ["ok", "confirmed", "ok"]


async def test_panic_says_who_has_not_answered(
    local: LocalDiscord, start: Start, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.discord_bot.progress.WITHIN_S", 0.5)
    async with start() as service, answering(bus, silent=("trend-eth",)):
        await everything_known(bus, service)
        asked = await local.slash("trader", "ops", "panic", scope="entries")
        pressed = await local.click("trader", asked.message, "PANIC")
        await pressed.until(lambda reply: reply.followups)

    assert "applied by 2 of 3" in pressed.followups[0].text
    assert "no answer from trend-eth" in pressed.followups[0].text


async def test_confirm_button_works_once_also_for_a_double_click(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start(), answering(bus) as heard:
        asked = await local.slash("trader", "ops", "panic", scope="entries")
        message = asked.message
        button = message.components[1]["custom_id"]
        first, second = await asyncio.gather(
            local.humans.click("trader", message, button, wait=False),
            local.humans.click("trader", message, button, wait=False),
        )
        await until(lambda: heard and (first.followups or second.followups))
        await until(lambda: "already" in first.text + second.text)

    assert len(heard) == 1


@pytest.mark.req("2.124")
async def test_cancelled_and_expired_questions_do_nothing(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start(), answering(bus) as heard:
        asked = await local.slash("trader", "ops", "panic", scope="entries")
        cancelled = await local.click("trader", asked.message, "Cancel")
    assert heard == []
    async with start(confirm_s=0.2), answering(bus) as heard:
        again = await local.slash("trader", "ops", "panic", scope="entries")
        await asyncio.sleep(0.3)
        expired = await local.click("trader", again.message, "PANIC")

    assert "Nothing was sent" in cancelled.text
    assert "E-EXPIRED" in expired.text
    assert heard == []


async def test_role_taken_away_between_question_and_press_is_refused(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start(), answering(bus) as heard:
        asked = await local.slash("operator", "ops", "panic")
        local.world.assign("operator", "viewer")
        pressed = await local.click("operator", asked.message, "PANIC")

    assert "E-TIER" in pressed.text
    assert heard == []


async def test_button_works_after_a_restart_of_the_bot(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start():
        asked = await local.slash("trader", "ops", "panic", scope="entries")
    async with start(), answering(bus) as heard:
        await local.click("trader", asked.message, "PANIC")
        await until(lambda: heard)

    assert [command.verb for command in heard] == [Verb.HALT]


@pytest.mark.req("1.42", "2.124")
async def test_same_interaction_twice_acts_once(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start(), answering(bus) as heard:
        reply = await local.slash("operator", "ops", "bots pause", bot="fib-btc")
        await local.humans.replay(reply)
        await asyncio.sleep(0.2)

    assert reply.refused == []  # the second delivery was not even answered
    assert [(command.verb, command.target) for command in heard] == [(Verb.PAUSE, "fib-btc")]
    assert "applied by 1 of 1" in reply.text
    assert not reply.ephemeral


async def test_late_interaction_acts_never(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start(), answering(bus) as heard:
        local.faults.late_by_s = 4
        reply = await local.slash("operator", "ops", "bots pause", bot="fib-btc")
        await asyncio.sleep(0.2)
        notes = await audits(bus)

    assert reply.failed
    assert heard == []
    assert notes[-1].outcome == "late"


async def test_resume_asks_first_and_expires(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start(), answering(bus) as heard:
        asked = await local.slash("operator", "ops", "bots resume", bot="fib-btc")
        await local.click("operator", asked.message, "Resume")
        await until(lambda: heard)
        envelope = (await bus.history(bus.topics.control("fib-btc")))[-1].envelope

    assert heard[0].verb is Verb.RESUME
    assert 0 < envelope.deadline_ns - envelope.ts_ns <= 10_000_000_000


# ---- notices


async def posts(local: LocalDiscord, channel: str, count: int) -> list[Message]:
    await until(lambda: len(local.posts(channel)) >= count)
    await asyncio.sleep(0.1)
    return local.posts(channel)


@pytest.mark.req("1.86", "1.44")
async def test_entry_and_exit_are_one_card_each_with_the_same_facts(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start():
        farm = bus.peer("gateway/1")
        await farm.send(fill_of("1", Side.BUY, "100", Role.ENTRY), message_id="fill:1")
        await posts(local, "fills", 1)
        await farm.send(fill_of("2", Side.SELL, "97", Role.STOP), message_id="fill:2")
        await farm.send(fill_of("2", Side.SELL, "97", Role.STOP), message_id="fill:2")
        entry, exit_ = await posts(local, "fills", 2)

    assert entry.embeds[0]["title"] == "▲ PAPER · Entry · BTC-USDT.P"
    assert "long 0.5 @ 100" in entry.text
    assert exit_.embeds[0]["title"] == "■ PAPER · Stop hit · BTC-USDT.P"
    assert "-1.60 USDT" in exit_.text  # (97 - 100) * 0.5 - 0.1
    assert "Left open: flat" in exit_.text
    assert entry.pings == exit_.pings == []


async def test_missed_and_too_many_notices_are_collapsed(local: LocalDiscord, start: Start, bus: MemoryBus):
    farm = bus.peer("gateway/1")
    for number in range(5):
        await farm.send(fill_of(str(number), Side.BUY, "100", Role.ENTRY, size=D("0.1")), message_id=f"fill:{number}")
    async with start(notices={"per_minute": 3}):
        seen = await posts(local, "fills", 3)

    assert [message.embeds[0]["title"].split(" · ")[-1] for message in seen] == ["BTC-USDT.P"] * 3


async def test_old_notices_are_told_in_one_card(
    local: LocalDiscord, start: Start, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.discord_bot.notices.OLD_S", -1.0)
    farm = bus.peer("gateway/1")
    for number in range(12):
        await farm.send(fill_of(str(number), Side.BUY, "100", Role.ENTRY, size=D("0.1")), message_id=f"fill:{number}")
    async with start():
        (only,) = await posts(local, "fills", 1)

    assert only.embeds[0]["title"] == "Missed notices"
    assert "12 notices; the newest 10 are shown" in only.text


async def test_halt_is_told_in_alerts_and_survives_a_rate_limit(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start():
        local.faults.answer_next("POST /channels/", 503)
        local.faults.rate_limit_next("POST /channels/", 0.05)
        await bus.peer("gateway/1").send(
            HaltChanged("bitget", "main", halted=True, reason="daily loss", by="risk", ts_ns=1)
        )
        (alert,) = await posts(local, "alerts", 1)

    assert "Entries halted" in alert.text
    assert "daily loss" in alert.text


async def test_deleted_channel_loses_the_notice_and_nothing_else(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start() as service:
        local.faults.answer_next("POST /channels/", 404, {"code": 10003, "message": "Unknown Channel"})
        farm = bus.peer("gateway/1")
        await farm.send(fill_of("1", Side.BUY, "100", Role.ENTRY), message_id="fill:1")
        await until(lambda: service.metrics.get("omega_discord_notices_total", 0) >= 1)
        await farm.send(fill_of("2", Side.SELL, "101", Role.EXIT), message_id="fill:2")
        (only,) = await posts(local, "fills", 1)

    assert "Exit" in only.text


@pytest.mark.req("1.71")
async def test_cosmic_now_shows_every_factor_with_its_state(local: LocalDiscord, start: Start, bus: MemoryBus):
    """Ten factors fit one card, those without a source among them."""
    names = plugins.factors.discover()
    sky, now = Sky(hours_ahead=24), time.time_ns()
    readings = read_factors(now, sky.table(now), Place(), lambda _: None)
    sky.close()

    async with start() as service:
        for reading in readings.values():
            await bus.peer("cosmic/1").send(reading)
        await until(lambda: len(service.view.readings) == len(names))
        card = await local.slash("viewer", "ops", "cosmic now")

    assert len(names) >= 10
    for name in names:
        assert name in card.text.replace("\\", "")
    assert "calculated" in card.text
    assert "stale" in card.text


# ---- analyses


@pytest.mark.req("1.81", "1.82", "1.85", "1.98", "1.87")
async def test_analyse_shows_sentence_findings_evidence_and_the_picture(
    local: LocalDiscord, start: Start, bus: MemoryBus
):
    """The slash command becomes a request with deadline and correlation id; the service's answer becomes a card."""
    async with start(), analysing(bus):
        options = {"symbol": "BTC-USDT.P", "timeframe": "1m"}
        reply = await local.humans.slash("viewer", "ops", "analyse structure", options=options, wait=False)
        await reply.until(lambda shown: "Last swings" in shown.text, 60.0)
        requests = await bus.history(bus.topics.request("analytics"))
        [kept] = await bus.history(bus.topics.analysis("BTC-USDT.P"))

    [request] = requests
    assert request.envelope.deadline_ns > request.envelope.ts_ns
    assert kept.envelope.corr == request.envelope.corr
    assert request.envelope.corr in reply.text
    assert "Last swings" in reply.text
    assert "came true, chance" in reply.text
    assert "higher high" in reply.text
    [picture] = [data for path, data in local.state.files.items() if path.endswith("analysis.png")]
    assert picture.startswith(b"\x89PNG")
    assert reply.ack_s is not None
    assert reply.ack_s < 1


async def test_analyse_without_a_service_says_so(local: LocalDiscord, start: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.discord_bot.commands.analyse.WITHIN_NS", 50_000_000)
    async with start():
        reply = await local.slash("viewer", "ops", "analyse fib")
        await until(lambda: "E-READ" in reply.text)

    assert "analytics did not answer analyze within" in reply.text


async def test_analyse_refusal_of_the_service_reaches_the_caller(local: LocalDiscord, start: Start, bus: MemoryBus):
    async with start(), analysing(bus):
        reply = await local.humans.slash("viewer", "ops", "analyse fib", options={"timeframe": "1d"}, wait=False)
        await reply.until(lambda shown: "Refused" in shown.text, 60.0)

    assert "no whole 1d bars" in reply.text


@asynccontextmanager
async def analysing(bus: MemoryBus) -> AsyncIterator[None]:
    """Run the analytics service beside the bot, over bars that swing."""
    import math

    from omega.bus import BarClosed
    from omega.domain import MINUTE_NS, Bar
    from services.analytics import AnalyticsService

    closes = [100.0 + 5.0 * math.sin(k / 9.0) + 3.0 * math.sin(k / 31.0) for k in range(400)]
    gateway = bus.peer("gateway/2")
    for k, (before, close) in enumerate(pairwise(closes)):
        bar = Bar(k * MINUTE_NS + 1_747_699_200_000_000_000, before, max(before, close), min(before, close), close, 1.0)
        await gateway.send(BarClosed("bitget", "BTC-USDT.P", "1m", bar, 1))
    service = AnalyticsService(settings=Settings(), bus=bus.peer("analytics/1"))
    await service.initialize()
    await service.start()
    try:
        yield
    finally:
        await service.shutdown()
