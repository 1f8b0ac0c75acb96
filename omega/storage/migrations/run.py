"""Run Alembic inside a transaction of ours, one migrator at a time. Called by the ledger, the CLI and the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from omega._without import without
from omega.errors import ConfigError
from omega.storage.engine import Database
from omega.storage.ledger.partitions import is_partition
from omega.storage.tables import metadata

with without("pygments"):  # Mako would colour its error pages with it: half of what Alembic's import takes
    from alembic import command
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.util import CommandError


async def upgrade(database: Database, target: str = "head") -> str:
    """Bring the tables to a revision and return it; all steps happen or none.

    Raises:
        ConfigError: the database carries a revision that this version does not know.
        TransientError: the database does not answer.
    """
    async with database.writing() as connection:
        await connection.run_sync(_step, command.upgrade, target)
        return await connection.run_sync(_revision)


async def downgrade(database: Database, target: str = "-1") -> str:
    """Take the tables back to a revision (`base` drops everything) and return it, empty at the base."""
    async with database.writing() as connection:
        await connection.run_sync(_step, command.downgrade, target)
        return await connection.run_sync(_revision)


async def revision(database: Database) -> str:
    """Return the revision that the tables are at, empty when there is none."""
    async with database.reading() as connection:
        return await connection.run_sync(_revision)


async def drift(database: Database) -> list[Any]:
    """Return what the tables lack or have too much against the code; empty when they agree."""
    async with database.reading() as connection:
        return await connection.run_sync(_drift)


def _step(connection: Connection, move: Any, target: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        move(config, target)
    except CommandError as error:
        raise ConfigError(
            f"the database cannot be migrated to {target}: {error}; use the version that wrote it"
        ) from error


def _revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _drift(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "include_name": _is_ours}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out the months of a partitioned table: they come and go."""
    return not (kind == "table" and name is not None and is_partition(name))
