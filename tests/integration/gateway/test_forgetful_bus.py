"""A bus that loses its memory: what its readers had not read comes again, and nobody counts it twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

from omega.domain import Fill


async def fills(bench: Any) -> Counter[str]:
    return Counter(event.trade_id for event in await bench.events() if isinstance(event, Fill))


async def test_bus_that_was_emptied_is_told_the_newest_events_again(bench: Any) -> None:
    """Without it a ledger that was away while the bus was emptied would lack fills for ever."""
    await bench.enter()
    await bench.enter(bot="beta")
    before = await fills(bench)
    bench.hub.server.flush()
    assert not await fills(bench)

    for _ in range(800):
        if await fills(bench) == before:
            break
        await bench.step()

    assert await fills(bench) == before
    assert set(before.values()) == {1}


async def test_bus_that_was_emptied_while_nobody_ran_is_told_at_the_next_start(bench: Any) -> None:
    await bench.enter()
    before = await fills(bench)
    await bench.close()
    bench.hub.server.flush()
    await bench.open()
    await bench.until(lambda: bench.gateway.outbox.clear, "the events")

    assert await fills(bench) == before


async def test_bus_that_remembers_is_told_nothing_twice(bench: Any) -> None:
    await bench.enter()
    for _ in range(3):
        await bench.close()
        await bench.open()
    await bench.settle()

    assert set((await fills(bench)).values()) == {1}
