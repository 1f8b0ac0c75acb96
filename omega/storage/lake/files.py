"""Candle files, Parquet or CSV, as checked bars: whole, by range, or a stretch at a time. The way into the lake.

Called by `read_market`, the import and the checks. A row that breaks a rule stops the reading and is named; gaps stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from omega.domain.time import iso
from omega.engine.bars import Bars
from omega.errors import ConfigError, CorruptData
from omega.storage.lake.csv_rows import csv_batches
from omega.storage.lake.names import SUFFIXES, named
from omega.storage.lake.parquet_rows import parquet_batches
from omega.storage.lake.place import Place
from omega.storage.lake.soundness import check_rows
from omega.storage.lake.stamps import EARLIEST_NS, LATEST_NS, span_text

_FIELDS = ("ts", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class CandleFile:
    """A candle file with its symbol and the length of its bars. Units: timeframe_ns in ns."""

    path: Path
    symbol: str
    timeframe_ns: int

    def batches(self, from_ns: int = EARLIEST_NS, to_ns: int = LATEST_NS) -> Iterator[Bars]:
        """Yield the bars that open in [from, to) in checked stretches, oldest first.

        Raises:
            CorruptData: a row breaks a rule; names file, row, column and value.
        """
        last: int | None = None
        for first, bars in _raw_batches(self.path, from_ns, to_ns):
            check_rows(bars, Place(self.path, first), timeframe_ns=self.timeframe_ns, after_ns=last)
            last = int(bars.ts[-1])
            cut = between(bars, from_ns, to_ns)
            if cut.n:
                yield cut

    def read(self, from_ns: int = EARLIEST_NS, to_ns: int = LATEST_NS) -> Bars:
        """Return the bars that open in [from, to).

        Raises:
            ConfigError: there is none.
            CorruptData: a row breaks a rule; names file, row, column and value.
        """
        parts = list(self.batches(from_ns, to_ns))
        if not parts:
            raise ConfigError(f"{self.path} holds no bar {span_text(from_ns, to_ns)}: choose a range that it covers")
        return joined(parts)


def open_candles(path: Path, *, timeframe_ns: int = 0) -> CandleFile:
    """Find out what a candle file holds: by its name `SYMBOL-TIMEFRAME`, by the argument, by its smallest step.

    Raises:
        ConfigError: there is no such file, or nothing tells the timeframe.
        CorruptData: the first rows break a rule.
    """
    if not path.is_file():
        raise ConfigError(f"no candle file {path}: name a .parquet or .csv file that exists")
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path} is neither .parquet nor .csv: convert it, with columns {', '.join(_FIELDS)}")
    name = named(path)
    return CandleFile(path, name.symbol, timeframe_ns or name.timeframe_ns or _smallest_step(path))


def between(bars: Bars, from_ns: int, to_ns: int) -> Bars:
    """Return a view of the bars that open in [from, to)."""
    start, end = np.searchsorted(bars.ts, (from_ns, to_ns))
    return Bars(*(getattr(bars, name)[start:end] for name in _FIELDS))


def joined(parts: list[Bars]) -> Bars:
    """Return the stretches as one."""
    if len(parts) == 1:
        return parts[0]
    return Bars(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


def _raw_batches(path: Path, from_ns: int, to_ns: int) -> Iterator[tuple[int, Bars]]:
    return csv_batches(path) if path.suffix == ".csv" else parquet_batches(path, from_ns, to_ns)


def _smallest_step(path: Path) -> int:
    _, bars = next(_raw_batches(path, EARLIEST_NS, LATEST_NS), (0, None))
    if bars is None:
        raise CorruptData(f"{path} holds no row: expected candles with the columns {', '.join(_FIELDS)}")
    steps = np.diff(bars.ts)
    steps = steps[steps > 0]
    if not len(steps):
        at = iso(int(bars.ts[0]))
        raise ConfigError(f"{path} holds the bar of {at} alone and tells no timeframe: name it, as in SYMBOL-1m.csv")
    return int(steps.min())
