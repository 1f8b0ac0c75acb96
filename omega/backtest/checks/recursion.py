"""Recursion: what a strategy says of a row must not depend on how much history lies before it, past its warm-up.

Called by `omega check recursion` and by the tests, for every registered strategy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from omega.backtest.checks.columns import Column, Finding, critical_rows, relative, run
from omega.engine import I64, Bars
from omega.errors import CorruptData
from omega.plugins import StrategyEntry

TOLERANCE: Final = 1e-9
"""How far a distance may drift, as a fraction: far below any venue's step. Sides and exits must be equal."""

_WORDS: Final = ("side", "exit")


@dataclass(frozen=True, slots=True)
class Recursion:
    """The outcome of a recursion check.

    Attributes:
        warmup: the bars that the strategy declares to need.
        window: the bars that the runner keeps.
        rows: how many rows were computed again.
        finding: the first row that more history changes, None when there is none.
        suffices: the bars of warm-up with which every row tried is the same, None when the history is too short to say.
        drift: the greatest relative difference of any distance on a row that enters, at the declared warm-up.
    """

    strategy: str
    bars: int
    warmup: int
    window: int
    rows: int
    finding: Finding | None
    suffices: int | None
    drift: float

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return self.finding is None

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return {
            "check": "recursion",
            "strategy": self.strategy,
            "bars": self.bars,
            "warmup": self.warmup,
            "window": self.window,
            "rows": self.rows,
            "ok": self.sound,
            "finding": self.finding.as_json() if self.finding else None,
            "suffices_bars": self.suffices,
            "drift": self.drift,
        }


def check_recursion(
    entry: StrategyEntry,
    params: object,
    bars: Bars,
    *,
    window: int = 2_000,
    random_rows: int = 60,
    critical: int = 40,
    seed: int = 7,
) -> Recursion:
    """Compute rows with the declared warm-up and with the runner's window, and compare them with the whole history's.

    Args:
        entry: the strategy.
        params: its parameters.
        bars: the history; rows with less than twice the warm-up and one window before them are not tried.
        window: bars that the runner keeps.
        random_rows: rows tried anywhere.
        critical: entries and exits tried.
        seed: of the random rows.

    Raises:
        CorruptData: the history is too short to compare anything.
    """
    need = entry.warmup(params)
    whole = run(entry, params, bars)
    first = max(2 * need, need + 1, min(window, bars.n // 2))
    if first >= bars.n:
        raise CorruptData(
            f"{entry.name} needs {need} bars of warm-up: a recursion check of {bars.n} bars says nothing; "
            f"give it more than {first}"
        )
    rows = _rows(whole, first, bars.n, random_rows, critical, seed)
    finding = None
    for length in sorted({need + 1, min(window, first + 1)}):
        finding = finding or _first(entry, params, bars, whole, rows, length)
    return Recursion(
        strategy=entry.name,
        bars=bars.n,
        warmup=need,
        window=window,
        rows=len(rows),
        finding=finding,
        suffices=_sufficient(entry, params, bars, whole, rows, need),
        drift=_drift(entry, params, bars, whole, rows, need + 1),
    )


def _rows(whole: Mapping[str, Column], first: int, n: int, anywhere: int, critical: int, seed: int) -> I64:
    random = np.random.default_rng(seed).integers(first, n, size=anywhere)
    late = {name: column[first:] for name, column in whole.items()}
    return np.unique(np.concatenate([random, critical_rows(late, critical) + first])).astype(np.int64)


def _last(entry: StrategyEntry, params: object, bars: Bars, row: int, length: int) -> dict[str, float]:
    """Return the newest row of a window of so many bars that ends in a row, as the runner sees it."""
    made = run(entry, params, bars.prefix(row + 1).since(row + 1 - length))
    return {name: float(column[-1]) for name, column in made.items()}


def _first(
    entry: StrategyEntry, params: object, bars: Bars, whole: Mapping[str, Column], rows: Iterable[int], length: int
) -> Finding | None:
    """Return the first row that a window of so many bars gets wrong."""
    for number in rows:
        row = int(number)
        name = _off(whole, row, got := _last(entry, params, bars, row, length))
        if name:
            why = f"a window of {length} bars says so, the whole history says otherwise"
            return Finding(row, int(bars.ts[row]), name, float(whole[name][row]), got[name], why)
    return None


def _off(whole: Mapping[str, Column], row: int, got: Mapping[str, float]) -> str:
    """Return the column in which a row differs so that a trade would, empty when none does."""
    for name in _WORDS:
        if got[name] != float(whole[name][row]):
            return name
    acts = bool(whole["side"][row]) or bool(whole["exit"][row])
    if acts and got["reason"] != float(whole["reason"][row]):
        return "reason"
    if not whole["side"][row]:
        return ""
    return next((name for name in _figures(whole) if _apart(whole, row, got, name) > TOLERANCE), "")


def _figures(whole: Mapping[str, Column]) -> list[str]:
    return [name for name in whole if name not in {*_WORDS, "reason"}]


def _apart(whole: Mapping[str, Column], row: int, got: Mapping[str, float], name: str) -> float:
    return float(relative(float(whole[name][row]), got[name]))


def _drift(
    entry: StrategyEntry, params: object, bars: Bars, whole: Mapping[str, Column], rows: I64, length: int
) -> float:
    worst = 0.0
    for row in rows[whole["side"][rows] != 0]:
        got = _last(entry, params, bars, int(row), length)
        worst = max(worst, *(_apart(whole, int(row), got, name) for name in _figures(whole)))
    return worst


def _sufficient(
    entry: StrategyEntry, params: object, bars: Bars, whole: Mapping[str, Column], rows: I64, need: int
) -> int | None:
    """Return the warm-up from which every row is right: found by doubling, then by halving the interval."""

    def right(warmup: int) -> bool:
        return _first(entry, params, bars, whole, rows, warmup + 1) is None

    most = int(rows[0])
    low, high = 0, max(need, 1)
    while not right(min(high, most)):
        if high >= most:
            return None
        low, high = high, 2 * high
    high = min(high, most)
    while high - low > max(1, high // 64):
        middle = (low + high) // 2
        low, high = (low, middle) if right(middle) else (middle, high)
    return high
