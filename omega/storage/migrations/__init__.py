"""Migrations of the database, run by the program itself: the ledger at its start, tests and the CLI by hand."""

from omega.storage.migrations.run import downgrade, drift, revision, upgrade

__all__ = ["downgrade", "drift", "revision", "upgrade"]
