"""Walk-forward folds on whole UTC days, and daily returns inside them. Called by the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.backtest.types import Market
from omega.domain.time import iso
from omega.engine.bars import F64, I64
from omega.errors import ConfigError
from omega.research.experiment.plan import Folds

DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of the walk. Units: ns UTC at midnight; the training window ends where the test window begins."""

    number: int
    train_ns: int
    test_ns: int
    end_ns: int

    @property
    def days(self) -> int:
        """Days of the test window."""
        return (self.end_ns - self.test_ns) // DAY_NS


def folds_of(plan: Folds, first_ns: int, last_ns: int) -> tuple[Fold, ...]:
    """Cut a span into folds; a test window that the span does not fill is left out.

    Raises:
        ConfigError: not one fold fits.
    """
    begin = -(-first_ns // DAY_NS) * DAY_NS
    test, train = plan.test_days * DAY_NS, plan.train_days * DAY_NS
    starts = range(begin + train, last_ns - test + 1, test)
    if not starts:
        raise ConfigError(
            f"folds: {plan.train_days} + {plan.test_days} days do not fit between {iso(first_ns)} and {iso(last_ns)}; "
            "shorten the windows or take a longer history"
        )
    return tuple(
        Fold(number, begin if plan.anchored else start - train, start, start + test)
        for number, start in enumerate(starts)
    )


def rows_of(market: Market, from_ns: int, to_ns: int, warmup: int) -> tuple[int, int]:
    """Return the rows that trade a window: `warmup` bars before its first bar up to its last one.

    (0, 0) says that the market was not there yet: it has not the bars to warm up on, or none inside.
    """
    first, end = np.searchsorted(market.bars.ts, [from_ns, to_ns]).tolist()
    whole = first >= max(warmup, 1) and end > first and market.bars.ts[-1] + market.timeframe_ns >= to_ns
    return (first - warmup, end) if whole else (0, 0)


def daily_returns(ts: I64, equity: F64, from_ns: int, days: int, timeframe_ns: int, capital: float) -> F64:
    """Return the return of each UTC day; a day without a bar returns 0.

    Shapes: ts and equity (n,) -> (days,).
    Units: ts is the open of a bar, its equity that of its close.
    """
    ends = from_ns + DAY_NS * np.arange(1, days + 1)
    last = np.searchsorted(ts + timeframe_ns, ends, side="right") - 1
    closes = np.where(last >= 0, equity[np.maximum(last, 0)], capital)
    # A bar before the window has the capital as its equity: nothing trades while the strategy warms up.
    before = np.concatenate([[capital], closes[:-1]])
    return np.where(before > 0.0, closes / np.where(before > 0.0, before, 1.0) - 1.0, 0.0)
