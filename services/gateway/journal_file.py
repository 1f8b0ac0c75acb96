"""The file under the gateway's journal: SQLite in WAL mode with full synchronisation, one process, one connection.

Called straight from the event loop. Everything inside one `transaction` is one commit, hence one fsync, which is over
before it returns: what goes to the network is on the disk. What the venue has told is `news`: committed at once, synced
beside the loop. `Journal` keeps its rows in it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from omega.errors import CorruptData, DamagedStore, EnvironmentFault, InvariantBroken
from services.gateway.schema import TABLES, VERSION

_FULL: Final = "FULL"
"""Each commit syncs the write-ahead log, and with it all commits before."""
_NORMAL: Final = "NORMAL"
"""A commit writes and does not wait for the disk."""
_CHECKPOINT_COMMITS: Final = 100
"""Commits after which the write-ahead log is worth tidying up in a pause: about a thousand pages."""
_CHECKPOINT_PAGES: Final = 4_000
"""Pages of the write-ahead log before a commit tidies it up itself: 16 MB. Longer it would cost each commit more: a log
that grows is slower to sync than one that is written over."""

_BUGS: Final = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)
"""What SQLite says of a wrong call: no state of the file."""


class JournalFile:
    """Open it, then call; every change happens inside `transaction`."""

    def __init__(self, path: str | Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = Path(path)
        self._clock = clock
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._depth = 0
        self._commits = self._looked = 0
        self._on_lasting: Callable[[], None] | None = None
        self._sync_soon: Callable[[], None] | None = None
        self._mode = ""
        self.on_damaged: Callable[[DamagedStore], None] = lambda _error: None
        """Hears that the file is damaged, wherever that was met: the process must end."""

    # life -----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or create the file and take its lock.

        Raises:
            EnvironmentFault: the path cannot be written, or another process holds the journal.
            CorruptData: the file is a journal of another version.
            DamagedStore: it is no sound journal.
        """
        self._take_lock()
        try:
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            db.row_factory = sqlite3.Row
            self._db, self._mode = db, ""
            db.execute("PRAGMA journal_mode=WAL")
            self._synchronous(_FULL)
            db.execute("PRAGMA busy_timeout=2000")
            db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            db.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            self.close()
            raise self._fault(error) from error
        self._check_version()

    def close(self) -> None:
        """Close the file and give the lock back."""
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file if nothing was written since the last call; False when it stays.

        Called now and then from a thread of its own, with a connection beside the event loop's: in the pause between
        two bars nobody waits for it. While orders come it stays away, as two syncs at once slow each other down.

        Raises:
            EnvironmentFault: the disk refuses.
            DamagedStore: the file is damaged.
        """
        quiet, self._looked = self._commits == self._looked, self._commits
        if not quiet or self._commits < _CHECKPOINT_COMMITS:
            return False
        self._commits = self._looked = 0
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous=FULL")
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.DatabaseError as error:
            raise self._fault(error) from error
        return True

    def on_lasting(self, call: Callable[[], None]) -> None:
        """Call this whenever commits are on the disk: new events may leave."""
        self._on_lasting = call

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside one commit, one fsync; nested uses join the outer one.

        Raises:
            EnvironmentFault: the disk refuses; nothing of the transaction remains.
            DamagedStore: the file is damaged, as anything that reads or writes it may find.
        """
        if self._depth:
            yield
            return
        self._synchronous(_FULL)
        with self._commit():
            yield
        self.lasting(self.mark())

    # what the venue tells -------------------------------------------------------------------------------------------

    @contextmanager
    def news(self) -> Iterator[None]:
        """Make everything inside one commit that `sync`, or the next transaction, brings to the disk.

        For what the venue has told and would tell again after a crash of the machine; the death of the process loses
        nothing of it. No order waits for this fsync, and no event leaves before it. Nested uses join the outer one.

        Raises:
            EnvironmentFault: the disk refuses; nothing of the transaction remains.
        """
        if self._depth or self._sync_soon is None:
            with self.transaction():
                yield
            return
        self._synchronous(_NORMAL)
        with self._commit():
            yield
        self._sync_soon()

    def sync_with(self, soon: Callable[[], None] | None) -> None:
        """Let this be called when news wait for `sync`; with None each of them is synced by itself, as at first."""
        self._sync_soon = soon

    def sync(self) -> None:
        """Bring all that is committed to the disk; may run in a thread. Tell `lasting` the mark from before.

        Raises:
            EnvironmentFault: the disk refuses.
        """
        try:
            log = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(log)
            finally:
                os.close(log)
        except FileNotFoundError:  # nothing was written since it was opened
            return
        except OSError as error:
            raise EnvironmentFault(
                f"the journal {self.path} cannot be synced ({error.strerror}); free space or make it writable"
            ) from error

    def mark(self) -> int:
        """Return how far the journal is written."""
        return self._commits

    def lasting(self, mark: int) -> None:
        """Note that everything up to a mark is on the disk."""
        del mark
        if self._on_lasting is not None:
            self._on_lasting()

    # SQLite's transactions ------------------------------------------------------------------------------------------

    def _synchronous(self, mode: str) -> None:
        if self._mode != mode:
            self._run(f"PRAGMA synchronous={mode}")
            self._mode = mode

    @contextmanager
    def _commit(self) -> Iterator[None]:
        db = self._connection()
        self._run("BEGIN IMMEDIATE")
        self._depth = 1
        self._begun()
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            self._depth = 0
            if db.in_transaction:
                with suppress(sqlite3.DatabaseError):  # what brought us here is what must be told
                    db.execute("ROLLBACK")
            self._undone()
            raise
        self._depth = 0
        self._commits += 1
        self._done()

    # small things ---------------------------------------------------------------------------------------------------

    def put(self, key: str, value: str) -> None:
        """Keep a small value."""
        with self.transaction():
            self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def drop(self, key: str) -> None:
        """Forget a small value."""
        with self.transaction():
            self._run("DELETE FROM meta WHERE key = ?", (key,))

    def get(self, key: str, default: str = "") -> str:
        """Return a small value."""
        row = self._fetch("SELECT value FROM meta WHERE key = ?", key)
        return str(row["value"]) if row else default

    def values(self, prefix: str) -> dict[str, str]:
        """Return the small values whose keys begin so, by what follows in the key."""
        rows = self._each("SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", len(prefix), prefix)
        return {row["key"][len(prefix) :]: row["value"] for row in rows}

    # what a subclass holds in memory beside the rows ------------------------------------------------------------------

    def _begun(self) -> None:
        """A transaction begins."""

    def _done(self) -> None:
        """It is on the disk."""

    def _undone(self) -> None:
        """Nothing of it remains."""

    # SQLite ---------------------------------------------------------------------------------------------------------

    def _fetch(self, sql: str, *values: object) -> sqlite3.Row | None:
        return next(self._each(sql, *values), None)

    def _each(self, sql: str, *values: object) -> Iterator[sqlite3.Row]:
        try:
            yield from self._connection().execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _run(self, sql: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        try:
            return self._connection().execute(sql, tuple(values))
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise InvariantBroken(f"the journal {self.path} is not open; open it before it is used")
        return self._db

    def _take_lock(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock or 0)
            self._lock = None
            raise EnvironmentFault(
                f"the journal {self.path} is held by another gateway; stop that one, or give this one its own journal"
            ) from None
        except OSError as error:
            raise EnvironmentFault(
                f"the journal {self.path} cannot be created ({error.strerror}); choose a writable gateway.journal"
            ) from error

    def _check_version(self) -> None:
        found = self.get("version")
        if not found:
            self.put("version", str(VERSION))
        elif found != str(VERSION):
            self.close()
            raise CorruptData(
                f"the journal {self.path} has version {found}, this gateway writes {VERSION}; do not mix them"
            )

    def _told(self, error: sqlite3.DatabaseError) -> Exception:
        """Return what is raised for an error of SQLite; damage is told to the service too, whoever met it."""
        fault = self._fault(error)
        if isinstance(fault, DamagedStore):
            self.on_damaged(fault)
        return fault

    def _fault(self, error: sqlite3.DatabaseError) -> Exception:
        words = str(error)
        if isinstance(error, _BUGS):
            return error
        if "locked" in words:
            return EnvironmentFault(
                f"the journal {self.path} is locked by another program ({error}); nothing was sent. End it"
            )
        if any(sign in words for sign in ("full", "I/O", "readonly", "unable to open")):
            return EnvironmentFault(
                f"the journal {self.path} cannot be written ({error}); nothing was sent. Free space or make it writable"
            )
        return DamagedStore(
            f"the journal {self.path} is damaged ({error}); the gateway stops, stops rest at the venue. Keep the file, "
            "put the newest backup in its place (omega dr restore), then start again: docs/runbooks/service-down.md"
        )
