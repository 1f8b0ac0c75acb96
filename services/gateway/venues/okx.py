"""OKX v5 USDT perpetuals in net mode: what differs from the generic ccxt adapter.

Chosen by `trading.venue: okx`. Sizes on the wire are contracts, not coins. Source of the codes: the venue's error pages
and ccxt 4.5.90, which names a trigger order's id by the wrong field and reports a pushed fee with its sign turned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, Final

from omega.plugins import venue
from services.gateway.capabilities import CandleFeed, Capabilities, ClientIdRule, Evidence, Resize, StopForm
from services.gateway.classify import RefusalKind, Refusals, table
from services.gateway.venue import Balance, PlanKind, PlanOrder, PlanRequest
from services.gateway.venues import _unified as unified
from services.gateway.venues._ccxt import CcxtVenue
from services.gateway.venues._streams import Watch
from services.gateway.venues._tap import Json

_K = RefusalKind
_ALGO: Final = frozenset({"conditional", "oco", "trigger", "move_order_stop"})
_LIQUIDATED: Final = frozenset({"full_liquidation", "partial_liquidation", "adl"})
_LIQUIDATED_BILLS: Final = frozenset({"100", "101", "104", "105", "125", "126"})

CAPABILITIES: Final = Capabilities(
    exchange="OKX v5 USDT perpetuals",
    coin="USDT",
    passphrase=True,
    order_types=("market", "stop market", "target market"),
    stops=StopForm.ATTACHED,
    resize=Resize.AMEND,
    position_mode="net, switched at start",
    client_id=ClientIdRule("clOrdId", 32, "A-Za-z0-9", trigger_field="algoClOrdId"),
    contract="ctVal coins, e.g. 0.01 BTC",
    candles=CandleFeed.PUSHED,
    sandbox="header x-simulated-trading, wspap.okx.com",
    key_rights="GET /api/v5/account/config",
    evidence=Evidence.WIRE,
    notes=(
        "The stop rides on the entry; the target follows it, because one order would carry both.",
        "Cross margin.",
    ),
)
REFUSALS: Final = Refusals(
    keys=("data.0.sCode", "code"),
    good=frozenset({"0", "1", "2"}),
    codes=table(
        {
            _K.RATE: "50011 50061 51113 58102",
            _K.AUTH: (
                "50007 50009 50027 50030 50101 50103 50104 50105 50106 50107 50110 50111 50113 50114 50119 50120 51009"
                " 51024"
            ),
            _K.CLOCK: "50102 50112",
            _K.UNRESOLVED: "50004 50005 50013 50026",
            _K.DUPLICATE: "51016 51065",
            _K.FUNDS: "51008 51119 51127 51131 51502",
            _K.RULES: (
                "51000 51004 51005 51006 51007 51020 51031 51046 51047 51048 51049 51050 51051 51052 51053 51120 51121"
                " 51124 51202 51250 51277 51278 51279 51280"
            ),
            _K.MODE: "51010 51011 51039 51040 59000 59101 59107",
            _K.SYMBOL: "51001 51021 51022 51026 51027 51028 51029 51030 51087",
            _K.GONE: "51023 51112 51169 51170 51400 51401 51402 51503 51509 51527 51603",
            _K.MAINT: "50001 51767 51774",
            _K.BUG: "50000 50002 50006 50014 51003 51012",
        }
    ),
)


@venue("okx")
class Okx(CcxtVenue):
    """One OKX account."""

    name = "okx"
    exchange_id: ClassVar[str] = "okx"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    refusals: ClassVar[Refusals] = REFUSALS
    private_channels: ClassVar[frozenset[str]] = frozenset({"orders", "orders-algo", "positions", "account"})
    past: ClassVar[tuple[str, ...]] = ("fetch_closed_orders", "fetch_canceled_orders")
    plan_lists: ClassVar[tuple[Json, ...]] = tuple(
        {"trigger": True, "ordType": kind} for kind in ("conditional", "oco", "trigger")
    )
    candle_page: ClassVar[int] = 300
    client_key: ClassVar[str] = "clOrdId"

    def settings(self) -> Json:
        """Return ccxt's options; one order is sent as one, not as a batch of one."""
        return {
            "options": {
                "adjustForTimeDifference": True,
                "defaultType": "swap",
                "fetchMarkets": {"types": ["swap"]},
                "createOrder": "privatePostTradeOrder",
            }
        }

    def urls(self) -> Json:
        """Return the addresses of another host that speaks OKX."""
        return {"rest": self.options.rest_url, "ws": f"{self.options.ws_url}/ws/v5"}

    async def may_withdraw(self) -> bool:
        """Tell whether the key could move money off the account."""
        answer = await self.read("read the key's rights", self._data.privateGetAccountConfig)
        return any("withdraw" in str(row.get("perm", "")) for row in answer.get("data") or [])

    def forced(self, info: Mapping[str, Any]) -> bool:
        """Tell a liquidation by the category of a pushed order or the kind of a listed execution."""
        return info.get("category") in _LIQUIDATED or str(info.get("subType", "")) in _LIQUIDATED_BILLS

    # calls ----------------------------------------------------------------------------------------------------------

    def plan_params(self, request: PlanRequest) -> Json:
        """Return the parameters of a sized stop or target; ccxt leaves its own id field out of trigger orders."""
        return {**super().plan_params(request), "algoClOrdId": request.client_id}

    async def amend(self, plan: PlanOrder, symbol: str, contracts: str, trigger: Decimal) -> Any:
        """Change size and trigger of a resting stop or target."""
        way = "Sl" if plan.kind is PlanKind.STOP else "Tp"
        params = {f"new{way}TriggerPx": str(trigger), f"new{way}OrdPx": "-1"} if trigger != plan.trigger else {}
        side = plan.side.value
        return await self._orders.edit_order(plan.order_id, symbol, "conditional", side, contracts, None, params)

    # rows -----------------------------------------------------------------------------------------------------------

    def is_plan(self, row: Json) -> bool:
        """Tell a trigger order by its type."""
        return row["info"].get("ordType") in _ALGO

    def to_plan(self, row: Json) -> PlanOrder:
        """Read a trigger order; one that carries stop and target both is a person's."""
        plan, info = super().to_plan(row), row["info"]
        kind = plan.kind if info.get("ordType") == "conditional" else PlanKind.OTHER
        return replace(plan, client_id=str(info.get("algoClOrdId") or ""), kind=kind)

    # streams --------------------------------------------------------------------------------------------------------

    def private_watches(self) -> Mapping[str, Watch]:
        """Return the streams of the account; executions come inside orders, trigger orders on a socket of their own."""
        data = self._data
        return {
            "orders": data.watch_orders,
            "plans": partial(data.watch_orders, None, None, None, {"trigger": True}),
            "positions": data.watch_positions,
            "account": data.watch_balance,
        }

    def time_ms(self, message: Json) -> int:
        """Return the time of a push, which stands in its rows."""
        rows = message.get("data") or [{}]
        return int(rows[0].get("ts") or rows[0].get("uTime") or 0) if isinstance(rows[0], dict) else 0

    def hear_public(self, message: Json, received_ns: int) -> None:
        """Parse candles and prices."""
        channel, symbol = self.channel(message), self._symbols.get(str(message["arg"].get("instId")), "")
        if not symbol:
            return
        if channel.startswith("candle"):
            timeframe = self._data.find_timeframe(channel.removeprefix("candle"))
            self.tell_candles(symbol, timeframe, message["data"], received_ns)
        elif channel == "tickers":
            row = self._data.parse_ticker(message["data"][0])
            self.tell_tick(unified.tick(row, symbol, venue_ns=self._venue_ns))

    def hear_private(self, message: Json, number: int) -> None:
        """Parse orders with their executions, trigger orders, positions and money."""
        data, rows = self._data, message["data"]
        match self.channel(message):
            case "orders":
                orders = data.parse_orders(rows)
                trades = [_trade(row) for row in orders if row["info"].get("tradeId")]
                self.tell_account(number, orders=orders, trades=trades)
            case "orders-algo":
                self.tell_account(number, plans=data.parse_orders(rows))
            case "positions":
                self.tell_account(number, positions=[data.parse_position(row) for row in rows])
            case "account":
                self.tell_account(number, balance=self._money(rows))
            case _:
                self.tell_account(number)

    def _money(self, rows: list[Json]) -> Balance | None:
        coins = rows[0].get("details") or [] if rows else []
        found = next((row for row in coins if row.get("ccy") == self.capabilities.coin), None)
        return None if found is None else Balance(unified.number(found["eq"]), unified.number(found["availEq"]))


def _trade(order: Json) -> Json:
    """Return the execution inside a pushed order as one of ccxt's, its fee positive when paid."""
    info = order["info"]
    return {
        "info": info,
        "id": info["tradeId"],
        "order": info["ordId"],
        "symbol": order["symbol"],
        "side": order["side"],
        "price": info["fillPx"],
        "amount": info["fillSz"],
        "takerOrMaker": "maker" if info.get("execType") == "M" else "taker",
        "timestamp": info["fillTime"],
        "fee": {"cost": -unified.number(info.get("fillFee")), "currency": info.get("fillFeeCcy")},
    }
