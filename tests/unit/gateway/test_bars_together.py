"""Bars of several symbols that one write of the venue brings leave as one, after one look at the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from omega.bus import BarClosed, MemoryBus
from omega.domain import MINUTE_NS, Bar
from services.gateway.market import Market
from services.gateway.venue import Candles
from tests.unit.gateway.adversity import Desk

SYMBOLS = ("BTC-USDT.P", "ETH-USDT.P")


class Counted(MemoryBus):
    """Remembers how many bars went out at a time."""

    sent: list[int]

    async def send_many(self, messages: Sequence[BarClosed], *, message_ids: Sequence[str] = ()) -> None:  # type: ignore[override]
        del message_ids
        self.sent.append(len(messages))


async def test_bars_that_came_together_leave_together(tmp_path: Path) -> None:
    desk, bus, looks = Desk(tmp_path, symbols=list(SYMBOLS), timeframes=["1m"]), Counted(source="gateway/1"), []
    bus.sent = []
    market = Market(desk.account, bus, desk.keeper)
    desk.account.on_bars = lambda: looks.append(1)
    for track in market._tracks.values():
        track.warm = True
    running = asyncio.create_task(market.run_bars())
    await asyncio.sleep(0)

    def hear(symbol: str) -> None:
        rows = (Bar(MINUTE_NS, 1.0, 2.0, 1.0, 1.5, 1.0),)
        market.hear_candles(Candles(symbol, "1m", rows, venue_ns=3 * MINUTE_NS, received_ns=1))

    hear(SYMBOLS[0])
    asyncio.get_running_loop().call_soon(hear, SYMBOLS[1])  # ccxt hears the second frame of a write a turn later
    async with asyncio.timeout(60):
        while sum(bus.sent) < len(SYMBOLS):  # noqa: ASYNC110 - what the task does, turn by turn
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    desk.journal.close()

    assert (bus.sent, looks) == ([2], [1])
