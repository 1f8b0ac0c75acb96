"""Confirmed swing points: highs and lows that carry the bar from which they were known.

Called by every pattern family and by the Fibonacci tools. Two rules: the extreme of a window of bars, and the extreme
that a reversal of so many average true ranges ended. Neither looks ahead: cutting the future off leaves every pivot
that was confirmed before the cut as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.backtest.compile import compiled
from omega.engine.bars import F64, I8, I64, Bars
from omega.engine.fibonacci import newest_pivots
from omega.errors import ConfigError

HIGH: Final = 1
LOW: Final = -1

ATR_LENGTH: Final = 14
REVERSAL: Final = 3.0
SPAN: Final = 5

REACH: Final = 256
"""Bars that the reversal rule looks back over for where a new leg began: what a window of bars has to hold."""

_WAY, _ROW, _TS = 0, 1, 2  # the state of the reversal rule: the running leg's way, the row and time of its extreme


@dataclass(frozen=True, slots=True, eq=False)
class Pivots:
    """Confirmed pivots, oldest confirmation first.

    Shapes: every array is (m,).
    Units: row and confirmed are bars, row < confirmed; ts is the open time of the pivot's bar in ns UTC; price in quote
        currency; kind is HIGH (+1) or LOW (-1).
    """

    row: I64
    confirmed: I64
    ts: I64
    price: F64
    kind: I8

    @property
    def m(self) -> int:
        """The number of pivots."""
        return len(self.row)

    def known(self, at: int) -> Pivots:
        """Return the pivots that were known at the close of bar `at`."""
        return self._cut(slice(int(np.searchsorted(self.confirmed, at, side="right"))))

    def last(self, count: int) -> Pivots:
        """Return the newest `count` pivots."""
        return self._cut(slice(max(self.m - count, 0), None))

    def joined(self, more: Pivots) -> Pivots:
        """Return these pivots and then the others."""
        columns = ("row", "confirmed", "ts", "price", "kind")
        return Pivots(*[np.concatenate([getattr(self, name), getattr(more, name)]) for name in columns])

    def _cut(self, rows: slice) -> Pivots:
        return Pivots(self.row[rows], self.confirmed[rows], self.ts[rows], self.price[rows], self.kind[rows])


def by_window(bars: Bars, span: int = SPAN) -> Pivots:
    """Find the bars that stand out of `span` bars on either side; each is confirmed `span` bars later.

    Highs and lows need not alternate, one bar may be both, and every bar of a plateau counts: the rule, and the code,
    of `omega.engine.fibonacci.swings`.

    Raises:
        ConfigError: the span is below one bar.
    """
    if span < 1:
        raise ConfigError(f"a pivot window of {span} bars confirms nothing; give it one or more")
    tops = np.unique(newest_pivots(bars.high, span, np.maximum))
    bottoms = np.unique(newest_pivots(bars.low, span, np.minimum))
    tops, bottoms = tops[tops >= 0], bottoms[bottoms >= 0]
    row = np.concatenate([tops, bottoms])
    price = np.concatenate([bars.high[tops], bars.low[bottoms]])
    kind = np.repeat(np.array([HIGH, LOW], dtype=np.int8), [len(tops), len(bottoms)])
    order = np.argsort(row, kind="stable")
    return Pivots(row[order], row[order] + span, bars.ts[row[order]], price[order], kind[order])


def by_reversal(bars: Bars, multiple: float = REVERSAL, length: int = ATR_LENGTH) -> Pivots:
    """Find the alternating highs and lows that a reversal of `multiple` average true ranges ended.

    A leg runs until price has come back from its extreme by `multiple` times the average true range of the bar that
    comes back; that bar confirms the extreme as a pivot. A bar that makes a new extreme never confirms it: which of its
    ends came first is not known.

    Raises:
        ConfigError: the multiple is not positive, or the length below one bar.
    """
    return Legs(multiple, length).extend(bars, average_range(bars, length))


def average_range(bars: Bars, length: int = ATR_LENGTH) -> F64:
    """Return the plain mean of the last `length` true ranges, NaN before there are so many.

    A plain mean and not Wilder's running one: it forgets, so a window of bars gives the last bit of the whole history.

    Shapes: (n,).
    Units: quote currency.
    """
    made = np.full(bars.n, np.nan)
    compiled(_average_range)(bars.high, bars.low, bars.close, length, made)
    return made


class Legs:
    """The reversal rule bar by bar: feed it a history, then one bar after another."""

    def __init__(self, multiple: float = REVERSAL, length: int = ATR_LENGTH) -> None:
        """Begin before the first leg.

        Raises:
            ConfigError: see by_reversal.
        """
        if not multiple > 0.0 or length < 1:
            raise ConfigError(f"a reversal of {multiple} ranges of {length} bars is none; both must be positive")
        self.multiple = multiple
        self.length = length
        # Before the first bar: a rising leg that any bar extends.
        self._leg: I64 = np.array([HIGH, -1, 0], dtype=np.int64)
        self._extreme: F64 = np.zeros(1)
        self._seen = 0

    def extend(self, bars: Bars, ranges: F64, *, base: int = 0) -> Pivots:
        """Read the bars not seen yet and return the pivots that they confirmed.

        Args:
            bars: the newest bars, at least all that were not read before.
            ranges: their average true ranges, (n,).
            base: the row of the first of these bars in the whole history.
        """
        start = self._seen - base
        room = bars.n - start
        row, confirmed, ts = np.empty((3, room), dtype=np.int64)
        price, kind = np.empty(room), np.empty(room, dtype=np.int8)
        count = compiled(_walk)(
            bars.ts, bars.high, bars.low, ranges, start, base, self.multiple, self._leg, self._extreme,
            row, confirmed, ts, price, kind,
        )  # fmt: skip
        self._seen = base + bars.n
        row, confirmed, ts = row[:count].copy(), confirmed[:count].copy(), ts[:count].copy()
        return Pivots(row, confirmed, ts, price[:count].copy(), kind[:count].copy())


def _average_range(high: F64, low: F64, close: F64, length: int, made: F64) -> None:
    for k in range(length - 1, high.shape[0]):
        total = 0.0
        for j in range(k - length + 1, k + 1):
            top, bottom = high[j], low[j]
            if j > 0:
                top, bottom = max(top, close[j - 1]), min(bottom, close[j - 1])
            total += top - bottom
        made[k] = total / length


def _walk(
    bar_ts: I64,
    high: F64,
    low: F64,
    ranges: F64,
    start: int,
    base: int,
    multiple: float,
    leg: I64,
    extreme: F64,
    row: I64,
    confirmed: I64,
    ts: I64,
    price: F64,
    kind: I8,
) -> int:
    """Walk the bars from `start` on, moving the state in leg and extreme; return the number of pivots written."""
    count = 0
    for k in range(start, high.shape[0]):
        way = leg[_WAY]
        tip, back = (high[k], low[k]) if way > 0 else (low[k], high[k])
        if leg[_ROW] < 0 or way * (tip - extreme[0]) > 0.0:
            leg[_ROW], leg[_TS], extreme[0] = k + base, bar_ts[k], tip
            continue
        fall = way * (extreme[0] - back)
        if not (fall >= multiple * ranges[k] and fall > 0.0):
            continue
        row[count], ts[count], confirmed[count] = leg[_ROW], leg[_TS], k + base
        price[count], kind[count] = extreme[0], way
        count += 1
        begin = max(leg[_ROW] - base + 1, k - REACH + 1, 0)
        turn = _farthest(low if way > 0 else high, -way, begin, k)
        leg[_WAY], leg[_ROW], leg[_TS] = -way, turn + base, bar_ts[turn]
        extreme[0] = low[turn] if way > 0 else high[turn]
    return count


def _farthest(values: F64, way: int, first: int, last: int) -> int:
    """Return the row of the highest (way +1) or lowest (-1) value of rows first to last, the newest of equals."""
    found = first
    for k in range(first + 1, last + 1):
        if way * (values[k] - values[found]) >= 0.0:
            found = k
    return found
