"""An order book rebuilt from a snapshot and its differences, as an exchange streams them, with nothing lost or guessed.

Called by the market-integrity detectors and the analytics service. A hole in the sequence stops the rebuilding: a book
with a missing difference is wrong without looking so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import Any, Final

import numpy as np

from omega.engine.bars import F64, I8, I64
from omega.errors import CorruptData

BID: Final = 1
ASK: Final = -1

_MS: Final = 1_000_000
Levels = tuple[tuple[float, float], ...]
"""(price, quantity) of levels that changed; quantity 0.0 takes a level away."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole book as of an update. Units: prices in quote currency, quantities in base units."""

    update_id: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class Difference:
    """Levels that changed between two updates.

    Attributes:
        ts_ns: when it happened by the exchange's clock (when it was sent, where the stream says no more), ns UTC.
        first: id of its first update.
        last: id of its last.
        previous: id of the last update of the difference before, None where the stream does not say.
    """

    ts_ns: int
    first: int
    last: int
    previous: int | None
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask after an update."""

    update_id: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float


@dataclass(frozen=True, slots=True)
class Print:
    """One trade as it was printed. Units: ts in ns UTC, size in base units; aggressor +1 bought, -1 sold."""

    ts_ns: int
    trade_id: int
    price: float
    size: float
    aggressor: int


Message = Snapshot | Difference | Quote | Print


class OrderBook:
    """Both sides of one market as of one update."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.bids: dict[float, float] = {price: size for price, size in snapshot.bids if size > 0.0}
        self.asks: dict[float, float] = {price: size for price, size in snapshot.asks if size > 0.0}
        self.update_id = snapshot.update_id
        self._begun = False
        self._best: dict[int, float | None] = {BID: None, ASK: None}

    def apply(self, difference: Difference) -> list[tuple[int, float, float, float]]:
        """Take the next difference; one that ends before the snapshot does is passed over.

        Returns:
            (side, price, size before, size after) of every level that really changed.

        Raises:
            CorruptData: updates are missing between this difference and the book; take a new snapshot.
        """
        if difference.last <= self.update_id:
            return []
        if not self._follows(difference):
            raise CorruptData(
                f"the book stands at update {self.update_id} and the next difference begins at {difference.first}: "
                "updates are missing; take a new snapshot"
            )
        changed = [*self._set(BID, difference.bids), *self._set(ASK, difference.asks)]
        self.update_id, self._begun = difference.last, True
        return changed

    def best(self) -> Quote:
        """Return the best bid and ask.

        Raises:
            CorruptData: a side is empty.
        """
        bid, ask = self._top_price(BID), self._top_price(ASK)
        return Quote(self.update_id, bid, self.bids[bid], ask, self.asks[ask])

    def top(self, depth: int) -> tuple[Levels, Levels]:
        """Return the best `depth` levels of (bids, asks), the best first."""
        bids, asks = nlargest(depth, self.bids), nsmallest(depth, self.asks)
        return tuple((p, self.bids[p]) for p in bids), tuple((p, self.asks[p]) for p in asks)

    def _follows(self, difference: Difference) -> bool:
        if not self._begun:  # the first one straddles the snapshot
            return difference.first <= self.update_id + 1
        if difference.previous is not None:
            return difference.previous == self.update_id
        return difference.first == self.update_id + 1

    def _set(self, side: int, levels: Levels) -> Iterator[tuple[int, float, float, float]]:
        book = self.bids if side == BID else self.asks
        for price, size in levels:
            before = book.get(price, 0.0)
            if size == before:
                continue
            best = self._best[side]
            if size > 0.0:
                book[price] = size
                if best is not None and side * (price - best) > 0.0:
                    self._best[side] = price
            else:
                del book[price]
                if price == best:
                    self._best[side] = None  # looked up when it is asked for
            yield side, price, before, size

    def _top_price(self, side: int) -> float:
        found = self._best[side]
        if found is None:
            book = self.bids if side == BID else self.asks
            if not book:
                raise CorruptData("one side of the order book is empty; take a new snapshot")
            found = max(book) if side == BID else min(book)
            self._best[side] = found
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Every change of a level while a book was rebuilt, in order.

    Shapes: all (m,). Units: ts in ns UTC; side BID or ASK; sizes in base units; distance of the level behind the best
        price of its own side before the change, as a fraction of that price, negative for a better one.
    """

    ts: I64
    side: I8
    price: F64
    before: F64
    after: F64
    distance: F64


@dataclass(frozen=True, slots=True, eq=False)
class Rebuilt:
    """A recorded stretch of one market.

    Shapes: grid (g,) with bids and asks (g, depth, 2) of price and size, NaN where there are not so many levels;
        ts, mid and imbalance (d,) after each difference; quotes the recorded quotes that fall on an update of the
        book, beside the book's own.
    Units: ns UTC, quote currency, base units; imbalance in [-1, 1], of the best levels.
    """

    grid: I64
    bids: F64
    asks: F64
    ts: I64
    mid: F64
    imbalance: F64
    changes: Changes
    quotes: tuple[tuple[Quote, Quote], ...]
    prints: tuple[Print, ...]
    differences: int


def read_messages(lines: Iterable[str]) -> Iterator[Message]:
    """Read recorded web-socket lines, `<local ns> <json>`, as Binance sends depth, bookTicker and trade.

    Raises:
        CorruptData: a line is not of this form.
    """
    for number, line in enumerate(lines, start=1):
        try:
            made = _message(json.loads(line.partition(" ")[2]))
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptData(f"line {number} of the recording is no depth, bookTicker or trade: {error!r}") from error
        if made is not None:
            yield made


def rebuild(messages: Iterable[Message], *, every_ns: int = 1_000_000_000, depth: int = 20) -> Rebuilt:
    """Rebuild a market from its messages, and sample the book on a grid of the exchange's time.

    Differences that arrive before the snapshot wait for it. The book of a grid instant is that after the first
    difference at or after it: what a difference holds happened before its own instant.

    Raises:
        CorruptData: there is no snapshot, updates are missing, or a side runs empty.
    """
    book: OrderBook | None = None
    waiting: list[Difference] = []
    log = _Log(every_ns, depth)
    for message in messages:
        if isinstance(message, Snapshot):
            book = OrderBook(message)
            for difference in waiting:
                log.take(book, difference)
            waiting.clear()
        elif isinstance(message, Difference):
            if book is None:
                waiting.append(message)
            else:
                log.take(book, message)
        elif isinstance(message, Quote):
            log.quotes[message.update_id] = message
        else:
            log.prints.append(message)
    if book is None:
        raise CorruptData("the recording holds no snapshot of the book; record one beside the differences")
    return log.made()


class _Log:
    """What is noted while a book is rebuilt."""

    def __init__(self, every_ns: int, depth: int) -> None:
        self.quotes: dict[int, Quote] = {}
        self.prints: list[Print] = []
        self._every, self._depth = every_ns, depth
        self._grid: list[tuple[int, Levels, Levels]] = []
        self._after: list[tuple[int, Quote]] = []
        self._changes: list[tuple[int, int, float, float, float, float]] = []
        self._next = 0

    def take(self, book: OrderBook, difference: Difference) -> None:
        if difference.last <= book.update_id:
            return
        best = book.best()
        own = {BID: best.bid, ASK: best.ask}
        for side, price, before, after in book.apply(difference):
            away = side * (own[side] - price) / own[side]
            self._changes.append((difference.ts_ns, side, price, before, after, away))
        if not self._next:
            self._next = -(-difference.ts_ns // self._every) * self._every
        self._sample(book, difference.ts_ns)
        self._after.append((difference.ts_ns, book.best()))

    def made(self) -> Rebuilt:
        columns = list(zip(*self._changes, strict=True)) or [()] * 6
        best = [quote for _, quote in self._after]
        bid_size, ask_size = np.array([q.bid_size for q in best]), np.array([q.ask_size for q in best])
        return Rebuilt(
            grid=np.array([row[0] for row in self._grid], dtype=np.int64),
            bids=self._levels(1),
            asks=self._levels(2),
            ts=np.array([ts for ts, _ in self._after], dtype=np.int64),
            mid=np.array([0.5 * (q.bid + q.ask) for q in best]),
            imbalance=(bid_size - ask_size) / (bid_size + ask_size),
            changes=Changes(
                np.array(columns[0], dtype=np.int64),
                np.array(columns[1], dtype=np.int8),
                *(np.array(column, dtype=np.float64) for column in columns[2:]),
            ),
            quotes=tuple((self.quotes[q.update_id], q) for q in best if q.update_id in self.quotes),
            prints=tuple(self.prints),
            differences=len(self._after),
        )

    def _sample(self, book: OrderBook, until_ns: int) -> None:
        while self._next <= until_ns:
            self._grid.append((self._next, *book.top(self._depth)))
            self._next += self._every

    def _levels(self, place: int) -> F64:
        made = np.full((len(self._grid), self._depth, 2), np.nan)
        for k, row in enumerate(self._grid):
            levels: Any = row[place]
            made[k, : len(levels)] = levels
        return made


def _message(wire: Any) -> Message | None:
    if "lastUpdateId" in wire:
        return Snapshot(int(wire["lastUpdateId"]), _read(wire["bids"]), _read(wire["asks"]))
    data, stream = wire["data"], str(wire["stream"])
    if "@depth" in stream:
        previous = int(data["pu"]) if "pu" in data else None
        ts_ns = int(data.get("T", data["E"])) * _MS
        return Difference(
            ts_ns,
            int(data["U"]),
            int(data["u"]),
            previous,
            _read(data["b"]),
            _read(data["a"]),
        )
    if "@bookTicker" in stream:
        sizes = float(data["b"]), float(data["B"]), float(data["a"]), float(data["A"])
        return Quote(int(data["u"]), *sizes)
    if "@trade" in stream:
        aggressor = -1 if data["m"] else 1
        return Print(int(data["T"]) * _MS, int(data["t"]), float(data["p"]), float(data["q"]), aggressor)
    return None


def _read(levels: Any) -> Levels:
    return tuple((float(price), float(size)) for price, size in levels)
