"""Bitget v2, USDT perpetuals in one-way mode: what differs from the generic ccxt adapter.

Chosen by `trading.venue: bitget`. Its rows are read from the raw answers (`_bitget_wire`), not from ccxt's, which
loses the accumulated volume of an order and the signs of rebates. Source of the codes: the venue's documents and
measured answers of ccxt 4.5.90.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Final

from omega.domain import Instrument
from omega.plugins import venue
from services.gateway.capabilities import CandleFeed, Capabilities, ClientIdRule, Evidence, Resize, StopForm
from services.gateway.classify import RefusalKind, Refusals, table
from services.gateway.venue import (
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
from services.gateway.venues._ccxt import PAGE, CcxtVenue, in_order
from services.gateway.venues._streams import Watch
from services.gateway.venues._tap import Json
from services.gateway.venues._unified import MS, ZERO

PRODUCT: Final = "USDT-FUTURES"
_REST: Final = ("spot", "mix", "user", "p2p", "broker", "margin", "common", "tax", "convert", "copy", "earn", "uta")
_K = RefusalKind

CAPABILITIES: Final = Capabilities(
    exchange="Bitget v2 USDT futures",
    coin="USDT",
    passphrase=True,
    order_types=("market", "stop market", "target market"),
    stops=StopForm.ATTACHED,
    resize=Resize.AMEND,
    position_mode="one-way, switched at start",
    client_id=ClientIdRule("clientOid", 50, "A-Za-z0-9_#:-"),
    contract="one coin",
    candles=CandleFeed.PUSHED,
    sandbox="header PAPTRADING, wspap.bitget.com",
    key_rights="GET /api/v2/spot/account/info",
    evidence=Evidence.SIMULATOR,
    notes=("A target rides on the entry too.",),
)
REFUSALS: Final = Refusals(
    codes=table(
        {
            _K.RATE: "429 30014 30026 1001 50009",
            _K.AUTH: "40001 40002 40003 40006 40009 40011 40012 40037 40014 40016 40018 40085 40084 50010",
            _K.CLOCK: "40004 40005 40008",
            _K.UNRESOLVED: "40010 40015 40725 45001 50000 500 40604",
            _K.DUPLICATE: "40786 43118 45034 25212",
            _K.FUNDS: "40711 40712 40762 43012 50020 40754 45002 40798",
            _K.RULES: (
                "40808 41103 45110 45113 41117 43011 40774 40917 45122 45111 45112 45115 43037 43006 40787 22006 22007"
                " 40815 40816"
            ),
            _K.MODE: "40797 40756 45117 40920 40872",
            _K.SYMBOL: "40309 50004 40034",
            _K.GONE: "40109 40768 43001 43025 22001 31007 80011 45057 40819 43020 22002 25227 43043 40757 45003",
            _K.MAINT: "40200 40308 41114 43115 30038",
            _K.BUG: "00001 40017 40019 40020 400172 40404 40708 30007 40715 40912 40306",
        }
    ),
    words=(("Request Frequency Is Too High", _K.RATE),),
)


@venue("bitget")
class Bitget(CcxtVenue):
    """One Bitget account."""

    name = "bitget"
    exchange_id: ClassVar[str] = "bitget"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    refusals: ClassVar[Refusals] = REFUSALS
    weights: ClassVar[Mapping[str, float]] = MappingProxyType({"positions": 2.0, "set_leverage": 2.0})
    """5 a second, where orders and the account's other reads have 10."""
    private_channels: ClassVar[frozenset[str]] = frozenset({"orders", "orders-algo", "fill", "positions", "account"})
    plan_lists: ClassVar[tuple[Json, ...]] = tuple(
        {"trigger": True, "planType": kind} for kind in ("profit_loss", "normal_plan", "track_plan")
    )

    def settings(self) -> Json:
        """Return ccxt's options. `uta: False` is a must: unset, ccxt asks the venue and may switch to another API."""
        return {
            "options": {
                "uta": False,
                "defaultType": "swap",
                "adjustForTimeDifference": True,
                "fetchMarkets": {"types": ["swap"]},
                "ws": {"cost": 2, "compress": 0},
            }
        }

    def urls(self) -> Json:
        """Return the addresses of another host that speaks Bitget."""
        api: Json = dict.fromkeys(_REST, self.options.rest_url) if self.options.rest_url else {}
        if self.options.ws_url:
            ways = ("public", "private", "utaPublic", "utaPrivate")
            api["ws"] = api["demo"] = {way: f"{self.options.ws_url}/v2/ws/{way}" for way in ways}
        return api

    def public_url(self) -> str:
        """Return the URL of the public socket."""
        return self._ws("public")

    def private_url(self) -> str:
        """Return the URL of the private socket."""
        return self._ws("private")

    async def hedged(self, symbol: str) -> bool:
        """Tell whether the account is in hedge mode."""
        mode = (await self._data.fetch_leverage(symbol))["info"].get("posMode")
        return mode not in {None, "one_way_mode"}

    # writes ---------------------------------------------------------------------------------------------------------

    def entry_params(self, request: OrderRequest) -> Json:
        """Return the parameters of a market order; stop and target ride on it."""
        params = super().entry_params(request)
        if request.target is not None:
            params["takeProfit"] = {"triggerPrice": str(request.target)}
        return params

    def plan_params(self, request: PlanRequest) -> Json:
        """Return the parameters of a stop of its own size; without the plan type it would be one for the position."""
        stop = request.kind is PlanKind.STOP
        return {
            "clientOid": request.client_id,
            "planType": "loss_plan" if stop else "profit_plan",
            "stopLossPrice" if stop else "takeProfitPrice": str(request.trigger),
        }

    async def amend(self, plan: PlanOrder, symbol: str, contracts: str, trigger: Decimal) -> Any:
        """Change the size of a resting stop or target."""
        key = "stopLossPrice" if plan.kind is PlanKind.STOP else "takeProfitPrice"
        params = {key: str(trigger)}
        return await self._orders.edit_order(plan.order_id, symbol, "market", plan.side.value, contracts, None, params)

    async def cancel_plan(self, plan: PlanOrder) -> bool:
        """Cancel a trigger order; ccxt hides a failed one behind an empty id."""
        planned = {PlanKind.STOP: "loss_plan", PlanKind.TARGET: "profit_plan"}.get(plan.kind, "normal_plan")
        return await self._cancel(plan.symbol, plan.order_id, {"trigger": True, "planType": planned})

    # reads ----------------------------------------------------------------------------------------------------------

    async def trades(self, symbol: str, *, since_ns: int = 0) -> list[Trade]:
        """Return the account's executions in one symbol, oldest first, page by page back to `since_ns`."""
        unified, found, before = self.unified(symbol), dict[str, Trade](), ""
        while True:
            params = {"idLessThan": before} if before else {}
            fetch = partial(self._data.fetch_my_trades, unified, None, PAGE, params)
            page = await self.read_as("list the fills", fetch, self._as_trades)
            fresh = [item for item in page if item.trade_id not in found and item.ts_ns >= since_ns]
            found.update((item.trade_id, item) for item in fresh)
            if len(page) < PAGE or not fresh:
                return in_order(found.values())
            before = _oldest(item.trade_id for item in page)

    async def _live_plans(self, params: Json) -> list[PlanOrder]:
        """Return the trigger orders of one kind, page by page: the newest come first, an old stop counts as well."""
        found, before = dict[str, PlanOrder](), ""
        while True:
            asked = {**params, "idLessThan": before} if before else dict(params)
            fetch = partial(self._data.fetch_open_orders, None, None, PAGE, asked)
            page = await self.read_as("list the trigger orders", fetch, self._as_plans)
            fresh = [plan for plan in page if plan.order_id not in found]
            found.update((plan.order_id, plan) for plan in fresh)
            if len(page) < PAGE or not fresh:
                return list(found.values())
            before = _oldest(plan.order_id for plan in page)

    async def balance(self) -> Balance:
        """Return the futures wallet."""
        fetch = partial(self._data.fetch_balance, {"productType": PRODUCT})
        return await self.read_as("read the balance", fetch, self.to_balance)

    async def may_withdraw(self) -> bool:
        """Tell whether the key could move money off the account."""
        answer = await self.read("read the key's rights", self._data.privateSpotGetV2SpotAccountInfo)
        rights = [str(right).lower() for right in (answer.get("data") or {}).get("authorities") or []]
        return any(right.startswith(("ww", "withdraw")) for right in rights)

    # rows -----------------------------------------------------------------------------------------------------------

    def to_instrument(self, market: Json) -> Instrument:
        """Read one contract's rules."""
        return wire.instrument(market, self.name)

    def to_order(self, row: Json) -> VenueOrder:
        """Read an order."""
        return wire.order(row["info"], self._of(row["info"]))

    def is_plan(self, row: Json) -> bool:
        """Tell a trigger order by its plan type; the venue keeps them in lists of their own."""
        return "planType" in row["info"]

    def to_plan(self, row: Json) -> PlanOrder:
        """Read a trigger order."""
        return wire.plan(row["info"], self._of(row["info"]))

    def to_trade(self, row: Json) -> Trade:
        """Read an execution."""
        return wire.trade(row["info"], self._of(row["info"]))

    def to_position(self, row: Json) -> VenuePosition:
        """Read a position."""
        return wire.position(row["info"], self._of(row["info"]))

    def to_balance(self, answer: Json) -> Balance:
        """Read the futures wallet."""
        rows = [row for row in answer["info"] if row.get("marginCoin") == "USDT"]
        return wire.balance(rows[0]) if rows else Balance(ZERO, ZERO)

    def to_bill(self, row: Json) -> FundingBill:
        """Read a funding payment."""
        return wire.bill(row["info"], self._of(row["info"]))

    # streams --------------------------------------------------------------------------------------------------------

    def private_watches(self) -> Mapping[str, Watch]:
        """Return the streams of the account; trigger orders have one of their own."""
        plans = partial(self._data.watch_orders, None, None, None, {"trigger": True})
        return {**super().private_watches(), "plans": plans}

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
            venue_ns = int(message.get("ts") or 0) * MS
            self.listener.on_candles(Candles(symbol, timeframe, rows, venue_ns, received_ns))

    def hear_private(self, message: Json, number: int) -> None:
        """Parse orders, trigger orders, fills, positions and money."""
        channel, rows = str(message["arg"]["channel"]), message["data"]
        match channel:
            case "orders":
                frame = PrivateFrame(orders=tuple(wire.order(row, self._of(row)) for row in rows), count=number)
            case "orders-algo":
                frame = PrivateFrame(plans=tuple(wire.plan(row, self._of(row)) for row in rows), count=number)
            case "fill":
                frame = PrivateFrame(trades=tuple(wire.trade(row, self._of(row)) for row in rows), count=number)
            case "positions":
                frame = PrivateFrame(positions=tuple(wire.position(row, self._of(row)) for row in rows), count=number)
            case "account":
                frame = PrivateFrame(balance=wire.balance(rows[0]) if rows else None, count=number)
            case _:
                frame = PrivateFrame(count=number)
        self.listener.on_private(frame)

    def _of(self, row: Mapping[str, Any]) -> str:
        return self.farm(str(row.get("instId") or row.get("symbol") or ""))

    def _ws(self, way: str) -> str:
        api = self._data.urls["api"]
        return str((api["demo"] if self.options.sandbox else api["ws"])[way])


def _oldest(ids: Iterable[str]) -> str:
    """Return the id that was given first: they are numbers that grow."""
    return min(ids, key=lambda text: (len(text), text))
