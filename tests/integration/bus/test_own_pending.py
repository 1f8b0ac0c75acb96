"""What a consumer had in hand when it died comes again first: in order, and a page at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from omega.testing.bus_contract import decision

from .conftest import Build

BATCH = 10
HELD = 95


async def taken(batches: Any, count: int) -> list[int]:
    """Acknowledge until so many records have come; return their numbers."""
    found: list[int] = []
    async for batch in batches:
        for delivery in batch:
            async with delivery:
                found.append(delivery.received.envelope.data.decision.bar_ts_ns)
        if len(found) >= count:
            break
    return found


async def test_long_list_in_hand_comes_again_in_order_before_news_and_page_by_page(build: Build) -> None:
    sender, first = await build("runner/1"), await build("ledger/1")
    topic = sender.topics.decisions("xyko")
    for number in range(HELD):
        await sender.send(decision("xyko", number))
    held = 0
    async with first.records(topic, group="ledger", batch=BATCH, block_ms=50) as batches, asyncio.timeout(30):
        async for batch in batches:
            held += len(batch)
            if held == HELD:
                break
    await first.close()  # nothing was acknowledged: it died with all of it in hand
    for number in range(HELD, HELD + 20):
        await sender.send(decision("xyko", number))
    second = await build("ledger/1")
    async with second.records(topic, group="ledger", batch=BATCH, block_ms=50) as reader, asyncio.timeout(30):
        begun = await anext(reader)
        assert len(begun) == BATCH
        waiting = sum(len(page) for _, page in reader._pages)  # type: ignore[attr-defined]
        assert waiting <= BATCH, "it reads what it can work on, not all that it owes"
        numbers = [delivery.received.envelope.data.decision.bar_ts_ns for delivery in begun]
        for delivery in begun:
            async with delivery:
                pass
        numbers += await taken(reader, HELD + 20 - BATCH)

    assert numbers == list(range(HELD + 20))
