import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select, text

from omega.errors import ConfigError, CorruptData, DamagedStore, EnvironmentFault, TransientError
from omega.storage.engine import Database, async_url
from omega.storage.migrations import upgrade
from omega.storage.tables import offsets
from omega.storage.writes import insert_new, replace_rows
from omega.testing.databases import PostgresServer

ROW = {"topic": "dev:evt:ledger", "entry_id": "1-0", "records": 1, "updated_ns": 1}


@pytest.mark.parametrize("bad", ["nonsense", "mysql://host/name", "sqlite://", ""])
def test_database_url_of_another_kind_is_refused_with_the_right_form(bad: str):
    with pytest.raises(ConfigError, match=r"database\.url"):
        Database(bad)


def test_async_url_plain_schemes_get_the_drivers():
    assert async_url("sqlite:///x.db").drivername == "sqlite+aiosqlite"
    assert async_url("postgresql://u@h/d").drivername == "postgresql+asyncpg"
    assert async_url("postgresql+asyncpg://u@h/d").drivername == "postgresql+asyncpg"


def test_database_url_with_password_never_shows_it():
    assert "hunter2" not in Database("postgresql://u:hunter2@127.0.0.1/d").url


async def test_reading_without_tables_says_who_makes_them(database: Database):
    with pytest.raises(ConfigError, match="let the ledger migrate it"):
        async with database.reading() as connection:
            await connection.execute(select(offsets))


async def test_writing_error_inside_undoes_everything(database: Database):
    await upgrade(database)

    async def break_off() -> None:
        async with database.writing() as connection:
            await insert_new(connection, offsets, [ROW])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await break_off()

    async with database.reading() as connection:
        assert (await connection.execute(select(offsets))).all() == []


async def test_writing_row_that_breaks_a_rule_is_corrupt_data(database: Database):
    await upgrade(database)

    with pytest.raises(CorruptData):
        async with database.writing() as connection:
            await insert_new(connection, offsets, [ROW | {"entry_id": None}])


async def test_reading_during_a_write_sees_the_state_before(database: Database):
    await upgrade(database)

    async with database.reading() as reader:
        assert (await reader.execute(select(offsets))).all() == []
        async with database.writing() as writer:
            await insert_new(writer, offsets, [ROW])
        assert (await reader.execute(select(offsets))).all() == []

    async with database.reading() as reader:
        assert len((await reader.execute(select(offsets))).all()) == 1


async def test_writing_twice_at_once_waits_for_the_first(database: Database):
    await upgrade(database)
    await _bump(database)

    await asyncio.gather(*(_bump(database) for _ in range(8)))

    async with database.reading() as connection:
        assert (await connection.execute(select(offsets.c.records))).scalar_one() == 9


async def _bump(database: Database) -> None:
    async with database.writing() as connection:
        seen = (await connection.execute(select(offsets.c.records))).scalar() or 0
        await asyncio.sleep(0.002)
        await replace_rows(connection, offsets, [ROW | {"records": seen + 1}])


async def test_insert_new_known_rows_are_left_out_of_the_answer(database: Database):
    await upgrade(database)
    other = ROW | {"topic": "b"}

    async with database.writing() as connection:
        first = await insert_new(connection, offsets, [ROW])
        second = await insert_new(connection, offsets, [ROW, other])

    assert (first, second) == ({("dev:evt:ledger",)}, {("b",)})


@pytest.mark.req("4.49")
async def test_pool_under_load_is_counted_and_refuses_beyond_its_size(url: str):
    """Twelve readers want three connections: nine are told which setting to raise, and the use is there to be read."""
    database = Database(url, pool_size=2, max_overflow=1, pool_timeout_s=0.05)
    await upgrade(database)
    before, let_go, inside = database.pool(), asyncio.Event(), 0

    async def read() -> None:
        nonlocal inside
        async with database.reading():
            inside += 1
            await let_go.wait()

    readers = [asyncio.ensure_future(read()) for _ in range(12)]
    while sum(reader.done() for reader in readers) < 9:  # noqa: ASYNC110 - the pool tells nobody
        await asyncio.sleep(0.01)
    full = database.pool()
    let_go.set()
    answers = await asyncio.gather(*readers, return_exceptions=True)
    after = database.pool()
    await database.close()

    refused = [answer for answer in answers if isinstance(answer, TransientError)]
    assert (len(refused), inside) == (9, 3)
    assert all("database.pool_size" in str(error) for error in refused)
    assert (full.used, full.allowed, full.refused - before.refused) == (3, 3, 9)
    assert (after.used, after.served - before.served) == (0, 3)


@pytest.mark.req("2.114", "3.18", "4.49")
async def test_pool_exhausted_is_an_error_with_a_name(url: str):
    small = Database(url, pool_size=1, pool_timeout_s=0.05)
    await upgrade(small)

    async with small.reading():
        with pytest.raises(TransientError, match=r"database\.pool_size"):
            async with small.reading():
                pass
    await small.close()


async def test_postgresql_absent_is_transient_and_names_the_server():
    away = Database("postgresql://omega:secret@127.0.0.1:1/farm")

    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1") as caught:
        async with away.reading():
            pass

    assert "secret" not in str(caught.value)
    await away.close()


async def test_postgresql_restarted_between_two_transactions_is_reached_again(server: PostgresServer):
    database = Database(server.create())
    await upgrade(database)

    server.stop(mode="immediate")
    with pytest.raises(TransientError):
        async with database.writing() as connection:
            await connection.execute(text("SELECT 1"))
    server.start()

    await _bump(database)
    await database.close()


def test_sqlite_folder_that_cannot_be_made_says_which(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentFault, match="file"):
        Database(f"sqlite:///{tmp_path}/file/below/farm.sqlite")


async def test_sqlite_garbage_file_is_no_silent_success(tmp_path: Path):
    (tmp_path / "farm.sqlite").write_bytes(b"this is not a database" * 200)
    database = Database(f"sqlite:///{tmp_path}/farm.sqlite")

    with pytest.raises(DamagedStore, match="not a database") as caught:
        await upgrade(database)
    await database.close()

    assert caught.value.exit_code == 3
