"""The durable reader: every record into the database, positions, trades, profit and equity out of it."""

from services.ledger.service import LedgerService

__all__ = ["LedgerService"]
