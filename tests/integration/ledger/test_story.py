"""The story of an order, and the double-entry check, on both databases."""

import json
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import update

from omega.bus.messages import RiskVerdict
from omega.bus.port import Received
from omega.domain import Action, Intent, OrderState, Side
from omega.storage.engine import Database
from omega.storage.ledger import Sink
from omega.storage.ledger.balance import balances
from omega.storage.ledger.chain import append
from omega.storage.ledger.story import Story, story_of
from omega.storage.migrations import upgrade
from omega.storage.tables import fills, positions, trades

from . import farm


def correlated(message: Any, corr: str, ts_ns: int) -> Received:
    one = farm.received(message, ts_ns=ts_ns)
    envelope = replace(one.envelope, corr=corr)
    return Received(one.topic, one.entry_id, envelope)


@pytest.fixture
async def filled(database: Database) -> Database:
    """One bot, every record of a bar under one correlation, with the intents that it sent."""
    await upgrade(database)
    batch = []
    for index, message in enumerate(farm.session("fib", bars=9)):
        bar = getattr(message, "bar_ts_ns", 0) or getattr(getattr(message, "decision", None), "bar_ts_ns", 0)
        ts_ns = getattr(message, "ts_ns", 0) or bar + farm.MINUTE_NS + 1_000_000
        corr = f"c{(ts_ns - farm.MINUTE_NS) // farm.MINUTE_NS}"
        late_ns = 20_000_000 + index * 1_000 if getattr(message, "ts_ns", 0) else 0
        batch.append(correlated(message, corr, ts_ns + late_ns))
        if index == 0:
            wish = Intent(
                intent_id=message.intents[0], bot="fib", venue="bitget", account="main", symbol=farm.SYMBOL,
                action=Action.ENTER, side=Side.BUY, size=Decimal("0.010"), bar_ts_ns=bar, ref_price=Decimal(60000),
                stop=Decimal(58800),
            )  # fmt: skip
            batch.append(correlated(wish, corr, ts_ns + 500_000))
            first = corr
    async with database.writing() as connection:
        await Sink(connection).write(batch, now_ns=farm.bar_ns(10))
        verdict = {"intent_id": wish.intent_id, "allowed": True, "headroom": "1200"}
        raw = json.dumps({"type": "risk.verdict", "v": 1, "data": verdict}).encode()
        last = batch[1].envelope
        envelope = replace(last, id="verdict-1", type="risk.verdict", corr=first, ts_ns=last.ts_ns + 100)
        await append(connection, [Received("dev:evt:ledger", "1747699200001-0", envelope, raw)], now_ns=1)
    return database


async def tell(database: Database, reference: str) -> Story | None:
    async with database.reading() as connection:
        return await story_of(connection, reference)


@pytest.mark.req("0.27", "4.65")
async def test_story_has_every_step_in_time_with_what_lies_between(filled: Database):
    done = farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="fib-000000")

    for reference in (done.client_id, done.order_id, f"fib:{farm.bar_ns(0)}:0", done.trade_id):
        story = await tell(filled, reference)
        assert story is not None

        kinds = [step.what for step in story.steps]
        assert set(kinds) == {"signal", "interceptor", "decision", "intent", "risk", "order", "fill", "stop"}
        times = [step.at_ns for step in story.steps]
        assert times == sorted(times)
        assert kinds[:5] == ["signal", "interceptor", "decision", "intent", "risk"]
        assert [step.after_ns for step in story.steps[1:]] == [b - a for a, b in pairwise(times)]
        assert story.unknown == ()
        assert story.durations_ns["bar_in_hand_to_request"] == 1_500_000


@pytest.mark.req("0.68", "0.69")
async def test_story_interceptor_tells_before_after_and_why(filled: Database):
    story = await tell(filled, f"fib:{farm.bar_ns(0)}:0")

    assert story is not None
    (words,) = [step.words for step in story.steps if step.what == "interceptor"]
    assert words == "sizing: size 0.02 -> 0.01 (cap)"


async def test_story_says_what_is_not_known(filled: Database):
    """An order of a stranger: no signal, no intent, no verdict, and it is said so."""
    stranger = replace(
        farm.order(farm.fill("external", 3, Side.SELL, "0.010", "60000", trade="t9"), OrderState.WORKING),
        client_id="", intent_id="", order_id="v99", latency_ns=0, bar_ts_ns=0,
    )  # fmt: skip
    async with filled.writing() as connection:
        await Sink(connection).write([farm.received(stranger)], now_ns=2)

    story = await tell(filled, "v99")

    assert story is not None
    assert [words.partition(":")[0].split(" ")[0] for words in story.unknown] == ["signal", "intent", "risk", "latency"]
    assert await tell(filled, "nothing") is None


def capital(_bot: str) -> Decimal:
    return Decimal(1000)


@pytest.mark.req("2.23")
async def test_balance_of_a_session_is_even_by_bot_and_in_total(filled: Database):
    async with filled.reading() as connection:
        rows = await balances(connection, capital)

    assert [row.bot for row in rows] == ["fib", "total"]
    for row in rows:
        assert row.faults == ()
        assert row.cash + row.positions + row.fees + row.funding == row.equity
        assert abs(row.difference) < Decimal("0.005")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (update(positions).values(size=1), "size"),
        (update(positions).values(fees=0), "fees"),
        (update(positions).values(funding=5), "funding"),
        (update(positions).values(realised=positions.c.realised, entry=1), "equity"),
        (update(trades).values(gross=0), "round trips"),
        (update(fills).where(fills.c.trade_id == "fib-000000").values(price=59_000), "equity"),
    ],
)
async def test_balance_names_what_does_not_agree(filled: Database, statement: Any, words: str):
    async with filled.writing() as connection:
        await connection.execute(statement)

    async with filled.reading() as connection:
        rows = await balances(connection, capital)

    assert any(words in fault for fault in rows[0].faults)
    assert rows[-1].faults


async def test_story_of_a_replay_keeps_the_two_clocks_apart(database: Database):
    """Bars and fills of last year, decided and sent today: steps go by the senders' clock, and it is said."""
    await upgrade(database)
    now_ns = farm.START_NS + 400 * 86_400_000_000_000
    batch = [correlated(m, "c1", now_ns + i * 1_000_000) for i, m in enumerate(farm.session("fib", bars=1))]
    async with database.writing() as connection:
        await Sink(connection).write(batch, now_ns=now_ns)

    story = await tell(database, "fib-000000")

    assert story is not None
    assert [step.what for step in story.steps if step.at_ns < now_ns] == []
    assert all(0 <= spent < 10**9 for spent in story.durations_ns.values())
    assert any("replay" in words for words in story.unknown)


@pytest.mark.req("0.27")
async def test_story_tells_the_verdict_that_the_order_carries(database: Database):
    await upgrade(database)
    done = farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="t1")
    said = RiskVerdict(True, "", "bot", "fib", "notional", Decimal(0), Decimal(600), Decimal(1000))
    first = replace(farm.order(done, OrderState.SENDING), verdict=said)
    async with database.writing() as connection:
        await Sink(connection).write([farm.received(first)], now_ns=1)

    story = await tell(database, done.client_id)

    assert story is not None
    assert [step.what for step in story.steps] == ["risk", "order"]
    assert story.steps[0].words == "allowed; closest limit bot fib notional: 0 -> 600 of 1000"
    assert not any(words.startswith("risk") for words in story.unknown)
