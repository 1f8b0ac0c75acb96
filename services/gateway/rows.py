"""Rows of the journal as values, and how they are written and read. Used by the journal and by whoever asks it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from sqlite3 import Row
from typing import Final

from pydantic import TypeAdapter

from omega.bus.messages import BY_CLASS, BY_NAME, Message, OrderEvent, StopEvent
from omega.domain import Fill, OrderState, Role, Side

# Those of every trade are built here: the first order must not wait for them.
_ADAPTERS: Final[dict[type, TypeAdapter[Message]]] = {cls: TypeAdapter(cls) for cls in (OrderEvent, Fill, StopEvent)}


@dataclass(frozen=True, slots=True)
class JournalOrder:
    """One order of ours, from before it was sent to its end."""

    client_id: str
    intent_id: str
    bot: str
    symbol: str
    side: Side
    size: Decimal
    role: Role
    reduce_only: bool
    stop: Decimal | None
    target: Decimal | None
    ref_price: Decimal
    bar_ts_ns: int
    epoch: int
    corr: str
    created_ns: int
    state: OrderState = OrderState.INTENT
    filled: Decimal = Decimal(0)
    order_id: str = ""
    code: str = ""
    reason: str = ""
    latency_ns: int = 0

    @property
    def signed(self) -> Decimal:
        """The size that is not filled yet, with the sign of its side."""
        return (self.size - self.filled) * self.side.sign


@dataclass(frozen=True, slots=True)
class JournalPlan:
    """A trigger order at the venue and the bot that it belongs to."""

    client_id: str
    order_id: str
    bot: str
    symbol: str
    kind: str
    size: Decimal
    trigger: Decimal
    live: bool
    leg: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """What shall protect one leg of a bot's position: how much is left of it, and its trigger prices.

    A leg is what one entry order has opened; it is named by that order's client id.
    """

    bot: str
    symbol: str
    leg: str
    side: int
    size: Decimal
    stop: Decimal | None
    target: Decimal | None


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that is journalled and not yet on the bus."""

    seq: int
    message_id: str
    message: Message
    corr: str


def dump(message: Message) -> tuple[str, str]:
    """Return a message's type name and its JSON text."""
    cls = type(message)
    return BY_CLASS[cls].name, _adapter(cls).dump_json(message).decode()


def load(name: str, body: str) -> Message:
    """Return the message of a type name and a JSON text."""
    return _adapter(BY_NAME[name].cls).validate_json(body)


def order_of(row: Row) -> JournalOrder:
    """Read one row of `orders`."""
    return JournalOrder(
        client_id=row["client_id"],
        intent_id=row["intent_id"],
        bot=row["bot"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        size=Decimal(row["size"]),
        role=Role(row["role"]),
        reduce_only=bool(row["reduce_only"]),
        stop=_maybe(row["stop"]),
        target=_maybe(row["target"]),
        ref_price=Decimal(row["ref_price"]),
        bar_ts_ns=row["bar_ts_ns"],
        epoch=row["epoch"],
        corr=row["corr"],
        created_ns=row["created_ns"],
        state=OrderState(row["state"]),
        filled=Decimal(row["filled"]),
        order_id=row["order_id"],
        code=row["code"],
        reason=row["reason"],
        latency_ns=row["latency_ns"],
    )


def order_values(order: JournalOrder) -> tuple[object, ...]:
    """Write one row of `orders`, in the order of its columns."""
    return (
        order.client_id,
        order.intent_id,
        order.bot,
        order.symbol,
        order.side.value,
        str(order.size),
        order.role.value,
        int(order.reduce_only),
        _text(order.stop),
        _text(order.target),
        str(order.ref_price),
        order.bar_ts_ns,
        order.epoch,
        order.corr,
        order.state.value,
        str(order.filled),
        order.order_id,
        order.code,
        order.reason,
        order.created_ns,
        order.latency_ns,
    )


def plan_of(row: Row) -> JournalPlan:
    """Read one row of `plans`."""
    return JournalPlan(
        client_id=row["client_id"],
        order_id=row["order_id"],
        bot=row["bot"],
        symbol=row["symbol"],
        kind=row["kind"],
        size=Decimal(row["size"]),
        trigger=Decimal(row["trigger"]),
        live=bool(row["live"]),
        leg=row["leg"],
    )


def guard_of(row: Row) -> Guard:
    """Read one row of `guards`."""
    return Guard(
        bot=row["bot"],
        symbol=row["symbol"],
        leg=row["leg"],
        side=row["side"],
        size=Decimal(row["size"]),
        stop=_maybe(row["stop"]),
        target=_maybe(row["target"]),
    )


def _adapter(cls: type) -> TypeAdapter[Message]:
    if cls not in _ADAPTERS:
        _ADAPTERS[cls] = TypeAdapter(cls)
    return _ADAPTERS[cls]


def _maybe(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
