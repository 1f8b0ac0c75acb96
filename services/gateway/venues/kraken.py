"""Kraken Futures linear perpetuals: what differs from the generic ccxt adapter.

Chosen by `trading.venue: kraken`; the symbols end in `-USD.P`. The venue has one-way positions alone, pushes no candles
(they are asked for) and names no code in its refusals but words. Source of the words: the venue's documents and
ccxt 4.5.90.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar, Final

from omega.domain import Instrument
from omega.errors import Rejected
from omega.plugins import venue
from services.gateway.capabilities import CandleFeed, Capabilities, ClientIdRule, Evidence, Resize, StopForm
from services.gateway.classify import RefusalKind, Refusals, table
from services.gateway.venue import (
    Ack,
    Balance,
    OrderRequest,
    PlanKind,
    PlanOrder,
    PrivateFrame,
    Status,
    Trade,
    VenueOptions,
    VenueOrder,
)
from services.gateway.venues import _unified as unified
from services.gateway.venues._ccxt import CcxtVenue
from services.gateway.venues._tap import Json

_K = RefusalKind
_KINDS: Final = {"stop": PlanKind.STOP, "stp": PlanKind.STOP, "take_profit": PlanKind.TARGET}
_SENT: Final = 1_000

CAPABILITIES: Final = Capabilities(
    exchange="Kraken Futures linear perpetuals",
    coin="USD",
    order_types=("market", "stop market", "target market"),
    stops=StopForm.SEPARATE,
    resize=Resize.AMEND,
    position_mode="one-way only",
    client_id=ClientIdRule("cliOrdId", 100, "A-Za-z0-9_-"),
    contract="contractSize coins, one for the perpetuals",
    candles=CandleFeed.POLLED,
    sandbox="demo-futures.kraken.com",
    key_rights="",
    evidence=Evidence.WIRE,
    notes=(
        "The stop is placed right after the fill; the time without it is measured as naked time.",
        "The rights of a key cannot be read, so live mode is refused.",
        "Candles are asked for every 5 s.",
        "The fee of an execution that is read over REST is ccxt's estimate from the schedule, the pushed one is real.",
        "Spot is not traded.",
    ),
)
REFUSALS: Final = Refusals(
    keys=("error", "errors.0.message"),
    pattern=r"failed due to (\w+)",
    codes=table(
        {
            _K.RATE: "apiLimitExceeded",
            _K.AUTH: "authenticationError accountInactive",
            _K.CLOCK: "nonceBelowThreshold nonceDuplicate",
            _K.UNRESOLVED: "Server Error|unknownError|Unavailable|unavailable",
            _K.DUPLICATE: "clientOrderIdAlreadyExist",
            _K.FUNDS: "insufficientAvailableFunds insufficientFunds INSUFFICIENT_MARGIN wouldCauseLiquidation",
            _K.RULES: (
                "invalidOrderType invalidSide invalidSize invalidPrice invalidAmount outsidePriceCollar selfFill"
                " tooManySmallOrders maxPositionViolation iocWouldNotExecute postWouldExecute"
            ),
            _K.SYMBOL: "marketUnavailable marketSuspended marketInactive contractNotFound",
            _K.GONE: "wouldNotReducePosition orderForEditNotFound orderForEditNotAStop notFound filled",
            _K.BUG: (
                "requiredArgumentMissing|Bad Request|invalidArgument|Json Parse Error|clientOrderIdTooLong|invalidUnit"
            ),
        }
    ),
)


@venue("kraken")
class Kraken(CcxtVenue):
    """One Kraken Futures account."""

    name = "kraken"
    exchange_id: ClassVar[str] = "krakenfutures"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    refusals: ClassVar[Refusals] = REFUSALS
    private_channels: ClassVar[frozenset[str]] = frozenset({"open_orders", "fills", "open_positions", "balances"})
    past: ClassVar[tuple[str, ...]] = ("fetch_closed_orders", "fetch_canceled_orders")
    plan_lists: ClassVar[tuple[Json, ...]] = ({},)
    positions_whole: ClassVar[bool] = True

    def __init__(self, options: VenueOptions) -> None:
        super().__init__(options)
        self._sent: dict[str, VenueOrder] = {}
        self._resting: dict[str, Json] = {}

    def settings(self) -> Json:
        """Return ccxt's options: its pace of 600 ms a message is for requests, not for subscriptions."""
        return {"options": {"ws": {"cost": 0.2}}}

    def urls(self) -> Json:
        """Return the addresses of another host that speaks Kraken Futures."""
        rest, trade = self.options.rest_url, f"{self.options.rest_url}/derivatives/api/"
        charts, history = f"{rest}/api/charts/", f"{rest}/api/history/"
        ws = f"{self.options.ws_url}/ws/v1"
        return {"public": trade, "private": trade, "charts": charts, "history": history, "ws": ws}

    async def prove(self) -> None:
        """Make one private call: positions are one-way, there is no other mode to refuse."""
        await self.read("read the balance", self._data.fetch_balance)

    async def may_withdraw(self) -> bool:
        """Refuse to answer.

        Raises:
            Rejected: always; the venue documents no shape of a key's rights.
        """
        raise Rejected("kraken: the rights of a futures key cannot be read", kind=RefusalKind.BUG.value)

    # calls ----------------------------------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Ack:
        """Send one market order once, and remember its size: no push will tell that it has filled."""
        self._sent[request.client_id] = VenueOrder(
            order_id="",
            client_id=request.client_id,
            symbol=request.symbol,
            side=request.side,
            size=request.size,
            filled=unified.ZERO,
            status=Status.LIVE,
            reduce_only=request.reduce_only,
            ts_ns=0,
        )
        while len(self._sent) > _SENT:
            self._sent.pop(next(iter(self._sent)))
        return await super().place(request)

    async def amend(self, plan: PlanOrder, symbol: str, contracts: str, trigger: Decimal) -> Any:
        """Change the size of a resting stop or target."""
        params = {"stopPrice": str(trigger)}
        return await self._orders.edit_order(plan.order_id, symbol, "market", plan.side.value, contracts, None, params)

    async def cancel_plan(self, plan: PlanOrder) -> bool:
        """Cancel a trigger order; the venue keeps it with the others."""
        return await self._cancel(plan.symbol, plan.order_id, {})

    async def cancel(self, symbol: str, *, order_id: str = "", client_id: str = "") -> bool:
        """Cancel a resting order, by its id, which is looked up where only ours is known."""
        found = None if order_id else await self.order(symbol, client_id)
        known = order_id or (found.order_id if found is not None and found.status is Status.LIVE else "")
        return await self._cancel(symbol, known, {}) if known else False

    async def find(self, symbol: str, name: str) -> Json | None:
        """Return the order of a client id: open or just ended, else in the history."""
        found = await self._data.fetch_orders(None, None, None, {"cliOrdIds": name})
        for call in self.past:
            found = found or await getattr(self._data, call)(symbol)
            found = [row for row in found if row["clientOrderId"] == name]
        return found[0] if found else None

    # rows -----------------------------------------------------------------------------------------------------------

    def to_instrument(self, market: Json) -> Instrument:
        """Read one contract's rules; the greatest leverage stands in the margin levels."""
        levels = market["info"].get("retailMarginLevels") or market["info"].get("marginLevels") or [{}]
        margin = unified.number(levels[0].get("initialMargin"))
        return replace(super().to_instrument(market), max_leverage=int(1 / margin) if margin else 1)

    def to_plan(self, row: Json) -> PlanOrder:
        """Read a trigger order by the venue's own type."""
        raw = row["info"].get("order") or row["info"]
        word = str(raw.get("orderType") or raw.get("type") or "").lower()
        return replace(super().to_plan(row), kind=_KINDS.get(word, PlanKind.OTHER))

    def client_of(self, info: Mapping[str, Any]) -> str:
        """Return our id in a listed or a pushed execution."""
        return str(info.get("cliOrdId") or info.get("cli_ord_id") or "")

    def forced(self, info: Mapping[str, Any]) -> bool:
        """Tell a liquidation by the kind of the fill."""
        return "liquidat" in str(info.get("fillType") or info.get("fill_type") or "").lower()

    def to_balance(self, answer: Json) -> Balance:
        """Read the multi-collateral account."""
        flex = answer["info"]["accounts"]["flex"]
        return Balance(unified.number(flex["portfolioValue"]), unified.number(flex["availableMargin"]))

    # streams --------------------------------------------------------------------------------------------------------

    def channel(self, message: Json) -> str:
        """Return the feed of a push; a snapshot is one like the others."""
        return "" if "event" in message else str(message.get("feed", "")).removesuffix("_snapshot")

    def acknowledged(self, url: str, message: Json) -> str:  # noqa: ARG002 - the feed is named
        """Return the feed of a confirmed subscription."""
        feed = str(message.get("feed", "")) if message.get("event") == "subscribed" else ""
        return feed if feed in self.private_channels else ""

    def time_ms(self, message: Json) -> int:
        """Return the time of a push."""
        return int(message.get("time") or message.get("timestamp") or 0)

    def hear_public(self, message: Json, received_ns: int) -> None:  # noqa: ARG002 - no candles come
        """Parse prices."""
        symbol = self._symbols.get(str(message.get("product_id")), "")
        if self.channel(message) == "ticker" and symbol:
            row = self._data.parse_ws_ticker(message)
            self.tell_tick(unified.tick(row, symbol, venue_ns=self._venue_ns))

    def hear_private(self, message: Json, number: int) -> None:
        """Parse trigger orders, executions, positions and money."""
        data = self._data
        match self.channel(message):
            case "open_orders":
                self._hear_orders(message, number)
            case "fills":
                trades = [self.to_trade(data.parse_ws_my_trade(row)) for row in message.get("fills") or []]
                orders = tuple(order for trade in trades if (order := self._filled(trade)) is not None)
                self.listener.on_private(PrivateFrame(orders=orders, trades=tuple(trades), count=number))
            case "open_positions":
                rows = message.get("positions") or []
                self.tell_account(number, positions=[data.parse_ws_position(row) for row in rows])
            case "balances":
                flex = message.get("flex_futures") or {}
                money = (unified.number(flex.get("portfolio_value")), unified.number(flex.get("available_margin")))
                self.tell_account(number, balance=Balance(*money) if flex else None)
            case _:
                self.tell_account(number)

    def _hear_orders(self, message: Json, number: int) -> None:
        """Tell trigger orders; the end of one names its id alone, so those that rest are remembered."""
        rows = message.get("orders") or ([message["order"]] if message.get("order") else [])
        self._resting.update((str(row["order_id"]), row) for row in rows)
        plans = [self._plan(row, live=True, fired=False) for row in rows if unified.number(row.get("stop_price"))]
        ended = self._resting.pop(str(message.get("order_id")), None) if message.get("is_cancel") else None
        if ended is not None and unified.number(ended.get("stop_price")):
            plans.append(self._plan(ended, live=False, fired="trigger" in str(message.get("reason"))))
        self.listener.on_private(PrivateFrame(plans=tuple(plans), count=number))

    def _plan(self, row: Json, *, live: bool, fired: bool) -> PlanOrder:
        plan = self.to_plan({**self._data.parse_ws_order(row), "amount": row["qty"], "reduceOnly": row["reduce_only"]})
        return replace(plan, client_id=str(row.get("cli_ord_id") or ""), live=live, fired=fired)

    def _filled(self, trade: Trade) -> VenueOrder | None:
        """Return the order of an execution as it stands now, None for one that this process has not sent."""
        known = self._sent.get(trade.client_id)
        if known is None:
            return None
        filled = known.filled + trade.size
        status = Status.FILLED if filled >= known.size else Status.LIVE
        new = replace(known, order_id=trade.order_id, filled=filled, status=status, ts_ns=trade.ts_ns)
        self._sent[trade.client_id] = new
        return new
