"""Public market data as the clock has shown it: candles, tickers, trades, funding. Called by REST and the channels.

Every function reads closed rows and the seen part of the open minute, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from services.simulator import quotes
from services.simulator.candles import F64, I64, MINUTE_MS
from services.simulator.codes import Code, refuse
from services.simulator.figures import places
from services.simulator.funding_rates import INTERVAL_MS, next_instant
from services.simulator.instruments import Instrument, Product
from services.simulator.state import Venue

Row = dict[str, Any]

DAY_MS: Final = 86_400_000
_DAY_MINUTES: Final = 1440
_WEEK_OFFSET_MS: Final = 4 * DAY_MS
"""The epoch was a Thursday; weeks open on Monday."""
_MONTHS: Final = -1
_RECENT: Final = 12
_FIRST_TRADE: Final = 1_200_000_000_000_000_000
OPEN_INTEREST: Final = "10000"

GRANULARITIES: Final[dict[str, int]] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1month": _MONTHS,
}


def granularity(text: str) -> int:
    """Return a candle length in ms, -1 for calendar months; spot's and swap's spellings alike.

    Raises:
        Rejected: no such length.
    """
    plain = text.removesuffix("utc")
    word = "1month" if plain == "1M" else plain.lower().replace("min", "m")
    if word not in GRANULARITIES:
        raise refuse(Code.VERIFY, f"granularity {text!r}")
    return GRANULARITIES[word]


@dataclass(frozen=True, slots=True)
class Visible:
    """The rows of one symbol that the clock has shown, the open minute last. Shapes: every array is (n,)."""

    ts: I64
    open_: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    turnover: F64


def visible(venue: Venue, symbol: str, minutes: int | None = None, end_ms: int | None = None) -> Visible:
    """Return what has been shown of a symbol: the last `minutes` rows that open before `end_ms`."""
    candles = venue.replay.series[symbol]
    closed = venue.replay.closed(symbol)
    stop = closed if end_ms is None else min(closed, max(0, -(-(end_ms - int(candles.ts[0])) // MINUTE_MS)))
    begin = 0 if minutes is None else max(0, stop - minutes)
    part = slice(begin, stop)
    columns = [
        candles.open_[part],
        candles.high[part],
        candles.low[part],
        candles.close[part],
        candles.volume[part],
        candles.turnover[part],
    ]
    ts = candles.ts[part]
    seen = venue.replay.seen.get(symbol)
    if seen is not None and (end_ms is None or venue.replay.minute_ms < end_ms):
        now = (seen.open_, seen.high, seen.low, seen.close, seen.volume, seen.turnover)
        ts = np.append(ts, venue.replay.minute_ms)
        columns = [np.append(column, value) for column, value in zip(columns, now, strict=True)]
    return Visible(ts, *columns)


def _buckets(ts: I64, length: int) -> I64:
    if length == _MONTHS:
        months = ts.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64)
    offset = _WEEK_OFFSET_MS if length == 7 * DAY_MS else 0
    return (ts - offset) // length * length + offset


def merged(rows: Visible, length: int) -> Visible:
    """Merge minutes into longer candles, aligned to UTC."""
    if length == MINUTE_MS or not len(rows.ts):
        return rows
    opens = _buckets(rows.ts, length)
    first = np.flatnonzero(np.append(True, opens[1:] != opens[:-1]))
    last = np.append(first[1:], len(opens)) - 1
    return Visible(
        opens[first],
        rows.open_[first],
        np.maximum.reduceat(rows.high, first),
        np.minimum.reduceat(rows.low, first),
        rows.close[last],
        np.add.reduceat(rows.volume, first),
        np.add.reduceat(rows.turnover, first),
    )


def _whole_buckets(rows: Visible, length: int) -> Visible:
    """Drop a first candle whose beginning was cut off."""
    if len(rows.ts) and int(_buckets(rows.ts[:1], length)[0]) != int(rows.ts[0]):
        keep = int(np.argmax(_buckets(rows.ts, length) != _buckets(rows.ts[:1], length)[0]))
        keep = keep or len(rows.ts)
        return Visible(*(getattr(rows, name)[keep:] for name in Visible.__dataclass_fields__))
    return rows


@dataclass(frozen=True, slots=True)
class Window:
    """Which candles a client wants. Units: ms; the end is exclusive; zero is open."""

    start_ms: int
    end_ms: int
    limit: int


def candle_rows(venue: Venue, instrument: Instrument, length: int, window: Window, *, columns: int) -> list[list[str]]:
    """Return candles in ascending order: the last ones of the window, the first ones when only a start is given."""
    span = 31 * DAY_MS if length == _MONTHS else length
    end = window.end_ms or None
    if window.start_ms and not window.end_ms:
        end = window.start_ms + (window.limit + 1) * span
    minutes = (window.limit + 1) * span // MINUTE_MS
    rows = visible(venue, instrument.symbol, minutes, end)
    candles = merged(_whole_buckets(rows, length) if len(rows.ts) >= minutes else rows, length)
    keep = [i for i in range(len(candles.ts)) if int(candles.ts[i]) >= window.start_ms]
    keep = keep[: window.limit] if window.start_ms and not window.end_ms else keep[-window.limit :]
    return [candle_row(instrument, candles, i, columns) for i in keep]


def candle_row(instrument: Instrument, candles: Visible, i: int, columns: int) -> list[str]:
    """Write one candle: time, open, high, low, close, base and quote volume; the eighth column repeats the last."""
    digits = instrument.price_digits
    turnover = places(float(candles.turnover[i]), 6)
    row = [
        str(int(candles.ts[i])),
        places(float(candles.open_[i]), digits),
        places(float(candles.high[i]), digits),
        places(float(candles.low[i]), digits),
        places(float(candles.close[i]), digits),
        places(float(candles.volume[i]), instrument.size_digits),
        turnover,
    ]
    return [*row, turnover] if columns == len(row) + 1 else row


def last_candle(venue: Venue, instrument: Instrument, length: int) -> list[str]:
    """Return the newest candle of a length, open or closed, with eight columns."""
    if length == MINUTE_MS:
        rows = visible(venue, instrument.symbol, 1)
        return candle_row(instrument, rows, len(rows.ts) - 1, 8)
    return candle_rows(venue, instrument, length, Window(0, 0, 1), columns=8)[0]


def ticker(venue: Venue, instrument: Instrument) -> Row:
    """Return what REST tickers of both products share, and the contract's fields on swaps alone."""
    day = visible(venue, instrument.symbol, _DAY_MINUTES)
    digits, last = instrument.price_digits, venue.last(instrument.symbol)
    book = quotes.book(venue, instrument.product, instrument.symbol, 1)
    bid, ask = book.bids, book.asks
    opened = float(day.open_[0])
    midnight = venue.now_ms // DAY_MS * DAY_MS
    since = day.open_[np.searchsorted(day.ts, midnight)] if day.ts[-1] >= midnight else last
    turnover = places(float(day.turnover.sum()), 6)
    shared: Row = {
        "symbol": instrument.symbol,
        "lastPr": places(last, digits),
        "askPr": ask[0][0],
        "bidPr": bid[0][0],
        "bidSz": bid[0][1],
        "askSz": ask[0][1],
        "high24h": places(float(day.high.max()), digits),
        "low24h": places(float(day.low.min()), digits),
        "ts": str(venue.now_ms),
        "change24h": places(last / opened - 1.0, 5),
        "baseVolume": places(float(day.volume.sum()), instrument.size_digits),
        "quoteVolume": turnover,
        "usdtVolume": turnover,
        "openUtc": places(float(since), digits),
        "changeUtc24h": places(last / float(since) - 1.0, 5),
    }
    if instrument.product is Product.SPOT:
        return shared | {"open": places(opened, digits)}
    mark = places(last, digits)
    return shared | {
        "indexPrice": mark,
        "fundingRate": rate_text(venue.rates.known(instrument.symbol, venue.now_ms)),
        "holdingAmount": OPEN_INTEREST,
        "deliveryStartTime": None,
        "deliveryTime": None,
        "deliveryStatus": "",
        "open24h": places(opened, digits),
        "markPrice": mark,
    }


def pushed_ticker(venue: Venue, instrument: Instrument) -> Row:
    """Return the row of the ticker channel."""
    row = ticker(venue, instrument)
    row["instId"] = instrument.symbol
    if instrument.product is Product.SPOT:
        return row | {"open24h": row["open"]}
    return row | {
        "nextFundingTime": str(next_instant(venue.now_ms)),
        "symbolType": "1",
        "deliveryPrice": "0",
    }


def rate_text(rate: float) -> str:
    """Write a funding rate."""
    return places(rate, 8)


def funding_now(venue: Venue, symbol: str) -> Row:
    """Return the current funding rate: the last one settled, for nothing newer is known."""
    return {
        "symbol": symbol,
        "fundingRate": rate_text(venue.rates.known(symbol, venue.now_ms)),
        "fundingRateInterval": "8",
        "nextUpdate": str(next_instant(venue.now_ms)),
        "minFundingRate": "-0.003",
        "maxFundingRate": "0.003",
    }


def funding_history(venue: Venue, symbol: str, page: int, size: int) -> list[Row]:
    """Return settled funding rates, newest first."""
    newest = venue.now_ms // INTERVAL_MS * INTERVAL_MS
    first = int(venue.replay.series[symbol].ts[0])
    instants = range(newest - (page - 1) * size * INTERVAL_MS, newest - page * size * INTERVAL_MS, -INTERVAL_MS)
    return [
        {"symbol": symbol, "fundingRate": rate_text(venue.rates.at(symbol, at)), "fundingTime": str(at)}
        for at in instants
        if at >= first
    ]


def trades(venue: Venue, instrument: Instrument, limit: int, end_ms: int = 0) -> list[Row]:
    """Return public trades, newest first: the prints of the minutes that the clock has passed."""
    candles = venue.replay.series[instrument.symbol]
    end = min(end_ms or venue.now_ms + 1, venue.now_ms + 1)
    newest = min(candles.index(end), venue.replay.closed(instrument.symbol), len(candles) - 1)
    found: list[Row] = []
    for row in range(newest, -1, -1):
        if len(found) >= limit:
            break
        found.extend(reversed(_prints(venue, instrument, row, end)))
    return found[:limit]


def new_trades(venue: Venue, instrument: Instrument, since_ms: int) -> list[Row]:
    """Return the trades after an instant, newest first."""
    return [row for row in trades(venue, instrument, _RECENT) if int(row["ts"]) > since_ms]


def _prints(venue: Venue, instrument: Instrument, row: int, end_ms: int) -> Sequence[Row]:
    rows: list[Row] = []
    before = 0.0
    for number, item in enumerate(venue.replay.prints(instrument.symbol, row)):
        trade = {
            "tradeId": str(_FIRST_TRADE + item.ts_ms // MINUTE_MS * 10 + number),
            "symbol": instrument.symbol,
            "price": places(item.price, instrument.price_digits),
            "size": places(item.size, instrument.size_digits),
            "side": "buy" if item.price >= before else "sell",
            "ts": str(item.ts_ms),
        }
        before = item.price
        if item.ts_ms < end_ms:
            rows.append(trade)
    return rows
