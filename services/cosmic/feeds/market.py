"""Liquidity, funding and the day's change from the gateway's own quotes and bars: no network but the bus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from omega.bus.messages import BarClosed, Quote
from omega.bus.port import Bus
from omega.cosmic.feeds import Rule, Sample, Track
from omega.cosmic.liquidity import LiquidityMeter
from omega.cosmic.sentiment import of_change, of_funding

LIQUIDITY: Final = Rule(low=-1.0, high=1.0, stale_s=900.0)
MOOD: Final = Rule(low=0.0, high=100.0, stale_s=900.0, neutral=50.0)
_MINUTE_S: Final = 60.0


@dataclass(slots=True)
class _Symbol:
    """What was heard of one market since the last minute."""

    meter: LiquidityMeter = field(default_factory=LiquidityMeter)
    spreads: list[float] = field(default_factory=list)
    depths: list[float] = field(default_factory=list)
    volume: float | None = None


class Market:
    """Listens to the markets of the gateway and closes a minute at a time.

    Attributes:
        liquidity: levels in [-1, 1].
        funding: index of the funding rate, 0 to 100.
        change: index of the change over 24 hours, 0 to 100.
    """

    def __init__(self, bus: Bus, venue: str, symbols: list[str], now_ns: Callable[[], int] = time.time_ns) -> None:
        self.liquidity, self.funding, self.change = Track(LIQUIDITY), Track(MOOD), Track(MOOD)
        self._bus, self._venue, self._now_ns = bus, venue, now_ns
        self._symbols = {symbol: _Symbol() for symbol in symbols}
        self._rates: dict[str, float] = {}
        self._changes: dict[str, float] = {}

    async def listen(self) -> None:
        """Take quotes and bars until cancelled."""
        topics, venue = self._bus.topics, self._venue
        wanted = [topics.quote(venue, symbol) for symbol in self._symbols]
        wanted += [topics.bar(venue, symbol, "1m") for symbol in self._symbols]
        async with self._bus.signals(*wanted) as signals:
            async for received in signals:
                self.take(received.envelope.data)

    async def keep_minutes(self) -> None:
        """Close a minute after the other until cancelled."""
        while True:
            await asyncio.sleep(_MINUTE_S)
            self.close_minute()

    def take(self, message: object) -> None:
        """Take one quote or bar; anything else passes."""
        if isinstance(message, BarClosed) and message.symbol in self._symbols:
            self._symbols[message.symbol].volume = message.bar.volume
        if isinstance(message, Quote) and message.symbol in self._symbols:
            self._take_quote(message)

    def close_minute(self) -> None:
        """Set the minute against its past, and tell the tracks."""
        at_ns = self._now_ns()
        levels = [found for one in self._symbols.values() if (found := _closed(one)) is not None]
        markets = f"{self._venue} {len(self._symbols)} markets"
        if levels:
            level, confidence = (sum(column) / len(levels) for column in zip(*levels, strict=True))
            self.liquidity.take(Sample(level, at_ns, f"book of {markets}", confidence))
        if self._rates:
            rate = sum(self._rates.values()) / len(self._rates)
            self.funding.take(Sample(of_funding(rate), at_ns, f"funding of {markets}"))
        if self._changes:
            change = sum(self._changes.values()) / len(self._changes)
            self.change.take(Sample(of_change(change), at_ns, f"24 h change of {markets}"))
        self._rates.clear()
        self._changes.clear()

    def _take_quote(self, quote: Quote) -> None:
        mine, middle = self._symbols[quote.symbol], (quote.bid + quote.ask) / 2.0
        if isfinite(middle) and middle > 0.0 and quote.ask >= quote.bid:
            mine.spreads.append((quote.ask - quote.bid) / middle)
            if quote.bid_size is not None and quote.ask_size is not None:
                depth = (quote.bid_size + quote.ask_size) * middle
                if isfinite(depth):  # a value without an order would spoil the ranks for a day
                    mine.depths.append(depth)
        if quote.funding is not None and isfinite(quote.funding):
            self._rates[quote.symbol] = quote.funding
        if quote.change_24h is not None and isfinite(quote.change_24h):
            self._changes[quote.symbol] = quote.change_24h


def _closed(one: _Symbol) -> tuple[float, float] | None:
    found = one.meter.minute(spread=_mean(one.spreads), depth=_mean(one.depths), volume=one.volume)
    silent = not one.spreads and one.volume is None
    one.spreads.clear()
    one.depths.clear()
    one.volume = None
    return None if silent else found


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
