"""Everything the venue knows at one instant. Handed to the functions that place, match and settle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from services.simulator.account import Account, Position
from services.simulator.codes import Code, refuse
from services.simulator.figures import ZERO, cash
from services.simulator.funding_rates import FundingRates
from services.simulator.instruments import Catalogue, Instrument, Product
from services.simulator.options import SimulatorOptions
from services.simulator.orders import Order, OrderBook
from services.simulator.outbox import Outbox
from services.simulator.replay import Replay

_FIRST_ID = 1_300_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Bill:
    """One change of a wallet. Units: amount and fee in the coin, signed to the holder."""

    bill_id: str
    uid: str
    symbol: str
    coin: str
    amount: Decimal
    fee: Decimal
    business: str
    ts_ms: int


@dataclass(frozen=True, slots=True)
class ClosedPosition:
    """A position that has gone flat, as it was at the end."""

    uid: str
    position: Position
    ts_ms: int


@dataclass(slots=True)
class Venue:
    """The venue's state; `accounts` is keyed by API key, `by_uid` holds the same accounts."""

    options: SimulatorOptions
    catalogue: Catalogue
    replay: Replay
    rates: FundingRates
    accounts: Mapping[str, Account]
    book: OrderBook = field(default_factory=OrderBook)
    outbox: Outbox = field(default_factory=Outbox)
    bills: list[Bill] = field(default_factory=list)
    history: list[ClosedPosition] = field(default_factory=list)
    insurance: Decimal = ZERO
    partials: int = 0
    """How many of the next orders are filled in two parts."""
    lost_stops: int = 0
    """How many of the next entries lose their stop."""
    by_uid: dict[str, Account] = field(init=False)
    _ids: int = 0

    def __post_init__(self) -> None:
        self.by_uid = {account.uid: account for account in self.accounts.values()}

    @property
    def now_ms(self) -> int:
        """The replay clock."""
        return self.replay.now_ms

    def next_id(self) -> str:
        """Return the next id: nineteen digits, increasing, the same in every run."""
        self._ids += 1
        return str(_FIRST_ID + self._ids)

    @property
    def latest_id(self) -> str:
        """The id given out last."""
        return str(_FIRST_ID + self._ids)

    def last(self, symbol: str) -> float:
        """Return the last price, which is the mark price too."""
        return self.replay.last(symbol)

    def instrument(self, product: Product, symbol: str) -> Instrument:
        """Return a listed instrument.

        Raises:
            Rejected: no symbol given, or not listed.
        """
        if not symbol:
            raise refuse(Code.EMPTY, "symbol")
        found = self.catalogue.of(product).get(symbol)
        if found is None:
            raise refuse(Code.NO_SYMBOL, symbol)
        return found

    def reserved(self, account: Account) -> Decimal:
        """Return what an account's open futures orders bind. Units: quote currency."""
        orders = self.book.open_of(account.uid, Product.SWAP)
        return sum((self.order_margin(account, order) for order in orders), ZERO)

    def order_margin(self, account: Account, order: Order) -> Decimal:
        """Return the margin and fee that an open order binds; nothing for what reduces a position."""
        size = self.opening_size(account, order, order.left)
        price = float(order.price) or self.last(order.symbol)
        taker = self.catalogue.swap[order.symbol].taker
        return cash(float(size) * price * (1.0 / order.leverage + taker))

    @staticmethod
    def opening_size(account: Account, order: Order, size: Decimal) -> Decimal:
        """Return how much of a size would open or add to a position."""
        if order.reducing:
            return ZERO
        if order.hedged:
            return size
        opposite = account.positions.get((order.symbol, -order.side))
        return max(ZERO, size - opposite.size) if opposite else size

    def post(self, account: Account, symbol: str, business: str, amount: Decimal, fee: Decimal = ZERO) -> None:
        """Move cash into (or out of) a futures wallet and write the bill."""
        account.wallet += amount + fee
        self.bills.append(Bill(self.next_id(), account.uid, symbol, "USDT", amount, fee, business, self.now_ms))
