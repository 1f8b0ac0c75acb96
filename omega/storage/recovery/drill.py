"""The recovery drill: restore a backup into a scratch place and prove that it would do. Behind `omega dr drill`.

It checks the files, restores, proves the chain up to the head that was noted, folds every projection again, compares,
balances the books and looks through the journals; each step is timed, and nothing of the running farm is touched.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from omega.errors import EnvironmentFault, OmegaError
from omega.storage.engine import Database, async_url
from omega.storage.ledger.archive import Progress, nothing
from omega.storage.ledger.balance import balances
from omega.storage.ledger.rebuild import rebuild
from omega.storage.ledger.verify import parse_head, verify
from omega.storage.recovery.backup import JOURNALS
from omega.storage.recovery.manifest import Manifest, check_files, read_manifest
from omega.storage.recovery.restore import restore

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DrillStep:
    """One step: its name, whether it was fine, how long it took, what it found."""

    name: str
    fine: bool
    seconds: float
    words: str


@dataclass(slots=True)
class Drill:
    """What came of a drill.

    Attributes:
        backup: its folder.
        engine: of the database.
        records: in the chain.
        age_s: of the backup: what was written since would have to come from the streams.
        recovery_s: from nothing to a restored, proven database: check, restore, prove.
        total_s: of all steps.
        steps: in order; the first that fails is the last.
    """

    backup: str
    engine: str
    records: int
    age_s: float
    recovery_s: float = 0.0
    total_s: float = 0.0
    steps: list[DrillStep] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Tell whether the backup would do."""
        return all(step.fine for step in self.steps)


async def drill(
    folder: Path,
    *,
    server: str,
    capital: Callable[[str], Decimal],
    every_bars: int = 1,
    progress: Progress = nothing,
) -> Drill:
    """Restore a backup into a scratch place, prove it, and take the place away.

    Args:
        folder: the backup.
        server: URL of any database on the PostgreSQL server where a scratch one may be made; unused for SQLite.
        capital: the starting money of a bot.
        every_bars: bars between two equity marks (`ledger.equity_every_bars`).
        progress: told how far the fold is.

    Raises:
        ConfigError: the folder is no backup.
        EnvironmentFault: no scratch place can be made.
    """
    manifest = read_manifest(folder)
    anchor = parse_head(manifest.head)
    done = Drill(str(folder), manifest.engine, anchor.number, (time.time_ns() - manifest.made_ns) / _NS)
    with tempfile.TemporaryDirectory(prefix="omega-drill-") as temporary:
        scratch = Path(temporary)
        async with _scratch_url(manifest, scratch, server) as url:
            work = _Steps(folder, manifest, scratch, url, capital, every_bars, progress)
            try:
                await _go_through(work, done)
            finally:
                await work.close()
    done.recovery_s = round(sum(step.seconds for step in done.steps[:3]), 3)
    done.total_s = round(sum(step.seconds for step in done.steps), 3)
    return done


async def _go_through(work: _Steps, done: Drill) -> None:
    for name, step in work.all():
        began = time.perf_counter()
        try:
            fine, words = await step()
        except OmegaError as error:
            fine, words = False, f"{type(error).__name__}: {error}"
        done.steps.append(DrillStep(name, fine, round(time.perf_counter() - began, 3), words))
        if not fine:
            break


@dataclass(slots=True)
class _Steps:
    """The steps over one scratch place."""

    folder: Path
    manifest: Manifest
    scratch: Path
    url: str
    capital: Callable[[str], Decimal]
    every_bars: int
    progress: Progress
    opened: Database | None = None

    def all(self) -> list[tuple[str, Callable[[], Awaitable[tuple[bool, str]]]]]:
        """Return them in order."""
        return [
            ("files", self.files),
            ("restore", self.restore),
            ("chain", self.chain),
            ("projections", self.projections),
            ("balance", self.balance),
            ("journals", self.journals),
        ]

    async def close(self) -> None:
        """Close the scratch database."""
        if self.opened is not None:
            await self.opened.close()

    @property
    def database(self) -> Database:
        """The scratch database."""
        if self.opened is None:
            self.opened = Database(self.url, pool_size=2)
        return self.opened

    async def files(self) -> tuple[bool, str]:
        size = check_files(self.folder, self.manifest)
        return True, f"{len(self.manifest.files)} files, {size / 1e6:.1f} MB, every hash as written"

    async def restore(self) -> tuple[bool, str]:
        await restore(self.folder, self.url, archive=self.scratch / "archive", journals=self.scratch / JOURNALS)
        return True, f"{sum(self.manifest.rows.values()):,} rows"

    async def chain(self) -> tuple[bool, str]:
        anchor = parse_head(self.manifest.head)
        anchors = {anchor.number: anchor.digest} if anchor.number else {}
        async with self.database.reading() as connection:
            found = await verify(connection, archive=self.scratch / "archive", anchors=anchors)
        if found.breaks:
            return False, f"broken at record {found.findings[0].number}: {found.findings[0].words}"
        return True, f"{found.records:,} records whole up to {found.head.number}"

    async def projections(self) -> tuple[bool, str]:
        found = await rebuild(
            self.database,
            archive=self.scratch / "archive",
            every_bars=self.every_bars,
            swap=False,
            progress=self.progress,
        )
        rate = found.records / found.seconds if found.seconds else 0.0
        differ = [one.table for one in found.tables if not one.same]
        words = f"{', '.join(differ)} differ" if differ else f"{len(found.tables)} tables equal"
        return not differ, f"{words}, {rate:,.0f} records/s"

    async def balance(self) -> tuple[bool, str]:
        async with self.database.reading() as connection:
            total = (await balances(connection, self.capital))[-1]
        return not total.faults, total.faults[0] if total.faults else f"equity {total.equity:.2f} to the cent"

    async def journals(self) -> tuple[bool, str]:
        found = sorted((self.scratch / JOURNALS).glob("*"))
        for path in found:
            with closing(sqlite3.connect(path)) as journal:
                (verdict,) = journal.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok":
                return False, f"{path.name}: {verdict}"
        redis = "" if self.manifest.redis_keys < 0 else f", {self.manifest.redis_keys} keys of Redis"
        return True, f"{len(found)} journals sound{redis}"


@asynccontextmanager
async def _scratch_url(manifest: Manifest, scratch: Path, server: str) -> AsyncIterator[str]:
    if manifest.engine == "sqlite":
        yield f"sqlite:///{scratch / 'ledger.sqlite'}"
        return
    parsed = async_url(server)
    if parsed.get_backend_name() != manifest.engine:
        raise EnvironmentFault("the backup is of postgresql: name a server for the scratch database by --database")
    name = f"omega_drill_{time.time_ns()}"
    engine = create_async_engine(parsed, isolation_level="AUTOCOMMIT", pool_size=1)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield parsed.set(database=name).render_as_string(hide_password=False)
        finally:
            async with engine.connect() as connection:
                await connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    except OSError as error:
        raise EnvironmentFault(f"no scratch database could be made: {error}; check that the server runs") from error
    finally:
        await engine.dispose()
