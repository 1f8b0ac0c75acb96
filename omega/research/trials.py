"""The trial ledger: one row for every trial ever run for a strategy, so that luck can be counted.

Written by back-test, sweep and experiment, by many processes at once; read by the deflated Sharpe ratio.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from omega.errors import ConfigError, CorruptData, EnvironmentFault

DEFAULT_PATH: Final = Path("var/trials.db")
PATH_VARIABLE: Final = "OMEGA_TRIALS_DB"
_BUSY_S: Final = 30.0
_WAL_TRIES: Final = 100
_WAL_PAUSE_S: Final = 0.02
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY,
    strategy TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    data_hash TEXT NOT NULL,
    params TEXT NOT NULL,
    sharpe REAL,
    metrics TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS trials_by_key ON trials (strategy, key);
"""
_COLUMNS: Final = "strategy, key, kind, at_ns, data_hash, params, sharpe, metrics"
_INSERT: Final = f"INSERT INTO trials ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
# The newest run of every distinct trial: running the same thing again is no further try at luck.
_NEWEST: Final = "SELECT max(id) FROM trials WHERE strategy = ? GROUP BY key"


class TrialKind(StrEnum):
    """Which command ran the trial."""

    BACKTEST = "backtest"
    SWEEP = "sweep"
    EXPERIMENT = "experiment"


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial as the ledger keeps it.

    Attributes:
        key: hash of strategy, parameters and data; equal keys are the same trial run again.
        sharpe: the metric of that name, annualised over 365 days; None when there was none.
    """

    strategy: str
    key: str
    kind: TrialKind
    at_ns: int
    data_hash: str
    params: Mapping[str, Any]
    sharpe: float | None
    metrics: Mapping[str, float | None]


class TrialLedger:
    """An append-only SQLite file in WAL mode: many writers, and a committed trial outlives a kill.

    Attributes:
        path: the file; by default what OMEGA_TRIALS_DB names, else var/trials.db.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)
        with self._told("open"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            try:
                _into_wal(self._db)
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
            except BaseException:  # nobody closes what was not made
                self._db.close()
                raise

    def record(
        self,
        strategy: str,
        params: Mapping[str, Any],
        data_hash: str,
        metrics: Mapping[str, Any],
        kind: TrialKind | str,
        at_ns: int,
    ) -> None:
        """Append one finished trial; it is on the disk when this returns.

        Args:
            strategy: the strategy's registered name.
            params: everything that was chosen: parameters, and whatever else tells this trial from another.
            data_hash: hash of the bars that it ran on.
            metrics: its results; `sharpe` (annualised) is what the deflated Sharpe ratio reads.
            kind: which command ran it.
            at_ns: when it ended.
        """
        self.record_many([(strategy, params, data_hash, metrics, kind, at_ns)])

    def record_many(
        self,
        trials: Iterable[tuple[str, Mapping[str, Any], str, Mapping[str, Any], TrialKind | str, int]],
    ) -> None:
        """Append many finished trials in one transaction; each is the arguments of `record` in their order."""
        rows = [_row(*trial) for trial in trials]
        with self._told("write to"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(_INSERT, rows)
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def count(self, strategy: str) -> int:
        """Return how many distinct trials were ever run for a strategy."""
        found = self._read("SELECT count(DISTINCT key) FROM trials WHERE strategy = ?", (strategy,))
        return int(found[0][0])

    def keys(self, strategy: str) -> set[str]:
        """Return the keys of a strategy's distinct trials, as `trial_key` makes them."""
        return {str(row[0]) for row in self._read("SELECT DISTINCT key FROM trials WHERE strategy = ?", (strategy,))}

    def sharpes(self, strategy: str) -> list[float]:
        """Return the annualised Sharpe ratio of every distinct trial that had one."""
        query = f"SELECT sharpe FROM trials WHERE id IN ({_NEWEST}) AND sharpe IS NOT NULL ORDER BY id"  # noqa: S608 - a constant
        return [float(row[0]) for row in self._read(query, (strategy,))]

    def trials(self, strategy: str, *, limit: int = 0) -> list[Trial]:
        """Return the distinct trials of a strategy, newest first; limit 0 for all."""
        query = f"SELECT {_COLUMNS} FROM trials WHERE id IN ({_NEWEST}) ORDER BY id DESC LIMIT ?"  # noqa: S608 - constants
        rows = self._read(query, (strategy, limit or -1))
        return [
            Trial(row[0], row[1], TrialKind(row[2]), row[3], row[4], json.loads(row[5]), row[6], json.loads(row[7]))
            for row in rows
        ]

    def strategies(self) -> dict[str, int]:
        """Return every strategy that has trials, with the number of its distinct ones."""
        query = "SELECT strategy, count(DISTINCT key) FROM trials GROUP BY strategy ORDER BY strategy"
        return {str(name): int(count) for name, count in self._read(query, ())}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._told("read"):
            return list(self._db.execute(query, values))

    @contextmanager
    def _told(self, verb: str) -> Iterator[None]:
        """Turn what SQLite and the file system say into an error that names the file and the next step."""
        where = self.path.absolute()
        try:
            yield
        except sqlite3.OperationalError as error:
            raise EnvironmentFault(
                f"cannot {verb} the trial ledger {where}: {error}; free the disk or the lock, or name another file in "
                f"{PATH_VARIABLE}"
            ) from error
        except sqlite3.DatabaseError as error:
            raise CorruptData(f"{where} is no sound trial ledger ({error}); move it away and run again") from error
        except OSError as error:
            raise EnvironmentFault(
                f"cannot {verb} the trial ledger {where}: {error}; name another file in {PATH_VARIABLE}"
            ) from error


def trial_key(strategy: str, params: Mapping[str, Any], data_hash: str) -> str:
    """Return the hash that tells one trial from another."""
    text = json.dumps([strategy, params, data_hash], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _row(
    strategy: str,
    params: Mapping[str, Any],
    data_hash: str,
    metrics: Mapping[str, Any],
    kind: TrialKind | str,
    at_ns: int,
) -> tuple[object, ...]:
    try:
        which = TrialKind(kind)
    except ValueError:
        raise ConfigError(f"{kind!r} is no kind of trial; use {', '.join(TrialKind)}") from None
    figures = {name: _finite(value) for name, value in metrics.items()}
    return (
        strategy,
        trial_key(strategy, params, data_hash),
        str(which),
        at_ns,
        data_hash,
        json.dumps(params, sort_keys=True, default=str),
        figures.get("sharpe"),
        json.dumps(figures, sort_keys=True),
    )


def _finite(value: Any) -> float | None:
    """Return a figure that JSON can hold: NaN and infinity are none."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _into_wal(database: sqlite3.Connection) -> None:
    # SQLite answers "locked" at once, without waiting, while another process switches the journal too.
    for left in range(_WAL_TRIES - 1, -1, -1):
        try:
            database.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or not left:
                raise
            time.sleep(_WAL_PAUSE_S)
        else:
            return
