"""Tables, queries and migrations of the farm's database: SQLite or PostgreSQL. For the ledger and the CLI."""

from omega.storage.engine import Database, async_url
from omega.storage.migrations import downgrade, revision, upgrade
from omega.storage.tables import metadata

__all__ = ["Database", "async_url", "downgrade", "metadata", "revision", "upgrade"]
