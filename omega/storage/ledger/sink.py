"""One batch of records into the database: the chain, then facts, then what is folded from the new ones.

A record that is in the chain already changes nothing, a fact is inserted only if its key is unknown, and projections
take only what was inserted: a batch may come twice. Called by the service, and by a rebuild with records of the chain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Table, case
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.bus.envelope import Envelope
from omega.bus.messages import (
    AnalysisMade,
    AuditNote,
    Command,
    CommandResult,
    ConfigChanged,
    DecisionMade,
    FundingPaid,
    HaltChanged,
    OrderEvent,
    StopEvent,
)
from omega.bus.port import Received
from omega.domain import Fill
from omega.storage import tables
from omega.storage.books import BookKey, Fact, Funded
from omega.storage.ledger import rows
from omega.storage.ledger.chain import append, entry_order
from omega.storage.ledger.orders import reference_of, step
from omega.storage.writes import apply_facts, insert_new, replace_rows, rows_by_key

Row = dict[str, Any]

_PLAIN: Final[dict[type, tuple[Table, Callable[[Envelope, Any], Row]]]] = {
    StopEvent: (tables.stops, rows.stop_row),
    HaltChanged: (tables.halts, rows.halt_row),
    Command: (tables.commands, rows.command_row),
    CommandResult: (tables.command_results, rows.result_row),
    ConfigChanged: (tables.config_changes, rows.config_row),
    AuditNote: (tables.audit, rows.audit_row),
    AnalysisMade: (tables.analyses, rows.analysis_row),
}
"""Facts that nothing is folded from."""

_COUNTS: Final = ("decisions", "intents", "orders", "fills")
_LATEST: Final = ("strategy", "mode", "symbol", "timeframe", "price", "reason")


class Sink:
    """Writes batches through one connection of a writing transaction."""

    def __init__(self, connection: AsyncConnection, *, every_bars: int = 1) -> None:
        self._connection = connection
        self._every_bars = every_bars
        self._counts: dict[str, Row] = defaultdict(lambda: dict.fromkeys(_COUNTS, 0))
        self._latest: dict[str, Row] = {}

    async def write(self, batch: Sequence[Received], *, now_ns: int) -> None:
        """Write a batch; everything in it or, by the transaction, nothing.

        Raises:
            CorruptData: a record cannot be stored.
        """
        new = await append(self._connection, batch, now_ns=now_ns)
        await self.project([received.envelope for received in new])
        await self._offsets(batch, now_ns)

    async def project(self, envelopes: Iterable[Envelope]) -> None:
        """Fold records that are in the chain into the tables; nothing else is written.

        Raises:
            CorruptData: a record cannot be stored.
        """
        by_type: dict[type, list[Envelope]] = defaultdict(list)
        for envelope in envelopes:
            by_type[type(envelope.data)].append(envelope)
        await self._decisions(by_type[DecisionMade])
        await self._orders(by_type[OrderEvent])
        await self._facts(by_type[Fill], by_type[FundingPaid])
        for kind, (table, to_row) in _PLAIN.items():
            await insert_new(self._connection, table, [to_row(one, one.data) for one in by_type[kind]])
        await self._bots()

    async def _decisions(self, envelopes: Sequence[Envelope]) -> None:
        every = [rows.decision_row(one, one.data) for one in envelopes if isinstance(one.data, DecisionMade)]
        marks = [rows.mark_row(row, every_bars=self._every_bars) for row in every]
        known = await insert_new(self._connection, tables.decisions, every)
        new = [row for row in every if (row["message_id"],) in known]
        await insert_new(self._connection, tables.equity, [mark for mark in marks if mark])
        for row in new:
            counts = self._counts[row["bot"]]
            counts["decisions"] += 1
            counts["intents"] += len(row["intents"])
            latest = self._latest.get(row["bot"])
            if latest is None or row["bar_ts_ns"] >= latest["bar_ts_ns"]:
                self._latest[row["bot"]] = row

    async def _orders(self, envelopes: Sequence[Envelope]) -> None:
        every = [rows.order_row(one, one.data) for one in envelopes if isinstance(one.data, OrderEvent)]
        known = await insert_new(self._connection, tables.order_events, every)
        new = [row for row in every if (row["message_id"],) in known]
        stored = await rows_by_key(self._connection, tables.orders, {reference_of(row) for row in new})
        after: dict[tuple[Any, ...], Row] = {key: dict(row._mapping) for key, row in stored.items()}  # noqa: SLF001 - public name
        for row in new:
            key = reference_of(row)
            self._counts[row["bot"]]["orders"] += key not in after
            after[key] = step(after.get(key), row)
        await replace_rows(self._connection, tables.orders, list(after.values()))

    async def _facts(self, filled: Sequence[Envelope], funded: Sequence[Envelope]) -> None:
        # Backwards, so that of one execution's records the first is kept however they are cut into batches.
        executions = {_key(tables.fills, row): (row, fill) for row, fill in map(_execution, reversed(filled))}
        payments = {_key(tables.funding, row): row for row in map(_payment, reversed(funded))}
        facts: list[Fact] = []
        for key in await insert_new(self._connection, tables.fills, [row for row, _ in executions.values()]):
            facts.append(executions[key][1])
            self._counts[executions[key][1].bot]["fills"] += 1
        new = await insert_new(self._connection, tables.funding, list(payments.values()))
        facts += [_funded(payments[key]) for key in new]
        await apply_facts(self._connection, facts)

    async def _bots(self) -> None:
        names = sorted({*self._counts, *self._latest})
        if not names:
            return
        upsert = _bots_upsert(self._connection.dialect.name)
        await self._connection.execute(upsert, [self._bot_row(name) for name in names])

    def _bot_row(self, name: str) -> Row:
        latest = self._latest.get(name)
        blank: Row = dict.fromkeys(_LATEST, "") | {"price": 0.0, "bar_ts_ns": 0}
        values = {key: latest[key] for key in blank} if latest else blank
        return {"bot": name} | self._counts[name] | values

    async def _offsets(self, batch: Sequence[Received], now_ns: int) -> None:
        ends: dict[str, Row] = {}
        for received in batch:
            end = ends.setdefault(received.topic, {"topic": received.topic, "records": 0, "updated_ns": now_ns})
            end["entry_id"] = max(received.entry_id, end.get("entry_id", ""), key=entry_order)
            end["records"] += 1
        stored = await rows_by_key(self._connection, tables.offsets, {(topic,) for topic in ends})
        for (topic,), row in stored.items():
            ends[topic]["entry_id"] = max(row.entry_id, ends[topic]["entry_id"], key=entry_order)
            ends[topic]["records"] += row.records
        await replace_rows(self._connection, tables.offsets, list(ends.values()))


def _key(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.primary_key.columns)


def _execution(envelope: Envelope) -> tuple[Row, Fill]:
    assert isinstance(envelope.data, Fill)
    return rows.fill_row(envelope, envelope.data), envelope.data


def _payment(envelope: Envelope) -> Row:
    assert isinstance(envelope.data, FundingPaid)
    return rows.funding_row(envelope, envelope.data)


def _funded(row: Row) -> Funded:
    key = BookKey(row["bot"], row["venue"], row["account"], row["symbol"])
    return Funded(key, row["funding_id"], row["amount"], row["ts_ns"])


@cache
def _bots_upsert(dialect: str) -> Any:
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(tables.bots)
    old, new = tables.bots.c, statement.excluded
    newer = (new.bar_ts_ns > 0) & (new.bar_ts_ns >= old.bar_ts_ns)
    changed = {name: old[name] + new[name] for name in _COUNTS}
    changed |= {name: case((newer, new[name]), else_=old[name]) for name in (*_LATEST, "bar_ts_ns")}
    return statement.on_conflict_do_update(index_elements=[old.bot], set_=changed)
