"""The synthetic book around the last price: deterministic sizes, exact steps, never crossed. It decides no market fill.

Called by market data, the book channels and the question whether a limit order would take.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from services.simulator.figures import nearest, plain
from services.simulator.instruments import Instrument, Product
from services.simulator.state import Venue

Level = list[str]
"""Price and size as the canonical strings that the checksum is made of."""

CHECKED_LEVELS = 25


@dataclass(frozen=True, slots=True)
class Book:
    """Both sides, the best level first."""

    bids: list[Level]
    asks: list[Level]


def best(venue: Venue, product: Product, symbol: str) -> tuple[float, float]:
    """Return best bid and best ask."""
    bid, ask = _touch(venue, venue.catalogue.of(product)[symbol])
    return float(bid), float(ask)


def book(venue: Venue, product: Product, symbol: str, depth: int) -> Book:
    """Return the book of this instant down to a depth."""
    instrument = venue.catalogue.of(product)[symbol]
    bid, ask = _touch(venue, instrument)
    seed = venue.options.seed
    return Book(
        bids=[_level(instrument, bid - i * instrument.tick, seed) for i in range(depth) if bid > i * instrument.tick],
        asks=[_level(instrument, ask + i * instrument.tick, seed) for i in range(depth)],
    )


def checksum(bids: list[Level], asks: list[Level]) -> int:
    """Return the venue's CRC32 over the first levels, as a signed 32-bit number."""
    parts = [text for i in range(CHECKED_LEVELS) for side in (bids, asks) if i < len(side) for text in side[i]]
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >> 31 else value


def difference(old: Book, new: Book) -> Book:
    """Return the levels that changed; a size of "0" takes a level away."""
    return Book(_changed(old.bids, new.bids), _changed(old.asks, new.asks))


def _changed(old: list[Level], new: list[Level]) -> list[Level]:
    before = {price: size for price, size in old}  # noqa: C416 - dict() does not take lists of lists in the types
    after = {price for price, _ in new}
    gone = [[price, "0"] for price in before if price not in after]
    return gone + [level for level in new if before.get(level[0]) != level[1]]


def _touch(venue: Venue, instrument: Instrument) -> tuple[Decimal, Decimal]:
    tick = instrument.tick
    last = (Decimal(repr(venue.last(instrument.symbol))) / tick).quantize(Decimal(1), rounding=ROUND_DOWN) * tick
    spread = nearest(last * Decimal(repr(venue.options.spread)), tick)
    return last, last + max(spread, tick)


def _level(instrument: Instrument, price: Decimal, seed: int) -> Level:
    text = plain(price)
    steps = 1 + zlib.crc32(f"{seed}:{text}".encode()) % 5000
    return [text, plain(instrument.step * steps)]
