"""The hash chain of records: each link covers the one before and every byte of its own row. Written by the sink.

Source: a linear hash chain, digest(n) = SHA-256(digest(n-1) ‖ columns, NUL between them ‖ NUL ‖ record), digest(0) =
32 zero bytes. Whoever changes, takes out, puts in or moves a record breaks it there; whoever computes it anew from
there on, or cuts its end off, is found by a head that was kept elsewhere (`omega audit head`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.bus.codec import encode
from omega.bus.port import Received
from omega.errors import CorruptData
from omega.storage.bulk import insert_rows
from omega.storage.ledger.partitions import need_partition
from omega.storage.tables import archives, chain, events
from omega.storage.writes import replace_rows

Row = dict[str, Any]
GENESIS: Final = bytes(32)
COLUMNS: Final = (
    "number",
    "recorded_ns",
    "message_id",
    "topic",
    "entry_id",
    "type",
    "version",
    "ts_ns",
    "corr",
    "cause",
)
"""What a link covers beside the record, in this order."""
_HEAD: Final = 1
_PAGE: Final = 1_000
_COPIED: Final = 64
"""Rows from which on PostgreSQL's COPY is quicker than an INSERT."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link: its number (0 before the first record), the time of its writing, its digest."""

    number: int = 0
    recorded_ns: int = 0
    digest: bytes = GENESIS

    def __str__(self) -> str:
        return f"{self.number}:{self.digest.hex()}"


def link(before: bytes, row: Row) -> bytes:
    """Return the digest of a row that follows another."""
    columns = "\0".join([str(row[name]) for name in COLUMNS])
    return sha256(b"%b%b\0%b" % (before, columns.encode(), row["record"])).digest()


async def head(connection: AsyncConnection) -> Head:
    """Return the head that the database names."""
    row = (await connection.execute(select(chain).where(chain.c.id == _HEAD))).first()
    return Head() if row is None else Head(row.number, row.recorded_ns, row.digest)


async def append(connection: AsyncConnection, batch: Sequence[Received], *, now_ns: int) -> list[Received]:
    """Write down the records of a batch that are not in the chain yet, in their order, and return them.

    Args:
        connection: of a writing transaction; there is one writer at a time.
        batch: as the bus delivers it; a record may come again.
        now_ns: the time of writing; time that went back is taken as standing still.

    Raises:
        CorruptData: a record cannot be written down.
    """
    unique: dict[str, Received] = {}
    for received in batch:
        unique.setdefault(received.envelope.id, received)
    known = await _known(connection, list(unique))
    floor = await _archived_offsets(connection)
    new = [
        received
        for received in unique.values()
        if received.envelope.id not in known and not _is_archived(received, floor)
    ]
    if not new:
        return []
    last = await head(connection)
    recorded_ns = max(now_ns, last.recorded_ns)
    await need_partition(connection, recorded_ns)
    rows: list[Row] = []
    digest = last.digest
    for number, received in enumerate(new, last.number + 1):
        row = _row(received, number, recorded_ns)
        row["digest"] = digest = link(digest, row)
        rows.append(row)
    await insert_events(connection, rows)
    await set_head(connection, Head(rows[-1]["number"], recorded_ns, digest))
    return new


async def insert_events(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Insert complete rows, by COPY where it pays."""
    if connection.dialect.name != "postgresql" or len(rows) < _COPIED:
        await insert_rows(connection, events, rows)
        return
    names = [column.name for column in events.columns]
    raw: Any = (await connection.get_raw_connection()).driver_connection
    await raw.copy_records_to_table("events", records=[[row[name] for name in names] for row in rows], columns=names)


async def set_head(connection: AsyncConnection, newest: Head) -> None:
    """Write the head down."""
    row = {"id": _HEAD, "number": newest.number, "recorded_ns": newest.recorded_ns, "digest": newest.digest}
    await replace_rows(connection, chain, [row])


def entry_order(entry_id: str) -> tuple[int, int]:
    """Return the place of a stream's entry id (`ms-counter`); nothing comes before everything."""
    ms, _, counter = entry_id.partition("-")
    return int(ms or 0), int(counter or 0)


def _row(received: Received, number: int, recorded_ns: int) -> Row:
    envelope = received.envelope
    row = {
        "number": number,
        "recorded_ns": recorded_ns,
        "message_id": envelope.id,
        "topic": received.topic,
        "entry_id": received.entry_id,
        "type": envelope.type,
        "version": envelope.version,
        "ts_ns": envelope.ts_ns,
        "corr": envelope.corr,
        "cause": envelope.cause,
        "record": received.raw or encode(envelope),
    }
    if "\0" in f"{envelope.id}{envelope.corr}{envelope.cause}{received.topic}":
        raise CorruptData(
            f"record {envelope.id!r} of {received.topic} has a NUL in its head; no sender of ours does that"
        )
    return row


async def _known(connection: AsyncConnection, ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(ids), _PAGE):
        query = select(events.c.message_id).where(events.c.message_id.in_(ids[start : start + _PAGE]))
        known.update(row.message_id for row in await connection.execute(query))
    return known


async def _archived_offsets(connection: AsyncConnection) -> dict[str, str]:
    query = select(archives.c.offsets).order_by(archives.c.month.desc()).limit(1)
    found: Collection[Any] | None = (await connection.execute(query)).scalar_one_or_none()
    return dict(found or {})


def _is_archived(received: Received, floor: dict[str, str]) -> bool:
    """Tell whether a stream is delivered again from before what has left the table for the archive."""
    return bool(floor) and entry_order(received.entry_id) <= entry_order(floor.get(received.topic, ""))
