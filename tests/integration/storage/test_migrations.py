from decimal import Decimal

import pytest
from sqlalchemy import inspect, select, text

from omega.errors import ConfigError
from omega.storage.engine import Database
from omega.storage.migrations import downgrade, drift, revision, upgrade
from omega.storage.tables import funding, metadata
from omega.storage.writes import insert_new

PAID = {
    "venue": "bitget",
    "account": "main",
    "symbol": "BTC-USDT.P",
    "funding_id": "f1",
    "bot": "fib",
    "message_id": "m1",
    "amount": Decimal("-0.000000000000000000123456789"),
    "ts_ns": 1_747_699_200_000_000_000,
}


@pytest.mark.req("3.16", "1.07", "4.52")
async def test_upgrade_empty_database_leaves_no_drift(database: Database):
    """The migrations make exactly the tables that the code knows."""
    made = await upgrade(database)

    assert made == await revision(database) != ""
    assert await drift(database) == []


@pytest.mark.req("3.16", "4.52")
async def test_downgrade_filled_database_goes_down_and_up_again(database: Database):
    await upgrade(database)
    async with database.writing() as connection:
        await insert_new(connection, funding, [PAID])

    assert await downgrade(database, "base") == ""
    async with database.reading() as connection:
        left = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    assert left == {"alembic_version"}

    await upgrade(database)
    assert await drift(database) == []


async def test_upgrade_filled_database_keeps_rows_and_every_digit(database: Database):
    await upgrade(database)
    async with database.writing() as connection:
        await insert_new(connection, funding, [PAID])

    await upgrade(database)

    async with database.reading() as connection:
        row = (await connection.execute(select(funding))).one()
    assert row.amount == PAID["amount"]
    assert isinstance(row.amount, Decimal)


async def test_upgrade_database_of_a_newer_version_is_refused(database: Database):
    await upgrade(database)
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigError, match="use the version that wrote it"):
        await upgrade(database)


async def test_upgrade_by_several_at_once_happens_once(url: str):
    """Two ledgers that start together wait for one another."""
    import asyncio

    several = [Database(url) for _ in range(3)]
    made = await asyncio.gather(*(upgrade(one) for one in several))

    assert len(set(made)) == 1
    assert await drift(several[0]) == []
    for one in several:
        await one.close()


def test_tables_every_one_has_a_primary_key():
    assert all(table.primary_key.columns for table in metadata.tables.values())
