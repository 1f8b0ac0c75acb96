"""The port of an exchange: what the gateway asks of any venue, in farm symbols and Decimal. Adapters live in `venues/`.

Writes raise Rejected (the answer proves that nothing happened) or Unresolved (nobody knows); reads raise
TransientError, Rejected or ConfigError. An adapter never sends a write twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Any, Final, Protocol

from omega.domain import Bar, Instrument, Role, Side


class Status(StrEnum):
    """The states of an order at a venue."""

    LIVE = "live"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"


class PlanKind(StrEnum):
    """What a trigger order protects."""

    STOP = "stop"
    TARGET = "target"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One market order to send; stop and target ride on it as presets.

    `handed` hears the instant (wall clock, ns) at which the request is handed to the HTTP client.
    """

    client_id: str
    symbol: str
    side: Side
    size: Decimal
    reduce_only: bool = False
    stop: Decimal | None = None
    target: Decimal | None = None
    handed: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """One sized, reduce-only trigger order to send. `side` is the side that it trades when it fires."""

    client_id: str
    symbol: str
    side: Side
    size: Decimal
    trigger: Decimal
    kind: PlanKind


@dataclass(frozen=True, slots=True)
class Ack:
    """The venue's answer to a write."""

    order_id: str
    client_id: str


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue tells it."""

    order_id: str
    client_id: str
    symbol: str
    side: Side
    size: Decimal
    filled: Decimal
    status: Status
    reduce_only: bool
    ts_ns: int


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """A trigger order as the venue tells it: live, or over because it fired or was cancelled."""

    order_id: str
    client_id: str
    symbol: str
    side: Side
    size: Decimal
    trigger: Decimal
    kind: PlanKind
    live: bool
    fired: bool
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Trade:
    """An execution as the venue tells it; fee positive = paid. `forced` marks a liquidation."""

    trade_id: str
    order_id: str
    client_id: str
    symbol: str
    side: Side
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_coin: str
    maker: bool
    forced: bool
    ts_ns: int


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """The account's net position in one symbol; size signed."""

    symbol: str
    size: Decimal
    entry: Decimal
    mark: Decimal
    leverage: int


@dataclass(frozen=True, slots=True)
class Balance:
    """The account's money in quote currency."""

    equity: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True)
class FundingBill:
    """One funding payment on the account, positive = received."""

    funding_id: str
    symbol: str
    amount: Decimal
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Candles:
    """Rows of one push, oldest first; the last may still be open. venue_ns is the push's own time."""

    symbol: str
    timeframe: str
    rows: tuple[Bar, ...]
    venue_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Tick:
    """The best prices of one push; what a venue does not tell beside them is None.

    Units: sizes at the best prices in base units; funding a fraction an interval; change_24h a fraction.
    """

    symbol: str
    bid: float
    ask: float
    last: float
    mark: float
    venue_ns: int
    bid_size: float | None = None
    ask_size: float | None = None
    funding: float | None = None
    change_24h: float | None = None


def optional(value: Any) -> float | None:
    """Return what a venue tells beside the prices as a number, None for what is none: it must not cost the prices."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


@dataclass(frozen=True, slots=True)
class PrivateFrame:
    """One data push of the private socket, parsed. `count` numbers the frames since that socket opened."""

    orders: tuple[VenueOrder, ...] = ()
    plans: tuple[PlanOrder, ...] = ()
    trades: tuple[Trade, ...] = ()
    positions: tuple[VenuePosition, ...] | None = None
    balance: Balance | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class VenueOptions:
    """What an adapter needs to know. Empty URLs mean the venue's own; times in seconds."""

    account: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    rest_url: str = ""
    ws_url: str = ""
    timeout_ms: int = 5_000
    symbols: tuple[str, ...] = ()
    timeframes: tuple[str, ...] = ("1m",)
    sandbox: bool = False
    start_s: float = 30.0
    silent_s: float = 75.0
    recycle_s: float = 82_800.0
    redial_s: tuple[float, ...] = (0.0, 0.2, 0.4, 0.8, 1.6, 3.2)


class Listener(Protocol):
    """Who hears the venue. Called in the order of arrival, inside the event loop; returns at once."""

    def on_candles(self, candles: Candles) -> None:
        """Take one push of candles."""
        ...

    def on_tick(self, tick: Tick) -> None:
        """Take one push of prices."""
        ...

    def on_private(self, frame: PrivateFrame) -> None:
        """Take one push of orders, fills, positions or money."""
        ...

    def on_private_open(self) -> None:
        """The private socket is open and every channel is subscribed; what happened before was missed."""
        ...

    def on_lost(self, what: str, reason: str) -> None:
        """A socket (`public`, `private`) is lost."""
        ...


class PriceSource(Protocol):
    """The public prices of one exchange, without an account."""

    name: str
    instruments: Mapping[str, Instrument]

    async def open_public(self) -> None:
        """Load the markets and nothing else.

        Raises:
            TransientError: the venue does not answer.
        """
        ...

    async def prices(self, symbols: Sequence[str]) -> list[Tick]:
        """Return the newest prices of some symbols."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Venue(Protocol):
    """One account at one exchange."""

    name: str
    instruments: Mapping[str, Instrument]

    async def start(self, listener: Listener) -> None:
        """Load the markets, prove the credentials and begin to listen.

        Raises:
            ConfigError: the credentials are refused or a symbol does not exist.
            TransientError: the venue does not answer.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    def connected(self) -> bool:
        """Tell whether the private socket is subscribed."""
        ...

    def silence_s(self) -> float:
        """Return the age in seconds of the last public push."""
        ...

    def retry_after_s(self) -> float:
        """Return for how long the venue's last answer asked to wait, 0 when it named no time."""
        ...

    def weight(self, call: str) -> float:
        """Return how many requests of its lanes a call of this port counts for: slow endpoints, several requests."""
        ...

    async def time_ns(self) -> int:
        """Ask the venue for its clock (wall clock, ns UTC)."""
        ...

    def venue_ns(self) -> int:
        """Return the newest time that the venue has told; 0 before the first push."""
        ...

    async def place(self, request: OrderRequest) -> Ack:
        """Send one market order once."""
        ...

    async def place_plan(self, request: PlanRequest) -> Ack:
        """Send one trigger order once."""
        ...

    async def resize_plan(self, plan: PlanOrder, size: Decimal, trigger: Decimal | None = None) -> None:
        """Change size and trigger of a resting trigger order, in place; Rejected where the venue cannot."""
        ...

    async def cancel_plan(self, plan: PlanOrder) -> bool:
        """Cancel a trigger order; False when the venue did not confirm it."""
        ...

    async def cancel(self, symbol: str, *, order_id: str = "", client_id: str = "") -> bool:
        """Cancel a resting order; False when it is already gone."""
        ...

    async def order(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Return the order of a client id, None when the venue knows none."""
        ...

    async def open_orders(self) -> list[VenueOrder]:
        """Return the resting orders of the account."""
        ...

    async def past_orders(self, symbol: str) -> list[VenueOrder]:
        """Return the newest finished orders of one symbol."""
        ...

    async def plans(self, *, every: bool = True) -> list[PlanOrder]:
        """Return the live stops and targets; with `every` also the trigger orders of other kinds."""
        ...

    async def past_plans(self, symbol: str) -> list[PlanOrder]:
        """Return the newest trigger orders of one symbol that have fired or were cancelled."""
        ...

    async def trades(self, symbol: str, *, since_ns: int = 0) -> list[Trade]:
        """Return the account's executions in one symbol, oldest first."""
        ...

    async def positions(self) -> list[VenuePosition]:
        """Return the open positions."""
        ...

    async def balance(self) -> Balance:
        """Return the account's money."""
        ...

    async def funding(self, symbol: str) -> list[FundingBill]:
        """Return the newest funding payments of one symbol, oldest first."""
        ...

    async def candles(self, symbol: str, timeframe: str, *, limit: int, since_ns: int = 0) -> list[Bar]:
        """Return up to `limit` rows, oldest first; the last may still be open."""
        ...

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of one symbol."""
        ...

    async def may_withdraw(self) -> bool:
        """Tell whether the key could move money off the account."""
        ...


def closing_side(position: Decimal) -> Side:
    """Return the side that closes a signed position."""
    return Side.SELL if position > 0 else Side.BUY


def total(plans: Sequence[PlanOrder]) -> Decimal:
    """Return the sum of the sizes of trigger orders."""
    return sum((plan.size for plan in plans), Decimal(0))


ROLE_OF_PLAN: Mapping[PlanKind, Role] = {PlanKind.STOP: Role.STOP, PlanKind.TARGET: Role.TARGET}
"""What the fill of a trigger order is, by its kind."""
EVERY_PLAN: Final = "every_plan"
"""The name of `plans(every=True)` among the calls that `weight` knows; the others go by their own."""
