"""The rules that every row of candles keeps: finite positive numbers, open and close inside the bar, rising time.

Called by the readers on each stretch of rows; the first row that breaks a rule is named, nothing is repaired.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from omega.domain.time import iso
from omega.engine.bars import F64, I64, Bars, Flags
from omega.errors import CorruptData
from omega.storage.lake.place import Place
from omega.storage.lake.stamps import origin_ns, timeframe_text

PRICES = ("open", "high", "low", "close")


def check_rows(bars: Bars, place: Place, *, timeframe_ns: int, after_ns: int | None = None) -> None:
    """Check values, the bar's shape, and the order and grid of time.

    Args:
        bars: the rows.
        place: where they stand.
        timeframe_ns: the length of a bar.
        after_ns: time of the row before the stretch.

    Raises:
        CorruptData: a row breaks a rule; names file, row, column and value.
    """
    if not bars.n:
        return
    if not _sound(bars):
        _name_the_row(bars, place)
    _check_order(bars.ts, place, after_ns)
    _check_grid(bars.ts, place, timeframe_ns)


def _sound(bars: Bars) -> bool:
    """Tell in few passes whether every value keeps the rules; a NaN fails each comparison."""
    inside = (bars.low <= bars.open) & (bars.low <= bars.close) & (bars.open <= bars.high) & (bars.close <= bars.high)
    priced = bars.low.min() > 0.0 and bars.high.max() < np.inf
    return bool(inside.all() and priced and bars.volume.min() >= 0.0 and bars.volume.max() < np.inf)


def _name_the_row(bars: Bars, place: Place) -> None:
    for name in PRICES:
        column: F64 = getattr(bars, name)
        bad = ~(column > 0.0) | ~np.isfinite(column)
        _refuse_value(bad, column, name, place, "a price is finite and above zero")
    bad = ~(bars.volume >= 0.0) | ~np.isfinite(bars.volume)
    _refuse_value(bad, bars.volume, "volume", place, "a volume is finite and not below zero")
    _check_shape(bars, place)


def _check_shape(bars: Bars, place: Place) -> None:
    below = bars.low > np.minimum(bars.open, bars.close)
    above = bars.high < np.maximum(bars.open, bars.close)
    bad = below | above
    if not bad.any():
        return
    row = int(bad.argmax())
    values = f"open {bars.open[row]}, high {bars.high[row]}, low {bars.low[row]}, close {bars.close[row]}"
    if bars.high[row] < bars.low[row]:
        _fail(place, row, "high", f"the high lies below the low ({values})")
    if below[row]:
        _fail(place, row, "low", f"open or close lies below the low ({values})")
    _fail(place, row, "high", f"open or close lies above the high ({values})")


def _check_order(ts: I64, place: Place, after_ns: int | None) -> None:
    steps = np.diff(ts, prepend=ts[:1] - 1 if after_ns is None else after_ns)
    if steps.min() > 0:
        return
    row = int((steps <= 0).argmax())
    repeats = steps[row] == 0
    _fail(
        place,
        row,
        "ts",
        f"{iso(int(ts[row]))} " + ("stands twice" if repeats else "comes before the row above it"),
        "drop the double" if repeats else "sort the file by ts",
    )


def _check_grid(ts: I64, place: Place, timeframe_ns: int) -> None:
    # The first open time and every step that is not one bar decide; a modulo of all rows would cost as much as reading.
    odd = np.flatnonzero(np.diff(ts) != timeframe_ns) + 1
    rows = np.concatenate([np.zeros(1, dtype=np.int64), odd])
    off = (ts[rows] - origin_ns(timeframe_ns)) % timeframe_ns != 0
    if off.any():
        row = int(rows[off.argmax()])
        _fail(
            place,
            row,
            "ts",
            f"{iso(int(ts[row]))} is no open time of a {timeframe_text(timeframe_ns)} bar",
            "repair the row, or name the timeframe that the file holds",
        )


def _refuse_value(bad: Flags, column: F64, name: str, place: Place, rule: str) -> None:
    if bad.any():
        row = int(bad.argmax())
        value = float(column[row])
        said = "no number (empty or NaN)" if np.isnan(value) else f"{value}"
        _fail(place, row, name, f"{said}; {rule}")


def _fail(place: Place, row: int, column: str, what: str, advice: str = "repair the row") -> NoReturn:
    raise CorruptData(f"{place.at(row, column)}: {what}; {advice}")
