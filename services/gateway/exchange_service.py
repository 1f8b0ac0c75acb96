"""ExchangeService: the venue under the names that both seeds' class boxes give it.

The gateway's own public face of the account. Every method goes through the gateway's journal, lanes and error map;
there is no second way to the venue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal

from pydantic import SecretStr

from omega.config import Gateway
from omega.domain import (
    EXTERNAL,
    Action,
    Bar,
    BotName,
    Instrument,
    Intent,
    IntentId,
    Side,
    client_id,
    timeframe_ns,
)
from omega.domain import ids as _ids
from omega.errors import ConfigError, Rejected
from omega.resilience import Lane
from services.gateway.account import Account
from services.gateway.orderpath import OrderPath
from services.gateway.rows import JournalOrder
from services.gateway.venue import Balance, Tick, Venue, VenueOrder, VenuePosition


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys of one account; they show as stars wherever they are printed."""

    api_key: SecretStr
    api_secret: SecretStr
    passphrase: SecretStr


@dataclass(frozen=True, slots=True)
class Canceled:
    """What became of a cancel: cancelled, filled, or unknown."""

    client_id: str
    outcome: str
    filled: Decimal


class ExchangeService:
    """One exchange account under the seeds' names."""

    def __init__(self, account: Account, path: OrderPath, ticks: Callable[[], Mapping[str, Tick]]) -> None:
        gateway: Gateway = account.settings.gateway
        self.exchange_id = account.venue_name
        self.api_key = gateway.api_key
        self.api_secret = gateway.api_secret
        self.credentials = Credentials(gateway.api_key, gateway.api_secret, gateway.passphrase)
        self.use_testnet = account.settings.trading.mode.value != "live"
        self._account = account
        self._path = path
        self._ticks = ticks

    @property
    def exchange_client(self) -> Venue:
        """The venue's adapter."""
        return self._account.venue

    async def get_exchange_client(self) -> Venue:
        """Return the venue's adapter, which exists in the gateway alone."""
        return self._account.venue

    async def fetch_markets(self) -> dict[str, Instrument]:
        """Return the instruments by symbol."""
        return dict(self._account.venue.instruments)

    async def fetch_tickers(self, symbols: Sequence[str] = ()) -> dict[str, Tick]:
        """Return the newest prices of many symbols, each with the venue's time."""
        ticks = self._ticks()
        return {symbol: ticks[symbol] for symbol in symbols or ticks if symbol in ticks}

    async def fetch_ticker(self, symbol: str) -> Tick:
        """Return the newest prices of one symbol.

        Raises:
            ConfigError: no price of it has come; it is not among gateway.symbols.
        """
        found = (await self.fetch_tickers((symbol,))).get(symbol)
        if found is None:
            raise ConfigError(f"no price of {symbol} has come; name it in gateway.symbols")
        return found

    async def fetch_ohlcv(
        self, symbol: str, timeframe: str = "1m", *, since_ns: int = 0, limit: int = 200
    ) -> list[Bar]:
        """Return closed bars, oldest first; what the venue does not have is not invented."""
        async with self._account.turns.market():
            rows = await self._account.venue.candles(symbol, timeframe, limit=limit + 1, since_ns=since_ns)
        now_ns = max(self._account.venue.venue_ns(), rows[-1].ts_ns if rows else 0)
        return [row for row in rows if row.ts_ns + timeframe_ns(timeframe) <= now_ns][:limit]

    async def fetch_balance(self) -> Balance:
        """Return the account's money."""
        async with self._account.turns.read():
            self._account.balance = await self._account.venue.balance()
        return self._account.balance

    async def fetch_positions(self) -> list[VenuePosition]:
        """Return the open positions."""
        async with self._account.turns.read(call="positions"):
            return await self._account.venue.positions()

    get_positions = fetch_positions

    async def create_order(self, intent: Intent) -> JournalOrder:
        """Carry out an intent: gate, journal, one send; return the order as far as it has come.

        Raises:
            Rejected: the same intent was carried out before; its order is unchanged.
        """
        await self._path.close_out(intent)
        order = self._account.journal.by_intent(intent.intent_id)
        if order is None or order.client_id != client_id(intent.intent_id):
            raise Rejected(f"{intent.intent_id} left no order; look at the denied events", kind="RULES")
        return order

    place_order = create_order

    async def cancel_order(self, symbol: str, *, client_id: str = "", order_id: str = "") -> Canceled:
        """Cancel a resting order; when it filled meanwhile the answer says so."""
        async with self._account.turns.order(Lane.EXIT):
            done = await self._account.venue.cancel(symbol, order_id=order_id, client_id=client_id)
        async with self._account.turns.read():
            found = await self._account.venue.order(symbol, client_id) if client_id else None
        if found is not None:
            self._account.learn(found)
        filled = found.filled if found is not None else Decimal(0)
        outcome = "cancelled" if done else "filled" if filled else "unknown"
        return Canceled(client_id or order_id, outcome, filled)

    async def fetch_orders(self, symbol: str = "") -> list[VenueOrder]:
        """Return resting and finished orders, the newest of each symbol."""
        async with self._account.turns.read():
            found = await self._account.venue.open_orders()
        for name in [symbol] if symbol else self._account.settings.gateway.symbols:
            async with self._account.turns.read():
                found += await self._account.venue.past_orders(name)
        return [order for order in found if symbol in {"", order.symbol}]

    async def set_leverage(self, symbol: str, leverage: int) -> int:
        """Set a symbol's leverage, capped by `trading.max_leverage` and by the contract; return what was set."""
        instrument = self._account.require_instrument(symbol)
        capped = max(1, min(leverage, self._account.settings.trading.max_leverage, instrument.max_leverage))
        async with self._account.turns.order(Lane.STOP, call="set_leverage"):
            await self._account.venue.set_leverage(symbol, capped)
        return capped

    async def close_position(self, symbol: str, *, bot: str = "", reason: str = "close_position") -> list[str]:
        """Close what the bots (or one of them) hold in a symbol, at market; return the bots that were closed."""
        closed = []
        for name, size in self._account.books.open(symbol).items():
            if name != EXTERNAL and bot in {"", name}:
                await self._path.close_out(flatten(self._account, name, symbol, size, reason))
                closed.append(name)
        return closed

    async def close_external(self, symbol: str, size: Decimal, *, reason: str) -> None:
        """Close a signed part of the EXTERNAL book, at market."""
        await self._path.close_out(flatten(self._account, str(EXTERNAL), symbol, size, reason))

    def is_connected(self) -> bool:
        """Tell whether the private session is proven."""
        return self._account.venue.connected()

    async def close(self) -> None:
        """Close every connection."""
        await self._account.venue.close()

    def status(self) -> dict[str, object]:
        """Return what may be shown of the account; no secret is in it."""
        return {"exchange_id": self.exchange_id, "testnet": self.use_testnet, "balance": asdict(self._account.balance)}


def flatten(account: Account, bot: str, symbol: str, size: Decimal, reason: str) -> Intent:
    """Form the gateway's own intent that closes a signed part of a bot's position, one an instant."""
    now = time.time_ns()
    trading = account.settings.trading
    return Intent(
        intent_id=IntentId(f"{bot}:{now}:flatten"),
        bot=BotName(bot),
        venue=_ids.VenueName(trading.venue),
        account=_ids.AccountName(trading.account),
        symbol=_ids.Symbol(symbol),
        action=Action.FLATTEN,
        side=Side.SELL if size > 0 else Side.BUY,
        size=abs(size),
        bar_ts_ns=max((ts for (held, _), ts in account.newest_bar_ns.items() if held == symbol), default=0),
        ref_price=account.price(symbol),
        reason=reason,
    )
