"""`omega ledger`: check the books, fold them again, move months to the archive and back."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from omega.cli.store import ArchiveDir, DatabaseUrl, Json, archive_folder, progress_bar, with_database
from omega.config import Settings
from omega.storage.engine import Database
from omega.storage.ledger.archive import Row, archive_month, due_months, restore_month
from omega.storage.ledger.balance import CENT, TOTAL, Balance, balances, capital_of
from omega.storage.ledger.partitions import later, month_of
from omega.storage.ledger.rebuild import Rebuilt
from omega.storage.ledger.rebuild import rebuild as fold_again

app = typer.Typer(no_args_is_help=True)


@app.command(epilog="**Example** `omega ledger check --json`")
def check(database: DatabaseUrl = "", as_json: Json = False) -> None:
    """Prove cash + positions + fees + funding = equity to the cent, by bot and in total; exit 1 where it fails."""

    async def work(opened: Database, settings: Settings) -> list[Balance]:
        capitals = {name: bot.capital for name, bot in settings.bots.items()}
        async with opened.reading() as connection:
            return await balances(connection, capital_of(capitals, settings.trading.capital))

    rows = with_database(database, work)
    if as_json:
        print(json.dumps([_plain(row) for row in rows], indent=2))
    else:
        _print_balances(rows)
    if rows[-1].faults:
        raise typer.Exit(1)


@app.command(epilog="**Example** `omega ledger rebuild --check`")
def rebuild(
    check_only: Annotated[
        bool, typer.Option("--check", help="Compare and change nothing; exit 1 if they differ.")
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Also drop fills and funding that no record explains.")
    ] = False,
    database: DatabaseUrl = "",
    archive: ArchiveDir = "",
    as_json: Json = False,
) -> None:
    """Fold every table again from the first record, compare, and replace what differs. The ledger may run meanwhile."""
    with progress_bar("folding", quiet=as_json) as progress:

        async def work(opened: Database, settings: Settings) -> Rebuilt:
            return await fold_again(
                opened,
                archive=archive_folder(archive, settings),
                every_bars=settings.ledger.equity_every_bars,
                swap=not check_only,
                accept_loss=accept_loss,
                progress=progress,
            )

        done = with_database(database, work)
    if as_json:
        rate = done.records / done.seconds if done.seconds else 0.0
        print(json.dumps(asdict(done) | {"same": done.same, "records_per_s": round(rate)}, indent=2))
    else:
        _print_rebuilt(done)
    if check_only and not done.same:
        raise typer.Exit(1)


@app.command(epilog="**Example** `omega ledger archive --keep-months 12`")
def archive(
    keep_months: Annotated[
        int, typer.Option(min=1, help="Months that stay in the database beside the running one.")
    ] = 12,
    folder: ArchiveDir = "",
    database: DatabaseUrl = "",
    as_json: Json = False,
) -> None:
    """Move the records of older months to Parquet files; the chain spans files and database. Trades stay."""
    with progress_bar("archiving", quiet=as_json) as progress:

        async def work(opened: Database, settings: Settings) -> list[Row]:
            before = later(month_of(time.time_ns()), -keep_months)
            async with opened.reading() as connection:
                due = await due_months(connection, before=before)
            place = archive_folder(folder, settings)
            moved = [await archive_month(opened, month, place, progress=progress) for month in due]
            return [row for row in moved if row]

        rows = with_database(database, work)
    _print_months(rows, "archived", as_json=as_json)


@app.command(epilog="**Example** `omega ledger unarchive 2026-03`")
def unarchive(
    month: Annotated[str, typer.Argument(help="The newest archived month, as in 2026-03.")],
    folder: ArchiveDir = "",
    database: DatabaseUrl = "",
    as_json: Json = False,
) -> None:
    """Bring an archived month back into the database, newest first; its file stays."""
    with progress_bar("restoring", quiet=as_json) as progress:

        async def work(opened: Database, settings: Settings) -> Row:
            return await restore_month(opened, month, archive_folder(folder, settings), progress=progress)

        row = with_database(database, work)
    _print_months([row], "restored", as_json=as_json)


def _plain(row: Balance) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else str(value) for name, value in asdict(row).items()} | {
        "difference": str(row.difference.quantize(CENT))
    }


def _print_balances(rows: list[Balance]) -> None:
    names = ("cash", "positions", "fees", "funding", "equity", "booked")
    print(f"{'bot':<16}" + "".join(f"{name:>16}" for name in names))
    for row in rows:
        print(f"{row.bot:<16}" + "".join(f"{getattr(row, name):>16,.2f}" for name in names))
        if row.bot != TOTAL:
            for fault in row.faults:
                print(f"  {fault}")
    broken = len(rows[-1].faults)
    print(
        f"{broken} faults: run `omega audit verify`, then `omega ledger rebuild`" if broken else "balanced to the cent"
    )


def _print_rebuilt(done: Rebuilt) -> None:
    for one in done.tables:
        words = "same" if one.same else f"{one.only_live} rows only live, {one.only_rebuilt} only rebuilt"
        print(f"{one.table:<16} {one.rows:>12,} rows  {words}")
    outcome = "live tables are what their records say" if done.same else "live tables differ"
    outcome += ", replaced" if done.swapped else ""
    print(f"{done.records:,} records folded in {done.seconds:.1f} s ({done.records / done.seconds:,.0f}/s); {outcome}")


def _print_months(rows: list[Row], verb: str, *, as_json: bool) -> None:
    shown = [
        {
            "month": row["month"],
            "records": row["last"] - row["first"] + 1,
            "first": row["first"],
            "last": row["last"],
            "bytes": row["bytes"],
            "file": row["file"],
            "sha256": row["sha256"],
        }
        for row in rows
    ]
    if as_json:
        print(json.dumps(shown, indent=2))
        return
    for row in shown:
        print(f"{verb} {row['month']}: {row['records']:,} records, {row['bytes'] / 1e6:.1f} MB, {row['file']}")
    if not shown:
        print("nothing is old enough")
