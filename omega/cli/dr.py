"""`omega dr`: back the farm's memory up, put it back, and drill that it works."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from omega.cli.store import ArchiveDir, DatabaseUrl, Json, archive_folder, progress_bar, with_database
from omega.cli.telling import over_bus
from omega.config import Settings
from omega.config.loader import load
from omega.domain.time import iso
from omega.storage.engine import Database
from omega.storage.ledger.balance import capital_of
from omega.storage.queries import offset_rows
from omega.storage.recovery import BackupPlan, Drill, Manifest, back_up, newest_backup, prune
from omega.storage.recovery import drill as run_drill
from omega.storage.recovery import restore as put_back
from omega.storage.recovery.backup import REDIS

app = typer.Typer(no_args_is_help=True)
_GROUP = "ledger"
WithRedis = Annotated[bool, typer.Option("--redis", help="With a snapshot of the environment's keys in Redis.")]
Place = Annotated[Path, typer.Argument(help="A backup, or a folder of backups: the newest is taken.")]


@app.command(epilog="**Example** `omega dr backup /mnt/backups --redis --keep 14`")
def backup(
    target: Annotated[Path, typer.Argument(help="Folder that the backup's own folder is made in.")],
    journal: Annotated[
        list[Path],
        typer.Option("--journal", metavar="FILE", help="A gateway's journal; repeatable. Default: gateway.journal."),
    ] = [],  # noqa: B006 - typer copies it
    no_journal: Annotated[
        bool, typer.Option("--no-journal", help="Without journals: they are on other machines.")
    ] = False,
    redis: WithRedis = False,
    keep: Annotated[int, typer.Option(min=0, help="Keep so many of the newest, delete older ones; 0 = keep all.")] = 0,
    database: DatabaseUrl = "",
    archive: ArchiveDir = "",
    as_json: Json = False,
) -> None:
    """Copy the ledger's database, its archive, the journals and if asked Redis, while the farm runs."""

    async def work(opened: Database, settings: Settings) -> tuple[Path, Manifest]:
        journals = [] if no_journal else journal or [Path(settings.gateway.journal)]
        snapshot = (lambda path: _snapshot(settings, path)) if redis else None
        if redis:
            await over_bus(settings, _may_dump)
        return await back_up(opened, target, BackupPlan(archive_folder(archive, settings), journals, snapshot))

    folder, manifest = with_database(database, work)
    gone = prune(target, keep)
    size = sum(one.bytes for one in manifest.files)
    if as_json:
        found = asdict(manifest) | {"folder": str(folder), "bytes": size, "pruned": [str(path) for path in gone]}
        print(json.dumps(found, indent=2))
        return
    keys = "" if manifest.redis_keys < 0 else f" and {manifest.redis_keys} keys"
    took = sum(manifest.seconds.values())
    print(
        f"{folder}: {size / 1e6:.1f} MB in {took:.1f} s, {manifest.rows['events']:,} records{keys}; "
        f"head {manifest.head}"
    )
    for path in gone:
        print(f"deleted {path}")


@app.command(epilog="**Example** `omega dr restore /mnt/backups --database sqlite:///var/omega.sqlite --journals var`")
def restore(
    place: Place,
    journals: Annotated[str, typer.Option(help="Folder that the journals are put into; empty = leave them out.")] = "",
    redis: WithRedis = False,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Let the ledger read again from Redis what is newer than the backup.")
    ] = False,
    database: DatabaseUrl = "",
    archive: ArchiveDir = "",
    as_json: Json = False,
) -> None:
    """Put a backup back into an empty database; nothing that is there is overwritten. Stop the farm first."""
    settings = load().settings
    url = database or settings.database.url
    folder = newest_backup(place)
    where = Path(journals) if journals else None
    if redis or catch_up:
        asyncio.run(over_bus(settings, partial(_may_restore, folder / REDIS, keys=redis, rewind=catch_up)))
    manifest = asyncio.run(put_back(folder, url, archive=archive_folder(archive, settings), journals=where))
    keys = asyncio.run(over_bus(settings, lambda bus: _restore_keys(bus, folder / REDIS))) if redis else -1
    moved = with_database(url, _catch_up) if catch_up else {}
    if as_json:
        found = {"backup": str(folder), "made": iso(manifest.made_ns), "rows": manifest.rows, "head": manifest.head}
        print(json.dumps(found | {"redis_keys": keys, "set_back": moved}, indent=2))
        return
    print(
        f"restored {folder} (made {iso(manifest.made_ns)}): {manifest.rows['events']:,} records, head {manifest.head}"
    )
    if keys >= 0:
        print(f"{keys} keys of Redis are back")
    for topic, entry in moved.items():
        print(f"{topic} is read again from behind {entry}")
    print(f"prove it: omega audit verify --head {manifest.head}")


@app.command(epilog="**Example** `omega dr drill /mnt/backups --json`")
def drill(place: Place, database: DatabaseUrl = "", as_json: Json = False) -> None:
    """Restore a backup into a scratch place, prove chain, projections and balance, report times; exit 1 if it fails."""
    settings = load().settings
    capitals = {name: bot.capital for name, bot in settings.bots.items()}
    with progress_bar("folding", quiet=as_json) as progress:
        done = asyncio.run(
            run_drill(
                newest_backup(place),
                server=database or settings.database.url,
                capital=capital_of(capitals, settings.trading.capital),
                every_bars=settings.ledger.equity_every_bars,
                progress=progress,
            )
        )
    if as_json:
        print(json.dumps(asdict(done) | {"fine": done.fine}, indent=2))
    else:
        _print_drill(done)
    if not done.fine:
        raise typer.Exit(1)


def _print_drill(done: Drill) -> None:
    for step in done.steps:
        print(f"{step.name:<12} {'fine' if step.fine else 'FAILED':<7} {step.seconds:>8.2f} s  {step.words}")
    verdict = "would do" if done.fine else "WOULD NOT DO: make another one, and find out why"
    print(f"{done.backup} ({done.engine}, {done.records:,} records, {done.age_s / 3600:.1f} h old) {verdict}")
    print(f"recovery {done.recovery_s:.1f} s, whole drill {done.total_s:.1f} s")


async def _may_dump(bus: Any) -> None:
    from omega.bus.snapshot import DUMPING, check_rights

    await check_rights(bus, DUMPING)


async def _may_restore(path: Path, bus: Any, *, keys: bool, rewind: bool) -> None:
    """See that Redis will do its part, before the database is filled: a second try would find that one full."""
    from omega.bus.snapshot import RESTORING, REWINDING, check_rights, check_room

    await check_rights(bus, [*(RESTORING if keys else ()), *(REWINDING if rewind else ())])
    if keys and path.is_file():  # noqa: ASYNC240 - a tool's own file
        await check_room(bus, path)


async def _snapshot(settings: Settings, path: Path) -> int:
    from omega.bus.snapshot import dump_keys

    return int(await over_bus(settings, lambda bus: dump_keys(bus, path)))


async def _restore_keys(bus: Any, path: Path) -> int:
    from omega.bus.snapshot import restore_keys

    if not path.is_file():  # noqa: ASYNC240 - a tool's own file
        print("the backup holds no snapshot of Redis", file=sys.stderr)
        return -1
    return await restore_keys(bus, path)


async def _catch_up(opened: Database, settings: Settings) -> dict[str, str]:
    from omega.bus.snapshot import rewind_group

    async with opened.reading() as connection:
        ends = await offset_rows(connection)
    found: dict[str, str] = await over_bus(settings, lambda bus: rewind_group(bus, _GROUP, ends))
    return found
