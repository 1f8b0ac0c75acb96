"""Bars in, one decision a bar and its intents out; what speaks against an entry stops the entry and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from omega.bus import AccountStatus, Verb
from omega.domain import Action, Decision, Mode, Role, Side
from omega.engine import BarWindow, Portfolio, decide
from omega.engine import Settings as Rules
from omega.plugins import strategies
from omega.testing.service_contract import eventually

from .conftest import BOT, BTC, DROP, FALL, JUMP, bar


async def test_bars_history_fills_the_window_and_is_not_decided_on(desk: Any) -> None:
    await desk.history([960.5, 960.0])
    await desk.close(959.5)

    (made,) = await desk.decided(1)

    assert made.decision.bar_ts_ns == bar(desk.rows - 1, 0.0).ts_ns
    assert made.decision.reason == "wait"  # the window was warm: history counted for it
    assert len(desk.bot.window) == len(FALL) + 3


@pytest.mark.req("0.25")
async def test_bars_entry_signal_sends_the_intent_that_the_decision_names(desk: Any) -> None:
    await desk.close(JUMP)

    (made,) = await desk.decided(1)
    (intent,) = await desk.intents()

    assert made.intents == (intent.intent_id,)
    assert (intent.action, intent.side, intent.bot, intent.symbol) == (Action.ENTER, Side.BUY, BOT, "BTC-USDT.P")
    assert intent.stop is not None
    assert intent.stop < intent.ref_price
    assert intent.size == BTC.size(intent.size)


async def test_bars_repeated_bar_is_one_decision(desk: Any) -> None:
    await desk.close(JUMP)
    await desk.decided(1)
    desk.rows -= 1
    await desk.close(JUMP)
    await desk.close(JUMP + 1)

    made = await desk.decided(2)

    assert len({one.decision.bar_ts_ns for one in made}) == len(made) == 2


async def test_bars_decisions_equal_those_of_the_engine(desk: Any) -> None:
    """The runner adds nothing to `decide` and leaves nothing out: the same bars give the same decisions."""
    closes = [958.0, 957.0, JUMP, JUMP + 5, DROP, DROP + 1, JUMP, DROP]
    for close in closes:
        await desk.close(close)
    made = await desk.decided(len(closes))

    entry, book, window = strategies.get("ema_cross"), Portfolio(desk.bot.capital), BarWindow(200)
    rules = Rules(
        risk=0.01,
        max_leverage=3,
        max_notional=10_000.0,
        live=False,
        maintenance=float(BTC.maintenance),
        taker=float(BTC.taker_fee),
    )
    wanted: list[Decision] = []
    for row, close in enumerate([*FALL, *closes]):
        window.append(bar(row, close))
        snapshot = book.mark(bar(row, close))
        if row >= len(FALL):
            wanted.append(decide(entry, desk.bot.params, window.bars(), snapshot, rules))

    assert [one.decision for one in made] == wanted
    assert any(one.side for one in wanted)


async def test_bars_fill_makes_the_position_and_the_drop_its_exit(desk: Any) -> None:
    await desk.close(JUMP)
    await desk.decided(1)
    await desk.fill(Side.BUY, "0.5", "1010")
    await desk.close(DROP)

    made = await desk.decided(2)
    leave = (await desk.intents())[-1]

    assert str(made[1].position) == "0.5"
    assert (leave.action, leave.side, str(leave.size)) == (Action.EXIT, Side.SELL, "0.5")


async def test_bars_stale_bar_enters_nothing_but_leaves(desk: Any) -> None:
    """Ten minutes between the gateway's hand and ours: no entry, yet an exit goes out."""
    await desk.close(JUMP, age_s=600)
    (entered,) = await desk.decided(1)
    await desk.fill(Side.BUY, "0.5", "1010")
    await desk.close(DROP, age_s=600)
    await desk.decided(2)

    assert entered.decision.side == 1
    assert entered.intents == ()
    assert [intent.action for intent in await desk.intents()] == [Action.EXIT]


async def test_bars_bus_not_connected_enters_nothing_but_leaves(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from omega.bus import BusState

    monkeypatch.setattr(desk.bot.bus, "state", lambda: BusState.DEGRADED)
    await desk.close(JUMP)
    (entered,) = await desk.decided(1)
    await desk.fill(Side.BUY, "0.5", "1010")
    await desk.close(DROP)
    await desk.decided(2)

    assert (entered.decision.side, entered.intents) == (1, ())
    assert [intent.action for intent in await desk.intents()] == [Action.EXIT]


async def test_bars_shadow_mode_decides_and_sends_no_intent(make_desk: Callable[..., Any]) -> None:
    async with make_desk(trading={"mode": "shadow"}) as desk:
        await desk.close(JUMP)
        (made,) = await desk.decided(1)

        assert (made.mode, made.decision.side, made.intents) == (Mode.SHADOW, 1, ())
        assert await desk.intents() == []


@pytest.mark.parametrize("strategy", ["position_analyzer", "trading_analyzer"])
async def test_bars_read_only_bot_sends_no_intent_and_reports(strategy: str, make_desk: Callable[..., Any]) -> None:
    one = {"alpha": {"strategy": strategy, "symbol": "BTC-USDT.P"}}
    async with make_desk(bots=one, runner={"window": 2_000}) as desk:
        for close in (JUMP, DROP, JUMP):
            await desk.close(close)
        made = await desk.decided(3)

        assert {one.intents for one in made} == {()}
        assert await desk.intents() == []
        assert all(one.report for one in made)
        assert (await desk.status()).read_only


async def test_bars_read_only_bot_sees_the_account_of_all_bots(make_desk: Callable[..., Any]) -> None:
    """What the gateway publishes of the account is folded into one position a symbol."""
    from decimal import Decimal

    from omega.bus import BookLine

    zero = Decimal(0)
    lines = tuple(
        BookLine(name, "BTC-USDT.P", Decimal(size), Decimal(price), Decimal(1000), zero, zero, zero, zero, zero, 0.0)
        for name, size, price in (("a", "2", "900"), ("b", "-0.5", "1100"))
    )
    status = AccountStatus(
        "bitget", "main", Mode.PAPER, Decimal(5_000), Decimal(4_000), lines, {}, {}, 0, 0.0, False, "", True, 1
    )
    one = {"alpha": {"strategy": "position_analyzer", "symbol": "BTC-USDT.P"}}
    async with make_desk(bots=one, runner={"window": 2_000}) as desk:
        await desk.bus.send(status)
        await eventually(lambda: desk.bot.account.positions, within_s=60, what="the account")
        (held,) = desk.bot.account.positions

    assert (held.side, held.size) == (1, 1.5)
    assert held.entry == pytest.approx((2 * 900 - 0.5 * 1100) / 1.5)
    assert desk.bot.account.balance + held.unrealised == pytest.approx(5_000)


async def test_bars_role_of_a_stop_fill_closes_the_book(desk: Any) -> None:
    await desk.close(JUMP)
    await desk.decided(1)
    await desk.fill(Side.BUY, "0.5", "1010")
    await desk.fill(Side.SELL, "0.5", "990", Role.STOP)
    await desk.close(DROP)
    made = await desk.decided(2)
    told = await desk.status()

    assert made[1].position == 0
    assert made[1].intents == ()
    assert (told.fills, str(told.realised)) == (2, "-10.0")


@pytest.mark.req("1.76")
async def test_bars_second_runner_waits_for_the_lease(desk: Any) -> None:
    """Only one process of a bot decides; the second is not ready and says why."""
    from services.runner.service import RunnerService

    from .conftest import settings

    second = RunnerService(settings=settings(), bus=desk.bus.peer("runner/second"))
    await second.initialize()
    await second.start()
    try:
        await desk.close(JUMP)
        await desk.decided(1)
        await asyncio.sleep(0.1)
        assert second.readiness() == (False, "the lease of the bot is not held")
        assert len(await desk.decisions()) == 1
    finally:
        await second.shutdown()


async def test_bars_pause_verb_is_part_of_the_status(desk: Any) -> None:
    await desk.command(Verb.PAUSE)
    await desk.answered(1)

    assert (await desk.status()).state == "paused"
