"""One database behind one door: short writing transactions, snapshots for readers, errors of the farm's own tree.

Opened by the ledger and the CLI from `settings.database`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import await_only

from omega.errors import ConfigError, CorruptData, DamagedStore, EnvironmentFault, OmegaError, TransientError

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_WRITER_LOCK: Final = 0x0E6A
"""PostgreSQL advisory lock of the one writer; any number that nobody else on the database uses."""
_READS: Final = "omega_reads"
_BESIDE: Final = "omega_beside"
_RETRIED: Final = ("40", "55P03", "57")
"""SQLSTATE, or its class, of a server that was busy or stopped the statement: deadlock, lock time-out, shutdown."""
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DAMAGED_STATES: Final = ("XX001", "XX002")
"""SQLSTATE of a server that has found damaged data or a damaged index."""
_BUSY_MS: Final = 10_000
_WAL_TRIES: Final = 100
_WAL_PAUSE_S: Final = 0.02


def async_url(url: str) -> URL:
    """Return the URL with the driver that the farm uses: aiosqlite or asyncpg.

    Raises:
        ConfigError: it is no database URL, or of another database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(
            "database.url is no URL: write sqlite:///path/to/file or postgresql://user@host/name"
        ) from None
    backend = parsed.drivername.split("+")[0]
    if backend not in _DRIVERS:
        raise ConfigError(
            f"database.url asks for {backend!r}: use sqlite:///path/to/file or postgresql://user@host/name"
        )
    return parsed.set(drivername=_DRIVERS[backend])


@dataclass(frozen=True, slots=True)
class PoolUse:
    """How the pool of one database is used.

    Attributes:
        used: connections in a transaction now.
        idle: connections that wait for one.
        allowed: the most there may be.
        served: transactions that got a connection, since the start.
        refused: transactions that waited in vain for one, since the start.
    """

    used: int
    idle: int
    allowed: int
    served: int
    refused: int


class Database:
    """One database and its pool.

    Attributes:
        url: where it is, password hidden; safe to print.
        file: of the embedded database; None on a server.
    """

    def __init__(
        self, url: str, *, pool_size: int = 5, max_overflow: int = 0, pool_timeout_s: float = 10.0, echo: bool = False
    ) -> None:
        parsed = async_url(url)
        self.url = parsed.render_as_string(hide_password=True)
        self.embedded = parsed.get_backend_name() == "sqlite"
        self.file = Path(parsed.database or "").expanduser().resolve() if self.embedded else None
        pool = {"pool_size": pool_size, "max_overflow": max_overflow, "pool_timeout": pool_timeout_s, "echo": echo}
        self._engine = _embedded(parsed, pool) if self.embedded else _pooled(parsed, pool)
        self._reader = self._engine.execution_options(**_read_options(embedded=self.embedded))
        self._allowed = pool_size + max_overflow
        self._served = self._refused = 0
        self._lost: tuple[type[Exception], ...] = (OSError,) if self.embedded else (OSError, *_asyncpg_errors())

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open the writing transaction; there is one at a time, across processes too. It commits on a clean exit.

        Raises:
            TransientError: the database is away, busy or full; nothing was written.
            CorruptData: a row breaks the rules of its table.
            DamagedStore: the database itself is damaged.
            ConfigError: the tables are missing or of another version.
        """
        with self._translated():
            async with self._engine.begin() as connection:
                if not self.embedded:
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})
                yield connection

    @asynccontextmanager
    async def writing_beside(self, shadow: Path) -> AsyncIterator[AsyncConnection]:
        """Open the writing transaction with a second place, the schema `shadow`, in reach.

        Of the embedded database that is another file, of a server a schema of the same database.

        Raises:
            OmegaError: as `writing`.
        """
        if not self.embedded:
            async with self.writing() as connection:
                yield connection
            return
        with self._translated():
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(**{_BESIDE: str(shadow)})
                try:
                    async with connection.begin():
                        yield connection
                finally:
                    # A connection that knows the second file must not go back to the pool.
                    await connection.invalidate()

    @asynccontextmanager
    async def aside(self, schema: str) -> AsyncIterator[AsyncConnection]:
        """Open a transaction in another schema of a server, without the writer's lock: nobody else writes there."""
        with self._translated():
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(schema_translate_map={None: schema})
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a snapshot: every query inside sees the same instant, and no writer waits for it.

        Raises:
            TransientError: the database is away or every connection of the pool is in use.
        """
        with self._translated():
            async with self._reader.connect() as connection:
                yield connection

    def pool(self) -> PoolUse:
        """Return how the pool is used."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        return PoolUse(pool.checkedout(), pool.checkedin(), self._allowed, self._served, self._refused)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
            self._served += 1
        except PoolTimeout as error:
            self._refused += 1
            raise TransientError(f"every connection to {self.url} is in use; raise database.pool_size") from error
        except SQLAlchemyError as error:
            raise self._fault(error) from error
        except self._lost as error:
            raise TransientError(f"{self.url} is not reachable: {error}; check that the server runs") from error

    def _fault(self, error: SQLAlchemyError) -> OmegaError:
        if _is_damaged(error):
            return DamagedStore(
                f"{self.url} is damaged: {_brief(error)}. Stop what writes to it, keep it as it is and restore the "
                "newest backup (omega dr restore); what came since waits on the bus"
            )
        if isinstance(error, ProgrammingError):
            return ConfigError(f"{self.url} does not fit this version ({_brief(error)}); let the ledger migrate it")
        if isinstance(error, (OperationalError, InterfaceError, InternalError, DisconnectionError)):
            if "no such table" in str(error):
                return ConfigError(f"{self.url} has no tables yet; let the ledger migrate it")
            return TransientError(f"{self.url} does not answer: {_brief(error)}; check server, disk and rights")
        if _sqlstate(error).startswith(_RETRIED):
            return TransientError(f"{self.url} is busy: {_brief(error)}; try again")
        return CorruptData(f"{self.url} refused a row: {_brief(error)}")


def _brief(error: SQLAlchemyError) -> str:
    """Return the database's own words, without the statement and its parameters."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause).partition("\n")[0]


def _sqlstate(error: SQLAlchemyError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "") if isinstance(error, DBAPIError) else ""


def _is_damaged(error: SQLAlchemyError) -> bool:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF  # above it, what kind of damage
    return code in _DAMAGED or _sqlstate(error) in _DAMAGED_STATES


def _read_options(*, embedded: bool) -> dict[str, Any]:
    if embedded:
        return {_READS: True}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _asyncpg_errors() -> tuple[type[Exception], ...]:
    # SQLAlchemy wraps what a statement raises, but not what a refused connection does.
    import asyncpg

    return (asyncpg.PostgresError, asyncpg.InterfaceError)


def _pooled(url: URL, pool: dict[str, Any]) -> AsyncEngine:
    arguments = {"timeout": 5, "command_timeout": 60, "server_settings": {"application_name": "omega"}}
    return create_async_engine(url, **pool, pool_pre_ping=True, connect_args=arguments)


def _embedded(url: URL, pool: dict[str, Any]) -> AsyncEngine:
    if not url.database or url.database == ":memory:":
        raise ConfigError("database.url names no file: write sqlite:///path/to/file")
    folder = Path(url.database).expanduser().resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot make the folder {folder} for the database: {error}; check its rights"
        ) from error
    engine = create_async_engine(url, **pool)
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    # The driver must not open transactions behind our back: it would put DDL outside of them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    for attempt in range(_WAL_TRIES):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            # Two processes make the same new file: SQLite does not wait for this one lock by itself.
            if attempt == _WAL_TRIES - 1:
                raise
            await_only(asyncio.sleep(_WAL_PAUSE_S))
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    beside = connection.get_execution_options().get(_BESIDE)
    if beside:
        connection.exec_driver_sql("ATTACH DATABASE ? AS shadow", (beside,))
    reads = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
