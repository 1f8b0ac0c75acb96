"""Every table of the ledger's database. Read by the queries, written by the ledger alone.

`events` holds every record as it was published, in one hash chain (`chain` is its head, `archives` the months that have
left the table). Every table of `PROJECTIONS` is folded from these records and can be rebuilt from them; facts carry the
id of their message or a natural key of their own, so a second delivery changes nothing.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from omega.storage.types import Exact

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _text(*names: str, key: bool = False) -> list[Column[Any]]:
    return [Column(name, Text, primary_key=key, nullable=False) for name in names]


def _ns(*names: str) -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _exact(*names: str) -> list[Column[Any]]:
    return [Column(name, Exact, nullable=False) for name in names]


def _float(*names: str) -> list[Column[Any]]:
    return [Column(name, Float(53), nullable=False) for name in names]


def _count(*names: str) -> list[Column[Any]]:
    return [Column(name, Integer, nullable=False) for name in names]


def _json(*names: str) -> list[Column[Any]]:
    return [Column(name, JSON, nullable=False) for name in names]


events: Final = Table(
    "events",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False, nullable=False),
    Column("recorded_ns", BigInteger, primary_key=True, autoincrement=False, nullable=False),
    *_text("message_id", "topic", "entry_id", "type"),
    *_count("version"),
    *_ns("ts_ns"),
    *_text("corr", "cause"),
    Column("record", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index(None, "message_id"),
    Index(None, "corr"),
    postgresql_partition_by="RANGE (recorded_ns)",
)
"""Every record, numbered 1, 2, 3 ... in the order in which it was written down; `recorded_ns` never falls.

`record` is the envelope's bytes as they were published, `digest` the link of the hash chain (`omega.storage.ledger
.chain`). PostgreSQL holds a partition for each month of `recorded_ns`.
"""

chain: Final = Table(
    "chain",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, nullable=False),
    *_ns("number", "recorded_ns"),
    Column("digest", LargeBinary, nullable=False),
)
"""The head of the chain in one row (id 1); no row before the first record."""

archives: Final = Table(
    "archives",
    metadata,
    *_text("month", key=True),
    *_ns("first", "last", "recorded_ns", "bytes", "archived_ns"),
    Column("before", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    *_text("file", "sha256"),
    *_json("offsets"),
)
"""Months that have left `events` for a Parquet file: their numbers, the digests before and at their end, and how far
each stream had been written down."""

offsets: Final = Table(
    "offsets", metadata, *_text("topic", key=True), *_text("entry_id"), *_ns("records", "updated_ns")
)
"""How far each stream has been written down, for lag and for `settle`; the bus keeps the reading position itself."""

bots: Final = Table(
    "bots",
    metadata,
    *_text("bot", key=True),
    *_text("strategy", "mode", "symbol", "timeframe"),
    *_count("decisions", "intents", "orders", "fills"),
    *_ns("bar_ts_ns"),
    *_float("price"),
    *_text("reason"),
)
"""One row a bot: running counts and its latest decision, so that a summary reads no history."""

decisions: Final = Table(
    "decisions",
    metadata,
    *_text("message_id", key=True),
    *_text("bot", "strategy", "mode", "symbol", "timeframe"),
    *_ns("bar_ts_ns", "made_ns"),
    *_float("price", "size", "stop", "confidence"),
    *_count("side", "leverage"),
    Column("exit", Boolean, nullable=False),
    *_text("reason"),
    *_json("targets", "audit", "intents", "report"),
    *_exact("position"),
    *_text("corr"),
    UniqueConstraint("bot", "symbol", "timeframe", "bar_ts_ns"),
    Index(None, "bot", "bar_ts_ns"),
)

equity: Final = Table(
    "equity",
    metadata,
    *_text("bot", "symbol", key=True),
    Column("bar_ts_ns", BigInteger, primary_key=True, nullable=False),
    *_ns("close_ns"),
    *_float("price"),
    *_exact("position"),
    Index(None, "bot", "close_ns"),
)
"""The marks of bars that a bot decided on (every n-th, by setting); equity is folded from fills at these marks."""

order_events: Final = Table(
    "order_events",
    metadata,
    *_text("message_id", key=True),
    *_text("bot", "intent_id", "client_id", "order_id", "venue", "account", "symbol", "side"),
    *_exact("size", "filled"),
    *_text("role", "state", "reason", "code"),
    *_ns("ts_ns", "bar_ts_ns", "latency_ns"),
    *_text("corr"),
    Index(None, "client_id"),
    Index(None, "bot", "ts_ns"),
)

orders: Final = Table(
    "orders",
    metadata,
    *_text("venue", "account", "reference", key=True),
    *_text("bot", "intent_id", "client_id", "order_id", "symbol", "side"),
    *_exact("size", "filled"),
    *_text("role", "state", "reason", "code"),
    *_ns("opened_ns", "updated_ns", "bar_ts_ns", "latency_ns"),
    *_count("events", "repeats"),
    Index(None, "bot", "updated_ns"),
    Index(None, "intent_id"),
    Index(None, "client_id"),
    Index(None, "order_id"),
)
"""The latest state of each order.

`reference` is the client id, or the venue's order id for a stranger's order; `repeats` counts further venue orders
under the same client id, which must never happen.
"""

fills: Final = Table(
    "fills",
    metadata,
    *_text("venue", "account", "symbol", "trade_id", "bot", key=True),
    *_text("message_id", "order_id", "client_id", "side"),
    *_exact("price", "size", "fee"),
    *_text("fee_coin", "role"),
    Column("maker", Boolean, nullable=False),
    *_ns("ts_ns"),
    *_text("corr"),
    Index(None, "bot", "ts_ns"),
    Index(None, "client_id"),
)

funding: Final = Table(
    "funding",
    metadata,
    *_text("venue", "account", "symbol", "funding_id", "bot", key=True),
    *_text("message_id"),
    *_exact("amount"),
    *_ns("ts_ns"),
    Index(None, "bot", "ts_ns"),
)

stops: Final = Table(
    "stops",
    metadata,
    *_text("message_id", key=True),
    *_text("bot", "venue", "account", "symbol"),
    *_exact("size", "trigger"),
    *_text("state", "client_id", "order_id"),
    *_ns("ts_ns"),
    Index(None, "bot", "ts_ns"),
)

positions: Final = Table(
    "positions",
    metadata,
    *_text("bot", "venue", "account", "symbol", key=True),
    *_exact("size", "entry", "realised", "fees", "funding", "open_pnl"),
    *_count("trades", "wins"),
    *_ns("last_ts_ns"),
    *_text("last_id"),
    *_count("last_kind"),
)
"""One book of one bot in one symbol; `last_*` names the newest fact in it, so that a late one is noticed."""

trades: Final = Table(
    "trades",
    metadata,
    *_text("bot", "venue", "account", "symbol", key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, nullable=False),
    *_text("side", "exit_role"),
    *_ns("opened_ns"),
    Column("closed_ns", BigInteger, nullable=True),
    *_exact("entered", "entered_cost", "exited", "exited_cost", "gross", "fees", "funding"),
    Index(None, "bot", "opened_ns"),
    Index(None, "opened_ns"),
    Index(None, "closed_ns"),
)
"""Round trips, from flat to flat; the open one has no `closed_ns`."""

halts: Final = Table(
    "halts",
    metadata,
    *_text("message_id", key=True),
    *_text("venue", "account"),
    Column("halted", Boolean, nullable=False),
    *_text("reason", "actor"),
    *_ns("ts_ns"),
    Index(None, "ts_ns"),
)

commands: Final = Table(
    "commands",
    metadata,
    *_text("command_id", key=True),
    *_text("verb", "target", "actor", "reason"),
    *_ns("ts_ns"),
    Index(None, "ts_ns"),
)

command_results: Final = Table(
    "command_results",
    metadata,
    *_text("message_id", key=True),
    *_text("command_id", "service", "target", "stage", "detail"),
    *_ns("ts_ns"),
    Index(None, "command_id"),
)

config_changes: Final = Table(
    "config_changes",
    metadata,
    *_text("message_id", key=True),
    *_text("source", "service"),
    *_count("generation"),
    Column("applied", Boolean, nullable=False),
    *_json("changes"),
    *_text("error"),
    *_ns("ts_ns"),
    Index(None, "ts_ns"),
)

audit: Final = Table(
    "audit",
    metadata,
    *_text("message_id", key=True),
    *_text("actor", "source", "action", "subject", "outcome"),
    *_json("details"),
    *_ns("ts_ns"),
    Index(None, "ts_ns"),
)

analyses: Final = Table(
    "analyses",
    metadata,
    *_text("message_id", key=True),
    *_text("corr", "source", "analysis", "symbol", "timeframe"),
    *_ns("as_of_ns", "made_ns"),
    *_json("params", "result"),
    Index(None, "corr"),
    Index(None, "symbol", "analysis", "made_ns"),
)
"""What the analytics service said, by the correlation id of whoever asked; as_of is the instant it speaks of."""

PROJECTIONS: Final = (
    bots,
    decisions,
    equity,
    order_events,
    orders,
    fills,
    funding,
    stops,
    positions,
    trades,
    halts,
    commands,
    command_results,
    config_changes,
    audit,
    analyses,
)
"""The tables that are folded from `events` and from nothing else."""
