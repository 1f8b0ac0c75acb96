"""The projections folded again from the first record, beside the live ones, compared, then put in their place.

The ledger may run meanwhile: it waits only while the tables are compared and changed, in one transaction. Behind
`omega ledger rebuild` and the recovery drill.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import JSON, MetaData, Table, Text, cast, delete, except_, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.bus.codec import decode
from omega.errors import CorruptData, TransientError
from omega.storage.engine import Database
from omega.storage.ledger.archive import Progress, Row, archive_rows, file_rows, nothing, table_rows
from omega.storage.ledger.chain import head
from omega.storage.ledger.sink import Sink
from omega.storage.tables import PROJECTIONS, fills, funding

SHADOW: Final = "shadow"
_TRIES: Final = 20
_MONEY: Final = (fills, funding)


@dataclass(frozen=True, slots=True)
class Difference:
    """One table: its rows after the rebuild, and how many rows are only in the live one or only in the rebuilt one."""

    table: str
    rows: int
    only_live: int
    only_rebuilt: int

    @property
    def same(self) -> bool:
        """Tell whether live and rebuilt rows are equal."""
        return not (self.only_live or self.only_rebuilt)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found: records folded, the time it took, every table, and whether the live ones were changed."""

    records: int
    seconds: float
    tables: tuple[Difference, ...]
    swapped: bool

    @property
    def same(self) -> bool:
        """Tell whether every live table was what its records say."""
        return all(one.same for one in self.tables)


async def rebuild(
    database: Database,
    *,
    archive: Path,
    every_bars: int = 1,
    swap: bool = True,
    accept_loss: bool = False,
    progress: Progress = nothing,
) -> Rebuilt:
    """Fold every record anew and compare; with `swap`, tables that differ are replaced.

    Args:
        database: the ledger's.
        archive: the folder of archived months.
        every_bars: bars between two equity marks (`ledger.equity_every_bars`).
        swap: whether to change the live tables.
        accept_loss: swap also when live fills or funding payments have no record.
        progress: told how far it is.

    Raises:
        CorruptData: a record cannot be read, or a swap would lose fills or funding.
        TransientError: the ledger writes faster than the rebuild can follow.
    """
    began = time.perf_counter()
    async with _shadow(database) as place:
        done = 0
        async with database.reading() as connection:
            of = (await head(connection)).number
            async for page in all_rows(connection, archive):
                await _fold(place, page, every_bars)
                done = page[-1]["number"]
                progress(done, of)
        for _ in range(_TRIES):
            async with database.writing_beside(place.file) as connection:
                if (await head(connection)).number == done:
                    tables = tuple([await _difference(connection, table) for table in PROJECTIONS])
                    changed = swap and not all(one.same for one in tables)
                    if changed:
                        await _swap(connection, tables, accept_loss=accept_loss)
                    return Rebuilt(done, time.perf_counter() - began, tables, changed)
            async with database.reading() as connection:
                async for page in table_rows(connection, after=done):
                    await _fold(place, page, every_bars)
                    done = page[-1]["number"]
    raise TransientError("the ledger writes faster than the rebuild follows: stop it for the rebuild")


async def all_rows(connection: AsyncConnection, archive: Path) -> AsyncIterator[list[Row]]:
    """Yield every record in pages, archived months first."""
    for month in await archive_rows(connection):
        for page in file_rows(archive / month["file"]):
            yield page
    async for page in table_rows(connection):
        yield page


class _Place:
    """Where the new tables grow: a file beside the embedded database, a schema of a server's."""

    def __init__(self, database: Database) -> None:
        self._live = database
        self.file = database.file.with_name(database.file.name + ".rebuild") if database.file else Path()
        self._scratch = Database(f"sqlite:///{self.file}") if database.file else None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        opened = self._scratch.writing() if self._scratch else self._live.aside(SHADOW)
        async with opened as connection:
            yield connection

    async def make(self) -> None:
        if self._scratch is None:
            async with self._live.aside(SHADOW) as connection:
                await connection.execute(text(f"DROP SCHEMA IF EXISTS {SHADOW} CASCADE"))
                await connection.execute(text(f"CREATE SCHEMA {SHADOW}"))
                await connection.run_sync(_create)
            return
        self._remove_files()
        async with self._scratch.writing() as connection:
            await connection.run_sync(_create)

    async def remove(self) -> None:
        if self._scratch is None:
            async with self._live.aside(SHADOW) as connection:
                await connection.execute(text(f"DROP SCHEMA IF EXISTS {SHADOW} CASCADE"))
            return
        await self._scratch.close()
        self._remove_files()

    def _remove_files(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)


@asynccontextmanager
async def _shadow(database: Database) -> AsyncIterator[_Place]:
    place = _Place(database)
    await place.make()
    try:
        yield place
    finally:
        with suppress(TransientError):  # a database that went away keeps its leftovers; the next rebuild drops them
            await place.remove()


def _create(connection: Any) -> None:
    PROJECTIONS[0].metadata.create_all(connection, tables=list(PROJECTIONS))


async def _fold(place: _Place, page: list[Row], every_bars: int) -> None:
    async with place.writing() as connection:
        await Sink(connection, every_bars=every_bars).project([decode(row["record"]) for row in page])


def _twin(table: Table) -> Table:
    return table.to_metadata(MetaData(), schema=SHADOW)


def _columns(table: Table) -> list[Any]:
    # PostgreSQL cannot compare JSON; its text is what the same writer wrote.
    return [cast(column, Text) if isinstance(column.type, JSON) else column for column in table.columns]


async def _difference(connection: AsyncConnection, table: Table) -> Difference:
    live, rebuilt = select(*_columns(table)), select(*_columns(_twin(table)))

    async def count(query: Any) -> int:
        return int((await connection.execute(select(func.count()).select_from(query.subquery()))).scalar_one())

    return Difference(
        table.name, await count(rebuilt), await count(except_(live, rebuilt)), await count(except_(rebuilt, live))
    )


async def _swap(connection: AsyncConnection, found: tuple[Difference, ...], *, accept_loss: bool) -> None:
    by_name = {one.table: one for one in found}
    if not accept_loss:
        for table in _MONEY:
            await _refuse_loss(connection, table, by_name[table.name])
    for table in PROJECTIONS:
        if not by_name[table.name].same:
            await connection.execute(delete(table))
            await connection.execute(insert(table).from_select(table.columns.keys(), select(_twin(table))))


async def _refuse_loss(connection: AsyncConnection, table: Table, found: Difference) -> None:
    """Stop before facts are dropped that no record explains: they are older than the chain, or records are gone."""
    if not found.only_live:
        return
    keys = [column.name for column in table.primary_key.columns]
    twin = _twin(table)
    lost = except_(select(*(table.c[name] for name in keys)), select(*(twin.c[name] for name in keys))).subquery()
    count = (await connection.execute(select(func.count()).select_from(lost))).scalar_one()
    if count:
        raise CorruptData(
            f"{count} rows of {table.name} have no record in the chain; nothing was changed: run `omega audit verify`, "
            "restore a backup, or give them up with --accept-loss"
        )
