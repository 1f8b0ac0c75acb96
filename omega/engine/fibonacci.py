"""Fibonacci levels of a swing and the confirmed swings of a market. Called by bots and by analysis reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from omega.engine.bars import F64, I8, I64, Bars
from omega.engine.signals import FLAT, LONG, SHORT
from omega.errors import CorruptData

_A = TypeVar("_A", F64, I8)

RETRACEMENTS: Final = (0.236, 0.382, 0.5, 0.618, 0.786)
EXTENSIONS: Final = (1.272, 1.414, 1.618, 2.0, 2.618, 3.618, 4.236)
RATIOS: Final = (0.0, *RETRACEMENTS, 1.0, *EXTENSIONS)

PHI: Final = 1.618033988749895


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of one swing.

    Attributes:
        prices: (ratio, price) by rising ratio, in quote currency.
        dropped: the ratios whose level would lie at or below zero: no market trades there.
    """

    prices: tuple[tuple[float, float], ...]
    dropped: tuple[float, ...] = ()

    def nearest(self, price: float) -> tuple[float, float]:
        """Return the (ratio, price) of the level nearest to a price; the lower ratio wins a tie."""
        return min(self.prices, key=lambda pair: (abs(pair[1] - price), pair[0]))


def level(high: float, low: float, ratio: float, *, up: bool) -> float:
    """Return one level of a swing: a retracement up to ratio 1, an extension beyond.

    Units: prices in quote currency; up says whether the swing ran from low to high.
    Source: retracement H - (H - L) * r and extension H + (H - L) * (r - 1) of an up-swing, mirrored for a down-swing.
    """
    leg = high - low
    if ratio <= 1.0:
        return high - leg * ratio if up else low + leg * ratio
    return high + leg * (ratio - 1.0) if up else low - leg * (ratio - 1.0)


def levels(high: float, low: float, *, up: bool, ratios: tuple[float, ...] = RATIOS) -> Levels:
    """Return every level of a swing.

    Raises:
        CorruptData: the high does not lie above the low, or the low is not positive.
    """
    if not 0.0 < low < high:
        raise CorruptData(f"a swing from {low} to {high} has no levels; its high must lie above a positive low")
    made = [(ratio, level(high, low, ratio, up=up)) for ratio in sorted(ratios)]
    return Levels(
        prices=tuple(pair for pair in made if pair[1] > 0.0),
        dropped=tuple(ratio for ratio, price in made if price <= 0.0),
    )


def clusters(prices: list[float], *, within: float = 0.01) -> list[tuple[float, int]]:
    """Group levels that lie close together, lowest first, as (mean price, number of levels).

    Units: prices in quote currency; within a fraction of the lower neighbour.
    Source: single-link clustering on the sorted levels, so no level belongs to two clusters.
    """
    groups: list[list[float]] = []
    for price in sorted(prices):
        if groups and price - groups[-1][-1] <= within * groups[-1][-1]:
            groups[-1].append(price)
        else:
            groups.append([price])
    return [(sum(group) / len(group), len(group)) for group in groups]


@dataclass(frozen=True, slots=True, eq=False)
class Swings:
    """The swing that is in force at every bar.

    Shapes: every array is (n,); a row knows only what was confirmed at or before it.
    Units: direction LONG for an up-swing, SHORT for a down-swing, FLAT for none; high and low in quote currency, 0.0
        without a swing; end and born are rows, of the newer pivot and of its confirmation, -1 without a swing.
    """

    direction: I8
    high: F64
    low: F64
    end: I64
    born: I64


def swings(bars: Bars, span: int, threshold: F64, max_age: int) -> Swings:
    """Find the newest confirmed swing at every bar.

    A pivot is a bar whose high (low) is the highest (lowest) of `span` bars on either side; it exists from the bar that
    completes the right side. A swing joins the newest high and low pivots, counts when its leg reaches the threshold of
    the bar that confirmed it, and is forgotten `max_age` bars after its older pivot.

    Shapes: threshold is (n,), in quote currency; NaN admits no swing.
    """
    n = bars.n
    rows = np.arange(n, dtype=np.int64)
    top = newest_pivots(bars.high, span, np.maximum)
    bottom = newest_pivots(bars.low, span, np.minimum)
    older, newer = np.minimum(top, bottom), np.maximum(top, bottom)
    high, low, born = bars.high[top], bars.low[bottom], np.minimum(newer + span, n - 1)
    up = top > bottom
    valid = (older >= 0) & (top != bottom) & (rows - older <= max_age) & (high - low >= threshold[born])
    return Swings(
        direction=np.where(valid, np.where(up, np.int8(LONG), np.int8(SHORT)), np.int8(FLAT)),
        high=high * valid,
        low=low * valid,
        end=np.where(valid, newer, -1),
        born=np.where(valid, born, -1),
    )


def rolling(pick: Callable[[_A, _A], _A], values: _A, length: int) -> _A:
    """Return the running maximum or minimum (`np.maximum`, `np.minimum`) over the last `length` values.

    Shapes: (n - length + 1,); row i covers values i .. i + length - 1. Doubling makes it log2(length) passes.
    """
    out, covered = values, 1
    while covered < length:
        step = min(covered, length - covered)
        out = pick(out[:-step], out[step:]) if step < out.shape[0] else out[:0]
        covered += step
    return out


def newest_pivots(values: F64, span: int, pick: Callable[[F64, F64], F64]) -> I64:
    """Return for every row the row of the newest confirmed pivot, -1 before the first.

    A pivot is the largest (`np.maximum`) or smallest (`np.minimum`) of `span` values on either side and is confirmed
    `span` rows later.

    Shapes: values (n,) -> (n,).
    """
    n = values.shape[0]
    extremes = rolling(pick, values, 2 * span + 1)
    pivots = np.flatnonzero(values[span : span + extremes.shape[0]] == extremes) + span
    # Pivots are few: each is written over the rows from its confirmation to that of the next one.
    known = np.full(pivots.shape[0] + 1, -1, dtype=np.int64)
    lengths = np.full(pivots.shape[0] + 1, n, dtype=np.int64)
    known[1:] = pivots
    lengths[:-1] = pivots + span
    lengths[1:] -= pivots + span
    made: I64 = known.repeat(lengths)
    return made
