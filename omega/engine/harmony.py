"""Position harmony: how near a book stands to the golden ratio, by structure alone and free of profit.

Called by the position analyzer and by analysis services. The one harmony formula of the farm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from omega.engine.account import AccountBook
from omega.engine.fibonacci import PHI

MISALIGNED_BELOW = 0.4
ALIGNED_ABOVE = 0.7

_SIDE, _EXPOSURE, _STEPS, _SERIES = 0.3, 0.3, 0.2, 0.2
_ONE_SIDED = 0.5


@dataclass(frozen=True, slots=True)
class Harmony:
    """The score with its four parts, each in [0, 1].

    Attributes:
        side: balance of the heavier over the lighter side against the golden ratio.
        exposure: total notional over equity against its inverse.
        steps: each size over the next smaller one against it.
        series: the shares against a golden series.
    """

    side: float
    exposure: float
    steps: float
    series: float

    @property
    def score(self) -> float:
        """The weighted sum of the parts, in [0, 1]."""
        return _SIDE * self.side + _EXPOSURE * self.exposure + _STEPS * self.steps + _SERIES * self.series

    @property
    def label(self) -> str:
        """The score in a word: misaligned below 0.4, aligned above 0.7, neutral between."""
        if self.score < MISALIGNED_BELOW:
            return "misaligned"
        return "aligned" if self.score > ALIGNED_ABOVE else "neutral"


@dataclass(frozen=True, slots=True)
class NoScore:
    """There is no harmony to speak of, and why."""

    why: str


def harmony(book: AccountBook) -> Harmony | NoScore:
    """Score the structure of a book.

    Source: weights .3 side balance, .3 exposure, .2 size steps, .2 share series, all against the golden ratio.
    """
    notionals = sorted((p.notional for p in book.positions if p.notional > 0.0), reverse=True)
    if not notionals:
        return NoScore("no open positions")
    if book.equity <= 0.0:
        return NoScore(f"equity is {book.equity:.2f}: nothing can be set against it")
    return Harmony(
        side=_balance(book.long_notional, book.short_notional),
        exposure=_near(sum(notionals) / book.equity, 1.0 / PHI),
        steps=_steps(notionals),
        series=_series(notionals),
    )


def _near(value: float, ideal: float) -> float:
    return max(0.0, 1.0 - abs(value - ideal) / ideal)


def _balance(long: float, short: float) -> float:
    lighter = min(long, short)
    return _near(max(long, short) / lighter, PHI) if lighter > 0.0 else _ONE_SIDED


def _steps(notionals: Sequence[float]) -> float:
    ratios = [larger / smaller for larger, smaller in pairwise(notionals)]
    return sum(_near(ratio, PHI) for ratio in ratios) / len(ratios) if ratios else 1.0


def _series(notionals: Sequence[float]) -> float:
    golden = [PHI**-i for i in range(len(notionals))]
    total, whole = sum(notionals), sum(golden)
    apart = sum(abs(n / total - g / whole) for n, g in zip(notionals, golden, strict=True))
    return 1.0 - apart / 2.0
