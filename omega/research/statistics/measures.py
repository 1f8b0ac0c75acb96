"""What an experiment may register as its metric: one number of a daily return series, and its resampled values.

Called by comparisons and by the experiment's judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError
from omega.params import nearest
from omega.research.statistics.bootstrap import Blocks, resampled_means, resampled_rows

DAYS: Final = 365.0
_NOISE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a daily return series.

    Attributes:
        unit: what the number counts.
        per_cent: it reads best as a percentage.
        columns: (..., n) -> (..., n, c), for a measure that is a function of means; None when it needs the path.
        of_means: (..., c) -> (...,).
        of_path: (..., n) -> (...,), for the others.
        doc: the number in words.
    """

    name: str
    unit: str
    per_cent: bool
    doc: str
    columns: Callable[[F64], F64] | None = None
    of_means: Callable[[F64], F64] | None = None
    of_path: Callable[[F64], F64] | None = None

    def of(self, returns: F64) -> F64:
        """Return the number of every series.

        Shapes: (..., n) -> (...,).
        """
        if self.columns is not None and self.of_means is not None:
            return self.of_means(self.columns(returns).mean(axis=-2))
        assert self.of_path is not None
        return self.of_path(returns)

    def resampled(self, returns: F64, blocks: Blocks) -> F64:
        """Return the number of every resample of one series.

        Shapes: (n,) -> (draws,).
        """
        if self.columns is not None and self.of_means is not None:
            return self.of_means(resampled_means(self.columns(returns), blocks))
        return self.of(returns[resampled_rows(blocks)])

    def resampled_difference(self, one: F64, other: F64, blocks: Blocks) -> F64:
        """Return how far the numbers of two series lie apart in every resample of the same days.

        Shapes: (n,) each -> (draws,).
        """
        if self.columns is None or self.of_means is None:
            return self.resampled(one, blocks) - self.resampled(other, blocks)
        mine, theirs = self.columns(one), self.columns(other)
        means = resampled_means(np.hstack([mine, theirs]), blocks)
        width = mine.shape[1]
        return self.of_means(means[:, :width]) - self.of_means(means[:, width:])


def measure(name: str) -> Measure:
    """Return a measure by its name.

    Raises:
        ConfigError: there is none of that name; the nearest is suggested.
    """
    if name not in MEASURES:
        raise ConfigError(f"{name!r} is no metric{nearest(name, MEASURES)}; use {', '.join(MEASURES)}")
    return MEASURES[name]


def _once(returns: F64) -> F64:
    return returns[..., None]


def _logs(returns: F64) -> F64:
    return np.log1p(np.maximum(returns, -0.999999))[..., None]


def _squares(returns: F64) -> F64:
    return np.stack([returns, returns**2], axis=-1)


def _down(returns: F64) -> F64:
    return np.stack([returns, np.minimum(returns, 0.0) ** 2], axis=-1)


def _first(means: F64) -> F64:
    return np.asarray(means[..., 0])


def _deviation(means: F64) -> F64:
    return np.asarray(np.sqrt(np.maximum(means[..., 1] - means[..., 0] ** 2, 0.0)))


def _ratio(mean: F64, spread: F64) -> F64:
    sound = spread > _NOISE
    return np.asarray(np.where(sound, mean / np.where(sound, spread, 1.0), 0.0) * np.sqrt(DAYS))


def _sharpe(means: F64) -> F64:
    return _ratio(means[..., 0], _deviation(means))


def _sortino(means: F64) -> F64:
    return _ratio(means[..., 0], np.sqrt(means[..., 1]))


def _volatility(means: F64) -> F64:
    return np.asarray(_deviation(means) * np.sqrt(DAYS))


def _drawdown(returns: F64) -> F64:
    equity = np.cumprod(1.0 + returns, axis=-1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=-1), 1.0)
    return np.asarray((1.0 - equity / peak).max(axis=-1))


MEASURES: Final[dict[str, Measure]] = {
    made.name: made
    for made in (
        Measure("mean_return", "a day", True, "mean daily return", _once, _first),
        Measure("log_growth", "a day", True, "mean daily logarithmic growth", _logs, _first),
        Measure("sharpe", "a year", False, "mean over deviation of the daily return, annualised", _squares, _sharpe),
        Measure("sortino", "a year", False, "mean over downside deviation, annualised", _down, _sortino),
        Measure("volatility", "a year", True, "deviation of the daily return, annualised", _squares, _volatility),
        Measure("max_drawdown", "of the peak", True, "deepest fall of the equity below its peak", of_path=_drawdown),
    )
}
"""Every metric by its name; `sharpe` and `sortino` of a series without spread are 0."""
