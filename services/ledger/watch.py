"""What the ledger watches over by itself: the double-entry check, the proof of the chain, partitions and retention."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from omega.config import Settings
from omega.errors import EnvironmentFault
from omega.storage.engine import Database
from omega.storage.ledger.archive import archive_month, due_months
from omega.storage.ledger.balance import TOTAL, balances
from omega.storage.ledger.chain import Head, head
from omega.storage.ledger.partitions import later, make_partitions, month_of
from omega.storage.ledger.verify import verify


class Watch:
    """Works beside the reader of the streams; every method is one round, and says what is wrong by metric and log."""

    def __init__(
        self,
        database: Database,
        settings: Callable[[], Settings],
        capital: Callable[[str], Decimal],
        *,
        metrics: Any,
        logger: Any,
    ) -> None:
        self._database = database
        self._settings = settings
        self._capital = capital
        self._metrics = metrics
        self._logger = logger
        # A proof reads for minutes in one snapshot: a month that leaves meanwhile would wait for it, the writer behind.
        self._alone = asyncio.Lock()
        self._faults: tuple[str, ...] = ()

    async def check(self) -> None:
        """Compare facts and books to the cent, and note the head of the chain outside of the database."""
        async with self._database.reading() as connection:
            rows = await balances(connection, self._capital)
            newest = await head(connection)
        for row in rows:
            if row.bot != TOTAL:
                self._metrics.gauge("ledger_imbalance").labels(row.bot).set(float(row.difference))
        faults = rows[-1].faults
        self._metrics.gauge("ledger_faults").set(len(faults))
        self._metrics.gauge("ledger_checked_seconds").set(time.time())
        self._metrics.gauge("ledger_chain_records").set(newest.number)
        if faults != self._faults:
            told = self._logger.error if faults else self._logger.info
            told("books.checked", faults=list(faults)[:10], equity=str(rows[-1].equity), booked=str(rows[-1].booked))
        self._faults = faults
        self._keep_head(newest)

    async def prove(self) -> None:
        """Walk the whole chain, archive included."""
        async with self._alone, self._database.reading() as connection:
            began = time.perf_counter()
            verdict = await verify(connection, archive=self._archive)
        self._metrics.gauge("ledger_chain_breaks").set(verdict.breaks)
        took_s = round(time.perf_counter() - began, 3)
        if verdict.breaks:
            first = verdict.findings[0]
            self._logger.error(
                "chain.broken", breaks=verdict.breaks, number=first.number, kind=first.kind, took_s=took_s
            )
        else:
            self._logger.info("chain.proven", records=verdict.records, head=str(verdict.head), took_s=took_s)

    async def retain(self) -> None:
        """Make the partitions ahead and archive the months that are older than `ledger.retain_months`."""
        async with self._alone:
            await self._retain()

    @property
    def _archive(self) -> Path:
        return Path(self._settings().ledger.archive).expanduser()

    async def _retain(self) -> None:
        now_ns = time.time_ns()
        async with self._database.writing() as connection:
            await make_partitions(connection, now_ns, now_ns)
        months = self._settings().ledger.retain_months
        if not months:
            return
        async with self._database.reading() as connection:
            due = await due_months(connection, before=later(month_of(now_ns), -months))
        for month in due:
            row = await archive_month(self._database, month, self._archive)
            if row:
                self._logger.info(
                    "month.archived", month=month, records=row["last"] - row["first"] + 1, file=row["file"]
                )

    def _keep_head(self, newest: Head) -> None:
        if not newest.number:
            return
        self._logger.info("chain.head", head=str(newest))
        path = self._settings().ledger.heads
        if not path:
            return
        try:
            with Path(path).expanduser().open("a", encoding="utf-8") as file:
                file.write(f"{newest}\n")
        except OSError as error:
            raise EnvironmentFault(f"cannot append the head to {path} (ledger.heads): {error}") from error
