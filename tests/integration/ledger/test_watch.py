"""What the ledger watches by itself: balance, chain, partitions, retention."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import delete, func, select, update

from omega.config import Ledger, Settings
from omega.storage.engine import Database
from omega.storage.ledger import Sink, head
from omega.storage.ledger.partitions import begins_ns
from omega.storage.ledger.verify import Verdict
from omega.storage.migrations import upgrade
from omega.storage.tables import events, positions
from omega.telemetry.metrics import Metrics
from services.ledger.watch import Watch

from . import farm


@pytest.mark.req("0.42", "3.17")
async def test_watch_tells_of_harm_and_archives_old_months(database: Database, tmp_path: Path):
    await upgrade(database)
    async with database.writing() as connection:
        await Sink(connection).write([farm.received(m) for m in farm.session("fib")], now_ns=begins_ns("2025-05"))
    settings = Settings(
        ledger=Ledger(archive=str(tmp_path / "archive"), retain_months=3, heads=str(tmp_path / "heads.txt"))
    )
    metrics = Metrics()
    watch = Watch(database, lambda: settings, lambda _: Decimal(1000), metrics=metrics, logger=structlog.get_logger())

    def value(name: str) -> float:
        return float(metrics[f"omega_{name}"])

    await watch.check()
    await watch.prove()
    assert (value("ledger_faults"), value("ledger_chain_breaks"), value("ledger_chain_records")) == (0, 0, 81)
    async with database.reading() as connection:
        assert (tmp_path / "heads.txt").read_text() == f"{await head(connection)}\n"

    await watch.retain()
    async with database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(events))).scalar_one() == 0
    await watch.prove()
    assert value("ledger_chain_breaks") == 0

    (tmp_path / "archive" / "events-2025-05.parquet").unlink()
    async with database.writing() as connection:
        await connection.execute(update(positions).values(fees=0))
        await connection.execute(delete(events))
    await watch.check()
    await watch.prove()
    assert value("ledger_faults") > 0
    assert value("ledger_chain_breaks") == 1


async def test_watch_never_proves_and_retains_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whichever of the two comes second waits for the first."""
    database = Database(f"sqlite:///{tmp_path}/farm.sqlite")
    steps: list[str] = []

    async def slowly(name: str) -> None:
        steps.append(f"{name} begins")
        await asyncio.sleep(0.05)
        steps.append(f"{name} ends")

    async def proven(*_: Any, **__: Any) -> Verdict:
        await slowly("proof")
        return Verdict()

    async def made(*_: Any) -> None:
        await slowly("retention")

    monkeypatch.setattr("services.ledger.watch.verify", proven)
    monkeypatch.setattr("services.ledger.watch.make_partitions", made)
    watch = Watch(database, Settings, lambda _: Decimal(1000), metrics=Metrics(), logger=structlog.get_logger())

    await asyncio.gather(watch.prove(), watch.retain(), watch.prove())

    proof, retention = ["proof begins", "proof ends"], ["retention begins", "retention ends"]
    assert steps == [*proof, *retention, *proof]
    await database.close()
