"""A venue's candle history over REST through an unmodified ccxt, any of its exchanges, without a key. For `fetch`.

The one place outside the gateway that speaks to exchanges: it reads public candles and can place nothing. ccxt is
imported when a history is opened, and is not needed for anything else in the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import stamina

from omega.engine.bars import Bars
from omega.errors import ConfigError, CorruptData, EnvironmentFault, InvariantBroken, Rejected, TransientError
from omega.storage.lake.stamps import timeframe_text

_MS_NS: Final = 1_000_000
_ATTEMPTS: Final = 6
_WAIT_MAX_S: Final = 20.0
_PAGE: Final = 100
_PAGE_MAX: Final = 1000
_TIMEOUT_MS: Final = 15_000


class CcxtHistory:
    """One symbol's candles of one length at one exchange."""

    def __init__(self, exchange: Any, market: Mapping[str, Any], timeframe_ns: int, errors: Any) -> None:
        self._exchange = exchange
        self._symbol: str = market["symbol"]
        self._errors = errors
        self.timeframe_ns = timeframe_ns
        self.venue = str(exchange.id)
        self.symbol = f"{market['id']}_PERP" if market.get("swap") and market.get("linear") else str(market["id"])
        limit = exchange.feature_value(self._symbol, "fetchOHLCV", "limit", _PAGE)
        self.page_rows = max(2, min(_PAGE_MAX, int(limit or _PAGE)))

    @property
    def source(self) -> str:
        """Where the bars come from, for the lineage."""
        return f"{self.venue} {self._symbol} {timeframe_text(self.timeframe_ns)} REST"

    def newest_ns(self) -> int:
        """Return the open time of the newest bar that the venue shows; it is the one that may still be open.

        Raises:
            ConfigError: the venue shows no bar at all.
        """
        rows = self._ask(None, min(self.page_rows, _PAGE))
        if not rows:
            raise ConfigError(f"{self.source}: the venue shows no bar of it; choose another timeframe or symbol")
        return int(rows[-1][0]) * _MS_NS

    def page(self, from_ns: int, rows: int) -> Bars:
        """Return up to so many bars that open at or after an instant, oldest first; none when the venue has none there.

        Raises:
            CorruptData: the venue's rows break a rule of candles.
            Rejected: the venue refuses the request.
            TransientError: the venue cannot be reached.
        """
        found = [row for row in self._ask(from_ns // _MS_NS, rows) if int(row[0]) * _MS_NS >= from_ns]
        if any(value is None for row in found for value in row[:6]):
            raise CorruptData(f"{self.source}: a row lacks a value; ask the venue, or import its files instead")
        columns = list(zip(*(row[:6] for row in found), strict=True)) or [()] * 6
        try:
            return Bars.of([int(at) * _MS_NS for at in columns[0]], *columns[1:])
        except CorruptData as error:
            raise CorruptData(f"{self.source}: {error}") from error

    def _ask(self, since_ms: int | None, rows: int) -> list[list[Any]]:
        def call() -> Any:
            return self._exchange.fetch_ohlcv(self._symbol, timeframe_text(self.timeframe_ns), since_ms, rows)

        answer = _insist(call, self._errors, self.source)
        return sorted(answer, key=lambda row: row[0])


@contextmanager
def ccxt_history(
    venue: str, symbol: str, timeframe_ns: int, *, market: str = "swap", rest_url: str = ""
) -> Iterator[CcxtHistory]:
    """Open the history of a symbol; ccxt's own limiter keeps the venue's pace.

    Args:
        venue: an exchange by ccxt's name, `bitget`.
        symbol: the venue's id `BTCUSDT` or ccxt's name `BTC/USDT:USDT`.
        timeframe_ns: the length of the bars.
        market: `swap` or `spot`; decides between markets of the same id.
        rest_url: another server in the exchange's place, for the simulator.

    Raises:
        ConfigError: the exchange, symbol or timeframe does not exist.
        EnvironmentFault: ccxt is not installed.
        TransientError: the venue cannot be reached.
    """
    try:
        import ccxt
    except ImportError as error:
        raise EnvironmentFault(
            "fetch needs ccxt, which is not installed: pip install 'omega-bot-farm[gateway]'"
        ) from error
    if venue not in ccxt.exchanges:
        raise ConfigError(f"ccxt knows no exchange {venue!r}: name one as ccxt does, as in bitget or binance")
    exchange = getattr(ccxt, venue)(
        {
            "enableRateLimit": True,
            "timeout": _TIMEOUT_MS,
            "has": {"fetchCurrencies": False},
            # Unset, bitget's class asks for the kind of account first; other exchanges do not read it.
            "options": {"uta": False, "defaultType": market},
        }
    )
    try:
        if rest_url:
            exchange.urls["api"] = _redirected(exchange.urls["api"], rest_url)
        markets = _insist(exchange.load_markets, ccxt, f"{venue}: load the markets")
        found = _market(markets, symbol, market, venue)
        if timeframe_text(timeframe_ns) not in (exchange.timeframes or {}):
            known = ", ".join(exchange.timeframes or {})
            raise ConfigError(f"{venue} has no {timeframe_text(timeframe_ns)} bars: choose one of {known}")
        yield CcxtHistory(exchange, found, timeframe_ns, ccxt)
    finally:
        exchange.close()


def _insist(call: Callable[[], Any], errors: Any, doing: str) -> Any:
    """Make a read, again after failures of the network, and translate what ends it."""
    try:
        for attempt in stamina.retry_context(
            on=errors.NetworkError, attempts=_ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=_WAIT_MAX_S
        ):
            with attempt:
                return call()
    except errors.NetworkError as error:
        raise TransientError(
            f"{doing}: the venue cannot be reached ({_short(error)}); what was fetched is kept, run the same command "
            "again to go on"
        ) from error
    except errors.BaseError as error:
        raise Rejected(f"{doing}: the venue refuses ({_short(error)}); check symbol, timeframe and range") from error
    raise InvariantBroken(f"{doing}: the retries ended without an answer or an error")


def _market(markets: Mapping[str, Any], symbol: str, kind: str, venue: str) -> Mapping[str, Any]:
    if symbol in markets:
        named: Mapping[str, Any] = markets[symbol]
        return named
    found = [market for market in markets.values() if market["id"] == symbol and market.get(kind)]
    if len(found) == 1:
        return dict(found[0])
    names = ", ".join(sorted(market["symbol"] for market in found))
    raise ConfigError(
        f"{venue} has {'several' if found else 'no'} {kind} markets {symbol}"
        + (f": {names}; name one of them" if found else ": write the venue's id or ccxt's name, BTC/USDT:USDT")
    )


def _redirected(urls: Any, base: str) -> Any:
    """Put another server in the place of every URL, keeping the paths."""
    if isinstance(urls, dict):
        return {name: _redirected(url, base) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    server, path = urlsplit(base), urlsplit(urls).path
    return urlunsplit((server.scheme, server.netloc, server.path.rstrip("/") + path, "", ""))


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
