"""Finished cells in SQLite: a cell that is committed outlives Ctrl-C, kill -9 and the next run's reading of it.

Written by the one process that runs an experiment; read when it is resumed and when it is judged.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import numpy as np

from omega.errors import CorruptData, EnvironmentFault
from omega.research.experiment.cells import Cell, Outcome

_BUSY_S: Final = 30.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS cells (
    fingerprint TEXT PRIMARY KEY, at_ns INTEGER NOT NULL, placebos INTEGER NOT NULL, returns BLOB NOT NULL,
    trades INTEGER NOT NULL, params TEXT NOT NULL, tries TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plans (digest TEXT PRIMARY KEY, at_ns INTEGER NOT NULL, plan TEXT NOT NULL) WITHOUT ROWID;
"""


class CellStore:
    """The cells of an experiment by the fingerprint of everything that decides their outcome."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
            except BaseException:  # nobody closes what was not made
                self._db.close()
                raise

    def keep(self, fingerprint: str, outcome: Outcome, at_ns: int) -> None:
        """Commit a finished cell."""
        row = (
            fingerprint,
            at_ns,
            len(outcome.returns),
            zlib.compress(np.ascontiguousarray(outcome.returns, dtype="<f8").tobytes(), 1),
            outcome.trades,
            json.dumps(dict(outcome.params), sort_keys=True),
            json.dumps([[dict(params), score] for params, score in outcome.tries]),
        )
        with self._told("write to"):
            self._db.execute("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def found(self, fingerprints: dict[Cell, str]) -> dict[Cell, Outcome]:
        """Return the cells that are finished already."""
        with self._told("read"):
            known = {row[0] for row in self._db.execute("SELECT fingerprint FROM cells")}
            return {cell: self._load(mark) for cell, mark in fingerprints.items() if mark in known}

    def forget(self, fingerprints: Iterable[str]) -> None:
        """Drop cells, so that they are run anew."""
        with self._told("write to"):
            self._db.executemany("DELETE FROM cells WHERE fingerprint = ?", [(mark,) for mark in fingerprints])

    def register(self, digest: str, plan: str, at_ns: int) -> int:
        """Note what was registered and when; return how many other plans were run here before this one."""
        with self._told("write to"):
            self._db.execute("INSERT OR IGNORE INTO plans VALUES (?, ?, ?)", (digest, at_ns, plan))
            query = (
                "SELECT count(*) FROM plans WHERE digest <> ?1 AND at_ns < (SELECT at_ns FROM plans WHERE digest = ?1)"
            )
            return int(self._db.execute(query, (digest,)).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, fingerprint: str) -> Outcome:
        query = "SELECT placebos, returns, trades, params, tries FROM cells WHERE fingerprint = ?"
        rows, packed, trades, params, tries = self._db.execute(query, (fingerprint,)).fetchone()
        returns = np.frombuffer(zlib.decompress(packed), dtype="<f8").reshape(rows, -1)
        return Outcome(returns, trades, json.loads(params), tuple((one, score) for one, score in json.loads(tries)))

    @contextmanager
    def _told(self, verb: str) -> Iterator[None]:
        where = self.path.absolute()
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise EnvironmentFault(
                f"cannot {verb} the experiment's cells {where}: {error}; free the disk, or choose another --out"
            ) from error
        except (sqlite3.DatabaseError, zlib.error, ValueError) as error:
            raise CorruptData(f"{where} holds no sound cells ({error}); move it away and run again") from error
