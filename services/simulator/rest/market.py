"""Public REST endpoints of both products. Bound to paths in `routes`, called by the edge without a signature."""

from __future__ import annotations

import time
from typing import Any, Final

from services.simulator import market_data, quotes
from services.simulator.codes import Code, refuse
from services.simulator.figures import places, plain
from services.simulator.instruments import Instrument, Product
from services.simulator.intake import Fields
from services.simulator.market_data import Row, Window
from services.simulator.state import Venue

_DEFAULT_LIMIT: Final = 100
_MAX_CANDLES: Final = 1000
_MAX_TRADES: Final = 1000
_MAX_RATES: Final = 100
_MAX_SPOT_LEVELS: Final = 150


def server_time(_venue: Venue, _fields: Fields) -> Any:
    """Answer the wall clock: clients correct their signatures by it."""
    return {"serverTime": str(time.time_ns() // 1_000_000)}


def coins(venue: Venue, _fields: Fields) -> Any:
    """List the coins of the spot instruments."""
    names = sorted({name for item in venue.catalogue.spot.values() for name in (item.base, item.quote)})
    return [
        {"coinId": str(number), "coin": name, "transfer": "true", "areaCoin": "no", "chains": []}
        for number, name in enumerate(names, start=1)
    ]


def nothing(_venue: Venue, _fields: Fields) -> Any:
    """Answer an empty list."""
    return []


def spot_symbols(venue: Venue, fields: Fields) -> Any:
    """List the spot instruments."""
    return [dict(item.raw) for item in _listed(venue, Product.SPOT, fields)]


def contracts(venue: Venue, fields: Fields) -> Any:
    """List the contracts of a product type."""
    return [dict(item.raw) for item in _listed(venue, Product.SWAP, fields)]


def tickers(venue: Venue, fields: Fields) -> Any:
    """List the tickers of a contract type."""
    return [market_data.ticker(venue, item) for item in _listed(venue, Product.SWAP, fields)]


def ticker(venue: Venue, fields: Fields) -> Any:
    """Answer one contract's ticker, as a list."""
    return [market_data.ticker(venue, _one(venue, Product.SWAP, fields))]


def spot_tickers(venue: Venue, fields: Fields) -> Any:
    """List the spot tickers."""
    return [market_data.ticker(venue, item) for item in _listed(venue, Product.SPOT, fields)]


def depth(venue: Venue, fields: Fields) -> Any:
    """Answer a contract's book."""
    limit = fields.text("limit", "100")
    most = venue.options.book_depth
    return _book(venue, Product.SWAP, fields, most if limit == "max" else min(most, fields.whole("limit", most)))


def spot_depth(venue: Venue, fields: Fields) -> Any:
    """Answer a spot book."""
    return _book(venue, Product.SPOT, fields, min(_MAX_SPOT_LEVELS, fields.whole("limit", _MAX_SPOT_LEVELS)))


def _book(venue: Venue, product: Product, fields: Fields, levels: int) -> Row:
    instrument = _one(venue, product, fields)
    book = quotes.book(venue, product, instrument.symbol, max(1, levels))
    return {"asks": book.asks, "bids": book.bids, "ts": str(venue.now_ms)}


def trades(venue: Venue, fields: Fields) -> Any:
    """List a contract's public trades, newest first."""
    return _trades(venue, Product.SWAP, fields)


def spot_trades(venue: Venue, fields: Fields) -> Any:
    """List a spot symbol's public trades, newest first."""
    return _trades(venue, Product.SPOT, fields)


def _trades(venue: Venue, product: Product, fields: Fields) -> list[Row]:
    instrument = _one(venue, product, fields)
    limit = min(_MAX_TRADES, fields.whole("limit", _DEFAULT_LIMIT))
    start, before = fields.whole("startTime", 0), fields.text("idLessThan")
    rows = market_data.trades(venue, instrument, limit, fields.whole("endTime", 0))
    return [row for row in rows if int(row["ts"]) >= start and (not before or int(row["tradeId"]) < int(before))]


def candles(venue: Venue, fields: Fields) -> Any:
    """List a contract's candles; seven columns."""
    return _candles(venue, Product.SWAP, fields, columns=7)


def spot_candles(venue: Venue, fields: Fields) -> Any:
    """List a spot symbol's candles; eight columns."""
    return _candles(venue, Product.SPOT, fields, columns=8)


def _candles(venue: Venue, product: Product, fields: Fields, *, columns: int) -> list[list[str]]:
    instrument = _one(venue, product, fields)
    length = market_data.granularity(fields.need("granularity"))
    limit = max(1, min(_MAX_CANDLES, fields.whole("limit", _DEFAULT_LIMIT)))
    window = Window(fields.whole("startTime", 0), fields.whole("endTime", 0), limit)
    return market_data.candle_rows(venue, instrument, length, window, columns=columns)


def funding_rate(venue: Venue, fields: Fields) -> Any:
    """Answer the current funding rate of one contract or of all."""
    return [market_data.funding_now(venue, item.symbol) for item in _listed(venue, Product.SWAP, fields)]


def funding_rates(venue: Venue, fields: Fields) -> Any:
    """List settled funding rates, newest first."""
    instrument = _one(venue, Product.SWAP, fields)
    size = max(1, min(_MAX_RATES, fields.whole("pageSize", 20)))
    return market_data.funding_history(venue, instrument.symbol, max(1, fields.whole("pageNo", 1)), size)


def symbol_price(venue: Venue, fields: Fields) -> Any:
    """Answer last, index and mark price."""
    instrument = _one(venue, Product.SWAP, fields)
    price = places(venue.last(instrument.symbol), instrument.price_digits)
    row = {"symbol": instrument.symbol, "price": price, "indexPrice": price, "markPrice": price}
    return [row | {"ts": str(venue.now_ms)}]


def open_interest(venue: Venue, fields: Fields) -> Any:
    """Answer the open interest of a contract, a constant."""
    instrument = _one(venue, Product.SWAP, fields)
    return {
        "openInterestList": [{"symbol": instrument.symbol, "size": market_data.OPEN_INTEREST}],
        "ts": str(venue.now_ms),
    }


def tiers(venue: Venue, fields: Fields) -> Any:
    """List the maintenance tiers of a contract."""
    instrument = _one(venue, Product.SWAP, fields)
    return [
        {
            "symbol": instrument.symbol,
            "level": str(level),
            "startUnit": plain(tier.start),
            "endUnit": plain(tier.end),
            "leverage": str(min(instrument.max_leverage, int(0.5 / tier.rate))),
            "keepMarginRate": places(tier.rate, 8),
        }
        for level, tier in enumerate(instrument.tiers, start=1)
    ]


def unified_settings(_venue: Venue, _fields: Fields) -> Any:
    """Refuse the probe for a unified account: the account is a classic one."""
    raise refuse(Code.CLASSIC)


def _one(venue: Venue, product: Product, fields: Fields) -> Instrument:
    if product is Product.SWAP:
        fields.swap()
    return venue.instrument(product, fields.text("symbol"))


def _listed(venue: Venue, product: Product, fields: Fields) -> list[Instrument]:
    if product is Product.SWAP and fields.text("productType", Product.SWAP).upper() != Product.SWAP:
        return []
    if fields.text("symbol"):
        return [venue.instrument(product, fields.text("symbol"))]
    return list(venue.catalogue.of(product).values())
