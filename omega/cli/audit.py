"""`omega audit`: prove that no record of the ledger was changed, and export the head of its chain."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from omega.cli.store import ArchiveDir, DatabaseUrl, Json, archive_folder, progress_bar, with_database
from omega.config import Settings
from omega.domain.time import iso
from omega.errors import ConfigError
from omega.storage.engine import Database
from omega.storage.ledger import Head
from omega.storage.ledger import head as stored_head
from omega.storage.ledger.verify import Verdict, parse_head
from omega.storage.ledger.verify import verify as prove

app = typer.Typer(no_args_is_help=True)


@app.command(epilog="**Example** `omega audit verify --head heads.txt --json`")
def verify(
    head: Annotated[
        list[str],
        typer.Option(
            "--head", metavar="NUMBER:DIGEST", help="A head kept elsewhere, or a file with one a line; repeatable."
        ),
    ] = [],  # noqa: B006 - typer copies it
    database: DatabaseUrl = "",
    archive: ArchiveDir = "",
    as_json: Json = False,
) -> None:
    """Compute the hash chain over archive and database; exit 1 at a changed, missing, inserted or moved record.

    A chain whose end was cut off cleanly, or that was written anew, is found by a head that was kept elsewhere: give it
    by `--head`.
    """
    anchors = {one.number: one.digest for text in head for one in _heads(text)}

    with progress_bar("proving", quiet=as_json) as progress:

        async def work(opened: Database, settings: Settings) -> Verdict:
            async with opened.reading() as connection:
                folder = archive_folder(archive, settings)
                return await prove(connection, archive=folder, anchors=anchors, progress=progress)

        verdict = with_database(database, work)
    if as_json:
        print(json.dumps(_plain(verdict, len(anchors)), indent=2))
    else:
        _print(verdict, len(anchors))
    if verdict.breaks:
        raise typer.Exit(1)


@app.command(epilog="**Example** `omega audit head >> /mnt/elsewhere/heads.txt`")
def head(database: DatabaseUrl = "", as_json: Json = False) -> None:
    """Print the head of the chain as NUMBER:DIGEST: keep it elsewhere, so that a cut-off end is found."""

    async def work(opened: Database, _settings: Settings) -> Head:
        async with opened.reading() as connection:
            return await stored_head(connection)

    found = with_database(database, work)
    if as_json:
        when = iso(found.recorded_ns) if found.number else ""
        print(json.dumps({"number": found.number, "digest": found.digest.hex(), "recorded": when, "head": str(found)}))
    else:
        print(found)


def _heads(text: str) -> list[Head]:
    path = Path(text)
    if not path.is_file():
        if ":" not in text:
            raise ConfigError(f"there is no file {text}, and it is no head NUMBER:DIGEST")
        return [parse_head(text)]
    return [parse_head(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _plain(verdict: Verdict, anchors: int) -> dict[str, object]:
    return {
        "whole": not verdict.breaks,
        "records": verdict.records,
        "archived": verdict.archived,
        "head": str(verdict.head),
        "heads_compared": anchors,
        "breaks": verdict.breaks,
        "findings": [asdict(finding) for finding in verdict.findings],
    }


def _print(verdict: Verdict, anchors: int) -> None:
    if verdict.breaks:
        first = verdict.findings[0]
        named = f" ({first.message_id})" if first.message_id else ""
        print(f"BROKEN at record {first.number}{named}: {first.kind}; {verdict.breaks} breaks in all")
        for finding in verdict.findings:
            print(f"  {finding.kind:<10} {finding.words}")
        return
    kept = f", {anchors} kept heads agree" if anchors else ""
    print(f"whole: {verdict.records:,} records ({verdict.archived:,} in the archive){kept}; head {verdict.head}")
