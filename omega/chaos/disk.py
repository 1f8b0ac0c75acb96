"""The disk under the gateway's journal as a power cut would leave it. Installed in the gateway's child by the lab.

A kill -9 leaves the page cache, so it proves nothing about syncing. Here every connection of the journal notes, after
each commit, how much of its write-ahead log is synced: all of it when the connection runs with `synchronous` FULL or
EXTRA (SQLite then syncs the log inside every commit), otherwise what the kernel writes back by itself, which is all
that is older than five seconds, and what the journal's own `sync` found written when it began. A power cut kills the
process and cuts the log back to that mark; SQLite itself then recovers what is whole, as it would from the real disk.
Between two checkpoints the log only grows, so its length is enough; a lab run is too short for a checkpoint.
"""

from __future__ import annotations

import importlib
import sqlite3
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

_MARKING: Final = threading.Lock()
_SYNCED: Final = 2
"""PRAGMA synchronous: 2 is FULL, 3 EXTRA."""
_WRITE_BACK_S: Final = 5.0
"""Linux writes dirty pages back every five seconds (vm.dirty_writeback_centisecs)."""


class Watched(sqlite3.Connection):
    """A connection that notes what is synced."""

    mark: Path | None = None
    journal: Path | None = None
    waiting: deque[tuple[float, int]]
    """Commits that the kernel has not written back yet: (instant, length of the log)."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement; after a COMMIT note what a power cut would leave."""
        cursor = super().execute(sql, *values)
        if self.mark is not None and self.journal is not None and sql.strip().upper() == "COMMIT":
            self._note(self.mark, self.journal)
        return cursor

    def _note(self, mark: Path, journal: Path) -> None:
        (level,) = super().execute("PRAGMA synchronous").fetchone()
        now, size = time.monotonic(), wal_size(journal)
        if level >= _SYNCED:
            raise_mark(mark, size)
            return
        self.waiting.append((now, size))
        while self.waiting and self.waiting[0][0] < now - _WRITE_BACK_S:
            raise_mark(mark, self.waiting.popleft()[1])


def wal_size(journal: Path) -> int:
    """Return the length of a journal's write-ahead log. Units: bytes."""
    try:
        return Path(f"{journal}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def write_mark(mark: Path, size: int) -> None:
    """Note the synced length, whole or not at all."""
    fresh = mark.with_suffix(".new")
    fresh.write_text(str(size))
    fresh.replace(mark)


def raise_mark(mark: Path, size: int) -> None:
    """Note a synced length unless more is synced already: syncs of a thread end in any order."""
    with _MARKING:
        if size > int(mark.read_text()):
            write_mark(mark, size)


def watch(journal: Path, mark: Path) -> None:
    """Make the gateway's journal file open its database through a watched connection, and note its own syncs."""
    module: Any = importlib.import_module("services.gateway.journal_file")
    plain = module.sqlite3.connect

    def connect(path: Any, *given: Any, **more: Any) -> sqlite3.Connection:
        made: Watched = plain(path, *given, factory=Watched, **more)
        made.journal, made.mark, made.waiting = journal, mark, deque()
        if not mark.exists():
            write_mark(mark, 0)
        return made

    module.sqlite3 = _Module(module.sqlite3, connect)
    whole = module.JournalFile.sync

    def sync(file: Any) -> None:
        size = wal_size(journal)
        whole(file)
        raise_mark(mark, size)

    module.JournalFile.sync = sync


class _Module:
    """A module with one function replaced, for one importer alone."""

    def __init__(self, module: Any, connect: Any) -> None:
        self._module = module
        self.connect = connect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def cut_power(journal: Path, mark: Path) -> int:
    """Leave of a dead process' journal what was synced; return how many bytes are gone."""
    wal = Path(f"{journal}-wal")
    kept = int(mark.read_text()) if mark.exists() else 0
    size = wal_size(journal)
    if size > kept:
        with wal.open("r+b") as file:
            file.truncate(kept)
    Path(f"{journal}-shm").unlink(missing_ok=True)
    write_mark(mark, min(size, kept))
    return max(0, size - kept)


__all__ = ["Watched", "cut_power", "raise_mark", "wal_size", "watch", "write_mark"]
