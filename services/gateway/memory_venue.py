"""A venue in memory: the port `Venue` without a network, moved by hand. Shipped for tests and measurements.

It passes the numbered suite of venue adapters. Market orders rest until `fill`; what has ended is remembered for a
while only, so that a day of trading needs no more memory than an hour.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from omega.domain import Bar, Instrument, Side, timeframe_ns
from omega.errors import Rejected, Unresolved
from services.gateway.capabilities import CandleFeed, Capabilities, ClientIdRule, Evidence, Resize, StopForm
from services.gateway.venue import (
    Ack,
    Balance,
    Candles,
    FundingBill,
    Listener,
    OrderRequest,
    PlanKind,
    PlanOrder,
    PlanRequest,
    PrivateFrame,
    Status,
    Trade,
    Venue,
    VenueOrder,
    VenuePosition,
)

ZERO: Final = Decimal(0)
_KEPT: Final = 500
CAPABILITIES: Final = Capabilities(
    exchange="memory",
    coin="USDT",
    order_types=("market", "stop"),
    stops=StopForm.ATTACHED,
    resize=Resize.AMEND,
    position_mode="one-way",
    client_id=ClientIdRule(field="client_id", longest=50, alphabet="A-Za-z0-9_-"),
    contract="one coin",
    candles=CandleFeed.PUSHED,
    sandbox="itself",
    key_rights="itself: there is no key",
    evidence=Evidence.SIMULATOR,
)


@dataclass(frozen=True, slots=True)
class _Net:
    size: Decimal = ZERO
    entry: Decimal = ZERO


class MemoryVenue:
    """One account. Time is `now_ns`, prices are `prices`; both are the test's to move."""

    name = "memory"
    capabilities = CAPABILITIES

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        prices: Mapping[str, Decimal],
        *,
        money: Decimal = Decimal(1_000_000),
        now_ns: int = 0,
    ) -> None:
        self.instruments = instruments
        self.prices = dict(prices)
        self.money = money
        self.now_ns = now_ns
        self._listener: Listener | None = None
        self._resting: dict[str, OrderRequest] = {}
        self._orders: OrderedDict[str, VenueOrder] = OrderedDict()
        self._plans: dict[str, PlanOrder] = {}
        self._past_plans: deque[PlanOrder] = deque(maxlen=_KEPT)
        self._trades: deque[Trade] = deque(maxlen=_KEPT)
        self._nets: dict[str, _Net] = {}
        self._bars: dict[tuple[str, str], deque[Bar]] = {}
        self._leverage: dict[str, int] = {}
        self._number = self._frames = 0

    # what the test moves ----------------------------------------------------------------------------------------------

    def fill(self) -> int:
        """Fill every resting order at its symbol's price, push what happened, and return how many there were."""
        resting, self._resting = list(self._resting.values()), {}
        for request in resting:
            self._execute(request)
        return len(resting)

    def bar(self, symbol: str, timeframe: str, bar: Bar) -> None:
        """Close a bar: the price is its close, the clock its end."""
        self._bars.setdefault((symbol, timeframe), deque(maxlen=_KEPT)).append(bar)
        self.prices[symbol] = Decimal(repr(bar.close))
        self.now_ns = max(self.now_ns, bar.ts_ns + timeframe_ns(timeframe))
        if self._listener is not None:
            self._listener.on_candles(Candles(symbol, timeframe, (bar,), self.now_ns, self.now_ns))

    # the port -------------------------------------------------------------------------------------------------------

    async def start(self, listener: Listener) -> None:
        """Begin to tell."""
        self._listener = listener
        listener.on_private_open()

    async def close(self) -> None:
        """Tell no more."""
        self._listener = None

    def connected(self) -> bool:
        """Tell whether somebody listens."""
        return self._listener is not None

    def silence_s(self) -> float:
        """Return 0: what is in memory is never late."""
        return 0.0

    def venue_ns(self) -> int:
        """Return the venue's time."""
        return self.now_ns

    def retry_after_s(self) -> float:
        """Return 0: nothing is ever asked to wait."""
        return 0.0

    def weight(self, _call: str) -> float:
        """Return 1: every call is one request."""
        return 1.0

    async def time_ns(self) -> int:
        """Return the wall clock, as a venue's server does; market time is `now_ns`."""
        return time.time_ns()

    async def place(self, request: OrderRequest) -> Ack:
        """Take one market order; it rests until `fill`."""
        if request.client_id in self._orders:
            raise Unresolved(f"{request.client_id} exists already", code="duplicate")
        if request.size * self.prices[request.symbol] > self.money * 100:
            raise Rejected(f"{request.size} {request.symbol} is more than the account can carry", code="funds")
        if request.handed is not None:
            request.handed(self.now_ns)
        order = VenueOrder(
            self._next(), request.client_id, request.symbol, request.side, request.size, ZERO, Status.LIVE,
            request.reduce_only, self.now_ns,
        )  # fmt: skip
        self._orders[request.client_id] = order
        while len(self._orders) > _KEPT + len(self._resting):
            self._orders.popitem(last=False)
        self._resting[request.client_id] = request
        return Ack(order.order_id, request.client_id)

    async def place_plan(self, request: PlanRequest) -> Ack:
        """Take one trigger order."""
        plan = self._plan(request.client_id, request.symbol, request.side, request.size, request.trigger, request.kind)
        return Ack(plan.order_id, plan.client_id)

    async def resize_plan(self, plan: PlanOrder, size: Decimal, trigger: Decimal | None = None) -> None:
        """Change size and trigger of a resting trigger order."""
        if plan.order_id not in self._plans:
            raise Rejected(f"{plan.order_id} is gone", code="gone")
        known = self._plans[plan.order_id]
        self._plans[plan.order_id] = changed = replace(known, size=size, trigger=trigger or known.trigger)
        self._push(PrivateFrame(plans=(changed,)))

    async def cancel_plan(self, plan: PlanOrder) -> bool:
        """Cancel a trigger order; False when it is gone."""
        if plan.order_id not in self._plans:
            return False
        self._end_plan(plan.order_id)
        return True

    async def cancel(self, symbol: str, *, order_id: str = "", client_id: str = "") -> bool:
        """Cancel a resting order; False when it is already gone."""
        for name in list(self._resting):
            order = self._orders[name]
            if order.symbol == symbol and (name == client_id or order.order_id == order_id):
                del self._resting[name]
                self._orders[name] = order = replace(order, status=Status.CANCELED)
                self._push(PrivateFrame(orders=(order,)))
                return True
        return False

    async def order(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Return the order of a client id."""
        found = self._orders.get(client_id)
        return found if found is not None and found.symbol == symbol else None

    async def open_orders(self) -> list[VenueOrder]:
        """Return the resting orders."""
        return [self._orders[name] for name in self._resting]

    async def past_orders(self, symbol: str) -> list[VenueOrder]:
        """Return the newest finished orders of one symbol."""
        return [o for name, o in self._orders.items() if o.symbol == symbol and name not in self._resting]

    async def plans(self, *, every: bool = True) -> list[PlanOrder]:  # noqa: ARG002 - there are no other kinds here
        """Return the live stops and targets."""
        return list(self._plans.values())

    async def past_plans(self, symbol: str) -> list[PlanOrder]:
        """Return the newest trigger orders of one symbol that are over."""
        return [plan for plan in self._past_plans if plan.symbol == symbol]

    async def trades(self, symbol: str, *, since_ns: int = 0) -> list[Trade]:
        """Return the newest executions in one symbol, oldest first."""
        return [trade for trade in self._trades if trade.symbol == symbol and trade.ts_ns >= since_ns]

    async def positions(self) -> list[VenuePosition]:
        """Return the open positions."""
        return [
            VenuePosition(symbol, net.size, net.entry, self.prices[symbol], self._leverage.get(symbol, 1))
            for symbol, net in self._nets.items()
            if net.size
        ]

    async def balance(self) -> Balance:
        """Return the account's money."""
        return self._balance()

    async def funding(self, symbol: str) -> list[FundingBill]:  # noqa: ARG002 - part of the port
        """Return nothing: no funding is paid here."""
        return []

    async def candles(self, symbol: str, timeframe: str, *, limit: int, since_ns: int = 0) -> list[Bar]:
        """Return the newest bars, oldest first."""
        rows = [bar for bar in self._bars.get((symbol, timeframe), ()) if bar.ts_ns >= since_ns]
        return rows[-limit:]

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of one symbol."""
        self._leverage[symbol] = leverage

    async def may_withdraw(self) -> bool:
        """Return False: there is nothing to withdraw."""
        return False

    # how ------------------------------------------------------------------------------------------------------------

    def _execute(self, request: OrderRequest) -> None:
        symbol, price, sign = request.symbol, self.prices[request.symbol], request.side.sign
        net = self._nets.get(symbol, _Net())
        size = request.size
        if request.reduce_only:
            size = min(size, abs(net.size)) if net.size * sign < 0 else ZERO
        if not size:
            self._orders[request.client_id] = order = replace(self._orders[request.client_id], status=Status.CANCELED)
            self._push(PrivateFrame(orders=(order,)))
            return
        fee = size * price * self.instruments[symbol].taker_fee
        closing = min(abs(net.size), size) if net.size * sign < 0 else ZERO
        self.money += closing * (price - net.entry) * (1 if net.size > 0 else -1) - fee
        after, opening = net.size + size * sign, size - closing
        entry = net.entry
        if opening:
            kept = abs(net.size) - closing
            entry = (entry * kept + price * opening) / (kept + opening)
        self._nets[symbol] = _Net(after, entry if after else ZERO)
        status = Status.FILLED if size == request.size else Status.CANCELED
        order = replace(self._orders[request.client_id], filled=size, status=status)
        self._orders[request.client_id] = order
        trade = Trade(
            f"t{self._next()}", order.order_id, order.client_id, symbol, request.side, price, size, fee, "USDT",
            maker=False, forced=False, ts_ns=self.now_ns,
        )  # fmt: skip
        self._trades.append(trade)
        self._push(PrivateFrame(orders=(order,), trades=(trade,), balance=self._balance()))
        for trigger, kind in ((request.stop, PlanKind.STOP), (request.target, PlanKind.TARGET)):
            if trigger is not None:
                self._plan("", symbol, request.side.opposite, size, trigger, kind)
        if not after:
            for plan in [plan for plan in self._plans.values() if plan.symbol == symbol]:
                self._end_plan(plan.order_id)

    def _plan(
        self, client_id: str, symbol: str, side: Side, size: Decimal, trigger: Decimal, kind: PlanKind
    ) -> PlanOrder:
        plan = PlanOrder(
            self._next(), client_id, symbol, side, size, trigger, kind, live=True, fired=False, ts_ns=self.now_ns
        )
        self._plans[plan.order_id] = plan
        self._push(PrivateFrame(plans=(plan,)))
        return plan

    def _end_plan(self, order_id: str) -> None:
        plan = replace(self._plans.pop(order_id), live=False)
        self._past_plans.append(plan)
        self._push(PrivateFrame(plans=(plan,)))

    def _balance(self) -> Balance:
        open_profit = sum((net.size * (self.prices[s] - net.entry) for s, net in self._nets.items()), ZERO)
        return Balance(self.money + open_profit, self.money)

    def _push(self, frame: PrivateFrame) -> None:
        self._frames += 1
        if self._listener is not None:
            self._listener.on_private(replace(frame, count=self._frames))

    def _next(self) -> str:
        self._number += 1
        return f"{self._number:012d}"


_PORT: Final[type[Venue]] = MemoryVenue
"""The type checker holds it to the port."""
