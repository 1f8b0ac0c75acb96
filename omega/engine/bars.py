"""Candles as aligned arrays, and the rolling window that a runner feeds bar by bar.

Strategies read `Bars`; the runner owns one `BarWindow` a bot; the back-test makes `Bars` of whole columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from omega.domain import Bar
from omega.errors import ConfigError, CorruptData

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I16 = npt.NDArray[np.int16]
I8 = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

_OPEN: Final = 0
_HIGH: Final = 1
_LOW: Final = 2
_CLOSE: Final = 3
_VOLUME: Final = 4
_COLUMNS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Closed candles in columns, oldest first.

    Shapes: every array is (n,), contiguous, aligned.
    Units: ts is the open time in ns UTC, strictly rising; prices in quote currency; volume in base units.
    """

    ts: I64
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64

    @property
    def n(self) -> int:
        """The number of bars."""
        return len(self.close)

    @classmethod
    def of(
        cls,
        ts: npt.ArrayLike,
        open_: npt.ArrayLike,
        high: npt.ArrayLike,
        low: npt.ArrayLike,
        close: npt.ArrayLike,
        volume: npt.ArrayLike,
    ) -> Bars:
        """Make bars of columns after checking them.

        Raises:
            CorruptData: columns differ in length, a price is not finite and positive, or time does not rise.
        """
        prices = [np.ascontiguousarray(c, dtype=np.float64) for c in (open_, high, low, close, volume)]
        made = cls(np.ascontiguousarray(ts, dtype=np.int64), *prices)
        _check(made)
        return made

    def prefix(self, n: int) -> Bars:
        """Return a view of the first n bars."""
        return self._cut(slice(None, n))

    def since(self, row: int) -> Bars:
        """Return a view of the bars from a row on."""
        return self._cut(slice(row, None))

    def _cut(self, rows: slice) -> Bars:
        return Bars(
            self.ts[rows], self.open[rows], self.high[rows], self.low[rows], self.close[rows], self.volume[rows]
        )


class BarWindow:
    """The last `capacity` bars of one market, in a buffer of twice that length.

    A bar is written once; when the buffer is full its newer half moves to the front, so appending costs O(1) on the
    average and a view costs no copy.
    """

    def __init__(self, capacity: int) -> None:
        """Make an empty window.

        Raises:
            ConfigError: the capacity is below two.
        """
        if capacity < 2:  # noqa: PLR2004 - one bar has no past to decide from
            raise ConfigError(f"a window of {capacity} bars decides nothing; give it two or more")
        self.capacity = capacity
        self._ts: I64 = np.zeros(2 * capacity, dtype=np.int64)
        self._values: F64 = np.zeros((_COLUMNS, 2 * capacity), dtype=np.float64)
        self._end = 0

    def __len__(self) -> int:
        return min(self._end, self.capacity)

    @property
    def last_ts_ns(self) -> int:
        """The open time of the newest bar, 0 when there is none."""
        return int(self._ts[self._end - 1]) if self._end else 0

    def append(self, bar: Bar) -> None:
        """Add one closed bar.

        Raises:
            CorruptData: the bar is unsound, or its time is not after the newest one; the window stays as it was.
        """
        bar.checked()
        if bar.ts_ns <= self.last_ts_ns:
            word = "repeats" if bar.ts_ns == self.last_ts_ns else "comes before"
            raise CorruptData(f"bar at {bar.ts_ns} {word} the newest one, at {self.last_ts_ns}; it is not used")
        if self._end == 2 * self.capacity:
            self._shift()
        self._ts[self._end] = bar.ts_ns
        self._values[:, self._end] = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        self._end += 1

    def extend(self, bars: Iterable[Bar]) -> None:
        """Add several bars, oldest first.

        Raises:
            CorruptData: see append; the bars before the bad one stay.
        """
        for bar in bars:
            self.append(bar)

    def bars(self) -> Bars:
        """Return a view of the window; it holds until the next append."""
        rows = slice(self._end - len(self), self._end)
        values = self._values
        return Bars(
            self._ts[rows],
            values[_OPEN, rows],
            values[_HIGH, rows],
            values[_LOW, rows],
            values[_CLOSE, rows],
            values[_VOLUME, rows],
        )

    def _shift(self) -> None:
        # One slot less than capacity would do; keeping all of them keeps a view as long as the window says.
        self._ts[: self.capacity] = self._ts[self.capacity :]
        self._values[:, : self.capacity] = self._values[:, self.capacity :]
        self._end = self.capacity


def _check(bars: Bars) -> None:
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    for name, column in columns.items():
        if column.shape != bars.ts.shape or column.ndim != 1:
            raise CorruptData(f"column {name} has shape {column.shape}, ts has {bars.ts.shape}; align the columns")
    for name, column in columns.items():
        bad = ~np.isfinite(column) | (column < 0.0 if name == "volume" else column <= 0.0)
        _refuse(bars, bad, f"{name} is no finite positive number")
    _refuse(bars, np.diff(bars.ts, prepend=bars.ts[:1] - 1) <= 0, "the time is not after the bar before")
    body_low, body_high = np.minimum(bars.open, bars.close), np.maximum(bars.open, bars.close)
    _refuse(bars, (bars.low > body_low) | (bars.high < body_high), "open or close lies outside low to high")


def _refuse(bars: Bars, bad: Flags, why: str) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise CorruptData(f"bar {row} at {int(bars.ts[row])}: {why}; repair or leave out the bar")
