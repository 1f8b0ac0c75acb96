"""Putting a backup back: into an empty database, beside whatever is left of the old one. Behind `omega dr restore`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, select

from omega.errors import ConfigError, EnvironmentFault
from omega.storage.engine import Database, async_url
from omega.storage.ledger.archive import file_hash
from omega.storage.ledger.partitions import make_partitions
from omega.storage.migrations import upgrade
from omega.storage.recovery.backup import ARCHIVE, JOURNALS, SQLITE_FILE, TABLES
from omega.storage.recovery.manifest import Manifest, check_files, read_manifest
from omega.storage.tables import metadata


async def restore(folder: Path, url: str, *, archive: Path, journals: Path | None = None) -> Manifest:
    """Restore database, archive and, with a folder for them, the journals; nothing that is there is overwritten.

    Args:
        folder: the backup.
        url: an empty database of the same kind.
        archive: where archived months go.
        journals: where the gateways' journals go; None leaves them out.

    Raises:
        ConfigError: the backup is none, or something is in its way.
        CorruptData: a file of the backup was changed.
        EnvironmentFault: files cannot be written.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    parsed = async_url(url)
    if parsed.get_backend_name() != manifest.engine:
        raise ConfigError(f"the backup is of {manifest.engine}: restore it into a database of that kind")
    try:
        if manifest.engine == "sqlite":
            _restore_file(folder / SQLITE_FILE, Path(parsed.database or "").absolute())  # noqa: ASYNC240 - once a restore
        else:
            await _restore_tables(folder / TABLES, url, manifest)
        _copy_all(folder / ARCHIVE, archive)
        if journals is not None:
            _copy_all(folder / JOURNALS, journals)
    except OSError as error:
        raise EnvironmentFault(f"cannot restore {folder}: {error}; check disk and rights") from error
    return manifest


def _restore_file(source: Path, target: Path) -> None:
    for path in (target, target.with_name(target.name + "-wal")):
        if path.exists():
            raise ConfigError(f"{path} is in the way: move it aside (do not delete it), then restore again")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    shutil.copyfile(source, draft)
    draft.rename(target)


async def _restore_tables(folder: Path, url: str, manifest: Manifest) -> None:
    database = Database(url, pool_size=1)
    try:
        async with database.reading() as connection:
            there = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        await _refuse_rows(database, there)
        await upgrade(database, manifest.revision)
        async with database.writing() as connection:
            if manifest.rows["events"]:
                await make_partitions(connection, *manifest.recorded_ns)
            raw: Any = (await connection.get_raw_connection()).driver_connection
            for name, columns in manifest.columns.items():
                await raw.copy_to_table(name, source=str(folder / f"{name}.copy"), columns=columns, format="binary")
        await upgrade(database)
    finally:
        await database.close()


async def _refuse_rows(database: Database, there: set[str]) -> None:
    async with database.reading() as connection:
        for table in metadata.sorted_tables:
            if table.name in there and (await connection.execute(select(table).limit(1))).first() is not None:
                raise ConfigError(f"{database.url} holds rows already: restore into an empty database")


def _copy_all(source: Path, target: Path) -> None:
    """Copy files that are not there; one that is there must be the same."""
    for path in sorted(source.glob("*")):
        copy = target / path.name
        if not copy.exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        elif file_hash(copy) != file_hash(path):
            raise ConfigError(f"{copy} is in the way and differs: move it aside, then restore again")
