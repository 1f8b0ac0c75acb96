"""Many rows in few statements: what the ledger's write path spends its time on. Called by `writes` and the chain.

SQLAlchemy builds the parameters of every row anew, which costs more than the database does. Here a statement's text is
made once a table: on SQLite with many rows of values, on PostgreSQL with one array a column, which is prepared once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import JSON, Dialect, Table
from sqlalchemy.ext.asyncio import AsyncConnection

Row = Mapping[str, Any]
_PAGE: Final = 100
"""Rows of one statement on SQLite: whole pages share one prepared statement, whatever the batch is."""


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row], *, tail: str = "") -> list[Any]:
    """Insert rows that have the same columns and return what `tail` (ON CONFLICT ..., RETURNING ...) makes of them.

    With ON CONFLICT DO UPDATE no two rows may have the same key.
    """
    found: list[Any] = []
    name = _place(connection, table)
    for sql, values in _statements(connection.dialect, table, name, rows, tail):
        result = await connection.exec_driver_sql(sql, values)
        if result.returns_rows:
            found += result.all()
    return found


def _place(connection: AsyncConnection, table: Table) -> str:
    """Return the table's name where this connection writes: a rebuild grows its tables in another schema."""
    options = connection.sync_connection.get_execution_options() if connection.sync_connection else {}
    schema = options.get("schema_translate_map", {}).get(table.schema, table.schema)
    return f'"{schema}"."{table.name}"' if schema else f'"{table.name}"'


def _statements(
    dialect: Dialect, table: Table, into: str, rows: Sequence[Row], tail: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    columns = tuple(rows[0])
    binds = [(name, _binds(dialect, table)[name]) for name in columns]
    if dialect.name == "postgresql":
        lists = ([bind(row[name]) for row in rows] for name, bind in binds)
        yield _of_arrays(dialect, table, into, columns, tail), tuple(lists)
        return
    for start in range(0, len(rows), _PAGE):
        page = rows[start : start + _PAGE]
        yield (
            _of_values(into, columns, len(page), tail),
            tuple(bind(row[name]) for row in page for name, bind in binds),
        )


@cache
def _of_values(into: str, columns: tuple[str, ...], count: int, tail: str) -> str:
    one = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {into} ({_names(columns)}) VALUES {', '.join([one] * count)} {tail}"  # noqa: S608 - our own names


@cache
def _of_arrays(dialect: Dialect, table: Table, into: str, columns: tuple[str, ...], tail: str) -> str:
    arrays, chosen = [], []
    for number, name in enumerate(columns, 1):
        kind = table.c[name].type
        written = "TEXT" if isinstance(kind, JSON) else kind.compile(dialect)
        arrays.append(f"${number}::{written}[]")
        chosen.append(f'v."{name}"::{kind.compile(dialect)}')
    rows = f"SELECT {', '.join(chosen)} FROM unnest({', '.join(arrays)}) AS v({_names(columns)})"  # noqa: S608 - our own names
    return f"INSERT INTO {into} ({_names(columns)}) {rows} {tail}"


@cache
def _binds(dialect: Dialect, table: Table) -> dict[str, Callable[[Any], Any]]:
    """Return by column how a value is written, as SQLAlchemy's types say."""
    found: dict[str, Callable[[Any], Any]] = {}
    for column in table.columns:
        processor = column.type.dialect_impl(dialect).bind_processor(dialect)
        found[column.name] = processor if processor is not None else _plain
    return found


def _plain(value: Any) -> Any:
    return value


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
