"""Figures of an equity curve: one pass over it, and the ratios that its sums give.

Called by `metrics`; sweeps take the ratios alone, for their loops make the sums themselves.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from omega.engine.bars import F64, I64, Flags

DAY_NS: Final = 86_400_000_000_000
YEAR_NS: Final = 365 * DAY_NS
"""A year of a market that never closes."""

NAN: Final = math.nan

_BLOCK: Final = 8_192
"""Rows a step of the scan: 64 KB a column stays in the cache, and each step is long enough to hide Python."""

NO_VARIANCE: Final = 1e-16
"""Variance below this part of the mean square is rounding, not risk."""


class Scan(NamedTuple):
    """What one pass over the equity curve collects.

    Units: returns are fractions a bar, the first one from the capital; `squares` and `downside_squares` sum squared
        returns and squared negative returns, `losses` the negative ones (so it is not above zero); max_drawdown a
        fraction of the running peak, `trough` its row; drawdown_squares the sum of squared drawdowns.
    """

    n: int
    total: float
    squares: float
    losses: float
    downside_squares: float
    max_drawdown: float
    trough: int
    drawdown_squares: float


def scan(equity: F64, capital: float) -> tuple[Scan, Flags]:
    """Walk the equity once, in blocks that stay in the cache.

    Returns:
        The sums, and for each bar whether the equity lies below its running peak (which begins at the capital).

    Shapes: equity (n,); flags (n,). An account at or below zero stays at zero: it returns -1 in that bar, 0 afterwards.
    """
    n = len(equity)
    under = np.empty(n, dtype=np.bool_)
    alive = int(np.argmax(equity <= 0.0)) if n and float(equity.min()) <= 0.0 else n
    peak, before = capital, capital
    total = squares = losses = downside = deep = 0.0
    worst, trough = 1.0, -1
    ratio, peaks, nothing = np.empty(_BLOCK), np.empty(_BLOCK), np.zeros(_BLOCK)
    for start in range(0, alive, _BLOCK):
        block = equity[start : min(start + _BLOCK, alive)]
        m = len(block)
        moved, high = ratio[:m], peaks[:m]
        np.divide(block[1:], block[:-1], out=moved[1:])
        moved[0] = block[0] / before
        moved -= 1.0
        total += float(moved.sum())
        squares += float(moved @ moved)
        np.minimum(moved, nothing[:m], out=moved)
        losses += float(moved.sum())
        downside += float(moved @ moved)
        _running_peak(block, peak, high)
        np.less(block, high, out=under[start : start + m])
        np.divide(block, high, out=moved)
        low = int(moved.argmin())
        if moved[low] < worst:
            worst, trough = float(moved[low]), start + low
        np.subtract(1.0, moved, out=moved)
        deep += float(moved @ moved)
        peak, before = float(high[-1]), float(block[-1])
    if alive < n:
        under[alive:] = True
        total, squares, losses, downside = total - 1.0, squares + 1.0, losses - 1.0, downside + 1.0
        worst, trough, deep = 0.0, alive, deep + (n - alive)
    return Scan(n, total, squares, losses, downside, 1.0 - worst, trough, deep), under


def drawdown(equity: F64, capital: float) -> F64:
    """Return how far each close lies below the running peak.

    Shapes: (n,). Units: a fraction of the peak, 0 at a peak, which begins at the capital.
    """
    peak = np.maximum(np.maximum.accumulate(equity), capital)
    return 1.0 - np.maximum(equity, 0.0) / peak


def per_year(timeframe_ns: int) -> float:
    """Return the number of bars in 365 days."""
    return YEAR_NS / timeframe_ns


def volatility(n: int, total: float, squares: float, bars_per_year: float) -> float:
    """Return the annual volatility s·√Y of n returns with the sample deviation s, from their sums.

    Units: fraction a year. NaN below two returns.
    """
    return NAN if n < 2 else math.sqrt(_variance(n, total, squares) * bars_per_year)  # noqa: PLR2004 - n - 1


def sharpe(n: int, total: float, squares: float, bars_per_year: float) -> float:
    """Return the annual Sharpe ratio m/s·√Y over a riskless rate of zero, from sums of the returns.

    NaN below two returns or without variance.

    Source: Sharpe (1994), The Sharpe Ratio; s is the sample deviation.
    """
    if n < 2 or (variance := _variance(n, total, squares)) == 0.0:  # noqa: PLR2004 - n - 1
        return NAN
    return total / n / math.sqrt(variance) * math.sqrt(bars_per_year)


def sortino(n: int, total: float, downside_squares: float, bars_per_year: float) -> float:
    """Return the annual Sortino ratio m/d·√Y, d = √(Σ min(r, 0)²/n), from sums of the returns.

    NaN when nothing was lost.

    Source: Sortino and Price (1994), Performance Measurement in a Downside Risk Framework; the target is zero.
    """
    if n == 0 or downside_squares <= 0.0:
        return NAN
    return total / n / math.sqrt(downside_squares / n) * math.sqrt(bars_per_year)


def omega_ratio(total: float, losses: float) -> float:
    """Return Ω(0) = Σ max(r, 0)/Σ max(-r, 0), from the sum of the returns and of the negative ones.

    NaN when nothing was lost.

    Source: Keating and Shadwick (2002), A Universal Performance Measure; threshold zero.
    """
    return (total - losses) / -losses if losses < 0.0 else NAN


def growth(capital: float, final: float, years: float) -> float:
    """Return the compound annual growth (final/capital)^(1/years) - 1.

    Units: fraction a year; -1 when everything is gone, NaN without time or beyond what a float holds.
    """
    if final <= 0.0:
        return -1.0
    if years <= 0.0 or capital <= 0.0:
        return NAN
    exponent = math.log(final / capital) / years
    return math.expm1(exponent) if exponent < 700.0 else NAN  # noqa: PLR2004 - e^709 is the largest double


def lengths(ts: I64, under: Flags, trough: int, timeframe_ns: int) -> tuple[float, float]:
    """Return how long the deepest and the longest drawdown lasted, in ns, from the peak to its recovery or the end."""
    first, after = runs(under)
    if not len(first):
        return 0.0, 0.0
    peak = np.where(first > 0, ts[first - 1], ts[0] - timeframe_ns)
    lasted = ts[np.minimum(after, len(ts) - 1)] - peak
    deepest = int(np.searchsorted(first, trough, side="right")) - 1
    return float(lasted[deepest]), float(lasted.max())


def runs(flags: Flags) -> tuple[I64, I64]:
    """Return (first rows, rows after the last) of the stretches where the flags stand."""
    if not len(flags):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    edges = np.flatnonzero(flags[1:] != flags[:-1]) + 1
    if flags[0]:
        edges = np.concatenate(([0], edges))
    if flags[-1]:
        edges = np.concatenate((edges, [len(flags)]))
    return edges[::2], edges[1::2]


def _running_peak(block: F64, carried: float, out: F64) -> None:
    """Write the running maximum of a block that begins with a carried one; most blocks hold no new peak."""
    if float(block.max()) <= carried:
        out[:] = carried
    else:
        np.maximum.accumulate(block, out=out)
        np.maximum(out, carried, out=out)


def _variance(n: int, total: float, squares: float) -> float:
    variance = (squares - total * total / n) / (n - 1)
    return variance if variance > NO_VARIANCE * squares else 0.0
