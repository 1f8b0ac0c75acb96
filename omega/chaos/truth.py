"""Gathers what everybody says at the end of a run: venue, journal, bus, ledger, runners. Judged by `verify`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from omega.storage.engine import Database
from omega.storage.ledger.balance import balances
from omega.storage.ledger.verify import verify

Row = dict[str, Any]
_SENT_STATES: Final = frozenset({"working", "filled", "canceled", "rejected"})


@dataclass(slots=True)
class Truth:
    """What a run has left, as plain rows.

    Attributes:
        venue: the simulator's whole ledger.
        orders: rows of the journal's orders, in the order in which they were admitted.
        fills: the journal's fills.
        plans: rows of the journal's trigger orders.
        events: order events of the journal: (client id, state, ts ns), in order.
        intents: intents that were on the bus, with the instant of their entry. Units: ms.
        flushed: instants at which the bus lost everything. Units: ns.
        kept_fills: (trade id, bot) of the ledger's fills.
        kept_orders: the ledger's state of each order by client id.
        kept_positions: the ledger's books: (bot, symbol) -> size.
        statuses: what the runners say: (bot, symbol) -> size.
        max_notional: the account's limit. Units: quote currency.
        naked_s: the longest time that a position was without its stop, seen at the venue.
        audit: breaks of the ledger's hash chain and of its double-entry balance, in words.
    """

    venue: Row
    orders: list[Row]
    fills: list[Row]
    plans: list[Row]
    events: list[tuple[str, str, int]]
    intents: dict[str, int] = field(default_factory=dict)
    flushed: list[int] = field(default_factory=list)
    kept_fills: set[tuple[str, str]] = field(default_factory=set)
    kept_orders: dict[str, str] = field(default_factory=dict)
    kept_positions: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    statuses: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    max_notional: Decimal = Decimal(0)
    naked_s: float = 0.0
    audit: list[str] = field(default_factory=list)

    @property
    def api_orders(self) -> list[Row]:
        """The venue's orders that a client sent."""
        return [row for row in self.venue["orders"] if row["enterPointSource"] == "API"]

    def books(self) -> dict[tuple[str, str], Decimal]:
        """Fold the journal's fills to (bot, symbol) -> signed size, flat ones left out."""
        found: dict[tuple[str, str], Decimal] = {}
        for fill in self.fills:
            key = fill["bot"], fill["symbol"]
            found[key] = found.get(key, Decimal(0)) + signed(fill)
        return {key: size for key, size in found.items() if size}

    def unresolved_s(self) -> list[float]:
        """Return how long each order that was in doubt was so, from its send to its proof. Units: s."""
        sent: dict[str, int] = {}
        doubted: set[str] = set()
        spells: list[float] = []
        for client_id, state, ts_ns in self.events:
            if state == "sending":
                sent[client_id] = ts_ns
            elif state == "unresolved":
                doubted.add(client_id)
                sent.setdefault(client_id, ts_ns)
            elif state in _SENT_STATES and client_id in doubted:
                doubted.discard(client_id)
                spells.append((ts_ns - sent[client_id]) / 1e9)
        return spells


def signed(fill: Row) -> Decimal:
    """Return a fill's size with the sign of its side."""
    return Decimal(fill["size"]) * (1 if fill["side"] in {"buy", 1} else -1)


def venue_symbol(symbol: str) -> str:
    """Return the venue's spelling of a farm symbol."""
    return symbol.split(".", maxsplit=1)[0].replace("-", "")


def read_journal(path: Path) -> dict[str, Any]:
    """Read the gateway's journal beside the gateway, without writing to it."""
    with closing(_open(path)) as db:
        orders = [dict(row) for row in db.execute("SELECT * FROM orders ORDER BY created_ns")]
        fills = [json.loads(row["body"]) for row in db.execute("SELECT body FROM fills ORDER BY seq")]
        plans = [dict(row) for row in db.execute("SELECT * FROM plans")]
        told = [
            row["body"] for row in db.execute("SELECT body FROM outbox WHERE type LIKE 'order.event%' ORDER BY seq")
        ]
    bodies: Iterable[Row] = (json.loads(body) for body in told)
    events = [(body["client_id"], body["state"], int(body["ts_ns"])) for body in bodies]
    return {"orders": orders, "fills": fills, "plans": plans, "events": events}


def read_ledger(path: Path) -> dict[str, Any]:
    """Read the ledger's database."""
    with closing(_open(path)) as db:
        fills = {(row["trade_id"], row["bot"]) for row in db.execute("SELECT trade_id, bot FROM fills")}
        orders = {row["client_id"]: row["state"] for row in db.execute("SELECT client_id, state FROM orders")}
        positions = {
            (row["bot"], row["symbol"]): Decimal(row["size"])
            for row in db.execute("SELECT bot, symbol, size FROM positions")
        }
    return {
        "kept_fills": fills,
        "kept_orders": orders,
        "kept_positions": {key: size for key, size in positions.items() if size},
    }


async def audit(path: Path, folder: Path) -> list[str]:
    """Prove the ledger's chain and balance from its database and its archive; return what is wrong, in words."""
    database = Database(f"sqlite:///{path}", pool_size=1)
    try:
        async with database.reading() as connection:
            chain = await verify(connection, archive=folder)
            books = await balances(connection, lambda _bot: Decimal(0))
    finally:
        await database.close()
    broken = [f"record {found.number}: {found.words}" for found in chain.findings]
    return broken + [f"{row.bot}: {fault}" for row in books for fault in row.faults]


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    db.row_factory = sqlite3.Row
    return db
