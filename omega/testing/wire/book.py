"""What the wire server knows: orders, trigger orders, executions and one position a market, in the wire's own units."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)


class Refusal(Exception):  # noqa: N818 - an answer of the server, not an error of the program
    """The book says no; `name` is the fixture's refusal that is answered."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(slots=True)
class WireOrder:
    """An order or a trigger order. status: live, filled, canceled, fired."""

    order_id: str
    client_id: str
    market: str
    side: str
    size: Decimal
    reduce_only: bool = False
    filled: Decimal = ZERO
    status: str = "live"
    stop: str = ""
    trigger: str = ""
    kind: str = ""
    ts: int = 0

    def slots(self) -> dict[str, object]:
        """Return the values of its slots in a template."""
        return {
            "order_id": self.order_id,
            "client_id": self.client_id,
            "market": self.market,
            "side": self.side,
            "closes": "sell" if self.side == "buy" else "buy",
            "size": self.size,
            "filled": self.filled,
            "left": self.size - self.filled,
            "status": self.status,
            "reduce_only": self.reduce_only,
            "trigger": self.trigger,
            "stop_trigger": self.trigger if self.kind == "stop" else "",
            "target_trigger": self.trigger if self.kind == "target" else "",
            "kind": self.kind,
            "ts": self.ts,
            "ts_iso": iso(self.ts),
        }


@dataclass(slots=True)
class WireFill:
    """An execution."""

    fill_id: str
    order: WireOrder
    price: Decimal
    size: Decimal
    fee: Decimal
    ts: int

    def slots(self) -> dict[str, object]:
        """Return the values of its slots in a template."""
        own = {
            "fill_id": self.fill_id,
            "price": self.price,
            "fill_size": self.size,
            "ts": self.ts,
            "ts_iso": iso(self.ts),
        }
        return {**self.order.slots(), **own, "fee": self.fee, "fee_signed": -self.fee, "value": self.price * self.size}


@dataclass(slots=True)
class WireBook:
    """The state of one account. `most` is the greatest size of an order, in wire units."""

    price: Decimal
    fee_rate: Decimal
    most: Decimal
    coins: Decimal = Decimal(1)
    orders: list[WireOrder] = field(default_factory=list)
    plans: list[WireOrder] = field(default_factory=list)
    fills: list[WireFill] = field(default_factory=list)
    leverage: str = "1"
    hedged: bool = False
    number: int = 8_000_000

    def next_id(self) -> str:
        """Return a fresh id."""
        self.number += 1
        return str(self.number)

    def place(self, asked: Mapping[str, Any], market: str) -> WireOrder:
        """Take a market order; it fills when told.

        Raises:
            Refusal: its client id was used, or it is too big.
        """
        order = self._order(asked, market)
        if any(known.client_id == order.client_id for known in self.orders):
            raise Refusal("duplicate")
        if order.size > self.most:
            raise Refusal("too_big")
        order.stop = str(asked.get("stop") or "")
        self.orders.append(order)
        return order

    def plan(self, asked: Mapping[str, Any], market: str) -> WireOrder:
        """Take a trigger order.

        Raises:
            Refusal: its client id was used.
        """
        plan = self._order(asked, market)
        if any(known.client_id == plan.client_id for known in self.plans):
            raise Refusal("duplicate")
        target = asked.get("target_trigger") or str(asked.get("kind", "")).lower().startswith("take")
        plan.kind = "target" if target else "stop"
        plan.trigger = str(asked.get("target_trigger") or asked.get("trigger") or "")
        self.plans.append(plan)
        return plan

    def _order(self, asked: Mapping[str, Any], market: str) -> WireOrder:
        return WireOrder(
            order_id=self.next_id(),
            client_id=str(asked.get("client_id") or ""),
            market=str(asked.get("market") or market),
            side=str(asked["side"]).lower(),
            size=Decimal(str(asked["size"])),
            reduce_only=str(asked.get("reduce_only", "")).lower() == "true",
            ts=now_ms(),
        )

    def find(self, asked: Mapping[str, Any], among: Iterable[WireOrder]) -> WireOrder:
        """Return the order of an id.

        Raises:
            Refusal: there is none.
        """
        ids = {str(asked[name]) for name in ("order_id", "client_id") if asked.get(name)}
        for order in among:
            if ids & {order.order_id, order.client_id}:
                return order
        raise Refusal("unknown")

    def cancel(self, asked: Mapping[str, Any]) -> WireOrder:
        """Cancel a live order or trigger order.

        Raises:
            Refusal: there is none that lives.
        """
        try:
            found = self.find(asked, [*self.plans, *self.orders])
        except Refusal:
            raise Refusal("gone") from None
        if found.status != "live":
            raise Refusal("gone")
        found.status = "canceled"
        return found

    def resize(self, asked: Mapping[str, Any]) -> WireOrder:
        """Change the size of a live trigger order.

        Raises:
            Refusal: there is none that lives.
        """
        found = self.find(asked, [plan for plan in self.plans if plan.status == "live"])
        found.size = Decimal(str(asked["size"]))
        return found

    def fill(self, order: WireOrder) -> WireFill:
        """Fill an order at the price; its stop, when one rides on it, begins to stand."""
        fee = self.price * order.size * self.coins * self.fee_rate
        fill = WireFill(self.next_id(), order, self.price, order.size, fee, now_ms())
        order.filled, order.status, order.ts = order.size, "filled", fill.ts
        self.fills.append(fill)
        if order.stop:
            closes = "sell" if order.side == "buy" else "buy"
            child = WireOrder(self.next_id(), "", order.market, closes, order.size, reduce_only=True, ts=fill.ts)
            child.trigger, child.kind = order.stop, "stop"
            self.plans.append(child)
        return fill

    @property
    def position(self) -> Decimal:
        """The signed position."""
        return sum((fill.size if fill.order.side == "buy" else -fill.size for fill in self.fills), ZERO)

    def select(self, name: str, asked: Mapping[str, Any]) -> list[Mapping[str, object]]:
        """Return the slots of every row of a list: open, past, mine, plans, past_plans, fills, positions."""
        since, mine = int(asked.get("since") or 0), asked.get("client_id")
        lists: dict[str, list[WireOrder] | list[WireFill]] = {
            "open": [order for order in self.orders if order.status == "live"],
            "past": [order for order in self.orders if order.status != "live"],
            "mine": [order for order in self.orders if order.client_id == mine],
            "plans": [plan for plan in self.plans if plan.status == "live"],
            "past_plans": [plan for plan in self.plans if plan.status != "live"],
            "fills": [fill for fill in self.fills if fill.ts >= since],
        }
        if name == "positions":
            return [self.position_slots()] if self.position else []
        return [row.slots() for row in lists[name]]

    def position_slots(self) -> dict[str, object]:
        """Return the slots of the position's row."""
        size = self.position
        side = "long" if size > 0 else "short" if size < 0 else "flat"
        value = abs(size) * self.coins * self.price
        return {
            "signed": size,
            "size": abs(size),
            "side": side,
            "price": self.price,
            "value": value,
            "signed_value": value if size > 0 else -value,
            "ts": now_ms(),
        }


def now_ms() -> int:
    """Return the wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """Return milliseconds as an ISO 8601 text."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
