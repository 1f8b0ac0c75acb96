"""Backup, restore and the drill, over a file of SQLite and a real PostgreSQL server, with a real Redis server."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from omega.bus import AuditNote, connect
from omega.bus.snapshot import dump_keys, restore_keys, rewind_group
from omega.errors import ConfigError, CorruptData, EnvironmentFault
from omega.storage.engine import Database
from omega.storage.ledger import Sink
from omega.storage.ledger.archive import archive_month
from omega.storage.ledger.partitions import begins_ns
from omega.storage.migrations import upgrade
from omega.storage.recovery import BackupPlan, back_up, drill, newest_backup, prune, read_manifest, restore
from omega.storage.recovery.backup import backups_in
from omega.storage.tables import events, metadata, positions
from omega.testing.servers import ValkeyServer, valkey_server

from . import farm

MAY, JUNE = begins_ns("2025-05"), begins_ns("2025-06")


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    try:
        with valkey_server() as server:
            yield server
    except EnvironmentFault as error:
        pytest.skip(str(error))


@pytest.fixture
async def filled(database: Database, tmp_path: Path) -> Database:
    """A month in the archive, a month in the table."""
    await upgrade(database)
    for month, bot in ((MAY, "fib"), (JUNE, "trend")):
        async with database.writing() as connection:
            await Sink(connection).write([farm.received(m) for m in farm.session(bot)], now_ns=month + 5)
    await archive_month(database, "2025-05", tmp_path / "archive")
    return database


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("CREATE TABLE orders (id TEXT)")
        opened.execute("INSERT INTO orders VALUES ('one')")
        opened.commit()
    return path


def capital(_bot: str) -> Decimal:
    return Decimal(1000)


async def contents(database: Database) -> dict[str, list[tuple[str, ...]]]:
    async with database.reading() as connection:
        return {
            table.name: sorted(tuple(map(str, row)) for row in await connection.execute(select(table)))
            for table in metadata.sorted_tables
        }


def empty_like(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/restored/ledger.sqlite"
    created: str = request.getfixturevalue("server").create()
    return created


@pytest.mark.req("4.85")
async def test_backup_restored_into_an_empty_database_is_the_same(
    filled: Database, url: str, journal: Path, tmp_path: Path, request: pytest.FixtureRequest
):
    plan = BackupPlan(tmp_path / "archive", [journal])
    folder, manifest = await back_up(filled, tmp_path / "backups", plan)
    target = empty_like(url, request, tmp_path)

    await restore(folder, target, archive=tmp_path / "new-archive", journals=tmp_path / "new-journals")

    restored = Database(target)
    assert await contents(restored) == await contents(filled)
    await restored.close()
    assert manifest.rows["events"] == 81
    assert [path.name for path in (tmp_path / "new-archive").iterdir()] == ["events-2025-05.parquet"]
    with closing(sqlite3.connect(tmp_path / "new-journals" / "0-journal.sqlite")) as opened:
        assert opened.execute("SELECT id FROM orders").fetchall() == [("one",)]
    with pytest.raises(ConfigError, match=r"in the way|rows already"):
        await restore(folder, target, archive=tmp_path / "new-archive")


@pytest.mark.req("4.85")
async def test_drill_proves_a_backup_and_leaves_nothing(filled: Database, url: str, journal: Path, tmp_path: Path):
    await back_up(filled, tmp_path / "backups", BackupPlan(tmp_path / "archive", [journal]))
    before = await contents(filled)

    done = await drill(newest_backup(tmp_path / "backups"), server=url, capital=capital)

    assert [step.name for step in done.steps] == ["files", "restore", "chain", "projections", "balance", "journals"]
    assert done.fine, done.steps
    assert done.records == 162
    assert done.recovery_s > 0
    assert await contents(filled) == before
    if not filled.embedded:
        async with filled.reading() as connection:
            names = await connection.exec_driver_sql(
                "SELECT datname FROM pg_database WHERE datname LIKE 'omega_drill%'"
            )
            assert names.all() == []


@pytest.mark.parametrize("harm", ["record", "projection", "file"])
async def test_drill_of_a_harmed_backup_fails_at_the_right_step(filled: Database, url: str, tmp_path: Path, harm: str):
    async with filled.writing() as connection:
        if harm == "record":
            await connection.execute(delete(events).where(events.c.number == 100))
        elif harm == "projection":
            await connection.execute(update(positions).values(realised=1))
    folder, _ = await back_up(filled, tmp_path / "backups", BackupPlan(tmp_path / "archive"))
    if harm == "file":
        victim = folder / "archive" / "events-2025-05.parquet"
        victim.write_bytes(victim.read_bytes() + b"x")

    done = await drill(folder, server=url, capital=capital)

    assert not done.fine
    assert done.steps[-1].name == {"record": "chain", "projection": "projections", "file": "files"}[harm]


async def test_backup_that_fails_leaves_no_half_backup(filled: Database, tmp_path: Path):
    with pytest.raises(ConfigError, match="no journal"):
        await back_up(filled, tmp_path / "backups", BackupPlan(tmp_path / "archive", [tmp_path / "none"]))
    with pytest.raises(CorruptData, match="missing"):
        await back_up(filled, tmp_path / "backups", BackupPlan(tmp_path / "elsewhere"))

    assert list((tmp_path / "backups").iterdir()) == []
    with pytest.raises(ConfigError, match="no backup in"):
        newest_backup(tmp_path / "backups")
    with pytest.raises(ConfigError, match="is no backup"):
        read_manifest(tmp_path)


async def test_backup_keeps_the_newest_and_deletes_older_ones(filled: Database, tmp_path: Path):
    plan = BackupPlan(tmp_path / "archive")
    made = [(await back_up(filled, tmp_path / "backups", plan))[0] for _ in range(3)]

    assert prune(tmp_path / "backups", 2) == made[:1]
    assert backups_in(tmp_path / "backups") == made[1:]
    assert newest_backup(tmp_path / "backups") == made[-1]


@pytest.mark.req("4.85")
async def test_redis_snapshot_brings_streams_groups_and_pending_back(valkey: ValkeyServer, tmp_path: Path):
    bus = connect(valkey.url, env="dev", source="test/1")
    await bus.start()
    topic = bus.topics.audit()
    for number in range(5):
        await bus.send(AuditNote("alice", "cli", "pause", f"bot-{number}", "accepted"))
    async with bus.records(topic, group="ledger", batch=3) as batches, asyncio.timeout(30):
        await anext(aiter(batches))
    await bus.redis.set("other:key", "x")

    count = await dump_keys(bus, tmp_path / "redis.jsonl")
    with pytest.raises(ConfigError, match="already"):
        await restore_keys(bus, tmp_path / "redis.jsonl")
    entries = await bus.history(topic)
    await bus.redis.flushall()
    assert await restore_keys(bus, tmp_path / "redis.jsonl") == count

    assert await bus.history(topic) == entries
    pending: Any = await bus.redis.xpending(topic, "ledger")
    assert pending["pending"] == 3
    assert await bus.redis.get("other:key") is None

    moved = await rewind_group(bus, "ledger", {topic: entries[0].entry_id})
    assert moved == {topic: entries[0].entry_id}
    assert await rewind_group(bus, "ledger", {topic: entries[0].entry_id}) == {}
    await bus.close()
