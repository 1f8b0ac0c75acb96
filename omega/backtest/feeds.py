"""Recorded series behind cosmic factors: read from CSV, each value usable only once it had been published.

Called by `load_influences`; a value outlives its time to live by nothing, a gap is neutral and never filled.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np

from omega.cosmic.readings import Heard
from omega.domain import FeedState
from omega.engine.bars import F64, I64, Flags
from omega.errors import ConfigError, CorruptData

_HOUR_NS: Final = 3_600_000_000_000
_MS_NS: Final = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """One recorded series of a factor.

    Shapes: ts and value are (k,), ts strictly rising.
    Units: ts in ns UTC, the instant a value is stamped with; value in the quantity that the factor's table reads;
        lag_ns from the stamp to the publication, ttl_ns from the publication to the end of its use.
    """

    factor: str
    ts: I64
    value: F64
    lag_ns: int
    ttl_ns: int

    def __post_init__(self) -> None:
        if self.ts.shape != self.value.shape or self.ts.ndim != 1 or not len(self.ts):
            raise CorruptData(f"{self.factor}: ts and value must be rows of one length above zero; align them")
        if (self.ts[1:] <= self.ts[:-1]).any():
            raise CorruptData(f"{self.factor}: the time does not rise; sort the values and drop the doubles")

    def at(self, instants: I64) -> F64:
        """Return the value known at each instant, NaN where none is known or the last one is too old.

        Shapes: (m,) in and out.
        """
        row, fresh = self._rows(instants)
        return np.where(fresh, self.value[row], np.nan)

    def known_at(self, at_ns: int) -> tuple[int, float] | None:
        """Return (stamp in ns, value) known at an instant, None where none is known or the last one is too old."""
        row, fresh = self._rows(np.array([at_ns], dtype=np.int64))
        return (int(self.ts[row[0]]), float(self.value[row[0]])) if fresh[0] else None

    def _rows(self, instants: I64) -> tuple[I64, Flags]:
        known = self.ts + self.lag_ns
        row = np.searchsorted(known, instants, side="right") - 1
        inside = np.maximum(row, 0)
        return inside, (row >= 0) & (instants < known[inside] + self.ttl_ns)


@dataclass(frozen=True, slots=True)
class FeedKind:
    """How a recorded file is read: which factor it feeds, from which column, how late it was known, how long it holds.

    Units: lag_ns and ttl_ns in ns; low and high bound the column's values.
    """

    factor: str
    column: str
    lag_ns: int
    ttl_ns: int
    low: float
    high: float


KINDS: Final = {
    # The value of a day appears about 00:00 UTC of that day and holds for the day.
    "fear-greed-1d.csv": FeedKind("global_sentiment", "value", 0, 24 * _HOUR_NS, 0.0, 100.0),
    # Kp describes the three hours after its stamp; the real-time figure comes some hours after their end.
    "kp-ap-3h.csv": FeedKind("geomagnetic_activity", "kp", 6 * _HOUR_NS, 3 * _HOUR_NS, 0.0, 9.0),
}
"""The files that `read_feed` knows by name."""
_ANSWERS: Final = {"kp": "geomagnetic_activity", "sentiment": "global_sentiment"}
"""Which factor's recorded series answers for a feed of the cosmic service."""


def read_feed(path: Path, *, extra_lag_ns: int = 0) -> Feed:
    """Read a recorded series from a CSV file with a column ts (ms UTC) and its own column.

    Raises:
        ConfigError: the file's name is none of KINDS, or it is not there.
        CorruptData: a value is missing, out of range or out of order; the message names row and column.
    """
    kind = KINDS.get(path.name)
    if kind is None or not path.is_file():
        raise ConfigError(f"{path} is no recorded feed; known are {', '.join(KINDS)} in a directory of your choice")
    stamps: list[int] = []
    values: list[float] = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            stamp = _number(path, number, row, "ts", low=0.0, high=float(2**63 // _MS_NS))
            if stamps and stamp * _MS_NS <= stamps[-1]:
                raise CorruptData(f"{path.name} row {number}, column ts: the time does not rise; sort the file")
            stamps.append(int(stamp) * _MS_NS)
            values.append(_number(path, number, row, kind.column, low=kind.low, high=kind.high))
    return Feed(
        kind.factor,
        np.array(stamps, dtype=np.int64),
        np.array(values, dtype=np.float64),
        kind.lag_ns + extra_lag_ns,
        kind.ttl_ns,
    )


def hear_recorded(feeds: Mapping[str, Feed], name: str, at_ns: int) -> Heard | None:
    """Return what recorded feeds (by factor) say for a feed of the cosmic service at an instant, None for nothing."""
    feed = feeds.get(_ANSWERS.get(name, ""))
    known = None if feed is None else feed.known_at(at_ns)
    return None if known is None else Heard(known[1], known[0], f"recorded {name}", FeedState.LIVE)


def feeds_in(directory: Path) -> tuple[Feed, ...]:
    """Return every feed that is known by its file's name in a directory or one level below it."""
    found = sorted(path for name in KINDS for path in (*directory.glob(name), *directory.glob(f"*/{name}")))
    return tuple([read_feed(path) for path in found])


def _number(path: Path, row: int, cells: dict[str, str | None], column: str, *, low: float, high: float) -> float:
    text = cells.get(column)
    try:
        value = float(text or "")
    except ValueError:
        raise CorruptData(f"{path.name} row {row}, column {column}: {text!r} is no number; repair the file") from None
    if not isfinite(value) or not low <= value <= high:
        raise CorruptData(f"{path.name} row {row}, column {column}: {value} lies outside {low:g} to {high:g}")
    return value
