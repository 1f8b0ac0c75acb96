"""Orders, plan orders and trades, and the one book that holds them. Changed by placing, plans and settlement alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from services.simulator.figures import ZERO
from services.simulator.instruments import Product


class Status(StrEnum):
    """States of an order on the wire."""

    LIVE = "live"
    PARTIAL = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"


class PlanStatus(StrEnum):
    """States of a plan order on the wire."""

    LIVE = "live"
    EXECUTED = "executed"
    FAILED = "fail_execute"
    CANCELLED = "cancelled"


class PlanType(StrEnum):
    """Kinds of plan order."""

    NORMAL = "normal_plan"
    TRACK = "track_plan"
    POS_LOSS = "pos_loss"
    POS_PROFIT = "pos_profit"
    LOSS = "loss_plan"
    PROFIT = "profit_plan"


STOPS = frozenset({PlanType.POS_LOSS, PlanType.LOSS})
TARGETS = frozenset({PlanType.POS_PROFIT, PlanType.PROFIT})
BARRIERS = STOPS | TARGETS
WHOLE = frozenset({PlanType.POS_LOSS, PlanType.POS_PROFIT})


@dataclass(frozen=True, slots=True)
class Presets:
    """A stop and a target that ride on an entry; zero means none, an execute price of zero means at market."""

    stop: Decimal = ZERO
    stop_execute: Decimal = ZERO
    target: Decimal = ZERO
    target_execute: Decimal = ZERO

    def __bool__(self) -> bool:
        return bool(self.stop or self.target)


@dataclass(slots=True, kw_only=True)
class Order:
    """One order.

    Units: price and quote_size in quote currency, size and filled in base units, fee in `fee_coin` and negative when
    paid. `side` is +1 for buy, -1 for sell; `hold` the position side it belongs to, 0 in one-way mode.
    """

    order_id: str
    client_oid: str
    uid: str
    product: Product
    symbol: str
    side: int
    market: bool
    force: str
    price: Decimal
    size: Decimal
    created_ms: int
    updated_ms: int
    quote_size: Decimal = ZERO
    hold: int = 0
    hedged: bool = False
    reducing: bool = False
    margin_mode: str = "crossed"
    leverage: int = 1
    presets: Presets = field(default_factory=Presets)
    source: str = "API"
    burst: str = ""
    status: Status = Status.LIVE
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fee: Decimal = ZERO
    fee_coin: str = "USDT"
    profit: Decimal = ZERO
    rested: bool = False
    frozen: Decimal = ZERO
    cancel_reason: str = ""

    @property
    def left(self) -> Decimal:
        """What is not filled yet."""
        return self.size - self.filled

    @property
    def average(self) -> Decimal:
        """Average price of the fills, zero when there is none."""
        return self.value / self.filled if self.filled else ZERO

    @property
    def open(self) -> bool:
        """Whether it can still fill."""
        return self.status in {Status.LIVE, Status.PARTIAL}

    @property
    def trade_side(self) -> str:
        """The venue's word for what the order does to the position."""
        if self.burst:
            return self.burst
        if self.hedged:
            return "close" if self.reducing else "open"
        return "buy_single" if self.side > 0 else "sell_single"


@dataclass(slots=True, kw_only=True)
class Plan:
    """One plan order: a stop, a target, a trigger or a trailing stop.

    Units: trigger and execute in quote currency (execute zero: at market), size in base units (zero: the whole
    position), callback in percent. `side` is the side of the order it becomes, `hold` the side of the position that it
    closes (0 when it opens one). Plans of one `group` cancel each other.
    """

    order_id: str
    client_oid: str
    uid: str
    product: Product
    symbol: str
    kind: PlanType
    side: int
    trigger: Decimal
    size: Decimal
    created_ms: int
    updated_ms: int
    group: str = ""
    parent: str = ""
    hold: int = 0
    hedged: bool = False
    reducing: bool = False
    rising: bool = True
    trigger_type: str = "mark_price"
    execute: Decimal = ZERO
    callback: Decimal = ZERO
    active: bool = True
    extreme: float = 0.0
    trail: float = 0.0
    margin_mode: str = "crossed"
    leverage: int = 1
    presets: Presets = field(default_factory=Presets)
    source: str = "API"
    status: PlanStatus = PlanStatus.LIVE
    execute_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One fill of one account. Units: fee negative when paid, profit before fees, both as on the wire."""

    trade_id: str
    order_id: str
    client_oid: str
    uid: str
    product: Product
    symbol: str
    side: int
    market: bool
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_coin: str
    profit: Decimal
    trade_side: str
    hedged: bool
    maker: bool
    source: str
    ts_ms: int

    @property
    def value(self) -> Decimal:
        """Price times size."""
        return self.price * self.size


class OrderBook:
    """Every order, plan and trade since the start; what is open is indexed by id in order of arrival."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.plans: dict[str, Plan] = {}
        self.open_orders: dict[str, Order] = {}
        self.open_plans: dict[str, Plan] = {}
        self.trades: list[Trade] = []
        self._clients: dict[tuple[str, Product, str], str] = {}
        self._plan_clients: dict[tuple[str, Product, str], str] = {}

    def add(self, order: Order) -> None:
        """Take an order in; it is found by its client id from now on."""
        self.orders[order.order_id] = order
        self.open_orders[order.order_id] = order
        self._clients[order.uid, order.product, order.client_oid] = order.order_id

    def add_plan(self, plan: Plan) -> None:
        """Take a plan order in."""
        self.plans[plan.order_id] = plan
        self.open_plans[plan.order_id] = plan
        self._plan_clients[plan.uid, plan.product, plan.client_oid] = plan.order_id

    def put_back(self, order: Order) -> None:
        """Return an order that was set aside to its place among the open ones."""
        self.open_orders[order.order_id] = order
        self.open_orders = dict(sorted(self.open_orders.items()))

    def settle(self, order: Order) -> None:
        """Drop an order that has ended from the open ones."""
        if not order.open:
            self.open_orders.pop(order.order_id, None)

    def settle_plan(self, plan: Plan) -> None:
        """Drop a plan that has ended from the open ones."""
        if plan.status is not PlanStatus.LIVE:
            self.open_plans.pop(plan.order_id, None)

    def knows(self, uid: str, product: Product, client_oid: str) -> bool:
        """Tell whether this client id was ever used by the account in the product."""
        key = (uid, product, client_oid)
        return key in self._clients or key in self._plan_clients

    def find(self, uid: str, product: Product, order_id: str, client_oid: str) -> Order | None:
        """Find an account's order by its id or else by its client id."""
        order = self.orders.get(order_id or self._clients.get((uid, product, client_oid), ""))
        return order if order is not None and (order.uid, order.product) == (uid, product) else None

    def find_plan(self, uid: str, product: Product, order_id: str, client_oid: str) -> Plan | None:
        """Find an account's plan order by its id or else by its client id."""
        plan = self.plans.get(order_id or self._plan_clients.get((uid, product, client_oid), ""))
        return plan if plan is not None and (plan.uid, plan.product) == (uid, product) else None

    def open_of(self, uid: str, product: Product, symbol: str = "") -> list[Order]:
        """List an account's open orders, oldest first."""
        return [o for o in self.open_orders.values() if _belongs(o, uid, product, symbol)]

    def plans_of(self, uid: str, product: Product, symbol: str = "") -> list[Plan]:
        """List an account's live plan orders, oldest first."""
        return [p for p in self.open_plans.values() if _belongs(p, uid, product, symbol)]


def _belongs(item: Order | Plan, uid: str, product: Product, symbol: str) -> bool:
    return item.uid == uid and item.product is product and symbol in {"", item.symbol}
