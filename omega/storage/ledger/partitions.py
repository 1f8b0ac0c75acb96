"""Months of the event table: PostgreSQL keeps one partition a month, made ahead of time. Called by the chain."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from omega.errors import ConfigError

AHEAD: Final = 3
"""Months that have their partition before they begin."""
_PREFIX: Final = "events_"
_NAME: Final = re.compile(r"events_\d{4}_\d{2}")
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_LOCK_WAIT: Final = "2s"
_SECOND: Final = 1_000_000_000
_MONTHS: Final = 12


def is_partition(table: str) -> bool:
    """Tell whether a table's name is that of a month's partition."""
    return _NAME.fullmatch(table) is not None


def month_of(ts_ns: int) -> str:
    """Return the month of an instant in UTC, as in `2026-11`."""
    return datetime.fromtimestamp(ts_ns // _SECOND, UTC).strftime("%Y-%m")


def later(month: str, count: int) -> str:
    """Return the month that comes `count` months after one; before it when negative.

    Raises:
        ConfigError: the text is no month.
    """
    found = _MONTH.fullmatch(month)
    if found is None:
        raise ConfigError(f"{month!r} is no month: write it as in 2026-11")
    index = int(found[1]) * _MONTHS + int(found[2]) - 1 + count
    return f"{index // _MONTHS:04d}-{index % _MONTHS + 1:02d}"


def begins_ns(month: str) -> int:
    """Return the first instant of a month."""
    return int(datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).timestamp()) * _SECOND


def partition_of(month: str) -> str:
    """Return the name of a month's partition."""
    return _PREFIX + month.replace("-", "_")


async def make_partitions(connection: AsyncConnection, from_ns: int, to_ns: int) -> list[str]:
    """Make the partitions from one instant's month to `AHEAD` months behind another's; return their months.

    Databases without partitions need none.
    """
    months = [month_of(from_ns)]
    while months[-1] < later(month_of(to_ns), AHEAD):
        months.append(later(months[-1], 1))
    if connection.dialect.name == "postgresql":
        await _wait_briefly(connection)
        for month in months:
            await connection.execute(text(_create(month)))
    return months


async def need_partition(connection: AsyncConnection, at_ns: int) -> None:
    """Make the partition of an instant, and those ahead of it, unless it is there."""
    if connection.dialect.name != "postgresql":
        return
    name = partition_of(month_of(at_ns))
    if (await connection.execute(text("SELECT to_regclass(:name)"), {"name": name})).scalar_one() is None:
        await make_partitions(connection, at_ns, at_ns)


async def drop_partition(connection: AsyncConnection, month: str) -> None:
    """Drop a month with its records, on PostgreSQL."""
    await _wait_briefly(connection)
    await connection.execute(text(f"DROP TABLE IF EXISTS {partition_of(month)}"))


async def _wait_briefly(connection: AsyncConnection) -> None:
    # Both statements lock the whole event table: behind a long reader they would hold up every writer and reader.
    await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'"))


def _create(month: str) -> str:
    low, high = begins_ns(month), begins_ns(later(month, 1))
    return f"CREATE TABLE IF NOT EXISTS {partition_of(month)} PARTITION OF events FOR VALUES FROM ({low}) TO ({high})"
