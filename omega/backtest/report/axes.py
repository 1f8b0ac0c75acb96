"""Scales and round ticks of a chart, for values and for time. Called by the drawing of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from omega.engine.bars import F64, I64

_SECOND: Final = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MARKS: Final = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_MOST_TICKS: Final = 7
_TIMES: Final = tuple(
    [_MINUTE * m for m in (1, 2, 5, 10, 15, 30)]
    + [_HOUR * h for h in (1, 2, 3, 6, 12)]
    + [_DAY * d for d in (1, 2, 3, 5, 7, 14)]
)
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60)
_MONTH: Final = 30 * _DAY


@dataclass(frozen=True, slots=True)
class Scale:
    """Values laid on a side of a chart.

    Units: low and high in the unit of the values; with `log` both must lie above zero.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, *columns: F64, room: float = 0.05, log: bool = False) -> Scale:
        """Make the scale that shows every value of the columns, with some room on either side."""
        low = min(float(column.min()) for column in columns)
        high = max(float(column.max()) for column in columns)
        if log:
            spread = room * math.log(high / low) if high > low else 0.01
            return cls(low * math.exp(-spread), high * math.exp(spread), log=True)
        spread = room * (high - low) if high > low else max(abs(high) * 0.01, 1e-9)
        return cls(low - spread, high + spread)

    def at(self, values: F64) -> F64:
        """Return where the values lie, 0 at the low end and 1 at the high end."""
        if self.log:
            return np.log(np.maximum(values, self.low) / self.low) / math.log(self.high / self.low)
        return (values - self.low) / (self.high - self.low)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about `count` round values inside the scale."""
        if self.log and self.high / self.low > 3.0:  # noqa: PLR2004 - below that a linear choice is even enough
            return self._powers()
        step = _round_step((self.high - self.low) / count)
        first = math.ceil(self.low / step)
        return [k * step for k in range(first, math.floor(self.high / step) + 1)]

    def _powers(self) -> list[float]:
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        found: list[float] = []
        for marks in _MARKS:
            made = [mark * 10.0**k for k in range(low, high + 1) for mark in marks]
            inside = [value for value in made if self.low <= value <= self.high]
            if found and len(inside) > _MOST_TICKS:
                break
            found = inside
        return found


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time laid on the bottom of a chart. Units: ns UTC."""

    start: int
    end: int

    @classmethod
    def of(cls, ts: I64) -> Span:
        """Make the span of a time column; a single bar gets a minute."""
        start, end = int(ts[0]), int(ts[-1])
        return cls(start, max(end, start + _MINUTE * _SECOND))

    def at(self, ts: I64) -> F64:
        """Return where the instants lie, 0 at the start and 1 at the end."""
        return (ts - self.start) / (self.end - self.start)

    def ticks(self, count: int = 6) -> list[tuple[float, str]]:
        """Return (place, words) of about `count` round instants."""
        seconds = (self.end - self.start) / _SECOND
        fit = next((step for step in _TIMES if seconds / step <= count), 0)
        marks = self._even(fit) if fit else self._monthly(seconds, count)
        made = [(self._place(mark), mark) for mark in marks]
        form = _form(seconds, fit)
        return [(place, mark.strftime(form)) for place, mark in made if 0.0 <= place <= 1.0]

    def _place(self, mark: datetime) -> float:
        return (int(mark.timestamp()) * _SECOND - self.start) / (self.end - self.start)

    def _even(self, step: int) -> list[datetime]:
        first = -(-(self.start // _SECOND) // step) * step
        last = self.end // _SECOND
        return [datetime.fromtimestamp(at, UTC) for at in range(first, last + 1, step)]

    def _monthly(self, seconds: float, count: int) -> list[datetime]:
        months = next((step for step in _MONTHS if seconds / (step * _MONTH) <= count), _MONTHS[-1])
        begin = datetime.fromtimestamp(self.start // _SECOND, UTC) - timedelta(days=31)
        end = datetime.fromtimestamp(self.end // _SECOND, UTC)
        made, number = [], (begin.year * 12 + begin.month - 1) // months * months
        while (mark := datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)) <= end:
            made.append(mark)
            number += months
        return made


def instant(ts_ns: int) -> str:
    """Write an instant as `2025-05-06 10:31`, UTC."""
    return datetime.fromtimestamp(ts_ns // _SECOND, UTC).strftime("%Y-%m-%d %H:%M")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1.0 - 1e-12))


def _form(seconds: float, step: int) -> str:
    if 0 < step < _DAY:
        return "%H:%M" if seconds <= _DAY else "%d %b %H:%M"
    if step:
        return "%d %b"
    return "%b %Y" if seconds < 10 * 365 * _DAY else "%Y"
