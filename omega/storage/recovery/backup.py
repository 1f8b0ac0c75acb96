"""Taking a backup while the farm runs: one consistent copy of the database first, then what belongs to it.

SQLite copies its file in one snapshot; PostgreSQL copies every table out of one snapshot. A backup appears under its
name only when it is whole. Behind `omega dr backup`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.errors import ConfigError, CorruptData, EnvironmentFault
from omega.storage.engine import Database
from omega.storage.ledger.archive import archive_rows, check_file
from omega.storage.ledger.chain import head
from omega.storage.migrations import revision
from omega.storage.recovery.manifest import NAME, Manifest, files_of, write_manifest
from omega.storage.tables import events, metadata

PREFIX: Final = "omega-"
SQLITE_FILE: Final = "ledger.sqlite"
TABLES: Final = "tables"
ARCHIVE: Final = "archive"
JOURNALS: Final = "journals"
REDIS: Final = "redis.jsonl"


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What goes into a backup.

    Attributes:
        archive: folder of archived months.
        journals: the gateways' journals; one that is not there is an error.
        redis: writes a snapshot of Redis into a file and returns its number of keys; None = none is taken.
    """

    archive: Path
    journals: Sequence[Path] = ()
    redis: Callable[[Path], Awaitable[int]] | None = None


async def back_up(database: Database, target: Path, plan: BackupPlan) -> tuple[Path, Manifest]:
    """Make a backup inside a folder; return its own folder and its manifest.

    Raises:
        ConfigError: a journal is not there, or the database holds no ledger.
        EnvironmentFault: the files cannot be written.
        CorruptData: an archived month or a journal is not sound.
    """
    made_ns = time.time_ns()
    name = PREFIX + datetime.fromtimestamp(made_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    draft = target / f".{name}.draft"
    try:
        draft.mkdir(parents=True)
        manifest = await _fill(database, draft, plan, made_ns)
        write_manifest(draft, manifest)
        _sync(draft)
        draft.rename(target / name)
    except OSError as error:
        raise EnvironmentFault(f"cannot write the backup into {target}: {error}; check disk and rights") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target / name, manifest


def backups_in(target: Path) -> list[Path]:
    """Return the whole backups of a folder, oldest first."""
    return sorted(path.parent for path in target.glob(f"{PREFIX}*/{NAME}"))


def newest_backup(place: Path) -> Path:
    """Return a backup itself, or the newest one of a folder of backups.

    Raises:
        ConfigError: there is none.
    """
    if (place / NAME).is_file():
        return place
    found = backups_in(place)
    if not found:
        raise ConfigError(f"there is no backup in {place}: make one by `omega dr backup {place}`")
    return found[-1]


def prune(target: Path, keep: int) -> list[Path]:
    """Delete all but the newest backups of a folder and return those that are gone."""
    gone = backups_in(target)[:-keep] if keep else []
    for path in gone:
        shutil.rmtree(path)
    return gone


async def _fill(database: Database, draft: Path, plan: BackupPlan, made_ns: int) -> Manifest:
    seconds: dict[str, float] = {}
    began = time.perf_counter()

    def lap(part: str) -> None:
        nonlocal began
        seconds[part] = round(time.perf_counter() - began, 3)
        began = time.perf_counter()

    if database.file is not None:
        await asyncio.to_thread(copy_sqlite, database.file, draft / SQLITE_FILE)
        copy = Database(f"sqlite:///{draft / SQLITE_FILE}", pool_size=1)
        try:
            version = await revision(copy)
            async with copy.reading() as connection:
                found = await _describe(connection)
        finally:
            await copy.close()
        for leftover in (f"{SQLITE_FILE}-wal", f"{SQLITE_FILE}-shm"):
            (draft / leftover).unlink(missing_ok=True)
    else:
        version = await revision(database)
        async with database.reading() as connection:
            found = await _describe(connection)
            await _copy_tables(connection, draft / TABLES)
    lap("database")
    _copy_archive(found.months, plan.archive, draft / ARCHIVE)
    lap("archive")
    for index, path in enumerate(plan.journals):
        if not path.is_file():
            raise ConfigError(f"there is no journal {path}: name the gateway's by --journal or gateway.journal")
        (draft / JOURNALS).mkdir(exist_ok=True)
        await asyncio.to_thread(copy_sqlite, path, draft / JOURNALS / f"{index}-{path.name}")
    lap("journals")
    keys = -1 if plan.redis is None else await plan.redis(draft / REDIS)
    lap("redis")
    return Manifest(
        made_ns=made_ns,
        engine="sqlite" if database.embedded else "postgresql",
        revision=version,
        head=found.head,
        rows=found.rows,
        columns={table.name: table.columns.keys() for table in metadata.sorted_tables},
        recorded_ns=found.recorded_ns,
        files=files_of(draft),
        redis_keys=keys,
        seconds=seconds,
    )


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file in one snapshot while others write to it, and check the copy.

    Raises:
        CorruptData: it is no sound SQLite file.
    """
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
            (verdict,) = new.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        raise CorruptData(f"{source} cannot be copied: {error}") from error
    if verdict != "ok":
        raise CorruptData(f"{source} is damaged: {verdict}")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a snapshot of the database holds."""

    head: str
    rows: dict[str, int]
    recorded_ns: tuple[int, int]
    months: list[dict[str, Any]]


async def _describe(connection: AsyncConnection) -> _Found:
    rows = {
        table.name: int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
        for table in metadata.sorted_tables
    }
    span = select(func.min(events.c.recorded_ns), func.max(events.c.recorded_ns))
    low, high = (await connection.execute(span)).one()
    return _Found(str(await head(connection)), rows, (low or 0, high or 0), await archive_rows(connection))


async def _copy_tables(connection: AsyncConnection, folder: Path) -> None:
    folder.mkdir()  # noqa: ASYNC240 - once a backup
    raw: Any = (await connection.get_raw_connection()).driver_connection
    for table in metadata.sorted_tables:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        query = f'SELECT {names} FROM "{table.name}"'  # noqa: S608 - names of our own tables
        await raw.copy_from_query(query, output=str(folder / f"{table.name}.copy"), format="binary")


def _copy_archive(months: list[dict[str, Any]], source: Path, target: Path) -> None:
    for month in months:
        check_file(source / month["file"], month)
        target.mkdir(exist_ok=True)
        shutil.copyfile(source / month["file"], target / month["file"])


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
