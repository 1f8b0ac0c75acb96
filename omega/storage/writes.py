"""Writing rows: what is new, what replaces, the books with their trips. Called by the ledger inside its transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Row as SqlRow
from sqlalchemy import Table, and_, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.domain import Fill, Position, Role, Side
from omega.domain.ids import AccountName, BotName, ClientId, OrderId, Symbol, TradeId, VenueName
from omega.storage.books import Book, BookKey, Fact, Funded, Moment, Trip, fold, key_of, moment_of
from omega.storage.bulk import insert_rows
from omega.storage.tables import fills, funding, positions, trades

Row = Mapping[str, Any]
_PAGE = 400
"""Keys asked for in one statement: SQLite's default limit on variables is far above four times that."""


async def insert_new(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> set[tuple[Any, ...]]:
    """Insert the rows that the table does not know yet and return their primary keys."""
    if not rows:
        return set()
    return {tuple(row) for row in await insert_rows(connection, table, rows, tail=_if_new(table))}


async def replace_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, each of another primary key, or put them in the place of those with the same one."""
    if rows:
        await insert_rows(connection, table, rows, tail=_in_place(table))


async def rows_by_key(
    connection: AsyncConnection, table: Table, keys: Collection[tuple[Any, ...]]
) -> dict[tuple[Any, ...], SqlRow[Any]]:
    """Return the rows of the given primary keys."""
    columns = tuple(table.primary_key.columns)
    found: dict[tuple[Any, ...], SqlRow[Any]] = {}
    wanted = list(keys)
    for start in range(0, len(wanted), _PAGE):
        page = wanted[start : start + _PAGE]
        for row in await connection.execute(select(table).where(tuple_(*columns).in_(page))):
            found[tuple(row._mapping[column.name] for column in columns)] = row  # noqa: SLF001 - SQLAlchemy's public name
    return found


async def apply_facts(connection: AsyncConnection, facts: Iterable[Fact]) -> None:
    """Fold facts that their tables did not know into their books; a late fact folds its book again from nothing."""
    by_book: dict[BookKey, list[Fact]] = {}
    for fact in facts:
        by_book.setdefault(key_of(fact), []).append(fact)
    books = await load_books(connection, by_book)
    saved: dict[BookKey, tuple[Book, list[Trip]]] = {}
    for key, new in by_book.items():
        book = books.get(key, Book())
        if min(map(moment_of, new)) > book.newest:
            book, closed = fold(book, new)
        else:
            await connection.execute(delete(trades).where(_same_book(trades, key)))
            book, closed = fold(Book(), await facts_of(connection, key))
        saved[key] = (book, closed)
    await _save(connection, saved)


async def load_books(connection: AsyncConnection, keys: Collection[BookKey]) -> dict[BookKey, Book]:
    """Return the books of the given keys as far as they exist, with the trip that is open in each."""
    rows = await rows_by_key(connection, positions, keys)
    numbers = [(*key, row.trades + 1) for key, row in rows.items()]
    trips = await rows_by_key(connection, trades, numbers)
    return {
        BookKey(*key): Book(_position(row), _trip(trips.get((*key, row.trades + 1))), _moment(row))
        for key, row in rows.items()
    }


async def facts_of(connection: AsyncConnection, key: BookKey) -> list[Fact]:
    """Return every fill and funding payment of one book."""
    filled = await connection.execute(select(fills).where(_same_book(fills, key)))
    funded = await connection.execute(select(funding).where(_same_book(funding, key)))
    return [*map(fill_of, filled), *(Funded(key, row.funding_id, row.amount, row.ts_ns) for row in funded)]


def fill_of(row: SqlRow[Any]) -> Fill:
    """Read a fill back from its row."""
    return Fill(
        trade_id=TradeId(row.trade_id),
        order_id=OrderId(row.order_id),
        client_id=ClientId(row.client_id),
        bot=BotName(row.bot),
        venue=VenueName(row.venue),
        account=AccountName(row.account),
        symbol=Symbol(row.symbol),
        side=Side(row.side),
        price=row.price,
        size=row.size,
        fee=row.fee,
        fee_coin=row.fee_coin,
        role=Role(row.role),
        ts_ns=row.ts_ns,
        maker=row.maker,
    )


async def _save(connection: AsyncConnection, saved: Mapping[BookKey, tuple[Book, Sequence[Trip]]]) -> None:
    await replace_rows(connection, positions, [_position_row(key, book) for key, (book, _) in saved.items()])
    trips = [
        _trip_row(key, trip)
        for key, (book, closed) in saved.items()
        for trip in (*closed, *([book.trip] if book.trip else ()))
    ]
    await replace_rows(connection, trades, trips)


def _position_row(key: BookKey, book: Book) -> dict[str, Any]:
    position, newest = book.position, book.newest
    values = {name: getattr(position, name) for name in _POSITION}
    return key._asdict() | values | {"last_ts_ns": newest.ts_ns, "last_kind": newest.kind, "last_id": newest.fact_id}


_POSITION = ("size", "entry", "realised", "fees", "funding", "trades", "wins", "open_pnl")
_TRIP = (
    "number",
    "side",
    "opened_ns",
    "funding",
    "entered",
    "entered_cost",
    "exited",
    "exited_cost",
    "gross",
    "fees",
    "exit_role",
)


def _position(row: SqlRow[Any]) -> Position:
    return Position(**{name: getattr(row, name) for name in _POSITION})


def _trip(row: SqlRow[Any] | None) -> Trip | None:
    return None if row is None else Trip(**{name: getattr(row, name) for name in _TRIP})


def _moment(row: SqlRow[Any]) -> Moment:
    return Moment(row.last_ts_ns, row.last_kind, len(row.last_id), row.last_id)


def _trip_row(key: BookKey, trip: Trip) -> dict[str, Any]:
    values = {name: getattr(trip, name) for name in _TRIP}
    return key._asdict() | values | {"closed_ns": trip.closed_ns or None}


def _same_book(table: Table, key: BookKey) -> Any:
    return and_(*(table.c[name] == value for name, value in key._asdict().items()))


@cache
def _if_new(table: Table) -> str:
    return f"ON CONFLICT DO NOTHING RETURNING {_keys(table)}"


@cache
def _in_place(table: Table) -> str:
    keys = set(table.primary_key.columns)
    changed = ", ".join(f'"{column.name}" = excluded."{column.name}"' for column in table.columns if column not in keys)
    return f"ON CONFLICT ({_keys(table)}) DO UPDATE SET {changed}"


def _keys(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
