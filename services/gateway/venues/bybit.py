"""Bybit v5 linear perpetuals in one-way mode, unified account: what differs from the generic ccxt adapter.

Chosen by `trading.venue: bybit`. Source of the codes: the venue's error pages and ccxt 4.5.90, which reports a funding
payment with the sign of a fee and asks for executions of one kind at a time.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import ClassVar, Final

from omega.plugins import venue
from services.gateway.capabilities import CandleFeed, Capabilities, ClientIdRule, Evidence, Resize, StopForm
from services.gateway.classify import RefusalKind, Refusals, table
from services.gateway.venue import Balance, FundingBill, OrderRequest, PlanOrder, Trade, VenueOptions
from services.gateway.venues import _unified as unified
from services.gateway.venues._ccxt import PAGE, CcxtVenue, in_order
from services.gateway.venues._tap import Json

_K = RefusalKind
_TRADES: Final = ("Trade", "BustTrade", "AdlTrade")
_FIRED: Final = frozenset({"Triggered", "PartiallyFilled", "Filled"})
_KLINE: Final = ("start", "open", "high", "low", "close", "volume")

CAPABILITIES: Final = Capabilities(
    exchange="Bybit v5 linear perpetuals",
    coin="USDT",
    order_types=("market", "stop market", "target market"),
    stops=StopForm.ATTACHED,
    resize=Resize.AMEND,
    position_mode="one-way, switched at start",
    client_id=ClientIdRule("orderLinkId", 36, "A-Za-z0-9_-"),
    contract="one coin",
    candles=CandleFeed.PUSHED,
    sandbox="api-testnet.bybit.com",
    key_rights="GET /v5/user/query-api",
    evidence=Evidence.WIRE,
    notes=(
        "The account must be a unified trading account.",
        "The stop rides on the entry as a partial one, of the size that fills; the target follows it.",
    ),
)
REFUSALS: Final = Refusals(
    keys=("retCode", "ret_code"),
    good=frozenset({"0"}),
    codes=table(
        {
            _K.RATE: "10006 10018 10429",
            _K.AUTH: "10003 10004 10005 10007 10008 10009 10010 10024 10027 10028 33004",
            _K.CLOCK: "10002",
            _K.UNRESOLVED: "10000 10016 10019 170007",
            _K.DUPLICATE: "110072",
            _K.FUNDS: "110004 110006 110007 110012 110014 110044 110045 110051 110052 110053",
            _K.RULES: "10001 110003 110020 110021 110022 110030 110037 110038 110092 110093 110094",
            _K.MODE: "110013 110015 110018 110024 110025 110028 110029 110043 110046 110047",
            _K.SYMBOL: "110023 110066 110074",
            _K.GONE: "110001 110008 110009 110010 110017 110019 110036",
            _K.BUG: "10014 10017 110049",
        }
    ),
)


@venue("bybit")
class Bybit(CcxtVenue):
    """One Bybit account."""

    name = "bybit"
    exchange_id: ClassVar[str] = "bybit"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    refusals: ClassVar[Refusals] = REFUSALS
    private_channels: ClassVar[frozenset[str]] = frozenset({"order", "execution", "position", "wallet"})
    client_key: ClassVar[str] = "orderLinkId"
    forced_key: ClassVar[str] = "execType"
    forced_words: ClassVar[frozenset[str]] = frozenset({"BustTrade", "AdlTrade"})

    def __init__(self, options: VenueOptions) -> None:
        super().__init__(options)
        self._tickers: dict[str, Json] = {}

    def settings(self) -> Json:
        """Return ccxt's options; the account's kind is said, not asked: a failed question would be remembered."""
        snapshot = {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False}
        return {
            "options": {
                "adjustForTimeDifference": True,
                "defaultType": "swap",
                "defaultSettle": "USDT",
                "fetchMarkets": {"types": ["linear"]},
                "enableUnifiedMargin": False,
                "enableUnifiedAccount": True,
                "unifiedMarginStatus": 6,
                "watchPositions": snapshot,
            }
        }

    def urls(self) -> Json:
        """Return the addresses of another host that speaks Bybit."""
        rest, ws = self.options.rest_url, f"{self.options.ws_url}/v5"
        return {
            **dict.fromkeys(("public", "private", "spot", "futures", "v2"), rest),
            "ws": {"public": {"linear": f"{ws}/public/linear"}, "private": {"contract": f"{ws}/private"}},
        }

    async def hedged(self, symbol: str) -> bool:
        """Tell hedge mode by the position rows, which it doubles and numbers."""
        return any(row["hedged"] for row in await self._data.fetch_positions([symbol]))

    async def may_withdraw(self) -> bool:
        """Tell whether the key could move money off the account."""
        answer = await self.read("read the key's rights", self._data.privateGetV5UserQueryApi)
        rights = (answer["result"].get("permissions") or {}).get("Wallet") or []
        return any("withdraw" in str(right).lower() for right in rights)

    # calls ----------------------------------------------------------------------------------------------------------

    def entry_params(self, request: OrderRequest) -> Json:
        """Return the parameters of a market order; a stop of its own size, else it would be the whole position's."""
        params = super().entry_params(request)
        return {**params, "tpslMode": "Partial", "slOrderType": "Market"} if "stopLoss" in params else params

    async def find(self, symbol: str, name: str) -> Json | None:
        """Return the order of a client id: among the newest, else in the history."""
        params = {"orderLinkId": name}
        found = await self._data.fetch_open_orders(symbol, None, None, params)
        found = found or await self._data.fetch_canceled_and_closed_orders(symbol, None, None, params)
        return next((row for row in found if row["clientOrderId"] == name), None)

    async def cancel_plan(self, plan: PlanOrder) -> bool:
        """Cancel a trigger order; the venue keeps it with the others."""
        return await self._cancel(plan.symbol, plan.order_id, {})

    async def cancel(self, symbol: str, *, order_id: str = "", client_id: str = "") -> bool:
        """Cancel a resting order."""
        return await self._cancel(symbol, order_id or None, {} if order_id else {"orderLinkId": client_id})

    async def trades(self, symbol: str, *, since_ns: int = 0) -> list[Trade]:
        """Return the account's executions in one symbol, oldest first: orders, liquidations, deleveraging."""
        market, since = self.unified(symbol), since_ns // unified.MS or None
        calls = [partial(self._data.fetch_my_trades, market, since, PAGE, {"execType": kind}) for kind in _TRADES]
        lists = await asyncio.gather(*(self.read_as("list the fills", call, self._as_trades) for call in calls))
        return in_order(trade for trades in lists for trade in trades if trade.ts_ns >= since_ns)

    # rows -----------------------------------------------------------------------------------------------------------

    def is_plan(self, row: Json) -> bool:
        """Tell a trigger order, also after it has fired: it keeps its id."""
        return str(row["info"].get("stopOrderType") or "") not in {"", "UNKNOWN"}

    def to_plan(self, row: Json) -> PlanOrder:
        """Read a trigger order by the venue's own state, which ccxt's `open` blurs."""
        state = str(row["info"].get("orderStatus"))
        return replace(super().to_plan(row), live=state == "Untriggered", fired=state in _FIRED)

    def to_balance(self, answer: Json) -> Balance:
        """Read the unified account: what it is worth and what is free, in dollars."""
        rows = answer["info"]["result"]["list"]
        return _money(rows[0]) if rows else Balance(unified.ZERO, unified.ZERO)

    def to_bill(self, row: Json) -> FundingBill:
        """Read a funding payment: the venue writes it as a fee, positive when paid."""
        bill = super().to_bill(row)
        return replace(bill, amount=-bill.amount)

    # streams --------------------------------------------------------------------------------------------------------

    def channel(self, message: Json) -> str:
        """Return the topic of a push."""
        return str(message["topic"]) if "topic" in message and "data" in message else ""

    def acknowledged(self, url: str, message: Json) -> str:
        """Return the topic of a confirmed subscription; the venue names the request alone."""
        if message.get("op") != "subscribe" or not message.get("success"):
            return ""
        client = self._data.clients.get(url)
        subscriptions = client.subscriptions.values() if client is not None else ()
        asked = (item for item in subscriptions if isinstance(item, dict))
        topics = next((item["topics"] for item in asked if str(item.get("id")) == str(message.get("req_id"))), [""])
        return str(topics[0]) if topics[0] in self.private_channels else ""

    def time_ms(self, message: Json) -> int:
        """Return the time of a push."""
        return int(message.get("ts") or message.get("creationTime") or 0)

    def hear_public(self, message: Json, received_ns: int) -> None:
        """Parse candles and prices; a ticker's change is laid over what came before."""
        kind, *middle, market = self.channel(message).split(".")
        symbol = self._symbols.get(market, "")
        if kind == "kline" and symbol:
            timeframe = self._data.find_timeframe(middle[0])
            rows = [[row[key] for key in _KLINE] for row in message["data"]]
            self.tell_candles(symbol, timeframe, rows, received_ns)
        elif kind == "tickers" and symbol:
            known = {} if message.get("type") == "snapshot" else self._tickers.get(symbol, {})
            row = self._tickers[symbol] = {**known, **message["data"]}
            self.tell_tick(unified.tick(self._data.parse_ticker(row), symbol, venue_ns=self._venue_ns))

    def hear_private(self, message: Json, number: int) -> None:
        """Parse orders, executions, positions and money."""
        data, rows = self._data, [row for row in message["data"] if row.get("category", "linear") == "linear"]
        match self.channel(message):
            case "order":
                orders = data.parse_orders(rows)
                plans = [row for row in orders if self.is_plan(row)]
                self.tell_account(number, orders=[row for row in orders if row not in plans], plans=plans)
            case "execution":
                self.tell_account(number, trades=[data.parse_trade(row) for row in rows if row["execType"] in _TRADES])
            case "position":
                self.tell_account(number, positions=[data.parse_position(row) for row in rows])
            case "wallet":
                self.tell_account(number, balance=_money(rows[0]) if rows else None)
            case _:
                self.tell_account(number)


def _money(row: Json) -> Balance:
    return Balance(unified.number(row.get("totalEquity")), unified.number(row.get("totalAvailableBalance")))
