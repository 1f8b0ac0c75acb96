"""Opening the ledger's database for a command: from the settings, or by a URL of the command line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from omega.config import Settings
from omega.config.loader import load
from omega.errors import ConfigError
from omega.storage.engine import Database, async_url

T = TypeVar("T")
DatabaseUrl = Annotated[
    str, typer.Option("--database", help="URL of the ledger's database; default: the setting database.url.")
]
ArchiveDir = Annotated[str, typer.Option("--archive", help="Folder of archived months; default: ledger.archive.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def with_database(url: str, work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """Open the database, do the work, close it.

    Raises:
        ConfigError: there is no such database.
    """
    settings = load().settings

    async def main() -> T:
        database = open_database(url, settings)
        try:
            return await work(database, settings)
        finally:
            await database.close()

    return asyncio.run(main())


def open_database(url: str, settings: Settings) -> Database:
    """Open a database that exists.

    Raises:
        ConfigError: the file is not there.
    """
    asked = async_url(url or settings.database.url)
    # Opening would make the file.
    if asked.get_backend_name() == "sqlite" and not Path(asked.database or "").expanduser().is_file():
        raise ConfigError(
            f"there is no database {asked.database}: name the farm's by --database sqlite:///path/to/ledger.db or by "
            "OMEGA_DATABASE__URL (`omega up` keeps it as ledger.db in the directory that it names)"
        )
    return Database(url or settings.database.url, pool_size=2, pool_timeout_s=settings.database.pool_timeout_s)


def archive_folder(given: str, settings: Settings) -> Path:
    """Return the folder of archived months."""
    return Path(given or settings.ledger.archive).expanduser()


@contextmanager
def progress_bar(words: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how far a long work is, on stderr, where a person looks on."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(words), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(words, total=None)
        yield lambda done, of: shown.update(task, completed=done, total=of)
