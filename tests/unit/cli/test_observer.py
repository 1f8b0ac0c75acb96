"""The observer counts each record once, whoever sends it how often, and knows when every bot has decided."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from omega.bus import DecisionMade, Envelope, FundingPaid, OrderEvent, Received
from omega.bus.memory import MemoryBus
from omega.cli.farm.observer import Observer
from omega.domain import (
    AccountName,
    BotName,
    ClientId,
    Decision,
    Fill,
    Mode,
    OrderId,
    OrderState,
    Role,
    Side,
    Symbol,
    TradeId,
    VenueName,
)
from omega.testing.service_contract import eventually

MINUTE_NS = 60_000_000_000


def made(bot: str, bar: int, *intents: str, price: float = 100.0) -> DecisionMade:
    decision = Decision(
        bar_ts_ns=bar * MINUTE_NS,
        price=price,
        side=0,
        exit=False,
        size=0.0,
        stop=0.0,
        targets=(),
        leverage=1,
        confidence=0.0,
        reason="wait",
    )
    return DecisionMade(bot, "ema_cross", Mode.PAPER, "BTC-USDT.P", "1m", decision, intents, Decimal(0))


def fill(bot: str, side: Side, size: str, price: str, trade: str = "t1") -> Fill:
    return Fill(
        trade_id=TradeId(trade),
        order_id=OrderId("o"),
        client_id=ClientId("c"),
        bot=BotName(bot),
        venue=VenueName("bitget"),
        account=AccountName("main"),
        symbol=Symbol("BTC-USDT.P"),
        side=side,
        price=Decimal(price),
        size=Decimal(size),
        fee=Decimal("0.5"),
        fee_coin="USDT",
        role=Role.ENTRY,
        ts_ns=1,
    )


def order(state: OrderState, client_id: str = "c1", latency_ns: int = 0) -> OrderEvent:
    return OrderEvent(
        bot="a",
        intent_id="i",
        client_id=client_id,
        order_id="o",
        venue="bitget",
        account="main",
        symbol="BTC-USDT.P",
        side=Side.BUY,
        size=Decimal(1),
        role=Role.ENTRY,
        state=state,
        filled=Decimal(0),
        reason="",
        code="",
        ts_ns=1,
        latency_ns=latency_ns,
    )


@pytest.fixture
async def watched() -> AsyncIterator[tuple[MemoryBus, Observer]]:
    bus = MemoryBus(source="test/1")
    await bus.start()
    observer = Observer(bus.peer("cli/1"), ("a", "b"))
    await observer.bus.start()
    ready = asyncio.Event()
    task = asyncio.create_task(observer.follow_records(ready))
    await asyncio.wait_for(ready.wait(), 60)
    yield bus, observer
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await observer.bus.close()
    await bus.close()


async def test_observer_decided_waits_for_every_bot(watched: tuple[MemoryBus, Observer]) -> None:
    bus, observer = watched
    waiting = asyncio.create_task(observer.decided(MINUTE_NS, within_s=3))
    await bus.send(made("a", 1, "i1"))
    await bus.send(made("stranger", 1, "i9"))
    await eventually(lambda: observer.bots["a"].decisions == 1)
    assert not waiting.done()
    assert observer.missing(MINUTE_NS) == ["b"]

    await bus.send(made("b", 1))

    assert await waiting == {"a": ("i1",), "b": ()}
    assert observer.missing(MINUTE_NS) == []


async def test_observer_decided_gives_up_in_time(watched: tuple[MemoryBus, Observer]) -> None:
    bus, observer = watched
    await bus.send(made("a", 1))

    assert await observer.decided(MINUTE_NS, within_s=0.05) is None
    assert observer.missing(MINUTE_NS) == ["b"]


async def test_observer_repeated_decision_counts_once(watched: tuple[MemoryBus, Observer]) -> None:
    """A runner that was killed may decide on a bar again, under another id of the envelope."""
    bus, observer = watched
    for message_id in ("x", "x", "y"):
        await bus.send(made("a", 1, "i1"), message_id=message_id)
    await bus.send(made("a", 2, "i2"))
    await eventually(lambda: observer.bots["a"].decisions == 2)

    assert observer.bots["a"].intents == {"i1", "i2"}


async def test_observer_repeated_envelope_is_folded_once() -> None:
    """Whatever reads a stream again after a lost connection, a fill moves the book once."""
    bus = MemoryBus(source="test/1")
    await bus.start()
    observer = Observer(bus, ("a",))
    await bus.send(fill("a", Side.BUY, "2", "100"))
    (received,) = await bus.history(bus.topics.ledger())
    for _ in range(3):
        observer._take(Received(received.topic, received.entry_id, received.envelope))
    await bus.close()

    assert isinstance(received.envelope, Envelope)
    assert (observer.bots["a"].fills, observer.bots["a"].position) == (1, Decimal(2))
    assert len(observer.fill_log) == 1


async def test_observer_books_orders_and_money(watched: tuple[MemoryBus, Observer]) -> None:
    bus, observer = watched
    for event in (
        order(OrderState.WORKING, latency_ns=2_000_000),
        order(OrderState.FILLED, latency_ns=2_000_000),
        order(OrderState.DENIED, "c2"),
        order(OrderState.REJECTED, "c3"),
        fill("a", Side.BUY, "2", "100"),
        fill("a", Side.SELL, "1", "110", "t2"),
        FundingPaid("a", "bitget", "main", "BTC-USDT.P", Decimal("-0.25"), "f1", 1),
        made("a", 1, price=120.0),
    ):
        await bus.send(event)
    await eventually(lambda: observer.bots["a"].decisions == 1)
    tally = observer.bots["a"]

    assert (tally.orders, tally.denied, tally.rejected) == ({"c1"}, 1, 1)
    assert observer.latencies_ns == [2_000_000]
    assert (tally.fills, tally.position) == (2, Decimal(1))
    assert tally.pnl == Decimal(10) + Decimal(20) - Decimal(1) - Decimal("0.25")
    assert observer.first_fill_s is not None
