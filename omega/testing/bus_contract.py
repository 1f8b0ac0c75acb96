# ruff: noqa: PLR2004 - numbers in tests are the expectation
"""What every bus promises, as tests: derive a class, give it a `world` fixture, and pytest runs them all.

The farm runs them over MemoryBus and over RedisBus on a real server.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

import pytest
from redis.exceptions import ResponseError

from omega.bus import (
    BarClosed,
    Bus,
    BusState,
    Command,
    DecisionMade,
    Delivery,
    MemoryBus,
    Message,
    OrderEvent,
    Patience,
    Quote,
    Received,
    RedisBus,
    SendResult,
    Verb,
)
from omega.bus.codec import Format, format_of
from omega.bus.inspect import Inspectable, backlog, dead_letters, replay_dead_letters
from omega.domain import (
    AccountName,
    Action,
    Bar,
    BotName,
    Decision,
    Intent,
    IntentId,
    Mode,
    OrderState,
    Role,
    Side,
    Symbol,
    VenueName,
)
from omega.errors import Denied, Fenced, OmegaError, Rejected, Stale
from omega.resilience import ended

SECOND_NS = 1_000_000_000
FLOOD = 10_000
QUICK = Patience(
    connect_s=2.0,
    degraded_s=0.8,
    isolated_s=1.6,
    ping_s=0.1,
    outbox=20,
    claim_s=0.1,
    claim_idle_s=5.0,
    retry_s=0.01,
    close_s=1.0,
)
"""Time-outs for tests: everything that the design does in seconds happens in tenths."""


class BusWorld(Protocol):
    """What the suite needs of an implementation: buses, an outage, a loss of everything."""

    async def bus(self, source: str) -> Bus:
        """Return a started bus of a sender, with the patience of `QUICK`."""
        ...

    async def down(self) -> None:
        """Take the server away."""
        ...

    async def up(self) -> None:
        """Bring it back with what it had acknowledged."""
        ...

    async def flush(self) -> None:
        """Let it forget everything."""
        ...


def decision(bot: str, number: int) -> DecisionMade:
    """Return a decision of a bot; its number is in the reason."""
    made = Decision(
        number, 100.0, 0, exit=False, size=0.0, stop=0.0, targets=(), leverage=1, confidence=0.5, reason=f"{number}"
    )
    return DecisionMade(bot, "s", Mode.PAPER, "BTC-USDT.P", "1m", made, (), Decimal(0))


def order(bot: str, state: OrderState = OrderState.FILLED) -> OrderEvent:
    """Return an order event of a bot."""
    return OrderEvent(
        bot=bot,
        intent_id=f"{bot}:1:0",
        client_id="oabc",
        order_id="1",
        venue="bitget",
        account="main",
        symbol="BTC-USDT.P",
        side=Side.BUY,
        size=Decimal("0.010"),
        role=Role.ENTRY,
        state=state,
        filled=Decimal(0),
        reason="",
        code="",
        ts_ns=1,
    )


def intent(number: int, action: Action = Action.ENTER) -> Intent:
    """Return an intent of one bot; exits travel on the high topic."""
    return Intent(
        intent_id=IntentId(f"xyko:{number}:0"),
        bot=BotName("xyko"),
        venue=VenueName("bitget"),
        account=AccountName("main"),
        symbol=Symbol("BTC-USDT.P"),
        action=action,
        side=Side.BUY,
        size=Decimal("0.010"),
        bar_ts_ns=number,
        ref_price=Decimal(100),
        stop=Decimal(90),
    )


def bar(number: int) -> BarClosed:
    """Return a bar of one market."""
    return BarClosed("bitget", "BTC-USDT.P", "1m", Bar(number, 1.0, 2.0, 0.5, 1.5, 10.0), 1)


def quote(number: int, symbol: str = "BTC-USDT.P") -> Quote:
    """Return a quote; its time is its number."""
    return Quote("bitget", symbol, 1.0, 2.0, 1.5, 1.5, number)


def numbers(received: list[Received]) -> list[int]:
    """Return the numbers of decisions, in the order they came."""
    return [r.envelope.data.decision.bar_ts_ns for r in received if isinstance(r.envelope.data, DecisionMade)]


def arrived(received: Received) -> int:
    """Return the millisecond in which the server took a record."""
    return int(received.entry_id.partition("-")[0])


async def some(feed: AsyncIterator[Received], count: int, within_s: float = 60.0) -> list[Received]:
    """Return the next messages of a feed."""
    async with asyncio.timeout(within_s):
        return [await anext(feed) for _ in range(count)]


async def reached(bus: Bus, state: BusState, within_s: float = 60.0) -> None:
    """Wait until a bus is in a state."""
    async with asyncio.timeout(within_s):
        while bus.state() is not state:  # noqa: ASYNC110 - the port has no event for it
            await asyncio.sleep(0.01)


class BusContract:
    """The cases. A subclass gives the `world` fixture."""

    async def test_follow_many_keys_keeps_order_by_key(self, world: BusWorld) -> None:
        """Messages of one key come in the order in which they were sent, whatever is sent in between."""
        senders = [await world.bus(f"runner/{name}") for name in "abc"]
        reader = await world.bus("ledger/1")
        async with reader.follow(reader.topics.decisions()) as feed:
            for number in range(30):
                await asyncio.gather(*(bus.send(decision(bus.source, number)) for bus in senders))
            received = await some(feed, 90)

        for bus in senders:
            own = [r for r in received if r.envelope.source == bus.source]
            assert numbers(own) == list(range(30))
            assert [r.envelope.seq for r in own] == list(range(1, 31))

    async def test_send_record_with_two_topics_reaches_both_with_one_id(self, world: BusWorld) -> None:
        """One call writes all topics of a message."""
        gateway = await world.bus("gateway/1")
        topics = (gateway.topics.bot_events("xyko"), gateway.topics.ledger())
        async with gateway.follow(*topics) as feed:
            assert await gateway.send(order("xyko"), corr="c", cause="b") is SendResult.SENT
            received = await some(feed, 2)

        assert {r.topic for r in received} == set(topics)
        assert len({r.envelope.id for r in received}) == 1
        assert {(r.envelope.corr, r.envelope.cause, r.envelope.key) for r in received} == {("c", "b", "xyko")}
        assert all(r.entry_id for r in received)

    async def test_send_same_id_twice_is_a_duplicate(self, world: BusWorld) -> None:
        """A message id is written once."""
        runner = await world.bus("runner/1")

        first = await runner.send(intent(1), message_id="xyko:1:0")
        second = await runner.send(intent(1), message_id="xyko:1:0")

        assert (first, second) == (SendResult.SENT, SendResult.DUPLICATE)
        assert len(await runner.history(runner.topics.intents("bitget", "main", high=False))) == 1

    async def test_send_with_an_older_epoch_is_fenced(self, world: BusWorld) -> None:
        """Whoever lost the lease cannot write, however alive it believes itself to be."""
        old, new = await world.bus("runner/old"), await world.bus("runner/new")
        first = await old.lease("xyko", ttl_s=0.3)
        assert await old.send(decision("xyko", 1), lease=first) is SendResult.SENT
        await first.release()
        second = await new.lease("xyko", ttl_s=5.0)

        assert second.epoch > first.epoch
        assert (second.held, second.lost) == (True, False)
        assert (first.held, first.lost) == (False, True)
        with pytest.raises(Fenced):
            await old.send(decision("xyko", 2), lease=first)
        with pytest.raises(Fenced):  # refused by the server, not by the sender's own good sense
            await old.send(decision("xyko", 3), lease=Zombie(first.name, first.epoch))
        assert await new.send(decision("xyko", 4), lease=second) is SendResult.SENT
        assert numbers(await new.history(new.topics.decisions())) == [1, 4]

    async def test_lease_taken_makes_the_next_wait(self, world: BusWorld) -> None:
        """One owner at a time; the next has a higher epoch."""
        first, second = await world.bus("gateway/1"), await world.bus("gateway/2")
        held = await first.lease("bitget-main", ttl_s=2.0)
        waiting = asyncio.create_task(second.lease("bitget-main", ttl_s=2.0))
        await asyncio.sleep(0.2)

        assert not waiting.done()
        await held.release()
        taken = await asyncio.wait_for(waiting, 60)

        assert taken.epoch > held.epoch
        assert (taken.held, held.held) == (True, False)

    async def test_records_not_acknowledged_come_again_first(self, world: BusWorld) -> None:
        """A consumer that died finds what it had in hand before anything new."""
        sender = await world.bus("gateway/1")
        for number in range(4):
            await sender.send(decision("xyko", number))
        topic = sender.topics.decisions()
        async with (await world.bus("ledger/1")).records(topic, group="ledger", batch=2) as batches:
            in_hand = await _next(batches)
            async with in_hand[0]:
                pass

        async with (await world.bus("ledger/1")).records(topic, group="ledger", batch=2) as batches:
            again = await _next(batches)
            fresh = await _next(batches)

        assert [(numbers([d.received]), d.attempts) for d in again] == [([1], 2)]
        assert [(numbers([d.received]), d.attempts) for d in fresh] == [([2], 1), ([3], 1)]

    async def test_records_of_a_dead_consumer_are_taken_over(self, world: BusWorld) -> None:
        """What another consumer left pending is claimed after its idle time, and never what is in hand here."""
        sender = await world.bus("gateway/1")
        await sender.send(decision("xyko", 1))
        topic = sender.topics.decisions()
        async with (await world.bus("ledger/dead")).records(topic, group="ledger") as batches:
            await _next(batches)
        heir = await world.bus("ledger/heir")
        heir.patience = Patience(claim_s=0.05, claim_idle_s=0.1)  # type: ignore[attr-defined]  # both buses have it

        async with heir.records(topic, group="ledger", block_ms=50) as batches, asyncio.timeout(60):
            claimed = await _next(batches)

        assert numbers([d.received for d in claimed]) == [1]
        assert claimed[0].attempts == 2

    async def test_records_high_topic_comes_before_low(self, world: BusWorld) -> None:
        """Exits are read before entries that were sent earlier."""
        runner, gateway = await world.bus("runner/1"), await world.bus("gateway/1")
        for number in range(3):
            await runner.send(intent(number))
        await runner.send(intent(9, Action.EXIT))
        high, low = (gateway.topics.intents("bitget", "main", high=flag, bot="xyko") for flag in (True, False))

        async with gateway.records(high, low, group="gateway") as batches:
            first = await _next(batches)
            await runner.send(intent(10, Action.EXIT))
            second, third = await _next(batches), await _next(batches)

        assert [d.received.topic for d in first] == [high]
        assert [d.received.topic for d in second] == [high]
        assert [d.received.topic for d in third] == [low] * 3

    async def test_records_unranked_reader_lets_no_topic_starve(self, world: BusWorld) -> None:
        """A topic that always has news delays the others by its share of one reading, not for ever."""
        runner, ledger = await world.bus("runner/1"), await world.bus("ledger/1")
        await runner.send(intent(0))
        await runner.send(intent(1, Action.EXIT))
        high, low = (ledger.topics.intents("bitget", "main", high=flag, bot="xyko") for flag in (True, False))
        read: list[str] = []

        async with ledger.records(high, low, group="ledger", ranked=False) as batches:
            for number in range(2, 6):
                read += [delivery.received.topic for delivery in await _next(batches)]
                await runner.send(intent(number, Action.EXIT))

        assert read[:3] == [high, low, high]

    async def test_pattern_is_read_as_one_topic_with_streams_that_appear_later(self, world: BusWorld) -> None:
        """Two bots, two streams, one reading: in order of arrival, a bot that comes later included, nothing doubled."""
        runner, reader = await world.bus("runner/1"), await world.bus("ledger/1")
        pattern = reader.topics.decisions()
        for number, bot in enumerate(("b", "a", "b")):
            await runner.send(decision(bot, number))
            await asyncio.sleep(0.002)  # order of arrival is told by the millisecond

        async with reader.follow(pattern, since={pattern: "0-0"}) as feed, asyncio.timeout(60):
            followed = await some(feed, 3)
            async with reader.records(pattern, group="ledger", block_ms=50) as batches:
                grouped = [delivery.received for delivery in await _acknowledged(batches)]
                await runner.send(decision("c", 3))
                followed += await some(feed, 1)
                grouped += [delivery.received for delivery in await _acknowledged(batches)]

        for seen in (followed, grouped, await reader.history(pattern)):
            assert numbers(seen) == [0, 1, 2, 3]
            assert [received.topic for received in seen] == [reader.topics.decisions(bot) for bot in "babc"]
        assert numbers(await reader.history(pattern, count=2)) == [2, 3]
        assert numbers(await reader.history(pattern, count=2, after=followed[0].entry_id)) == [1, 2]

    async def test_backlog_counts_what_a_group_has_not_read_or_acknowledged(self, world: BusWorld) -> None:
        """Everything before the group is there, then what is unread or in hand; the server counts, nobody decodes."""
        runner, reader = await world.bus("runner/1"), await world.bus("ledger/1")
        pattern, empty = reader.topics.decisions(), reader.topics.audit()
        for bot, length in (("a", 5), ("b", 3)):
            await runner.send_many([decision(bot, number) for number in range(length)])

        counts = [await backlog(reader, pattern, empty, group="ledger")]
        async with reader.records(pattern, group="ledger", batch=100, block_ms=50) as batches, asyncio.timeout(60):
            in_hand = await _next(batches)
            await runner.send(decision("a", 5))
            counts.append(await backlog(reader, pattern, empty, group="ledger"))
            for delivery in in_hand:
                async with delivery:
                    pass
        counts.append(await backlog(reader, pattern, empty, group="ledger"))

        assert counts == [8, 9, 1]

    async def test_records_sent_together_keep_their_own_ids(self, world: BusWorld) -> None:
        """Each carries its own id, so that a repeat of any of them is a duplicate; too few ids send nothing."""
        bus = await world.bus("gateway/1")
        messages = [decision("a", number) for number in range(3)]

        first = await bus.send_many(messages[:2], message_ids=["d0", "d1"])
        again = await bus.send_many(messages[1:], message_ids=["d1", "d2"])
        with pytest.raises(ValueError, match="zip"):
            await bus.send_many(messages, message_ids=["d3"])

        assert first == [SendResult.SENT, SendResult.SENT]
        assert again == [SendResult.DUPLICATE, SendResult.SENT]
        kept = await bus.history(bus.topics.decisions("a"))
        assert [received.envelope.id for received in kept] == ["d0", "d1", "d2"]

    async def test_announced_stream_has_its_readers_before_its_first_record(self, world: BusWorld) -> None:
        """A bot names its lane; the group of a reader of the pattern is there while the stream is empty."""
        runner, reader = await world.bus("runner/1"), await world.bus("gateway/1")
        lane = runner.topics.decisions("b")

        async with reader.records(reader.topics.decisions(), group="gateway", block_ms=50) as batches:
            reading = asyncio.ensure_future(_acknowledged(batches))
            async with asyncio.timeout(60):
                await runner.announce(lane)
                while not await _has_group(reader, lane):  # noqa: ASYNC110 - the server tells nobody of a new group
                    await asyncio.sleep(0.005)
                empty = await reader.history(lane)
                await runner.send(decision("b", 1))
                taken = await reading

        assert empty == []
        assert numbers([delivery.received for delivery in taken]) == [1]

    async def test_pattern_over_many_streams_comes_in_batches_of_the_size_that_was_asked_for(
        self, world: BusWorld
    ) -> None:
        """Forty bots with a backlog do not fill forty batches at once, and a lone one gets whole batches again."""
        runner, reader = await world.bus("runner/1"), await world.bus("ledger/1")
        pattern = reader.topics.decisions()
        for bot in range(40):
            await runner.send_many([decision(f"b{bot}", number) for number in range(10)])
        await runner.send_many([decision("alone", number) for number in range(90)])

        async with reader.records(pattern, group="ledger", batch=20, block_ms=50) as batches, asyncio.timeout(20):
            first = await _next(batches)
            waiting = await _inspectable(reader).redis.xpending_range(
                reader.topics.decisions("alone"), "ledger", min="-", max="+", count=100
            )
            for delivery in first:
                async with delivery:
                    pass
            sizes = [len(first)]
            while sum(sizes) < 490:
                sizes.append(len(await _acknowledged(batches)))

        assert max(sizes) == 20
        assert len(waiting) == 8
        assert sizes[-3:].count(20) >= 2

    async def test_trimming_keeps_what_a_group_has_not_read_and_acknowledged(
        self, world: BusWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A lagging group holds its stream beyond the wanted length; when it has caught up, the old end goes."""
        for place in ("redis", "memory"):
            monkeypatch.setattr(f"omega.bus.{place}.format_of", _kept_for_150)
        runner, slow, fast = await world.bus("runner/1"), await world.bus("slow/1"), await world.bus("fast/1")
        topic = runner.topics.decisions("xyko")

        async def send(numbers: range) -> None:
            for start in range(numbers.start, numbers.stop, 100):
                await runner.send_many([decision("xyko", n) for n in range(start, min(start + 100, numbers.stop))])

        async with (
            slow.records(topic, group="slow", batch=100, block_ms=50) as lagging,
            fast.records(topic, group="fast", batch=100, block_ms=50) as reading,
            asyncio.timeout(20),
        ):
            await send(range(100))
            in_hand = await anext(lagging)  # delivered, not acknowledged
            await send(range(100, 1_000))
            read = 0
            while read < 1_000:
                read += len(await _acknowledged(reading))
            held = numbers(await runner.history(topic, count=2_000))
            for delivery in in_hand:
                async with delivery:
                    pass
            got = numbers([delivery.received for delivery in in_hand])
            while len(got) < 1_000:
                got += numbers([delivery.received for delivery in await _acknowledged(lagging)])

        await send(range(1_000, 1_200))
        kept = numbers(await runner.history(topic, count=2_000))
        assert held == list(range(1_000))
        assert got == list(range(1_000))
        assert kept[-1] == 1_199
        assert 150 <= len(kept) <= 450

    async def test_records_failing_delivery_comes_again_then_is_buried_and_replayed(self, world: BusWorld) -> None:
        """Five failures end in the dead letters with the reason; a replay brings the record back, once."""
        bus = await world.bus("ledger/1")
        topic = bus.topics.decisions("xyko")
        for number in range(2):
            await bus.send(decision("xyko", number))
        tried: Counter[int] = Counter()

        async with bus.records(topic, group="ledger", block_ms=20) as batches, asyncio.timeout(60):
            while tried[0] < 5 or tried[1] < 1:
                for delivery in await _next(batches):
                    async with delivery:
                        number = numbers([delivery.received])[0]
                        tried[number] += 1
                        if number == 0:
                            raise Rejected("the table has no such column")
        letters = await dead_letters(_inspectable(bus), topic)

        assert tried == {0: 5, 1: 1}
        assert [(letter.group, letter.attempts) for letter in letters] == [("ledger", 5)]
        assert "no such column" in letters[0].reason
        assert await replay_dead_letters(_inspectable(bus), topic) == 1
        assert await replay_dead_letters(_inspectable(bus), topic) == 0
        async with bus.records(topic, group="ledger", block_ms=20) as batches, asyncio.timeout(60):
            assert numbers([d.received for d in await _next(batches)]) == [0]

    async def test_records_fenced_consumer_is_stopped(self, world: BusWorld) -> None:
        """An error that must stop the process goes through and leaves the record pending."""
        bus = await world.bus("ledger/1")
        await bus.send(decision("xyko", 1))
        async with bus.records(bus.topics.decisions(), group="ledger") as batches:
            (delivery,) = await _next(batches)
            with pytest.raises(Fenced):
                async with delivery:
                    raise Fenced("somebody newer")

    async def test_records_group_is_made_again_after_everything_is_lost(self, world: BusWorld) -> None:
        """A reader goes on by itself when the server has forgotten stream and group."""
        bus = await world.bus("ledger/1")
        topic = bus.topics.decisions()
        await bus.send(decision("xyko", 1))
        async with bus.records(topic, group="ledger", block_ms=50) as batches, asyncio.timeout(60):
            for delivery in await _next(batches):
                async with delivery:
                    pass
            reading = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0.05)
            await world.flush()
            await bus.send(decision("xyko", 2))
            found = await reading

        assert numbers([d.received for d in found]) == [2]

    async def test_signals_slow_reader_gets_the_latest_of_each_topic(self, world: BusWorld) -> None:
        """A slow reader is never given a queue."""
        gateway, reader = await world.bus("gateway/1"), await world.bus("discord_bot/1")
        async with reader.signals(f"{reader.topics.env}:md:quote:*") as feed:
            for number in range(200):
                await gateway.send(quote(number))
                await gateway.send(quote(number, "ETH-USDT.P"))
            await asyncio.sleep(0.1)
            received = await some(feed, 2)
            while _latest(received) != {"BTC-USDT.P": 199, "ETH-USDT.P": 199}:  # a slow server had not sent all yet
                received += await some(feed, 1)

        assert len(received) < 200, "this was a queue"
        assert {r.entry_id for r in received} == {""}

    async def test_signals_overlapping_patterns_give_a_message_once(self, world: BusWorld) -> None:
        """A message that two patterns match is given once."""
        bus = await world.bus("cli/1")
        topic = bus.topics.quote("bitget", "BTC-USDT.P")
        async with bus.signals(topic, f"{bus.topics.env}:md:*") as feed:
            await bus.send(quote(1))
            await some(feed, 1)
            await bus.send(quote(2))
            (second,) = await some(feed, 1)

        assert isinstance(second.envelope.data, Quote)
        assert second.envelope.data.ts_ns == 2

    async def test_follow_since_an_id_reads_on_without_loss_or_doubles(self, world: BusWorld) -> None:
        """A reader that was away continues behind its last id and slides into the live feed."""
        runner, reader = await world.bus("runner/1"), await world.bus("ledger/1")
        topic = reader.topics.decisions("xyko")
        await runner.send_many([decision("xyko", number) for number in range(600)])
        seen = (await reader.history(topic, count=600))[99].entry_id

        async with reader.follow(topic, since={topic: seen}) as feed:
            await runner.send_many([decision("xyko", number) for number in range(600, 650)])
            received = await some(feed, 550)

        assert numbers(received) == list(range(100, 650))

    async def test_follow_several_topics_keeps_arrival_order(self, world: BusWorld) -> None:
        """A fill that came before a bar is seen before it, live and when catching up."""
        gateway = await world.bus("gateway/1")
        topics = (gateway.topics.bar("bitget", "BTC-USDT.P", "1m"), gateway.topics.bot_events("xyko"))
        async with gateway.follow(*topics) as feed:
            for number in range(20):
                await gateway.send(order("xyko"))
                await gateway.send(bar(number))
                await asyncio.sleep(0.001)
            live = await some(feed, 40)
        async with gateway.follow(*topics, since=dict.fromkeys(topics, "0")) as feed:
            again = await some(feed, 40)

        expected = ["order.event", "md.bar"] * 20
        assert [r.envelope.type for r in live] == expected
        assert [r.envelope.type for r in again] == expected
        assert [r.entry_id for r in live] == [r.entry_id for r in again]

    async def test_history_returns_newest_and_behind_an_id(self, world: BusWorld) -> None:
        """History is oldest first, bounded, and can go on behind an id."""
        bus = await world.bus("runner/1")
        await bus.send_many([decision("xyko", number) for number in range(10)])
        topic = bus.topics.decisions()

        newest = await bus.history(topic, count=3)

        assert numbers(newest) == [7, 8, 9]
        assert numbers(await bus.history(topic, after=newest[0].entry_id)) == [8, 9]
        assert await bus.history(bus.topics.audit()) == []

    async def test_ask_gets_answers_and_errors_by_class(self, world: BusWorld) -> None:
        """An answer is the handler's; an error of the farm's tree arrives as its own class."""
        server, asker = await world.bus("cosmic/1"), await world.bus("discord_bot/1")

        async def handler(method: str, params: object) -> object:
            if method == "refuse":
                raise Denied("not today")
            if method == "stumble":
                return dict[str, str]()["nothing"]
            return {"method": method, "params": params, "size": Decimal("1.50")}

        serving = asyncio.ensure_future(server.serve("cosmic", handler))
        try:
            answer = await asker.ask("cosmic", "analyse", {"n": 3}, within_ns=2 * SECOND_NS)
            with pytest.raises(Denied, match="not today"):
                await asker.ask("cosmic", "refuse", within_ns=2 * SECOND_NS)
            with pytest.raises(OmegaError, match="stumble"):
                await asker.ask("cosmic", "stumble", within_ns=2 * SECOND_NS)
        finally:
            await ended([serving])

        assert answer == {"method": "analyse", "params": {"n": 3}, "size": "1.50"}

    async def test_ask_expired_request_is_dropped_and_not_answered_late(self, world: BusWorld) -> None:
        """A request past its deadline is never handed to the service."""
        server, asker = await world.bus("cosmic/1"), await world.bus("discord_bot/1")
        asked: list[str] = []

        async def handler(method: str, _: object) -> object:
            asked.append(method)
            return method

        with pytest.raises(Stale):
            await asker.ask("cosmic", "late", within_ns=SECOND_NS // 20)
        serving = asyncio.ensure_future(server.serve("cosmic", handler))
        try:
            assert await asker.ask("cosmic", "fresh", within_ns=2 * SECOND_NS) == "fresh"
        finally:
            await ended([serving])

        assert asked == ["fresh"]

    async def test_put_get_take_keep_small_values(self, world: BusWorld) -> None:
        """A nonce is taken once; a value with a time to live goes away."""
        bus = await world.bus("discord_bot/1")
        key = bus.topics.state("nonce", "1")
        await bus.put(key, "yes", ttl_s=60)

        assert await bus.get(key) == "yes"
        assert (await bus.take(key), await bus.take(key)) == ("yes", None)
        await bus.put(key, "again", ttl_s=0.05)
        await asyncio.sleep(0.1)
        assert await bus.get(key) is None

    async def test_outage_outbox_keeps_order_and_sends_exits_first(self, world: BusWorld) -> None:
        """What is sent during an outage arrives when the server is back: exits first, in order, nothing twice."""
        runner = await world.bus("runner/1")
        await runner.send(decision("xyko", 0))
        await world.down()
        await reached(runner, BusState.DEGRADED)

        results = [await runner.send(decision("xyko", number)) for number in range(1, 6)]
        results += [await runner.send(intent(number)) for number in range(3)]
        results += [await runner.send(intent(number, Action.EXIT)) for number in range(3, 5)]
        dropped = await runner.send(quote(1))
        expired = await runner.send(intent(9), deadline_ns=time.time_ns() + SECOND_NS // 20)
        await asyncio.sleep(0.1)
        await world.up()
        await reached(runner, BusState.CONNECTED)

        assert set(results) == {SendResult.BUFFERED}
        assert (dropped, expired) == (SendResult.DROPPED, SendResult.BUFFERED)
        low = await runner.history(runner.topics.intents("bitget", "main", high=False))
        high = await runner.history(runner.topics.intents("bitget", "main", high=True))
        assert numbers(await runner.history(runner.topics.decisions())) == list(range(6))
        assert [r.envelope.data.bar_ts_ns for r in low if isinstance(r.envelope.data, Intent)] == [0, 1, 2]
        assert [r.envelope.data.bar_ts_ns for r in high if isinstance(r.envelope.data, Intent)] == [3, 4]
        assert max(arrived(r) for r in high) <= min(arrived(r) for r in low)

    async def test_outage_full_outbox_denies_but_keeps_room_for_exits(self, world: BusWorld) -> None:
        """The outbox is bounded; a flood of decisions never costs an exit its place."""
        runner = await world.bus("runner/1")
        await world.down()
        await reached(runner, BusState.DEGRADED)
        for number in range(QUICK.outbox):
            await runner.send(decision("xyko", number))

        with pytest.raises(Denied, match="outbox is full"):
            await runner.send(decision("xyko", 99))
        assert await runner.send(intent(1, Action.EXIT)) is SendResult.BUFFERED
        await world.up()
        await reached(runner, BusState.CONNECTED)
        assert len(await runner.history(runner.topics.decisions())) == QUICK.outbox

    async def test_outage_readers_go_on_afterwards(self, world: BusWorld) -> None:
        """Followers, groups and signals survive the loss of the server and miss no record."""
        runner, reader = await world.bus("runner/1"), await world.bus("ledger/1")
        topic = reader.topics.decisions()
        async with (
            reader.follow(topic) as feed,
            reader.records(topic, group="ledger", block_ms=50) as batches,
            reader.signals(reader.topics.quote("bitget", "BTC-USDT.P")) as quotes,
        ):
            await runner.send(decision("xyko", 0))
            before = await some(feed, 1)
            await world.down()
            await reached(runner, BusState.DEGRADED)
            for number in range(1, 5):
                await runner.send(decision("xyko", number))
            await world.up()
            await reached(runner, BusState.CONNECTED)
            await runner.send(decision("xyko", 5))
            after = await some(feed, 5)
            taken: list[Received] = []
            async with asyncio.timeout(60):
                while len({r.entry_id for r in taken}) < 6:
                    for delivery in await _next(batches):
                        async with delivery:
                            taken.append(delivery.received)
                async with asyncio.TaskGroup() as tasks:
                    hearing = tasks.create_task(some(quotes, 1))
                    while not hearing.done():
                        await runner.send(quote(7))
                        await asyncio.sleep(0.05)

        assert numbers(before + after) == [0, 1, 2, 3, 4, 5]
        assert numbers(taken) == [0, 1, 2, 3, 4, 5]

    async def test_outage_state_falls_and_returns(self, world: BusWorld) -> None:
        """CONNECTED, DEGRADED, ISOLATED, CONNECTED: each step is told once."""
        bus = await world.bus("runner/1")
        steps: list[BusState] = []
        bus.on_state(lambda _, new: steps.append(new))  # type: ignore[attr-defined]  # both buses have it
        await world.down()
        await reached(bus, BusState.DEGRADED)
        await reached(bus, BusState.ISOLATED)
        await world.up()
        await reached(bus, BusState.CONNECTED)

        assert steps[0] is BusState.DEGRADED
        assert steps[-1] is BusState.CONNECTED
        assert len(steps) == len([new for old, new in zip([None, *steps], steps, strict=False) if old is not new])

    async def test_flood_with_faults_takes_effect_once_each(self, world: BusWorld) -> None:
        """10,000 messages, 1% sent twice and 1% failing in the consumer: each takes effect once."""
        runner, ledger = await world.bus("runner/1"), await world.bus("ledger/1")
        effects: Counter[int] = Counter()
        failed: set[int] = set()
        topic = runner.topics.control("farm")

        async def produce() -> None:
            for start in range(0, FLOOD, 100):
                batch = [_command(number) for number in range(start, start + 100)]
                await runner.send_many(batch[:50])
                await runner.send_many(batch[50:])
                again = await runner.send(batch[7], message_id=f"repeat-{start}")
                twice = await runner.send(batch[7], message_id=f"repeat-{start}")
                assert (again, twice) == (SendResult.SENT, SendResult.DUPLICATE)

        producing = asyncio.ensure_future(produce())
        async with ledger.records(topic, group="ledger", block_ms=50) as batches, asyncio.timeout(30):
            while len(effects) < FLOOD:
                for delivery in await _next(batches):
                    async with delivery:
                        data = delivery.received.envelope.data
                        assert isinstance(data, Command)
                        number = int(data.command_id)
                        if number % 100 == 13 and number not in failed:
                            failed.add(number)
                            raise Rejected("planted")
                        effects[number] = 1  # an upsert, as every consumer's effect is
        await producing

        assert sorted(effects) == list(range(FLOOD))
        assert len(failed) == FLOOD // 100


class Zombie:
    """A lease that believes in itself: what a partitioned process holds."""

    held = True
    lost = False

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.epoch = epoch

    async def release(self) -> None:
        """Do nothing: it is not ours any more."""


def _command(number: int) -> Command:
    return Command(str(number), Verb.PAUSE, "farm", "tester", "flood")


def _kept_for_150(message: Message) -> Format:
    form = copy(format_of(message))
    form.spec = replace(form.spec, keep=150)
    return form


def _latest(received: Sequence[Received]) -> dict[str, int]:
    return {r.envelope.data.symbol: r.envelope.data.ts_ns for r in received if isinstance(r.envelope.data, Quote)}


async def _next(batches: AsyncIterator[list[Delivery]], within_s: float = 60.0) -> list[Delivery]:
    async with asyncio.timeout(within_s):
        return await anext(batches)


async def _acknowledged(batches: AsyncIterator[list[Delivery]]) -> list[Delivery]:
    """Return the next batch with everything in it acknowledged."""
    batch = await _next(batches)
    for delivery in batch:
        async with delivery:
            pass
    return batch


async def _has_group(bus: Bus, stream: str) -> bool:
    with suppress(ResponseError):  # the server knows no such stream yet
        return bool(await _inspectable(bus).redis.xinfo_groups(stream))
    return False


def _inspectable(bus: Bus) -> Inspectable:
    assert isinstance(bus, (MemoryBus, RedisBus))
    return bus
