"""Whether a cosmic factor goes together with what a market does next: correlation, effect, and what chance would show.

Called by `omega cosmic study`. A coefficient never comes alone: its p-value is the rank among the same series moved in
a circle, which keeps its every rhythm, and all that was looked at is corrected for together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega import plugins
from omega.backtest.feeds import Feed
from omega.backtest.skies import HOUR_NS, sky_history
from omega.engine.bars import F64, I64
from omega.engine.conditions import BY_TIME, MOON, time_conditions, time_shares
from omega.errors import CorruptData
from omega.research.statistics.multiple import benjamini_hochberg

TARGETS: Final = ("return", "volatility")
LEAST: Final = 60
"""Bars in common that a correlation needs."""
_EXACT: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Association:
    """One factor and one thing that a market does in the bar after it was known.

    Attributes:
        factor: whose quantity.
        target: return (log) or volatility (its absolute value) of the next bar.
        bars: how many had both.
        correlation: Pearson's, in [-1, 1].
        effect: change of the target for one standard deviation of the factor, a fraction.
        p_value: share of the circular shifts whose correlation is at least as far from zero, in (0, 1].
        q_value: the same, corrected for everything that was looked at.
    """

    factor: str
    target: str
    bars: int
    correlation: float
    effect: float
    p_value: float
    q_value: float

    def verdict(self, alpha: float) -> str:
        """The finding in words; not significant is an answer."""
        return "significant" if self.q_value <= alpha else "not significant"


def factor_columns(ts: I64, timeframe_ns: int, feeds: Sequence[Feed], place: tuple[float, float]) -> dict[str, F64]:
    """Return what every registered factor with a past read when each bar closed; NaN where nothing was known.

    The moon as its light (new -1, full +1), the factors of the clock as what they would contribute; the others as their
    table reads them.

    Shapes: ts and every column are (n,). Units: ts in ns UTC, opens; place in degrees.

    Raises:
        Denied: the ephemeris does not reach that far.
    """
    hours = (ts + timeframe_ns) // HOUR_NS * HOUR_NS
    recorded = {feed.factor: feed for feed in feeds}
    found = {}
    for name in plugins.factors.discover():
        if name in BY_TIME:
            parts = [time_shares({name: 1.0}, time_conditions(at_ns, *place)) for at_ns in hours.tolist()]
            found[name] = np.array([sum(part) for part in parts])
        elif name in recorded:
            found[name] = recorded[name].at(hours)
        elif (column := sky_history()(name, hours)) is not None:
            found[name] = -np.cos(np.radians(column)) if name == MOON else column
    return found


def associations(
    quantities: Mapping[str, F64], close: F64, *, draws: int = 999, seed: int = 7
) -> tuple[tuple[Association, ...], tuple[str, ...]]:
    """Return the associations of factors with the next bar, and the factors that never change or are hardly known.

    Args:
        quantities: by factor, (n,), what was known at the close of each bar; NaN where nothing was.
        close: closes, (n,).
        draws: circular shifts at most.
        seed: of those.

    Raises:
        CorruptData: the arrays differ in length, or a close is not above zero.
    """
    if any(column.shape != close.shape for column in quantities.values()) or not (close > 0.0).all():
        raise CorruptData("factors and closes must be rows of one length, every close above zero; align them")
    after = np.diff(np.log(close))
    rng = np.random.default_rng(seed)
    found, left_out = [], []
    for factor in sorted(quantities):
        known = np.isfinite(quantities[factor][:-1])
        column = quantities[factor][:-1][known]
        if column.size < LEAST or float(column.std()) < _EXACT:
            left_out.append(factor)
            continue
        for target, moved in zip(TARGETS, (after[known], np.abs(after[known])), strict=True):
            found.append((factor, target, int(column.size), *_correlated(column, moved, draws, rng)))
    q_values = benjamini_hochberg(np.array([row[-1] for row in found])) if found else np.empty(0)
    rows = tuple(Association(*row, q_value=float(q)) for row, q in zip(found, q_values, strict=True))
    return rows, tuple(left_out)


def _correlated(column: F64, moved: F64, draws: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return correlation, effect of one deviation, and the p-value by circular shifts, all of them at once by FFT."""
    x, y = column - column.mean(), moved - moved.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    if scale < _EXACT:
        return 0.0, 0.0, 1.0
    every = np.fft.irfft(np.fft.rfft(x).conj() * np.fft.rfft(y), n=x.size) / scale
    shifts = rng.permutation(np.arange(1, x.size))[:draws]
    real = float((x * y).sum()) / scale
    further = int(np.count_nonzero(np.abs(every[shifts]) >= abs(real) - _EXACT))
    return real, real * float(y.std()), (1.0 + further) / (1.0 + shifts.size)
