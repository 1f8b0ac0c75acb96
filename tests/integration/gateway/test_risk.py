"""The gate in a whole gateway: verdicts, reservations over restarts, what the market breaks, what people change."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import RISK, AccountStatus, Command, CommandResult, HaltChanged, OrderEvent, Verb
from omega.config import Settings
from omega.domain import Action, Mode, OrderState, Side
from omega.errors import Rejected
from services.gateway.halt import Level

BTC = "BTC-USDT.P"
SECOND_NS = 1_000_000_000
BOTS = {name: {"strategy": "ema_cross", "symbol": BTC} for name in ("alpha", "beta", "gamma")}


def configured(bench: Any, **risk: Any) -> None:
    """Reload the gateway's settings, as a changed risk.yaml does."""
    data = {**bench.gateway.settings.model_dump(), "risk": risk, "bots": BOTS}
    reloaded = Settings.model_validate(data)
    gateway = bench.gateway
    gateway.account.settings = reloaded
    gateway.account.risk.configure(reloaded)


async def verdict(bench: Any, **changes: Any) -> tuple[OrderState, str]:
    intent = bench.intent(**changes)
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    order = bench.order(intent)
    return order.state, order.code


async def tell(bench: Any, verb: Verb, reason: str = "drill", **params: Any) -> CommandResult:
    name = f"{verb}-{time.time_ns()}"
    await bench.bus.send(Command(name, verb, RISK, "ann", reason, params))
    await bench.until(lambda: bench.gateway.account.journal.command_stage(name), f"the end of {verb}")
    await bench.settle()
    results = [item.envelope.data for item in await bench.bus.history(bench.bus.topics.control_results())]
    [found] = [one for one in results if isinstance(one, CommandResult) and one.command_id == name]
    return found


async def ask(bench: Any, method: str, **params: Any) -> Any:
    return await bench.bus.ask("gateway", method, params, within_ns=60 * SECOND_NS)


@pytest.mark.req("4.69")
async def test_every_intents_first_event_carries_the_verdict_with_its_figures(bench: Any) -> None:
    configured(bench, limits={"symbol": {BTC: {"gross_notional": 2000}}})
    first = await bench.enter(size="0.01")
    denied = bench.intent(bot="beta", size="0.02")
    await bench.send(denied)
    await bench.settle(0, denied.intent_id)
    events = [event for event in await bench.events() if isinstance(event, OrderEvent)]

    sent = [event.verdict for event in events if event.intent_id == first.intent_id]
    assert sent[0].allowed
    assert (sent[0].scope, sent[0].name, sent[0].measure, sent[0].bound) == ("symbol", BTC, "gross_notional", 2000)
    assert sent[1:] == [None] * (len(sent) - 1)
    [no] = [event.verdict for event in events if event.intent_id == denied.intent_id]
    assert (no.allowed, no.rule, no.scope) == (False, "gross_notional", "symbol")
    assert no.after > no.bound == 2000 > no.before > 0


async def test_reservation_of_an_order_in_doubt_outlives_a_restart(bench: Any) -> None:
    configured(bench, limits={"account": {"gross_notional": 1500}})
    intent = bench.intent(size="0.01")
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    await bench.close()
    await bench.open()
    configured(bench, limits={"account": {"gross_notional": 1500}})

    assert [claim.rest for claim in bench.gateway.account.risk.reservations.reserved()] == [Decimal("0.01")]
    assert await verdict(bench, bot="beta", size="0.01") == (OrderState.DENIED, "gross_notional")
    await bench.step()
    assert bench.gateway.account.risk.reservations.reserved() == []
    assert await verdict(bench, bot="beta", size="0.01") == (OrderState.DENIED, "gross_notional")
    assert await verdict(bench, bot="beta", size="0.004") == (OrderState.WORKING, "")


async def test_commit_that_the_disk_refuses_reserves_nothing(bench: Any) -> None:
    account = bench.gateway.account
    intent, before = bench.intent(), account.risk.reservations.live_count
    from omega.bus import Envelope
    from omega.errors import EnvironmentFault

    envelope = Envelope("x", "intent", 1, 0, "r", 0, 1, "", "", "alpha", 0, "", intent)
    with pytest.raises(EnvironmentFault), account.journal.transaction():  # noqa: PT012 - what happens before counts
        bench.gateway.path._admit(envelope, intent)
        assert account.risk.reservations.live_count == before + 1
        raise EnvironmentFault("no space left")

    assert account.risk.reservations.live_count == before
    assert account.risk.reservations.reserved() == []


@pytest.mark.req("4.66", "4.69")
async def test_drawdown_of_a_bot_latches_it_alone_until_a_named_person_gives_a_reason(bench: Any) -> None:
    configured(bench, limits={"bot": {"alpha": {"drawdown_pct": {"block": 1, "reduce_only": 2}}}})
    await bench.enter(size="0.1")
    status, price = bench.gateway.status, bench.price()
    status.watch_limits()
    bench.gateway.account.last[BTC] = price * Decimal("0.97")
    status.watch_limits()  # 0.1 bitcoin times 3 % is about 1.4 % of 20000

    assert bench.gateway.account.halt.latches == []
    assert await verdict(bench, bot="alpha", size="0.01", stop="20000") == (OrderState.DENIED, "drawdown_pct")
    bench.gateway.account.last[BTC] = price * Decimal("0.94")
    status.watch_limits()
    assert await verdict(bench, bot="alpha", size="0.01", stop="20000") == (OrderState.DENIED, "halt")
    assert (await verdict(bench, bot="beta", size="0.01", stop="20000"))[0] is OrderState.WORKING

    await bench.close()
    await bench.open()
    [latch] = bench.gateway.account.halt.latches
    assert (str(latch.entity), latch.by) == ("bot alpha", "drawdown_pct")
    configured(bench, limits={"bot": {"alpha": {"drawdown_pct": {"block": 1, "reduce_only": 2}}}})
    assert (await tell(bench, Verb.RELEASE, reason="", scope="bot", name="alpha")).stage == "refused"
    assert "free" in (await tell(bench, Verb.RELEASE, scope="bot", name="alpha")).detail
    assert (await verdict(bench, bot="alpha", size="0.01"))[0] is OrderState.WORKING
    told = [(e.scope, e.name, e.halted, e.by) for e in await bench.events() if isinstance(e, HaltChanged)]
    assert told == [("bot", "alpha", True, "drawdown_pct"), ("bot", "alpha", False, "ann")]


@pytest.mark.req("4.69")
async def test_limit_at_its_level_flatten_closes_the_scopes_positions_and_no_other(bench: Any) -> None:
    configured(bench, limits={"bot": {"alpha": {"gross_notional": {"block": 2000, "flatten": 3000}}}})
    await bench.enter(bot="alpha", size="0.02")
    await bench.enter(bot="beta", size="0.02")
    bench.gateway.account.last[BTC] = bench.price() * 2
    bench.gateway.status.watch_limits()
    await bench.until(
        lambda: [c for c in bench.gateway.account.risk.reservations.reserved() if not c.entry], "the closing order"
    )
    await bench.step(2)
    await bench.until(lambda: bench.size("alpha") == 0, "flat")

    [latch] = bench.gateway.account.halt.latches
    assert (str(latch.entity), latch.level) == ("bot alpha", Level.FLATTEN)
    assert bench.size("beta") == Decimal("0.02")


async def test_cooldown_locks_in_market_time(bench: Any) -> None:
    configured(bench, protections={"alpha": {"cooldown_bars": 3}})
    await bench.enter(bot="alpha", size="0.01")
    from omega.domain import Action

    leave = bench.intent(action=Action.EXIT, side=Side.SELL, bot="alpha")
    await bench.send(leave)
    await bench.settle(0, leave.intent_id)
    await bench.step()
    assert bench.size("alpha") == 0

    assert await verdict(bench, bot="alpha", size="0.01") == (OrderState.DENIED, "cooldown")
    assert (await verdict(bench, bot="beta", size="0.01"))[0] is OrderState.WORKING
    await bench.step(3)
    assert (await verdict(bench, bot="alpha", size="0.01"))[0] is OrderState.WORKING


async def test_person_changes_a_limit_asks_what_if_and_sees_it_in_show(bench: Any) -> None:
    configured(bench)
    answer = await tell(
        bench, Verb.LIMIT, measure="gross_notional", value="1500", until_ns=time.time_ns() + 3600 * SECOND_NS
    )
    assert answer.stage == "confirmed"
    assert "no limit -> block 1500 until" in answer.detail

    asked = await ask(bench, "risk.what_if", bot="alpha", size="0.05")
    assert [finding["rule"] for finding in asked["findings"]] == ["gross_notional"]
    assert (await ask(bench, "risk.what_if", bot="alpha", size="0.01"))["allowed"]
    room = await ask(bench, "risk.headroom", bot="alpha")
    fits = Decimal(room["size"])
    assert fits * bench.price() <= 1500 < (fits + Decimal("0.0001")) * bench.price()
    assert "ann: drill" in room["bounded_by"]
    assert bench.gateway.account.journal.counts() == {}  # nobody has traded

    await bench.close()
    await bench.open()
    configured(bench)
    assert (await verdict(bench, bot="alpha", size=str(fits)))[0] is OrderState.WORKING
    shown = await ask(bench, "risk.show")
    [row] = [row for row in shown["limits"] if row["measure"] == "gross_notional" and row["origin"] == "ann: drill"]
    assert (row["scope"], row["bound"]) == ("account", "1500")
    assert [(r["bot"], r["size"], r["role"]) for r in shown["reservations"]] == [("alpha", str(fits), "entry")]
    assert [(c["by"], c["reason"]) for c in shown["changes"]] == [("ann", "drill")]
    assert "settings" in (await tell(bench, Verb.LIMIT, measure="gross_notional", value="default")).detail


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"measure": "gross_notional", "value": "-3"}, "greater than 0"),
        ({"measure": "gross_notional", "value": "much"}, "no number"),
        ({"measure": "beauty", "value": "1"}, "there is no measure"),
        ({"measure": "leverage", "value": "1", "scope": "bot", "name": "nobody"}, "no bot is called"),
        ({"measure": "liquidation_distance_pct", "value": "9", "scope": "bot", "name": "alpha"}, "account or symbol"),
        ({"measure": "leverage", "value": "9", "scope": "moon"}, "no such scope"),
        ({"measure": "leverage", "value": "9", "level": "panic"}, "no level"),
    ],
)
async def test_limit_that_makes_no_sense_is_refused_in_words(bench: Any, params: Any, words: str) -> None:
    configured(bench)
    answer = await tell(bench, Verb.LIMIT, **params)

    assert answer.stage == "refused"
    assert words in answer.detail
    assert bench.gateway.account.risk.limits.overrides == []


async def test_questions_about_what_does_not_exist_are_refused(bench: Any) -> None:
    configured(bench)
    with pytest.raises(Rejected, match="no bot is called"):
        await ask(bench, "risk.what_if", bot="nobody", size="1")
    with pytest.raises(Rejected, match="no number above 0"):
        await ask(bench, "risk.what_if", bot="alpha", size="NaN")
    with pytest.raises(Rejected, match=r"risk\.show"):
        await ask(bench, "risk.dance")


async def test_fleet_limit_waits_for_the_other_account_and_counts_it(bench: Any) -> None:
    configured(bench, accounts=["bitget/main", "bitget/second"], limits={"fleet": {"gross_notional": 2000}})
    assert await verdict(bench, size="0.01") == (OrderState.DENIED, "fleet_stale")
    hearing = asyncio.create_task(bench.gateway._follow_fleet())
    await asyncio.sleep(0)
    from omega.bus import SymbolUse

    use = SymbolUse(BTC, Decimal(1500), Decimal(1500), Decimal(0))
    other = AccountStatus(
        "bitget", "second", Mode.PAPER, Decimal(1), Decimal(1), (), {}, {}, 0, 0.0, False, "", True, 1, uses=(use,)
    )
    fleet = bench.gateway.account.risk.fleet
    async with asyncio.timeout(20):
        while not list(fleet.uses(bench.gateway.account.risk.scopes("alpha", BTC)[0])):
            await bench.bus.send(other)
            await asyncio.sleep(0.01)

    assert await verdict(bench, size="0.01") == (OrderState.DENIED, "gross_notional")
    assert (await verdict(bench, bot="beta", size="0.004"))[0] is OrderState.WORKING
    assert bench.gateway.status.message().uses[0].gross > 0
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)


async def test_metrics_tell_use_headroom_locks_and_halts(bench: Any) -> None:
    configured(bench, limits={"account": {"gross_notional": 1500}}, protections={"alpha": {"cooldown_bars": 99}})
    await bench.enter(size="0.01")
    await tell(bench, Verb.HALT, scope="bot", name="gamma")
    bench.gateway.update_metrics()
    read = bench.gateway.metrics.samples()
    key = '{account="main",measure="gross_notional",name="main",scope="account",venue="bitget"}'
    notional = float(bench.price()) * 0.01

    assert read[f"omega_risk_use{key}"] == pytest.approx(notional)
    assert read[f"omega_risk_headroom{key}"] == pytest.approx(1500 - notional)
    assert read[f"omega_risk_used_ratio{key}"] == pytest.approx(notional / 1500)
    latched = 'omega_risk_latched{account="main",name="gamma",scope="bot",venue="bitget"}'
    assert read[latched] == 1
    await tell(bench, Verb.RELEASE, scope="bot", name="gamma")
    bench.gateway.update_metrics()
    assert bench.gateway.metrics.samples()[latched] == 0


@pytest.mark.req("0.40", "4.60")
async def test_metrics_tell_what_the_account_and_each_bot_have_earned_and_paid(bench: Any) -> None:
    """The gauges are those of the books, after a round trip and with a second bot's position open."""
    await bench.enter(size="0.01")
    leave = bench.intent(Action.EXIT, Side.SELL)
    await bench.send(leave)
    await bench.settle(0, leave.intent_id)
    await bench.step()
    await bench.enter(bot="beta", size="0.01")
    bench.gateway.status.watch_limits()
    bench.gateway.update_metrics()
    read, account = bench.gateway.metrics.samples(), bench.gateway.account
    books = [book for _, book in account.books.items()]
    labels = '{account="main",venue="bitget"}'

    fees = sum(book.fees for book in books)
    unrealised = sum(book.unrealised(account.mark(BTC)) for book in books)
    assert fees > 0
    assert read[f"omega_account_fees{labels}"] == pytest.approx(float(fees))
    assert read[f"omega_account_pnl{labels}"] == pytest.approx(float(sum(book.net for book in books) + unrealised))
    assert read[f"omega_account_funding{labels}"] == 0
    assert read[f"omega_account_win_rate{labels}"] == sum(book.wins for book in books) / 1
    assert read[f"omega_account_exposure{labels}"] == pytest.approx(float(account.mark(BTC)) * 0.01)
    curve = account.risk.curves.of(account.entity)
    assert curve is not None
    assert read[f"omega_account_drawdown{labels}"] == pytest.approx(float(curve.drawdown_pct) / 100)
    assert read[f"omega_account_daily_loss{labels}"] == pytest.approx(float(curve.daily_loss_pct) / 100)
    assert {'omega_bot_slippage{bot="alpha"}', 'omega_bot_slippage{bot="beta"}'} <= read.keys()
    assert f"omega_account_slippage{labels}" in read
