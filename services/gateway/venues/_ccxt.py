"""The generic adapter over ccxt.pro: two clients an account, the port's calls in ccxt's unified words, one error map.

Venues subclass it and hold only what differs. The `orders` client writes, the `data` client reads and listens; both
share the markets, and neither has a limiter of its own for requests: the gateway's lanes decide.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeVar

from omega.domain import Bar, Instrument, Side
from omega.errors import ConfigError, OmegaError, Rejected, Unresolved
from omega.resilience import ended, retry_read
from services.gateway.capabilities import Resize, StopForm
from services.gateway.classify import RefusalKind, raised, raised_read
from services.gateway.venue import (
    EVERY_PLAN,
    Ack,
    Balance,
    FundingBill,
    Listener,
    OrderRequest,
    PlanKind,
    PlanOrder,
    PlanRequest,
    Status,
    Tick,
    Trade,
    VenueOptions,
    VenueOrder,
    VenuePosition,
)
from services.gateway.venues import _unified as unified
from services.gateway.venues._rows import Rows
from services.gateway.venues._streams import WRONG
from services.gateway.venues._tap import HANDED, Json, muted, tapped

PAGE: Final = 100
_GONE: Final = RefusalKind.GONE.value
T = TypeVar("T")
_FINISHED: Final = {Status.FILLED, Status.CANCELED, Status.REJECTED}


class CcxtVenue(Rows):
    """One account at one exchange, over an unmodified ccxt.pro."""

    exchange_id: ClassVar[str] = ""
    past: ClassVar[tuple[str, ...]] = ("fetch_canceled_and_closed_orders",)
    """The calls of ccxt that list finished orders."""
    plan_lists: ClassVar[tuple[Json, ...]] = ({"trigger": True},)
    """The parameters of the lists of live trigger orders; stops and targets stand in the first."""
    weights: ClassVar[Mapping[str, float]] = MappingProxyType({})
    """What a call takes of its lane where its endpoint is slower than the lane's others: their rate over its own."""
    candle_page: ClassVar[int] = 1000
    price_call: ClassVar[str] = "fetch_tickers"
    """The call of ccxt that lists the newest prices."""

    def __init__(self, options: VenueOptions) -> None:
        super().__init__(options)
        self._orders: Any = None

    # hooks ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def urls(self) -> Json:
        """Return ccxt's `urls.api` for `options.rest_url` and `ws_url`, empty where the venue's own are to be used."""

    def settings(self) -> Json:
        """Return what the constructor gets beside keys and addresses."""
        return {}

    def sandbox(self, client: Any) -> None:
        """Lead a client to the venue's paper hosts."""
        client.set_sandbox_mode(True)

    def tradable(self, market: Json) -> bool:
        """Tell whether a market is a linear perpetual in the account's coin."""
        coin = self.capabilities.coin
        return bool(market.get("swap") and market.get("linear") and market.get("settle") == coin)

    async def hedged(self, symbol: str) -> bool:
        """Tell whether the account holds long and short side by side."""
        return bool((await self._data.fetch_position_mode(symbol))["hedged"])

    def entry_params(self, request: OrderRequest) -> Json:
        """Return ccxt's parameters of a market order."""
        params: Json = {"clientOrderId": request.client_id}
        if request.reduce_only:
            params["reduceOnly"] = True
        if request.stop is not None and self.capabilities.stops is StopForm.ATTACHED:
            params["stopLoss"] = {"triggerPrice": str(request.stop)}
        return params

    def plan_params(self, request: PlanRequest) -> Json:
        """Return ccxt's parameters of a sized stop or target."""
        key = "stopLossPrice" if request.kind is PlanKind.STOP else "takeProfitPrice"
        return {"clientOrderId": request.client_id, "reduceOnly": True, key: str(request.trigger)}

    async def amend(self, plan: PlanOrder, symbol: str, contracts: str, trigger: Decimal) -> Any:
        """Change size and trigger of a resting trigger order in place."""
        params, side = {"triggerPrice": str(trigger)}, plan.side.value
        return await self._orders.edit_order(plan.order_id, symbol, "market", side, contracts, None, params)

    async def find(self, symbol: str, name: str) -> Json | None:
        """Return ccxt's order of a client id, None or a refusal of kind GONE when there is none."""
        found: Json | None = await self._data.fetch_order("", symbol, {"clientOrderId": name})
        return found

    # life -----------------------------------------------------------------------------------------------------------

    async def start(self, listener: Listener) -> None:
        """Load the markets, prove the credentials and begin to listen."""
        self._listener = listener
        self._data, self._orders = self.make_client(), self.make_client()
        load = partial(self.read, "load the markets", self._data.load_markets)
        await retry_read(load, attempts=100, within_s=self.options.start_s)
        self._orders.set_markets_from_exchange(self._data)
        self.instruments = self.read_instruments(self._data.markets)
        missing = [symbol for symbol in self.options.symbols if symbol not in self.instruments]
        if missing:
            known = ", ".join(sorted(self.instruments)[:12])
            raise ConfigError(f"{self.name} has no {', '.join(missing)}; set gateway.symbols to some of {known}")
        await self.prove()
        await self._rehearse()
        self.listen()

    async def _rehearse(self) -> None:
        """Form an order up to its signature and send nothing: what a first order loads must not delay a real one."""
        item = next(iter(self.instruments.values()))
        size, stop = item.size_step, item.price_step * 100
        with muted(self._orders), suppress(OmegaError):
            await self.place(OrderRequest("rehearsal", str(item.symbol), Side.BUY, size, stop=stop))

    async def open_public(self) -> None:
        """Load the markets and nothing else: no keys, no sockets, for `prices` alone."""
        self._data = self.make_client()
        await self.read("load the markets", self._data.load_markets)
        self.instruments = self.read_instruments(self._data.markets)

    async def prices(self, symbols: Sequence[str]) -> list[Tick]:
        """Return the newest public prices of some symbols, over REST."""
        names = [self.unified(symbol) for symbol in symbols]
        rows = await self.read("read the prices", lambda: getattr(self._data, self.price_call)(names))
        found = []
        for row in rows.values():
            sides = [float(row[side]) for side in ("bid", "ask") if row.get(side)]
            last = row.get("last") or (sum(sides) / len(sides) if sides else None)
            tick = unified.tick({**row, "last": last}, self.farm(str(row["symbol"])), venue_ns=0)
            found += [tick] if tick is not None else []
        return found

    def make_client(self) -> Any:
        """Return a client of ccxt for this account."""
        options = self.options
        config: Json = {
            "apiKey": options.api_key,
            "secret": options.api_secret,
            "password": options.passphrase,
            "timeout": options.timeout_ms,
            "timeout_on_exit": 10 if options.rest_url.startswith("http:") else 250,
            "number": str,  # with Decimal ccxt loses what it reads twice, fees above all
            "has": {"fetchCurrencies": False},
            **self.settings(),
        }
        if options.rest_url or options.ws_url:
            config["urls"] = {"api": self.urls()}
        client = tapped(self.exchange_id, config, self)
        if options.sandbox:
            self.sandbox(client)
        return client

    def read_instruments(self, markets: Mapping[str, Json]) -> dict[str, Instrument]:
        """Return the instruments by farm symbol."""
        found: dict[str, Instrument] = {}
        for market in markets.values():
            if self.tradable(market):
                item = self.to_instrument(market)
                found[str(item.symbol)] = item
                self._coins[str(item.symbol)] = unified.coins_of(market)
                self._symbols[market["id"]] = self._symbols[market["symbol"]] = str(item.symbol)
        return found

    async def prove(self) -> None:
        """Read the account's position mode and insist on one-way.

        Raises:
            ConfigError: the account is in hedge mode and cannot be switched.
        """
        symbol = self.unified(self.options.symbols[0] if self.options.symbols else next(iter(self.instruments)))
        if not await self.read("read the position mode", lambda: self.hedged(symbol)):
            return
        try:
            await self._orders.set_position_mode(hedged=False, symbol=symbol)
        except WRONG as error:
            raise ConfigError(
                f"{self.name}/{self.options.account} is in hedge mode and refuses one-way mode; close its "
                f"positions and orders, then start again ({error})"
            ) from error

    async def close(self) -> None:
        """Close every connection."""
        try:
            await ended(self._tasks)
        finally:
            self._tasks.clear()
            clients = [client for client in (self._data, self._orders) if client is not None]
            await asyncio.gather(*(client.close() for client in clients))

    @property
    def clients(self) -> tuple[Any, Any]:
        """The two ccxt clients: orders, data."""
        return self._orders, self._data

    # calls ----------------------------------------------------------------------------------------------------------

    def retry_after_s(self) -> float:
        """Return the Retry-After of the newest answer, whichever client had it."""
        waits = [0.0]
        for client in (self._orders, self._data):
            headers = getattr(client, "last_response_headers", None) or {}
            text = next((value for key, value in headers.items() if str(key).lower() == "retry-after"), "")
            waits.append(float(text) if str(text).isdigit() else 0.0)
        return max(waits)

    def weight(self, call: str) -> float:
        """Return how many requests of its lanes a call counts for."""
        return self.weights.get(call, 1.0) * (len(self.plan_lists) if call == EVERY_PLAN else 1)

    async def time_ns(self) -> int:
        """Ask the venue for its clock, over the connection of the orders: that keeps it open between two of them."""
        return int(await self.read("read the time", self._orders.fetch_time)) * 1_000_000

    async def read(self, doing: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make a read and translate its errors."""
        return await self.read_as(doing, call, lambda answer: answer)

    async def read_as(self, doing: str, call: Callable[[], Awaitable[Any]], values: Callable[[Any], T]) -> T:
        """Make a read, turn its answer into values, and translate the errors of both: an answer may be nonsense."""
        try:
            return values(await call())
        except OmegaError:
            raise
        except WRONG as error:
            raise raised_read(error, f"{self.name}: cannot {doing}", self.refusals) from error

    async def write(
        self,
        doing: str,
        name: str,
        call: Callable[[], Awaitable[Any]],
        handed: Callable[[int], None] | None = None,
    ) -> Ack:
        """Make a write once and translate what comes.

        An answer without an id, or one that calls itself rejected without a code, proves nothing: unresolved.
        """
        token = HANDED.set(handed)
        try:
            answer = await call()
        except WRONG as error:
            raise raised(error, f"{self.name}: {doing} {name}", self.refusals) from error
        finally:
            HANDED.reset(token)
        order_id = answer.get("id") if isinstance(answer, dict) else None
        if not order_id or answer.get("status") == "rejected":
            raise Unresolved(f"{self.name}: {doing} {name} was answered without an order id; it is being looked up")
        return Ack(str(order_id), name)

    # writes ---------------------------------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Ack:
        """Send one market order once; where the venue attaches stops, its stop rides on it."""
        symbol, params = self.unified(request.symbol), self.entry_params(request)
        side, amount = request.side.value, self.contracts(request.symbol, request.size)
        send = partial(self._orders.create_order, symbol, "market", side, amount, None, params)
        return await self.write("order", request.client_id, send, request.handed)

    async def place_plan(self, request: PlanRequest) -> Ack:
        """Send one sized, reduce-only stop or target once."""
        symbol, params = self.unified(request.symbol), self.plan_params(request)
        side, amount = request.side.value, self.contracts(request.symbol, request.size)
        send = partial(self._orders.create_order, symbol, "market", side, amount, None, params)
        return await self.write("stop", request.client_id, send)

    async def resize_plan(self, plan: PlanOrder, size: Decimal, trigger: Decimal | None = None) -> None:
        """Change size and trigger of a resting trigger order, in place; Rejected where the venue cannot."""
        if self.capabilities.resize is Resize.REPLACE:
            raise Rejected(f"{self.name} does not change trigger orders in place", kind=RefusalKind.MODE.value)
        symbol, amount = self.unified(plan.symbol), self.contracts(plan.symbol, size)
        await self.write("resize", plan.order_id, lambda: self.amend(plan, symbol, amount, trigger or plan.trigger))

    async def cancel_plan(self, plan: PlanOrder) -> bool:
        """Cancel a trigger order."""
        return await self._cancel(plan.symbol, plan.order_id, {"trigger": True})

    async def cancel(self, symbol: str, *, order_id: str = "", client_id: str = "") -> bool:
        """Cancel a resting order."""
        return await self._cancel(symbol, order_id, {} if order_id else {"clientOrderId": client_id})

    async def _cancel(self, symbol: str, order_id: str | None, params: Json) -> bool:
        market, name = self.unified(symbol), order_id or str(next(iter(params.values()), ""))
        try:
            await self.write("cancel", name, lambda: self._orders.cancel_order(order_id, market, params))
        except Rejected as error:
            if error.kind != _GONE:
                raise
            return False
        return True

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of one symbol, when it differs."""
        market = self.unified(symbol)
        now = await self.read("read the leverage", lambda: self._data.fetch_leverage(market))
        if int(now["longLeverage"] or 0) != leverage:
            await self.read("set the leverage", lambda: self._orders.set_leverage(leverage, market))

    # reads ----------------------------------------------------------------------------------------------------------

    async def order(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Return the order of a client id, None when the venue knows none."""
        market = self.unified(symbol)
        try:
            return await self.read_as(f"find {client_id}", lambda: self.find(market, client_id), self._one)
        except Rejected as error:
            if error.kind != _GONE:
                raise
            return None

    def _one(self, found: Json | None) -> VenueOrder | None:
        return self.to_order(found) if found and found.get("id") else None

    async def open_orders(self) -> list[VenueOrder]:
        """Return the resting orders."""
        fetch = partial(self._data.fetch_open_orders, None, None, PAGE)
        return await self.read_as("list the open orders", fetch, self._as_orders)

    def _as_orders(self, rows: Sequence[Json]) -> list[VenueOrder]:
        return [self.to_order(row) for row in rows if not self.is_plan(row)]

    def _as_plans(self, rows: Sequence[Json]) -> list[PlanOrder]:
        return [self.to_plan(row) for row in rows if self.is_plan(row)]

    async def past_orders(self, symbol: str) -> list[VenueOrder]:
        """Return the newest finished orders of one symbol."""
        return [order for order in await self._past(symbol, {}, self._as_orders) if order.status in _FINISHED]

    async def plans(self, *, every: bool = True) -> list[PlanOrder]:
        """Return the live stops and targets; with `every` the other trigger orders too."""
        kinds = self.plan_lists if every else self.plan_lists[:1]
        lists = await asyncio.gather(*(self._live_plans(params) for params in kinds))
        return [plan for rows in lists for plan in rows]

    async def past_plans(self, symbol: str) -> list[PlanOrder]:
        """Return the newest stops and targets of one symbol that have ended."""
        params = {"trigger": True, **self.plan_lists[0]}
        return [plan for plan in await self._past(symbol, params, self._as_plans) if not plan.live]

    async def _past(self, symbol: str, params: Json, values: Callable[[Any], list[T]]) -> list[T]:
        market = self.unified(symbol)
        calls = [partial(getattr(self._data, name), market, None, PAGE, dict(params)) for name in self.past]
        lists = await asyncio.gather(*(self.read_as("list past orders", call, values) for call in calls))
        return [row for rows in lists for row in rows]

    async def _live_plans(self, params: Json) -> list[PlanOrder]:
        fetch = partial(self._data.fetch_open_orders, None, None, PAGE, dict(params))
        return await self.read_as("list the trigger orders", fetch, self._as_plans)

    async def trades(self, symbol: str, *, since_ns: int = 0) -> list[Trade]:
        """Return the account's executions in one symbol, oldest first."""
        market, since = self.unified(symbol), since_ns // unified.MS or None
        fetch = partial(self._data.fetch_my_trades, market, since, PAGE)
        return in_order(t for t in await self.read_as("list the fills", fetch, self._as_trades) if t.ts_ns >= since_ns)

    def _as_trades(self, rows: Sequence[Json]) -> list[Trade]:
        return [self.to_trade(row) for row in rows]

    async def positions(self) -> list[VenuePosition]:
        """Return the open positions."""
        rows = await self.read_as(
            "list the positions", self._data.fetch_positions, lambda a: [*map(self.to_position, a)]
        )
        found = [position for position in rows if position.size]
        self._held = {position.symbol: position for position in found}
        return found

    async def balance(self) -> Balance:
        """Return the account's money."""
        return await self.read_as("read the balance", self._data.fetch_balance, self.to_balance)

    async def funding(self, symbol: str) -> list[FundingBill]:
        """Return the newest funding payments of one symbol, oldest first."""
        market = self.unified(symbol)
        fetch = partial(self._data.fetch_funding_history, market, None, PAGE)
        bills = await self.read_as("list the funding", fetch, lambda rows: [*map(self.to_bill, rows)])
        return sorted(bills, key=lambda item: (item.ts_ns, item.funding_id))

    async def candles(self, symbol: str, timeframe: str, *, limit: int, since_ns: int = 0) -> list[Bar]:
        """Return the newest `limit` rows, or those from `since_ns` on; oldest first."""
        market, since, page = self.unified(symbol), since_ns // unified.MS or None, self.candle_page
        coins, doing = self.coins(symbol), f"read the candles of {symbol}"
        rows = await self.read(doing, lambda: self._data.fetch_ohlcv(market, timeframe, since, min(limit, page)))
        found = {int(row[0]): row for row in rows}
        while since is None and len(found) < limit:
            until = min(found, default=0)
            fetch = partial(self._data.fetch_ohlcv, market, timeframe, None, page, {"until": until - 1})
            fresh = {int(row[0]): row for row in await self.read(doing, fetch) if int(row[0]) < until}
            if not fresh:
                break
            found.update(fresh)
        newest = sorted(found)[-limit if since is None else 0 :]
        return [unified.bar(found[ts], coins) for ts in newest]

    async def book(self, symbol: str, *, depth: int = 5, within_s: float = 10.0) -> Json:
        """Return the next order book of a symbol, never a crossed one; sizes are the venue's own.

        Raises:
            CorruptData: it is crossed; the cached book and its socket are dropped, ask again.
            TransientError: the socket failed or nothing came in time.
        """
        return await self.watched_book(symbol, self.unified(symbol), depth, within_s)

    @abstractmethod
    async def may_withdraw(self) -> bool:
        """Tell whether the key could move money off the account."""


def in_order(trades: Any) -> list[Trade]:
    """Return executions, oldest first, each once."""
    found = {trade.trade_id: trade for trade in trades}
    return sorted(found.values(), key=lambda item: (item.ts_ns, len(item.trade_id), item.trade_id))
