"""Public WebSocket channels: which exist, what a subscriber gets at first and what with every move of the clock.

Called by the hub; one `Stream` holds what one subscription has seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from services.simulator import market_data, quotes
from services.simulator.instruments import Instrument, Product
from services.simulator.market_data import Window
from services.simulator.outbox import Channel
from services.simulator.state import Venue

_FIRST_CANDLES: Final = 100
_FIRST_TRADES: Final = 50
BOOK_DEPTHS: Final = {"books1": 1, "books5": 5, "books15": 15, "books50": 50}
_LENGTHS: Final = "1m 3m 5m 15m 30m 1H 4H 6H 12H 1D 1W 6Hutc 12Hutc 1Dutc 1Wutc"
CANDLES: Final = frozenset(f"candle{text}" for text in _LENGTHS.split())
PRIVATE: Final = frozenset(Channel)


class Arg(NamedTuple):
    """What a client subscribes to; `inst_id` holds the coin on account channels."""

    inst_type: str
    channel: str
    inst_id: str

    def wire(self) -> dict[str, str]:
        """Write it as the venue echoes it."""
        name = "coin" if self.channel == Channel.ACCOUNT else "instId"
        return {"instType": self.inst_type, "channel": self.channel, name: self.inst_id}


def read_arg(raw: Any) -> Arg | None:
    """Read one argument of a subscription; None when it names nothing that exists."""
    if not isinstance(raw, dict):
        return None
    inst_id = raw.get("instId", raw.get("coin", "default"))
    arg = Arg(str(raw.get("instType", "")).upper(), str(raw.get("channel", "")), str(inst_id))
    known = arg.inst_type in set(Product) and (
        arg.channel in {"ticker", "trade", "books"} or arg.channel in CANDLES | BOOK_DEPTHS.keys() | PRIVATE
    )
    return arg if known else None


def rank(arg: Arg) -> tuple[int, Arg]:
    """Return the place of a channel in one move of the clock: candles, tickers, trades, books."""
    if arg.channel in CANDLES:
        return 0, arg
    return {"ticker": 1, "trade": 2}.get(arg.channel, 3), arg


class Frame(NamedTuple):
    """One push to make: its action and its data."""

    action: str
    data: list[Any]


@dataclass(slots=True)
class Stream:
    """What the subscribers of one argument have been sent together; all of them saw the same."""

    instrument: Instrument
    arg: Arg
    book: quotes.Book | None = None
    seq: int = 0
    traded_ms: int = 0
    length: int = field(default=0)

    def __post_init__(self) -> None:
        if self.arg.channel in CANDLES:
            self.length = market_data.granularity(self.arg.channel.removeprefix("candle"))

    def first(self, venue: Venue) -> Frame:
        """Return the snapshot for one more subscriber; it moves nobody else's state."""
        if self.length:
            window = Window(0, 0, _FIRST_CANDLES)
            rows = market_data.candle_rows(venue, self.instrument, self.length, window, columns=8)
            return Frame("snapshot", list(rows))
        if self.arg.channel == "trade":
            return Frame("snapshot", _trade_rows(market_data.trades(venue, self.instrument, _FIRST_TRADES)))
        if self.arg.channel == "books":
            if self.book is None:
                self.book = self._book(venue, venue.options.book_depth)
            return Frame("snapshot", [self._book_row(venue, self.book, self.book, 0)])
        return self._moved(venue)

    def next(self, venue: Venue) -> Frame | None:
        """Return what the last move of the clock brought, None when nothing did."""
        if self.length:
            return Frame("update", [market_data.last_candle(venue, self.instrument, self.length)])
        if self.arg.channel == "trade":
            rows = market_data.new_trades(venue, self.instrument, self.traded_ms)
            self.traded_ms = venue.now_ms
            return Frame("update", _trade_rows(rows)) if rows else None
        if self.arg.channel == "books":
            return self._book_update(venue)
        return self._moved(venue)

    def _moved(self, venue: Venue) -> Frame:
        """Return a channel that sends everything every time: ticker and the shallow books."""
        if self.arg.channel == "ticker":
            return Frame("snapshot", [market_data.pushed_ticker(venue, self.instrument)])
        self.seq += 1
        book = self._book(venue, BOOK_DEPTHS[self.arg.channel])
        row = {"asks": book.asks, "bids": book.bids, "ts": str(venue.now_ms), "seq": self._seq(venue), "pseq": 0}
        return Frame("snapshot", [row])

    def _book_update(self, venue: Venue) -> Frame | None:
        old, new = self.book, self._book(venue, venue.options.book_depth)
        if old is None or old == new:
            self.book = new
            return None
        before = self._seq(venue)
        self.seq += 1
        self.book = new
        return Frame("update", [self._book_row(venue, quotes.difference(old, new), new, before)])

    def _book(self, venue: Venue, depth: int) -> quotes.Book:
        return quotes.book(venue, self.instrument.product, self.instrument.symbol, depth)

    def _book_row(self, venue: Venue, sent: quotes.Book, whole: quotes.Book, before: int) -> dict[str, Any]:
        row: dict[str, Any] = {"asks": sent.asks, "bids": sent.bids}
        if venue.options.checksums:
            row["checksum"] = quotes.checksum(whole.bids, whole.asks)
        return row | {"seq": self._seq(venue), "pseq": before, "ts": str(venue.now_ms)}

    def _seq(self, venue: Venue) -> int:
        return venue.replay.start_ms + self.seq


def _trade_rows(rows: list[market_data.Row]) -> list[market_data.Row]:
    return [{name: row[name] for name in ("ts", "price", "size", "side", "tradeId")} for row in rows]
