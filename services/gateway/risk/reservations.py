"""What is held and what live orders may still add, in units, summed by scope as it changes. Pure; kept by the gate.

An order reserves what it may still fill from its admission to its end. The end of an order and its fills come in any
order: what the venue says was filled stays reserved until that fill is in a book, so that nothing is counted twice and
nothing is counted less than once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from omega.domain import TERMINAL, OrderState, Role
from services.gateway.risk.scopes import Entity
from services.gateway.rows import JournalOrder

ZERO: Final = Decimal(0)
Place = tuple[str, str]
"""(bot, symbol)"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one order has reserved.

    Units: base units. `most` is what may be filled in all: the size of a live order, what the venue says was filled of
        one that has ended; `booked` is what has come into a book of it.
    """

    client_id: str
    order_id: str
    bot: str
    symbol: str
    sign: int
    entry: bool
    bar_ts_ns: int
    state: OrderState
    most: Decimal
    booked: Decimal = ZERO

    @property
    def live(self) -> bool:
        """Tell whether the order has not ended."""
        return self.state not in TERMINAL

    @property
    def rest(self) -> Decimal:
        """What may still come into a book."""
        return max(self.most - self.booked, ZERO)


@dataclass(slots=True)
class Cell:
    """The sums of one symbol in one scope, in base units.

    Attributes:
        gross: open sizes without sign, and the rests of entries.
        net: open sizes with sign.
        buys: the rests of every order that buys, exits too.
        sells: the rests of every order that sells.
    """

    gross: Decimal = ZERO
    net: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO

    @property
    def long(self) -> Decimal:
        """What the scope is net long when every buy fills and no sell does."""
        return self.net + self.buys

    @property
    def short(self) -> Decimal:
        """What it is net short when every sell fills and no buy does."""
        return self.sells - self.net


class Reservations:
    """The sums, kept by `note` (an order was written), `book` (a fill was booked) and `hold` (a book was read)."""

    def __init__(self, entities: Callable[[str, str], tuple[Entity, ...]]) -> None:
        self._entities = entities
        self._cells: dict[Entity, dict[str, Cell]] = {}
        self._held: dict[Place, Decimal] = {}
        self._claims: dict[str, Claim] = {}
        self._by_symbol: dict[str, dict[str, Claim]] = {}
        self._live = 0
        self._before: dict[str, Claim | None] | None = None
        self._held_before: dict[Place, Decimal] = {}

    def load(
        self, books: Iterable[tuple[Place, Decimal]], orders: Iterable[JournalOrder], booked: Mapping[str, Decimal]
    ) -> None:
        """Begin anew from the open books, the live orders and what was booked of each of these."""
        self._cells, self._held, self._claims, self._by_symbol = {}, {}, {}, {}
        self._live, self._before = 0, None
        for place, size in books:
            self.hold(*place, size)
        for order in orders:
            self.note(order)
            if done := booked.get(order.client_id, ZERO):
                self._change(replace(self._claims[order.client_id], booked=done))

    def regroup(self) -> None:
        """Sum anew: the scopes of bots have changed."""
        held, claims = dict(self._held), list(self._claims.values())
        self._cells, self._held, self._claims, self._by_symbol, self._live = {}, {}, {}, {}, 0
        for place, size in held.items():
            self.hold(*place, size)
        for claim in claims:
            self._change(claim)

    # what changes ---------------------------------------------------------------------------------------------------

    def note(self, order: JournalOrder) -> None:
        """Take an order as the journal has just written it: reserve, or give back what it no longer may fill."""
        known = self._claims.get(order.client_id)
        if known is None:
            if order.state not in TERMINAL:
                self.reserve(order)
            return
        most = order.filled if order.state in TERMINAL else known.most
        claim = replace(known, state=order.state, order_id=order.order_id or known.order_id, most=most)
        if claim != known:
            self._change(claim)

    def reserve(self, order: JournalOrder) -> None:
        """Reserve the whole size of an order that was admitted."""
        self._change(
            Claim(
                client_id=order.client_id,
                order_id=order.order_id,
                bot=order.bot,
                symbol=order.symbol,
                sign=order.side.sign,
                entry=order.role is Role.ENTRY,
                bar_ts_ns=order.bar_ts_ns,
                state=order.state,
                most=order.size,
            )
        )

    def book(self, client_id: str, order_id: str, size: Decimal) -> None:
        """Take note that a fill of an order is in its book."""
        claim = self._claims.get(client_id) if client_id else None
        if claim is None and order_id:
            claim = next((c for c in self._claims.values() if c.order_id == order_id), None)
        if claim is not None:
            self._change(replace(claim, booked=claim.booked + size))

    def hold(self, bot: str, symbol: str, size: Decimal) -> None:
        """Take the signed size that a bot now holds in a symbol."""
        before = self._held.get((bot, symbol), ZERO)
        if self._before is not None:
            self._held_before.setdefault((bot, symbol), before)
        self._held[bot, symbol] = size
        if size != before:
            for entity in self._entities(bot, symbol):
                cell = self._cell(entity, symbol)
                cell.net += size - before
                cell.gross += abs(size) - abs(before)

    # a transaction of the journal -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Remember what changes from here on."""
        self._before, self._held_before = {}, {}

    def commit(self) -> None:
        """Keep it."""
        self._before = None

    def roll_back(self) -> None:
        """Undo it: the disk has refused."""
        before, self._before = self._before or {}, None
        for client_id, claim in before.items():
            if claim is not None:
                self._change(claim)
            elif client_id in self._claims:
                self._change(replace(self._claims[client_id], state=OrderState.REJECTED, most=ZERO))
        for place, size in self._held_before.items():
            self.hold(*place, size)

    # what is asked --------------------------------------------------------------------------------------------------

    def cells(self, entity: Entity) -> Mapping[str, Cell]:
        """Return the sums of a scope by symbol."""
        return self._cells.get(entity, {})

    def entities(self) -> list[Entity]:
        """Return every scope that has ever held or reserved anything since the start."""
        return list(self._cells)

    def live(self, symbol: str) -> list[Claim]:
        """Return the claims of the orders of a symbol that have not ended, oldest first."""
        return [claim for claim in self._by_symbol.get(symbol, {}).values() if claim.live]

    @property
    def live_count(self) -> int:
        """How many orders of the account have not ended."""
        return self._live

    def reserved(self) -> list[Claim]:
        """Return what is reserved, order by order."""
        return [claim for claim in self._claims.values() if claim.rest]

    # how ------------------------------------------------------------------------------------------------------------

    def _cell(self, entity: Entity, symbol: str) -> Cell:
        table = self._cells.setdefault(entity, {})
        return table.get(symbol) or table.setdefault(symbol, Cell())

    def _change(self, claim: Claim) -> None:
        """Bring the sums from what a claim was to what it is; one that is over and booked is forgotten."""
        old = self._claims.get(claim.client_id)
        if self._before is not None:
            self._before.setdefault(claim.client_id, old)
        self._live += claim.live - (old is not None and old.live)
        more = claim.rest - (old.rest if old is not None else ZERO)
        if more:
            for entity in self._entities(claim.bot, claim.symbol):
                cell = self._cell(entity, claim.symbol)
                if claim.entry:
                    cell.gross += more
                if claim.sign > 0:
                    cell.buys += more
                else:
                    cell.sells += more
        symbol = self._by_symbol.setdefault(claim.symbol, {})
        if claim.live or claim.rest:
            self._claims[claim.client_id] = symbol[claim.client_id] = claim
        else:
            self._claims.pop(claim.client_id, None)
            symbol.pop(claim.client_id, None)
