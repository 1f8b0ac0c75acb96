"""Signals as named columns, and the first place where two of them differ. Shared by the checks of a strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from omega.domain import iso
from omega.engine import F64, I64, Bars, Flags, Signals
from omega.plugins import StrategyEntry

Column = npt.NDArray[Any]

_PLAIN: Final = ("side", "exit", "stop_distance", "confidence", "reason")
_MOST_TARGETS: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """The first row and column where two computations that must agree do not.

    Units: row counts from the first bar that was given; ts_ns is its open time, ns UTC; figures as in the column.
    """

    row: int
    ts_ns: int
    column: str
    expected: float
    found: float
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values, its time also in words."""
        return asdict(self) | {"time": iso(self.ts_ns)}


def columns_of(made: Signals) -> dict[str, Column]:
    """Return every column by name; targets that the strategy left out are 0.0."""
    plain = {name: getattr(made, name) for name in _PLAIN}
    none = np.zeros(made.n)
    targets = {f"targets[{i}]": made.targets[i] if i < len(made.targets) else none for i in range(_MOST_TARGETS)}
    return plain | targets


def run(entry: StrategyEntry, params: object, bars: Bars) -> dict[str, Column]:
    """Call a strategy and return its columns."""
    return columns_of(entry.signals(bars, params))


def unequal(one: Column, other: Column) -> Flags:
    """Tell where two columns differ in any bit that counts; two NaN are alike."""
    both: Flags = (one != other) & ~(np.isnan(one.astype(np.float64)) & np.isnan(other.astype(np.float64)))
    return both


def first_difference(expected: Mapping[str, Column], found: Mapping[str, Column], ts: I64, why: str) -> Finding | None:
    """Return the earliest row where any column differs, None when all are equal."""
    best: Finding | None = None
    for name, right in expected.items():
        off = unequal(right, found[name])
        row = int(off.argmax()) if off.size else 0
        if off.size and off[row] and (best is None or row < best.row):
            best = Finding(row, int(ts[row]), name, float(right[row]), float(found[name][row]), why)
    return best


def spread_out(rows: I64, most: int) -> I64:
    """Return at most so many of the rows, evenly spaced, the first and the last among them."""
    if len(rows) <= most:
        return rows
    picked: I64 = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return picked


def critical_rows(columns: Mapping[str, Column], most: int) -> I64:
    """Return rows where the strategy says something new: entries, and the first bar of every exit."""
    leaves = columns["exit"].astype(np.int8)
    fresh = np.diff(leaves, prepend=np.int8(0)) > 0
    entered = np.flatnonzero(columns["side"]).astype(np.int64)
    left = np.flatnonzero(fresh).astype(np.int64)
    return np.union1d(spread_out(entered, most), spread_out(left, most)).astype(np.int64)


def relative(one: F64 | float, other: F64 | float) -> F64:
    """Return how far two figures lie apart, as a fraction of the greater one; 0.0 for two zeros."""
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    scale = np.maximum(np.abs(a), np.abs(b))
    return np.divide(np.abs(a - b), scale, out=np.zeros(a.shape), where=scale > 0.0)
