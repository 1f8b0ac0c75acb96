"""The event-sourced ledger: a chain of records as they were published, and the tables that are folded from it."""

from omega.storage.ledger.chain import Head, entry_order, head
from omega.storage.ledger.sink import Sink

__all__ = ["Head", "Sink", "entry_order", "head"]
