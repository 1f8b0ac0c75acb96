"""Whole months of the chain as Parquet files: out of the event table, and back into it. Called by ledger and CLI.

Archived months are always the oldest ones, so archive and table are one chain: the first row of the table follows the
last row of the newest file. A file is written, synced and proven before its rows leave the table in one transaction.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.errors import ConfigError, CorruptData, EnvironmentFault, TransientError
from omega.storage.engine import Database
from omega.storage.ledger.chain import GENESIS, entry_order, insert_events, link
from omega.storage.ledger.partitions import begins_ns, drop_partition, later, make_partitions, month_of
from omega.storage.tables import archives, events

Row = dict[str, Any]
Progress = Callable[[int, int], None]
"""Called with the records done and the records there are."""

_PAGE: Final = 2_000
_NAMES: Final = [column.name for column in events.columns]


def nothing(_done: int, _of: int) -> None:
    """Show no progress."""


async def table_rows(connection: AsyncConnection, *, after: int = 0, before_ns: int = 0) -> AsyncIterator[list[Row]]:
    """Yield the rows of the event table in pages, in the order of their numbers; doubled numbers too."""
    place = (after, 2**63 - 1)
    while True:
        query = select(events).where(tuple_(events.c.number, events.c.recorded_ns) > tuple_(*place))
        if before_ns:
            query = query.where(events.c.recorded_ns < before_ns)
        found = await connection.execute(query.order_by(events.c.number, events.c.recorded_ns).limit(_PAGE))
        rows = [dict(zip(_NAMES, row, strict=True)) for row in found]
        if not rows:
            return
        yield rows
        place = (rows[-1]["number"], rows[-1]["recorded_ns"])


async def archive_rows(connection: AsyncConnection) -> list[Row]:
    """Return what is known of the archived months, oldest first."""
    found = await connection.execute(select(archives).order_by(archives.c.month))
    return [dict(row._mapping) for row in found]  # noqa: SLF001 - SQLAlchemy's public name


def file_rows(path: Path) -> Iterator[list[Row]]:
    """Yield the rows of one archived month in pages.

    Raises:
        CorruptData: the file is absent or no readable Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PAGE, columns=_NAMES):
                yield batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptData(f"archive {path} cannot be read ({error}): put the file back from a backup") from error


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


async def due_months(connection: AsyncConnection, *, before: str) -> list[str]:
    """Return the months in the event table that lie wholly before a month, oldest first."""
    lowest = (await connection.execute(select(func.min(events.c.recorded_ns)))).scalar_one()
    if lowest is None:
        return []
    months = [month_of(lowest)]
    while later(months[-1], 1) < before:
        months.append(later(months[-1], 1))
    return [month for month in months if month < before]


async def archive_month(database: Database, month: str, folder: Path, *, progress: Progress = nothing) -> Row | None:
    """Move a past month from the event table to the archive; None when it holds no record.

    Raises:
        ConfigError: the month is not over, an older one is still in the table, or the folder has another file for it.
        CorruptData: the month's chain is broken; it stays where it is.
        EnvironmentFault: the file cannot be written.
        TransientError: somebody wrote into the month meanwhile.
    """
    if month >= month_of(time.time_ns()):
        raise ConfigError(f"month {month} is not over: archive it when it is")
    end_ns = begins_ns(later(month, 1))
    async with database.reading() as connection:
        mine = (events.c.recorded_ns >= begins_ns(month)) & (events.c.recorded_ns < end_ns)
        count = (await connection.execute(select(func.count()).select_from(events).where(mine))).scalar_one()
        older = await connection.execute(select(func.min(events.c.recorded_ns)))
        if count and older.scalar_one() < begins_ns(month):
            raise ConfigError(f"months before {month} are still in the table: archive the oldest one first")
        if not count:
            return None
        known = await archive_rows(connection)
        before = known[-1]["digest"] if known else GENESIS
        row = await _write_file(connection, month, folder, before, end_ns, count, progress)
    row["offsets"] = (known[-1]["offsets"] if known else {}) | row["offsets"]
    async with database.writing() as connection:
        if (await connection.execute(select(func.count()).select_from(events).where(mine))).scalar_one() != count:
            raise TransientError(f"month {month} grew while it was archived: check the clock of the ledger, try again")
        await connection.execute(insert(archives), [row])
        if database.embedded:
            await connection.execute(delete(events).where(mine))
        else:
            await drop_partition(connection, month)
    return row


async def restore_month(database: Database, month: str, folder: Path, *, progress: Progress = nothing) -> Row:
    """Move the newest archived month back into the event table; its file stays.

    Raises:
        ConfigError: the month is not the newest one in the archive.
        CorruptData: the file is not the one that was written.
    """
    async with database.reading() as connection:
        known = await archive_rows(connection)
    if not known or known[-1]["month"] != month:
        newest = f"the newest is {known[-1]['month']}: restore months from the newest back" if known else "it is empty"
        raise ConfigError(f"month {month} is not the newest in the archive; {newest}")
    row = known[-1]
    path = folder / row["file"]
    check_file(path, row)
    async with database.writing() as connection:
        await make_partitions(connection, begins_ns(month), row["recorded_ns"])
        done = 0
        for page in file_rows(path):
            await insert_events(connection, page)
            done += len(page)
            progress(done, row["last"] - row["first"] + 1)
        await connection.execute(delete(archives).where(archives.c.month == month))
    return row


def check_file(path: Path, row: Row) -> None:
    """Compare an archived file with what the database knows of it.

    Raises:
        CorruptData: it is absent or another one.
    """
    if not path.is_file():
        raise CorruptData(f"archive {path} is missing: put it back from a backup, or name its folder by --archive")
    if file_hash(path) != row["sha256"]:
        raise CorruptData(f"archive {path} is not the file that was written: put it back from a backup")


async def _write_file(
    connection: AsyncConnection, month: str, folder: Path, before: bytes, end_ns: int, count: int, progress: Progress
) -> Row:
    """Write, sync and name the file of a month while its chain is proven; return the row that describes it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, draft = folder / f"events-{month}.parquet", folder / f".events-{month}.parquet.draft"
    first, digest = 0, before
    offsets: dict[str, str] = {}
    last: Row = {}
    done = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once a month
        with pq.ParquetWriter(draft, _schema(), compression="zstd") as writer:
            async for page in table_rows(connection, before_ns=end_ns):
                for last in page:
                    first = first or last["number"]
                    digest = _next(digest, last)
                    offsets[last["topic"]] = max(last["entry_id"], offsets.get(last["topic"], ""), key=entry_order)
                writer.write_table(pa.Table.from_pylist(page, schema=_schema()))
                done += len(page)
                progress(done, count)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        _keep_other(path, draft)
        draft.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"cannot write the archive {path}: {error}; check disk and rights") from error
    return {
        "month": month,
        "first": first,
        "last": last["number"],
        "recorded_ns": last["recorded_ns"],
        "bytes": path.stat().st_size,
        "archived_ns": time.time_ns(),
        "before": before,
        "digest": digest,
        "file": path.name,
        "sha256": file_hash(path),
        "offsets": offsets,
    }


def _keep_other(path: Path, draft: Path) -> None:
    """Refuse to replace a month's file by another content: it may be the only copy of another farm's records."""
    if path.exists() and file_hash(path) != file_hash(draft):
        draft.unlink()
        raise ConfigError(
            f"archive {path} exists with another content, perhaps of another farm: give this one its own folder "
            "(ledger.archive, or --archive), or move that file away"
        )


def _next(before: bytes, row: Row) -> bytes:
    if link(before, row) != row["digest"]:
        raise CorruptData(
            f"record {row['number']} ({row['message_id']}) breaks the chain, so its month stays in the table; run "
            "`omega audit verify`"
        )
    digest: bytes = row["digest"]
    return digest


def _schema() -> Any:
    import pyarrow as pa

    kinds = {"BIGINT": pa.int64(), "INTEGER": pa.int64(), "TEXT": pa.string(), "BLOB": pa.binary()}
    return pa.schema([(column.name, kinds[column.type.as_generic().compile()]) for column in events.columns])
