"""The hash chain, its archive and the rebuild, over a file of SQLite and a real PostgreSQL server."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from omega.bus.codec import decode
from omega.bus.port import Received
from omega.errors import ConfigError, CorruptData, TransientError
from omega.storage.engine import Database
from omega.storage.ledger import Head, Sink, head
from omega.storage.ledger.archive import archive_month, archive_rows, due_months, restore_month
from omega.storage.ledger.partitions import begins_ns, drop_partition, make_partitions
from omega.storage.ledger.rebuild import rebuild
from omega.storage.ledger.verify import Verdict, parse_head, verify
from omega.storage.migrations import downgrade, drift, upgrade
from omega.storage.tables import PROJECTIONS, archives, chain, events, fills, orders, positions, trades

from . import farm

MAY, JUNE, JULY = (begins_ns(month) for month in ("2025-05", "2025-06", "2025-07"))


async def keep(database: Database, batch: Sequence[Received], *, now_ns: int = MAY) -> None:
    async with database.writing() as connection:
        await Sink(connection).write(batch, now_ns=now_ns)


def records(*bots: str) -> list[Received]:
    return [farm.received(m) for bot in bots for m in farm.session(bot)]


@pytest.fixture
async def filled(database: Database) -> Database:
    """Two bots over three months."""
    await upgrade(database)
    every = [*records("fib", "trend"), *(farm.received(m) for m in farm.words())]
    third = len(every) // 3
    for month, start in ((MAY, 0), (JUNE, third), (JULY, 2 * third)):
        end = len(every) if month == JULY else start + third
        await keep(database, every[start:end], now_ns=month + 5)
    return database


async def proof(database: Database, archive: Path = Path(), **anchors: Any) -> Verdict:
    async with database.reading() as connection:
        return await verify(connection, archive=archive, **anchors)


async def change(database: Database, *statements: Any) -> None:
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(statement)


async def row_at(database: Database, number: int) -> dict[str, Any]:
    async with database.reading() as connection:
        return dict((await connection.execute(select(events).where(events.c.number == number))).one()._mapping)


async def everything(database: Database) -> dict[str, list[tuple[str, ...]]]:
    async with database.reading() as connection:
        return {
            table.name: sorted(tuple(map(str, row)) for row in await connection.execute(select(table)))
            for table in (*PROJECTIONS, events, chain)
        }


@pytest.mark.req("4.19", "2.110", "4.65")
async def test_chain_untouched_database_is_whole(filled: Database):
    verdict = await proof(filled)

    async with filled.reading() as connection:
        stored = await head(connection)
    assert verdict.findings == []
    assert verdict.records == stored.number == 167
    assert verdict.head == stored


async def test_chain_record_is_the_bytes_as_published(database: Database):
    """Another spelling of the same envelope is kept as it came: an encoder of another version cannot change it."""
    await upgrade(database)
    one = farm.received(farm.words()[3])
    published = farm.encoded(one).replace(b'"v":1', b'"v": 1')

    await keep(database, [Received(one.topic, one.entry_id, one.envelope, published)])

    row = await row_at(database, 1)
    assert row["record"] == published
    assert decode(row["record"]) == one.envelope
    assert (await proof(database)).findings == []


def _flipped(row: dict[str, Any]) -> bytes:
    raw = bytearray(row["record"])
    raw[len(raw) // 2] ^= 1
    return bytes(raw)


TAMPERINGS: dict[str, tuple[str, Callable[[dict[str, Any], dict[str, Any]], list[Any]]]] = {
    "one bit of a record": (
        "broken",
        lambda row, _: [update(events).where(events.c.number == row["number"]).values(record=_flipped(row))],
    ),
    "a column": ("broken", lambda row, _: [update(events).where(events.c.number == row["number"]).values(corr="x")]),
    "its time of writing": (
        "broken",
        lambda row, _: [
            update(events).where(events.c.number == row["number"]).values(recorded_ns=row["recorded_ns"] + 1)
        ],
    ),
    "its digest": (
        "broken",
        lambda row, _: [update(events).where(events.c.number == row["number"]).values(digest=bytes(32))],
    ),
    "taken out": ("missing", lambda row, _: [delete(events).where(events.c.number == row["number"])]),
    "put in": ("doubled", lambda row, _: [insert(events).values(**row | {"recorded_ns": row["recorded_ns"] + 1})]),
    "re-ordered": (
        "broken",
        lambda row, other: [
            delete(events).where(events.c.number.in_([row["number"], other["number"]])),
            insert(events).values(**row | {"number": other["number"]}),
            insert(events).values(**other | {"number": row["number"]}),
        ],
    ),
}


@pytest.mark.req("2.110", "4.65")
@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_verify_names_the_first_record_that_was_tampered_with(filled: Database, tampering: str):
    kind, statements = TAMPERINGS[tampering]
    row, other = await row_at(filled, 70), await row_at(filled, 71)

    await change(filled, *statements(row, other))

    verdict = await proof(filled)
    first = verdict.findings[0]
    assert (first.kind, first.number) == (kind, 70)
    assert first.message_id in {"", row["message_id"], other["message_id"]}


async def test_verify_tail_cut_off_is_found_by_the_head(filled: Database):
    async with filled.reading() as connection:
        kept = await head(connection)
    previous = await row_at(filled, 160)

    await change(filled, delete(events).where(events.c.number > 160))
    assert [(one.kind, one.number) for one in (await proof(filled)).findings] == [("truncated", 161)]

    await change(filled, update(chain).values(number=160, digest=previous["digest"]))
    assert (await proof(filled)).findings == []
    verdict = await proof(filled, anchors={kept.number: kept.digest})
    assert [(one.kind, one.number) for one in verdict.findings] == [("truncated", kept.number)]


async def test_verify_chain_written_anew_is_found_by_a_kept_head(database: Database):
    await upgrade(database)
    every = records("fib")
    await keep(database, every)
    async with database.reading() as connection:
        kept = await head(connection)
    await change(database, delete(events), delete(chain))
    await keep(database, every[1:] + every[:1])

    assert (await proof(database)).findings == []
    (finding,) = (await proof(database, anchors={kept.number: kept.digest})).findings
    assert finding.kind == "rewritten"


def test_head_text_is_read_back():
    one = Head(7, 0, bytes(range(32)))
    assert parse_head(str(one)) == one
    for wrong in ("", "7", "7:xyz", ":" + "0" * 64):
        with pytest.raises(ConfigError, match="no head"):
            parse_head(wrong)


async def test_chain_redelivery_in_any_batching_changes_nothing(filled: Database):
    before = await everything(filled)
    async with filled.reading() as connection:
        kept = [dict(row._mapping) for row in await connection.execute(select(events).order_by(events.c.number))]
    again = [Received(row["topic"], row["entry_id"], decode(row["record"]), row["record"]) for row in kept]

    for start in range(0, len(again), 37):
        await keep(filled, again[start : start + 37], now_ns=JULY + 9)

    assert await everything(filled) == before


async def test_chain_clock_that_goes_back_stands_still(database: Database):
    await upgrade(database)
    every = records("fib")
    await keep(database, every[:5], now_ns=JUNE)
    await keep(database, every[5:9], now_ns=MAY)

    assert (await row_at(database, 9))["recorded_ns"] == JUNE
    assert (await proof(database)).findings == []


@pytest.mark.req("4.84", "2.41")
async def test_partitions_are_made_ahead_and_pruned(server: Any):
    opened = Database(server.create())
    await upgrade(opened)
    await keep(opened, records("fib"), now_ns=MAY + 1)

    async with opened.reading() as connection:
        names = [row[0] for row in await connection.exec_driver_sql(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass ORDER BY 1"
        )]  # fmt: skip
        plan = await connection.exec_driver_sql(
            f"EXPLAIN SELECT count(*) FROM events WHERE recorded_ns >= {JUNE} AND recorded_ns < {JULY}"
        )
        words = "\n".join(row[0] for row in plan)
    assert names == ["events_2025_05", "events_2025_06", "events_2025_07", "events_2025_08"]
    assert "events_2025_06" in words
    assert "events_2025_05" not in words
    assert await drift(opened) == []
    await opened.close()


@pytest.mark.parametrize("work", ["make", "drop"])
async def test_partitions_behind_a_long_reader_give_up_soon(server: Any, work: str):
    """They lock the whole event table, so waiting for a proof of an hour would stop the writer for an hour."""
    opened = Database(server.create())
    await upgrade(opened)
    await keep(opened, records("fib"), now_ns=MAY + 1)

    async def partition() -> None:
        async with opened.writing() as connection:
            if work == "make":
                await make_partitions(connection, JULY * 2, JULY * 2)
            else:
                await drop_partition(connection, "2025-05")

    async with opened.reading() as reader:
        await reader.execute(select(func.count()).select_from(events))
        with pytest.raises(TransientError, match="lock timeout"):
            await asyncio.wait_for(partition(), 60)
        async with asyncio.timeout(60):
            await keep(opened, records("trend"), now_ns=MAY + 2)
    await opened.close()


@pytest.mark.req("3.17", "4.21", "4.83")
async def test_archive_months_leave_the_table_and_the_chain_spans_both(filled: Database, tmp_path: Path):
    before = await everything(filled)
    async with filled.reading() as connection:
        due = await due_months(connection, before="2025-07")

    for month in due:
        assert await archive_month(filled, month, tmp_path)

    verdict = await proof(filled, tmp_path)
    assert due == ["2025-05", "2025-06"]
    assert (verdict.findings, verdict.records, verdict.archived) == ([], 167, 110)
    assert (await rebuild(filled, archive=tmp_path, swap=False)).same
    assert await drift(filled) == []

    for month in reversed(due):
        await restore_month(filled, month, tmp_path)
    assert await everything(filled) == before
    assert (await proof(filled, tmp_path)).archived == 0


async def test_archive_redelivered_records_of_an_archived_month_stay_out(filled: Database, tmp_path: Path):
    old = await row_at(filled, 3)
    await archive_month(filled, "2025-05", tmp_path)

    await keep(filled, [Received(old["topic"], old["entry_id"], decode(old["record"]), old["record"])], now_ns=JULY + 9)

    async with filled.reading() as connection:
        assert (await head(connection)).number == 167


@pytest.mark.parametrize("harm", ["changed", "lost"])
async def test_archive_file_that_was_changed_or_lost_is_found(filled: Database, tmp_path: Path, harm: str):
    await archive_month(filled, "2025-05", tmp_path)
    path = tmp_path / "events-2025-05.parquet"
    if harm == "lost":
        path.unlink()
    else:
        raw = bytearray(path.read_bytes())
        raw[200] ^= 1
        path.write_bytes(bytes(raw))

    verdict = await proof(filled, tmp_path)

    assert verdict.findings[0].kind == "archive"
    assert verdict.findings[0].number == 1
    with pytest.raises(CorruptData):
        await restore_month(filled, "2025-05", tmp_path)


async def test_archive_never_replaces_the_file_of_another_farm(filled: Database, tmp_path: Path):
    """A file with other content under the month's name stays as it is; the same content may be written again."""
    path = tmp_path / "events-2025-05.parquet"
    path.write_bytes(b"the month of another farm")
    with pytest.raises(ConfigError, match="another content"):
        await archive_month(filled, "2025-05", tmp_path)
    assert path.read_bytes() == b"the month of another farm"
    assert not (tmp_path / ".events-2025-05.parquet.draft").exists()

    path.unlink()
    await archive_month(filled, "2025-05", tmp_path)
    await restore_month(filled, "2025-05", tmp_path)
    assert await archive_month(filled, "2025-05", tmp_path)


async def test_archive_out_of_order_or_broken_is_refused(filled: Database, tmp_path: Path):
    with pytest.raises(ConfigError, match="oldest one first"):
        await archive_month(filled, "2025-06", tmp_path)
    with pytest.raises(ConfigError, match="not over"):
        await archive_month(filled, "2999-01", tmp_path)
    with pytest.raises(ConfigError, match="it is empty"):
        await restore_month(filled, "2025-05", tmp_path)

    await change(filled, update(events).where(events.c.number == 4).values(corr="x"))
    with pytest.raises(CorruptData, match="record 4 "):
        await archive_month(filled, "2025-05", tmp_path)

    async with filled.reading() as connection:
        assert await archive_rows(connection) == []
        assert (await connection.execute(select(func.count()).select_from(archives))).scalar_one() == 0
    assert not (tmp_path / "events-2025-05.parquet").exists()


@pytest.mark.req("4.19", "2.23")
async def test_rebuild_from_zero_equals_live(filled: Database, tmp_path: Path):
    done = await rebuild(filled, archive=tmp_path)

    assert (done.records, done.same, done.swapped) == (167, True, False)
    assert {one.table for one in done.tables} == {table.name for table in PROJECTIONS}
    assert {one.table: one.rows for one in done.tables}["fills"] == 20


async def test_rebuild_mends_projections_that_were_changed(filled: Database, tmp_path: Path):
    before = await everything(filled)
    await change(
        filled,
        update(positions).values(size=999),
        delete(trades),
        update(orders).where(orders.c.bot == "fib").values(state="rejected"),
    )

    checked = await rebuild(filled, archive=tmp_path, swap=False)
    assert {one.table for one in checked.tables if not one.same} == {"positions", "trades", "orders"}
    assert await everything(filled) != before

    assert (await rebuild(filled, archive=tmp_path)).swapped
    assert await everything(filled) == before
    assert (await rebuild(filled, archive=tmp_path)).same


async def test_rebuild_that_would_lose_fills_is_refused(filled: Database, tmp_path: Path):
    """Rows from before the chain have no record; a rebuild must not be how they get lost."""
    async with filled.reading() as connection:
        row = dict((await connection.execute(select(fills).limit(1))).one()._mapping)
    await change(filled, insert(fills).values(**row | {"trade_id": "older"}))

    with pytest.raises(CorruptData, match="1 rows of fills"):
        await rebuild(filled, archive=tmp_path)

    done = await rebuild(filled, archive=tmp_path, accept_loss=True)
    assert done.swapped
    assert (await rebuild(filled, archive=tmp_path)).same


@pytest.mark.req("3.16")
async def test_migration_down_and_up_on_a_filled_database_keeps_the_projections(filled: Database):
    """The way down drops the chain and what came after it; up again begins a new one."""
    before = await everything(filled)

    assert await downgrade(filled, "0001") == "0001"
    await upgrade(filled)

    after = await everything(filled)
    assert after.pop("events") == after.pop("chain") == []
    assert after == {name: rows for name, rows in before.items() if name not in {"events", "chain"}}
    assert await drift(filled) == []
    await keep(filled, records("late"), now_ns=JULY + 9)
    assert (await proof(filled)).findings == []
    async with filled.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM fills"))).scalar_one() == 30
