"""Bitget v2, USDT perpetuals in one-way mode: what differs from the generic ccxt adapter.

Chosen by `trading.venue: bitget`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, Final

from omega.domain import Bar, Instrument
from omega.errors import ConfigError, Rejected
from omega.plugins import venue
from services.gateway.classify import RefusalKind
from services.gateway.venue import (
    Ack,
    Balance,
    Candles,
    FundingBill,
    OrderRequest,
    PlanKind,
    PlanOrder,
    PlanRequest,
    PrivateFrame,
    Trade,
    VenueOrder,
    VenuePosition,
)
from services.gateway.venues import _bitget_wire as wire
from services.gateway.venues._ccxt import CcxtVenue, Watch
from services.gateway.venues._tap import Json

PRODUCT: Final = "USDT-FUTURES"
_REST: Final = ("spot", "mix", "user", "p2p", "broker", "margin", "common", "tax", "convert", "copy", "earn", "uta")
_GONE: Final = RefusalKind.GONE.value
_PLAN_TYPES: Final = ("profit_loss", "normal_plan", "track_plan")
_PAGE: Final = 100
_HISTORY_PAGE: Final = 200


@venue("bitget", sandbox=True, client_id="clientOid", client_id_max=50, kinds=("swap",), venue_stops=True)
class Bitget(CcxtVenue):
    """One Bitget account."""

    name = "bitget"
    exchange_id: ClassVar[str] = "bitget"
    private_channels: ClassVar[frozenset[str]] = frozenset({"orders", "orders-algo", "fill", "positions", "account"})

    def config(self) -> Json:
        """Return the constructor arguments of both clients.

        `uta: False` is a must: unset, ccxt asks the venue and may switch to another API. Currencies are not needed.
        """
        options = self.options
        config: Json = {
            "apiKey": options.api_key,
            "secret": options.api_secret,
            "password": options.passphrase,
            "timeout": options.timeout_ms,
            "timeout_on_exit": 10 if options.rest_url.startswith("http:") else 250,
            "number": Decimal,
            "has": {"fetchCurrencies": False},
            "options": {
                "uta": False,
                "defaultType": "swap",
                "adjustForTimeDifference": True,
                "fetchMarkets": {"types": ["swap"]},
                "ws": {"cost": 2, "compress": 0},
            },
        }
        api: Json = {}
        if options.rest_url:
            api.update(dict.fromkeys(_REST, options.rest_url))
        if options.ws_url:
            ways = ("public", "private", "utaPublic", "utaPrivate")
            api["ws"] = api["demo"] = {way: f"{options.ws_url}/v2/ws/{way}" for way in ways}
        if api:
            config["urls"] = {"api": api}
        return config

    def public_url(self) -> str:
        """Return the URL of the public socket."""
        return self._ws("public")

    def private_url(self) -> str:
        """Return the URL of the private socket."""
        return self._ws("private")

    def read_instruments(self, markets: Mapping[str, Json]) -> dict[str, Instrument]:
        """Return the USDT perpetuals by farm symbol."""
        linear = (m for m in markets.values() if m.get("swap") and m.get("linear") and m.get("settle") == "USDT")
        found = [wire.instrument(market, self.name) for market in linear]
        self._symbols = {self._data.market(item.venue_symbol)["id"]: str(item.symbol) for item in found}
        return {str(item.symbol): item for item in found}

    async def prove(self) -> None:
        """Read the account once and insist on one-way mode.

        Raises:
            ConfigError: the account is in hedge mode and cannot be switched.
        """
        symbol = self.options.symbols[0] if self.options.symbols else next(iter(self.instruments))
        answer = await self.read("read the account", lambda: self._data.fetch_leverage(self.unified(symbol)))
        if answer["info"].get("posMode") not in {None, "one_way_mode"}:
            try:
                await self._orders.set_position_mode(hedged=False, symbol=self.unified(symbol))
            except self._base_error() as error:
                raise ConfigError(
                    f"{self.name}/{self.options.account} is in hedge mode and refuses one-way mode; close its "
                    f"positions and orders, then start again ({error})"
                ) from error

    def watches(self) -> Mapping[str, tuple[str, Watch]]:
        """Return every stream of the account and its symbols."""
        data, symbols = self._data, [self.unified(symbol) for symbol in self.options.symbols]
        streams: dict[str, tuple[str, Watch]] = {
            "orders": ("private", data.watch_orders),
            "plans": ("private", lambda: data.watch_orders(None, None, None, {"trigger": True})),
            "fills": ("private", data.watch_my_trades),
            "positions": ("private", data.watch_positions),
            "account": ("private", data.watch_balance),
        }
        if symbols:
            streams["tickers"] = ("public", lambda: data.watch_tickers(symbols))
        for symbol in symbols:
            for timeframe in self.options.timeframes:
                streams[f"candles:{symbol}:{timeframe}"] = ("public", self._candle_watch(symbol, timeframe))
        return streams

    def hear_public(self, message: Json, received_ns: int) -> None:
        """Parse candles and tickers."""
        arg = message["arg"]
        channel, symbol = str(arg["channel"]), self._symbols.get(str(arg["instId"]), "")
        if not symbol:
            return
        if channel == "ticker":
            self.listener.on_tick(wire.tick(message["data"][0], symbol, int(message.get("ts") or 0)))
        elif channel.startswith("candle"):
            timeframe = self._data.find_timeframe(channel.removeprefix("candle"), self._data.options["timeframes"])
            rows = tuple(wire.bar(row) for row in message["data"])
            venue_ns = int(message.get("ts") or 0) * wire.MS
            self.listener.on_candles(Candles(symbol, timeframe, rows, venue_ns, received_ns))

    def hear_private(self, message: Json, number: int) -> None:
        """Parse orders, trigger orders, fills, positions and money."""
        channel, rows = str(message["arg"]["channel"]), message["data"]
        match channel:
            case "orders":
                frame = PrivateFrame(orders=tuple(wire.order(row, self._farm(row)) for row in rows), count=number)
            case "orders-algo":
                frame = PrivateFrame(plans=tuple(wire.plan(row, self._farm(row)) for row in rows), count=number)
            case "fill":
                frame = PrivateFrame(trades=tuple(wire.trade(row, self._farm(row)) for row in rows), count=number)
            case "positions":
                frame = PrivateFrame(positions=tuple(wire.position(row, self._farm(row)) for row in rows), count=number)
            case "account":
                frame = PrivateFrame(balance=wire.balance(rows[0]) if rows else None, count=number)
            case _:
                frame = PrivateFrame(count=number)
        self.listener.on_private(frame)

    # writes ---------------------------------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Ack:
        """Send one market order once; its stop and target ride on it."""
        params: Json = {"clientOid": request.client_id}
        if request.reduce_only:
            params["reduceOnly"] = True
        if request.stop is not None:
            params["stopLoss"] = {"triggerPrice": str(request.stop)}
        if request.target is not None:
            params["takeProfit"] = {"triggerPrice": str(request.target)}
        symbol, side, size = self.unified(request.symbol), request.side.value, str(request.size)
        return await self.write(
            "order",
            request.client_id,
            lambda: self._orders.create_order(symbol, "market", side, size, None, params),
            request.handed,
        )

    async def place_plan(self, request: PlanRequest) -> Ack:
        """Send one sized stop or target once."""
        stop = request.kind is PlanKind.STOP
        params: Json = {
            "clientOid": request.client_id,
            "planType": "loss_plan" if stop else "profit_plan",
            "stopLossPrice" if stop else "takeProfitPrice": str(request.trigger),
        }
        symbol, side, size = self.unified(request.symbol), request.side.value, str(request.size)
        return await self.write(
            "stop", request.client_id, lambda: self._orders.create_order(symbol, "market", side, size, None, params)
        )

    async def resize_plan(self, plan: PlanOrder, size: Decimal, trigger: Decimal | None = None) -> None:
        """Change size and trigger of a resting stop or target, in place."""
        key = "stopLossPrice" if plan.kind is PlanKind.STOP else "takeProfitPrice"
        symbol, side, params = self.unified(plan.symbol), plan.side.value, {key: str(trigger or plan.trigger)}
        await self.write(
            "resize",
            plan.order_id,
            lambda: self._orders.edit_order(plan.order_id, symbol, "market", side, str(size), None, params),
        )

    async def cancel_plan(self, plan: PlanOrder) -> bool:
        """Cancel a trigger order; ccxt hides a failed one behind an empty id."""
        planned = {PlanKind.STOP: "loss_plan", PlanKind.TARGET: "profit_plan"}.get(plan.kind, "normal_plan")
        params = {"trigger": True, "planType": planned}
        symbol = self.unified(plan.symbol)
        try:
            await self.write("cancel", plan.order_id, lambda: self._orders.cancel_order(plan.order_id, symbol, params))
        except Rejected as error:
            if error.kind != _GONE:
                raise
            return False
        return True

    async def cancel(self, symbol: str, *, order_id: str = "", client_id: str = "") -> bool:
        """Cancel a resting order."""
        params = {} if order_id else {"clientOid": client_id}
        unified = self.unified(symbol)
        try:
            await self.write(
                "cancel", order_id or client_id, lambda: self._orders.cancel_order(order_id, unified, params)
            )
        except Rejected as error:
            if error.kind != _GONE:
                raise
            return False
        return True

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of one symbol, when it differs."""
        unified = self.unified(symbol)
        now = await self.read("read the leverage", lambda: self._data.fetch_leverage(unified))
        if int(now["longLeverage"] or 0) != leverage:
            await self.read("set the leverage", lambda: self._orders.set_leverage(leverage, unified))

    # reads ----------------------------------------------------------------------------------------------------------

    async def order(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Return the order of a client id, None when the venue knows none."""
        unified = self.unified(symbol)
        try:
            found = await self.read(
                f"find {client_id}", lambda: self._orders.fetch_order("", unified, {"clientOrderId": client_id})
            )
        except Rejected as error:
            if error.kind != _GONE:
                raise
            return None
        return wire.order(found["info"], symbol) if found and found["info"].get("orderId") else None

    async def open_orders(self) -> list[VenueOrder]:
        """Return the resting orders."""
        rows = await self.read("list the open orders", lambda: self._data.fetch_open_orders(None, None, _PAGE))
        return [wire.order(row["info"], self._farm(row["info"])) for row in rows]

    async def past_orders(self, symbol: str) -> list[VenueOrder]:
        """Return the newest finished orders of one symbol."""
        unified = self.unified(symbol)
        rows = await self.read(
            "list past orders", lambda: self._data.fetch_canceled_and_closed_orders(unified, None, _PAGE)
        )
        return [wire.order(row["info"], symbol) for row in rows]

    async def plans(self, *, every: bool = True) -> list[PlanOrder]:
        """Return the live stops and targets; with `every` all kinds, of which the venue shows one at a time."""
        kinds = _PLAN_TYPES if every else _PLAN_TYPES[:1]
        lists = await asyncio.gather(*(self._pending_plans(kind) for kind in kinds))
        return [plan for rows in lists for plan in rows]

    async def past_plans(self, symbol: str) -> list[PlanOrder]:
        """Return the newest stops and targets of one symbol that have ended."""
        unified, params = self.unified(symbol), {"trigger": True, "planType": "profit_loss"}
        rows = await self.read(
            "list past stops",
            lambda: self._data.fetch_canceled_and_closed_orders(unified, None, _PAGE, params),
        )
        return [wire.plan(row["info"], symbol) for row in rows]

    async def trades(self, symbol: str, *, since_ns: int = 0) -> list[Trade]:
        """Return the account's executions in one symbol, oldest first, page by page back to `since_ns`."""
        unified, found, before = self.unified(symbol), dict[str, Trade](), ""
        while True:
            params = {"idLessThan": before} if before else {}
            fetch = partial(self._data.fetch_my_trades, unified, None, _PAGE, params)
            rows = await self.read("list the fills", fetch)
            page = [wire.trade(row["info"], symbol) for row in rows]
            fresh = [item for item in page if item.trade_id not in found and item.ts_ns >= since_ns]
            found.update((item.trade_id, item) for item in fresh)
            if len(page) < _PAGE or not fresh:
                break
            before = min((item.trade_id for item in page), key=lambda text: (len(text), text))
        return sorted(found.values(), key=lambda item: (item.ts_ns, len(item.trade_id), item.trade_id))

    async def positions(self) -> list[VenuePosition]:
        """Return the open positions."""
        rows = await self.read("list the positions", self._data.fetch_positions)
        return [wire.position(row["info"], self._farm(row["info"])) for row in rows]

    async def balance(self) -> Balance:
        """Return the futures wallet."""
        answer = await self.read("read the balance", lambda: self._data.fetch_balance({"productType": PRODUCT}))
        rows = [row for row in answer["info"] if row.get("marginCoin") == "USDT"]
        return wire.balance(rows[0]) if rows else Balance(wire.ZERO, wire.ZERO)

    async def funding(self, symbol: str) -> list[FundingBill]:
        """Return the newest funding payments of one symbol, oldest first."""
        unified = self.unified(symbol)
        rows = await self.read("list the funding", lambda: self._data.fetch_funding_history(unified, None, _PAGE))
        bills = [wire.bill(row["info"], symbol) for row in rows]
        return sorted(bills, key=lambda item: (item.ts_ns, item.funding_id))

    async def candles(self, symbol: str, timeframe: str, *, limit: int, since_ns: int = 0) -> list[Bar]:
        """Return the newest `limit` rows, or those from `since_ns` on; oldest first."""
        unified, since = self.unified(symbol), since_ns // wire.MS or None
        rows = await self.read(
            f"read the candles of {symbol}", lambda: self._data.fetch_ohlcv(unified, timeframe, since, min(limit, 1000))
        )
        found = {int(row[0]): wire.bar(row) for row in rows}
        while since is None and len(found) < limit:
            until = min(found, default=0)
            params = {"until": until - 1}
            fetch = partial(self._data.fetch_ohlcv, unified, timeframe, None, _HISTORY_PAGE, params)
            older = await self.read(f"read the candles of {symbol}", fetch)
            fresh = {int(row[0]): wire.bar(row) for row in older if int(row[0]) < until}
            if not fresh:
                break
            found.update(fresh)
        return [found[ts] for ts in sorted(found)][-limit if since is None else 0 :]

    async def may_withdraw(self) -> bool:
        """Tell whether the key could move money off the account."""
        answer = await self.read("read the key's rights", self._data.privateSpotGetV2SpotAccountInfo)
        rights = [str(right).lower() for right in (answer.get("data") or {}).get("authorities") or []]
        return any(right.startswith(("ww", "withdraw")) for right in rights)

    # small things ---------------------------------------------------------------------------------------------------

    async def _pending_plans(self, kind: str) -> list[PlanOrder]:
        rows = await self.read(
            f"list the plan orders ({kind})",
            lambda: self._data.fetch_open_orders(None, None, _PAGE, {"trigger": True, "planType": kind}),
        )
        return [wire.plan(row["info"], self._farm(row["info"])) for row in rows]

    def _candle_watch(self, symbol: str, timeframe: str) -> Watch:
        return lambda: self._data.watch_ohlcv(symbol, timeframe)

    def _farm(self, row: Mapping[str, Any]) -> str:
        market_id = str(row.get("instId") or row.get("symbol") or "")
        return self._symbols.get(market_id, market_id)

    def _ws(self, way: str) -> str:
        api = self._data.urls["api"]
        return str((api["demo"] if self.options.sandbox else api["ws"])[way])

    @staticmethod
    def _base_error() -> type[Exception]:
        from ccxt.base.errors import BaseError

        found: type[Exception] = BaseError
        return found
