"""Books folded from fills and funding in one canonical order, with their round trips. Used by ledger and queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from omega.domain import Fill, Position

ZERO = Decimal(0)
_FLAT = Position()


class BookKey(NamedTuple):
    """One bot's book in one symbol of one account."""

    bot: str
    venue: str
    account: str
    symbol: str


class Moment(NamedTuple):
    """The place of a fact in a book: by time, fills before funding, then by id as a number (venues count upwards)."""

    ts_ns: int
    kind: int
    width: int
    fact_id: str


_NEVER = Moment(0, 0, 0, "")


@dataclass(frozen=True, slots=True)
class Funded:
    """A funding payment as a book sees it; amount in quote currency, positive = received."""

    key: BookKey
    funding_id: str
    amount: Decimal
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Trip:
    """One round trip from flat to flat.

    Units: entered and exited in base units; costs and money in quote currency; closed_ns 0 while it is open. A fill
    that turns a position over pays its whole fee in the trip that it closes, as `Position` has it.
    """

    number: int
    side: str
    opened_ns: int
    funding: Decimal
    closed_ns: int = 0
    entered: Decimal = ZERO
    entered_cost: Decimal = ZERO
    exited: Decimal = ZERO
    exited_cost: Decimal = ZERO
    gross: Decimal = ZERO
    fees: Decimal = ZERO
    exit_role: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """A position, the trip that is open in it, and the newest fact that it holds."""

    position: Position = _FLAT
    trip: Trip | None = None
    newest: Moment = _NEVER


Fact = Fill | Funded


def key_of(fact: Fact) -> BookKey:
    """Return the book that a fact belongs to."""
    if isinstance(fact, Funded):
        return fact.key
    return BookKey(fact.bot, fact.venue, fact.account, fact.symbol)


def moment_of(fact: Fact) -> Moment:
    """Return the place of a fact in its book."""
    if isinstance(fact, Funded):
        return Moment(fact.ts_ns, 1, len(fact.funding_id), fact.funding_id)
    return Moment(fact.ts_ns, 0, len(fact.trade_id), fact.trade_id)


def fold(book: Book, facts: Iterable[Fact]) -> tuple[Book, list[Trip]]:
    """Apply facts in canonical order; return the book after them and the trips that closed on the way."""
    closed: list[Trip] = []
    for fact in sorted(facts, key=moment_of):
        book = _funded(book, fact) if isinstance(fact, Funded) else _filled(book, fact, closed)
    return book, closed


def _funded(book: Book, fact: Funded) -> Book:
    trip = replace(book.trip, funding=book.trip.funding + fact.amount) if book.trip else None
    return Book(book.position.funded(fact.amount), trip, moment_of(fact))


def _filled(book: Book, fill: Fill, closed: list[Trip]) -> Book:
    before, after = book.position, book.position.apply(fill)
    exited = min(abs(before.size), fill.size) if before.size * fill.signed < 0 else ZERO
    entered = fill.size - exited
    trip = book.trip or _opened(before, fill)
    if exited:
        trip = replace(
            trip,
            exited=trip.exited + exited,
            exited_cost=trip.exited_cost + exited * fill.price,
            gross=trip.gross + after.realised - before.realised,
            fees=trip.fees + fill.fee,
        )
        if after.trades == before.trades:
            return Book(after, trip, moment_of(fill))
        closed.append(replace(trip, closed_ns=fill.ts_ns, exit_role=fill.role.value))
        if not entered:
            return Book(after, None, moment_of(fill))
        trip = _opened(after, fill)
    fee = ZERO if exited else fill.fee
    trip = replace(
        trip,
        entered=trip.entered + entered,
        entered_cost=trip.entered_cost + entered * fill.price,
        fees=trip.fees + fee,
    )
    return Book(after, trip, moment_of(fill))


def _opened(position: Position, fill: Fill) -> Trip:
    # Funding that arrived while flat is carried into the next trip, as `Position.open_pnl` does.
    return Trip(position.trades + 1, "long" if fill.signed > 0 else "short", fill.ts_ns, position.open_pnl)
