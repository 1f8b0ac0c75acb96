"""What ccxt tells, as the listener hears it: symbols, contracts and coins, rows, and the streams of an account.

Mixed into the generic adapter, between its sockets (`_streams`) and its calls (`_ccxt`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from omega.domain import Instrument
from omega.errors import ConfigError
from services.gateway.capabilities import CandleFeed, Capabilities
from services.gateway.venue import (
    Balance,
    Candles,
    FundingBill,
    PlanOrder,
    PrivateFrame,
    Tick,
    Trade,
    VenueOptions,
    VenueOrder,
    VenuePosition,
)
from services.gateway.venues import _unified as unified
from services.gateway.venues._streams import Streams, Watch
from services.gateway.venues._tap import Json


class Rows(Streams):
    """The reading half of an adapter."""

    capabilities: ClassVar[Capabilities]
    positions_whole: ClassVar[bool] = False
    """Whether a push of positions names every open one."""
    poll_s: ClassVar[float] = 5.0
    client_key: ClassVar[str] = ""
    """Where our id stands in a raw execution."""
    forced_key: ClassVar[str] = ""
    """Where a raw execution says why it happened."""
    forced_words: ClassVar[frozenset[str]] = frozenset()
    """The reasons that are liquidations."""

    def __init__(self, options: VenueOptions) -> None:
        super().__init__(options)
        self.instruments: Mapping[str, Instrument] = {}
        self._coins: dict[str, Decimal] = {}
        self._symbols: dict[str, str] = {}
        self._held: dict[str, VenuePosition] | None = None

    # names ----------------------------------------------------------------------------------------------------------

    def unified(self, symbol: str) -> str:
        """Return ccxt's symbol of a farm symbol.

        Raises:
            ConfigError: the venue does not have it.
        """
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise ConfigError(f"{self.name} has no {symbol}; known are {', '.join(sorted(self.instruments)[:12])}")
        return instrument.venue_symbol

    def farm(self, name: str) -> str:
        """Return the farm symbol of a market's id or of ccxt's symbol; the name itself when it is none of ours."""
        return self._symbols.get(name, name)

    def contracts(self, symbol: str, size: Decimal) -> str:
        """Return a size as the wire counts it: in contracts."""
        return format(size / self._coins[symbol], "f")

    def coins(self, symbol: str) -> Decimal:
        """Return how many coins one contract is."""
        return self._coins.get(symbol, unified.ONE)

    def client_of(self, info: Mapping[str, Any]) -> str:
        """Return our id in a raw execution, empty where the venue does not tell it."""
        return str(info.get(self.client_key) or "")

    def forced(self, info: Mapping[str, Any]) -> bool:
        """Tell whether a raw execution is a liquidation."""
        return str(info.get(self.forced_key) or "") in self.forced_words

    # rows -----------------------------------------------------------------------------------------------------------

    def to_instrument(self, market: Json) -> Instrument:
        """Read one contract's rules."""
        return unified.instrument(market, self.name)

    def to_order(self, row: Json) -> VenueOrder:
        """Read one of ccxt's orders."""
        symbol = self.farm(str(row["symbol"]))
        return unified.order(row, symbol, self.coins(symbol))

    def is_plan(self, row: Json) -> bool:
        """Tell whether one of ccxt's orders waits for a trigger."""
        return bool(row.get("triggerPrice"))

    def to_plan(self, row: Json) -> PlanOrder:
        """Read one of ccxt's trigger orders."""
        symbol = self.farm(str(row["symbol"]))
        return unified.plan(row, symbol, self.coins(symbol))

    def to_trade(self, row: Json) -> Trade:
        """Read one of ccxt's executions."""
        symbol, info = self.farm(str(row["symbol"])), row["info"]
        client, forced = self.client_of(info), self.forced(info)
        return unified.trade(row, symbol, self.coins(symbol), client_id=client, forced=forced)

    def to_position(self, row: Json) -> VenuePosition:
        """Read one of ccxt's positions."""
        symbol = self.farm(str(row["symbol"]))
        return unified.position(row, symbol, self.coins(symbol))

    def to_balance(self, answer: Json) -> Balance:
        """Read ccxt's balance."""
        return unified.balance(answer, self.capabilities.coin)

    def to_bill(self, row: Json) -> FundingBill:
        """Read one of ccxt's funding payments."""
        return unified.bill(row, self.farm(str(row["symbol"])))

    # streams --------------------------------------------------------------------------------------------------------

    def private_watches(self) -> Mapping[str, Watch]:
        """Return the streams of the account."""
        data = self._data
        return {
            "orders": data.watch_orders,
            "fills": data.watch_my_trades,
            "positions": data.watch_positions,
            "account": data.watch_balance,
        }

    def ticker_watches(self, symbols: list[str]) -> Mapping[str, Watch]:
        """Return the streams of prices."""
        return {"tickers": lambda: self._data.watch_tickers(symbols)}

    def watches(self) -> Mapping[str, tuple[str, Watch]]:
        """Return every stream of the account and its symbols."""
        symbols = [self.unified(symbol) for symbol in self.options.symbols]
        streams = {name: ("private", watch) for name, watch in self.private_watches().items()}
        if symbols:
            streams |= {name: ("public", watch) for name, watch in self.ticker_watches(symbols).items()}
        for symbol in self.options.symbols:
            for timeframe in self.options.timeframes:
                streams[f"candles:{symbol}:{timeframe}"] = ("public", self._candle_watch(symbol, timeframe))
        return streams

    def _candle_watch(self, symbol: str, timeframe: str) -> Watch:
        if self.capabilities.candles is CandleFeed.POLLED:
            return lambda: self._poll(symbol, timeframe)
        return lambda: self._data.watch_ohlcv(self.unified(symbol), timeframe)

    async def _poll(self, symbol: str, timeframe: str) -> None:
        """Ask for the newest candles again and again, where the venue pushes none."""
        while True:
            rows = await self._data.fetch_ohlcv(self.unified(symbol), timeframe, None, 3)
            self.tell_candles(symbol, timeframe, rows, time.time_ns())
            await asyncio.sleep(self.poll_s)

    def tell_candles(self, symbol: str, timeframe: str, rows: Sequence[Sequence[Any]], received_ns: int) -> None:
        """Tell the listener rows of candles."""
        bars = tuple(unified.bar(row, self.coins(symbol)) for row in rows)
        self.listener.on_candles(Candles(symbol, timeframe, bars, self._venue_ns, received_ns))

    def tell_tick(self, tick: Tick | None) -> None:
        """Tell the listener prices, when there are any."""
        if tick is not None and tick.symbol in self.instruments:
            self.listener.on_tick(tick)

    def tell_account(
        self,
        number: int,
        *,
        orders: Sequence[Json] = (),
        plans: Sequence[Json] = (),
        trades: Sequence[Json] = (),
        positions: Sequence[Json] | None = None,
        balance: Balance | None = None,
    ) -> None:
        """Tell the listener one private push, given as ccxt's rows."""
        held = None if positions is None else self._merge([self.to_position(row) for row in positions])
        self.listener.on_private(
            PrivateFrame(
                orders=tuple(self.to_order(row) for row in orders),
                plans=tuple(self.to_plan(row) for row in plans),
                trades=tuple(self.to_trade(row) for row in trades),
                positions=held,
                balance=balance,
                count=number,
            )
        )

    def _merge(self, pushed: Sequence[VenuePosition]) -> tuple[VenuePosition, ...] | None:
        """Return every open position; a push that names the changed ones alone is laid over what was read before."""
        if not self.positions_whole and self._held is None:
            return None
        known = {} if self.positions_whole or self._held is None else self._held
        self._held = {**known, **{position.symbol: position for position in pushed}}
        return tuple(position for position in self._held.values() if position.size)
