"""The golden ratio as the seeds use it: harmony of values, Fibonacci numbers, and how often swing legs stand in it.

Pure functions of their arguments; called by the cosmic service and whoever explains a number. A share without a
p-value says nothing, so it never comes without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.engine.fibonacci import PHI
from omega.errors import CorruptData

SIGNIFICANT: Final = 0.05
"""The p-value up to which a finding is called significant."""
DRAWS: Final = 999
_FEW: Final = 0.5


def fibonacci_numbers(count: int) -> list[int]:
    """Return the first numbers of the Fibonacci sequence: 1, 1, 2, 3, 5, ..."""
    found = [1, 1]
    while len(found) < count:
        found.append(found[-1] + found[-2])
    return found[:count]


def golden(a: float, b: float) -> float:
    """Return how near the larger over the smaller of two positive numbers stands to the golden ratio, in [0, 1].

    Source: 1 - min(|max / min - phi| / phi, 1).
    """
    return 1.0 - min(abs(max(a, b) / min(a, b) - PHI) / PHI, 1.0)


def harmony_of(values: Sequence[float]) -> float:
    """Return the mean of `golden` over adjacent sorted values, in [0, 1].

    A value that is not above zero makes it 0; fewer than two values make it 0.5.

    Raises:
        CorruptData: a value is not finite.
    """
    finite(values)
    if not all(value > 0.0 for value in values):
        return 0.0
    pairs = list(pairwise(sorted(values)))
    return sum(golden(a, b) for a, b in pairs) / len(pairs) if pairs else _FEW


class Tested:
    """A finding that carries its p-value; "not significant" is an answer."""

    __slots__ = ()
    p_value: float

    @property
    def significant(self) -> bool:
        """Tell whether chance is an unlikely explanation."""
        return self.p_value <= SIGNIFICANT

    @property
    def verdict(self) -> str:
        """The finding in words."""
        return "significant" if self.significant else "not significant"


@dataclass(frozen=True, slots=True)
class GoldenRatio(Tested):
    """How often the legs of a series stand in the golden ratio, and whether that is more than chance.

    Attributes:
        share: of the ratios of adjacent legs, near phi or 1/phi; in [0, 1].
        expected: mean share with the legs in another order.
        ratios: how many there are.
        p_value: the larger one of the test's two questions, in (0, 1]; 1 with fewer than 20 ratios.
    """

    share: float
    expected: float
    ratios: int
    p_value: float


def golden_legs(series: Sequence[float], *, tolerance: float = 0.05, draws: int = DRAWS, seed: int = 7) -> GoldenRatio:
    """Count how often a leg between two turns over the leg before it is near phi or 1/phi.

    The test is the one of the Fibonacci report: legs in another order, and other ratios beside the golden one.

    Args:
        series: prices or other values, oldest first; a turn is where the direction changes.
        tolerance: how far a ratio may be from phi or 1/phi, as a fraction of it.
        draws: orders that are drawn.
        seed: of the draws.

    Raises:
        CorruptData: a value is not finite.
    """
    from omega.analytics.golden import golden_test  # its statistics are megabytes that a reader of the sky never needs

    values = finite(series)
    steps = np.diff(values[np.flatnonzero(np.diff(values, prepend=np.nan) != 0.0)]) if values.size else values
    turns = np.flatnonzero(np.diff(np.sign(steps))) + 1
    legs = np.abs([part.sum() for part in np.split(steps, turns)]) if steps.size else steps
    found = golden_test(legs, np.random.default_rng(seed), tolerance=tolerance, draws=draws)
    return GoldenRatio(found.share, found.expected, found.n, max(found.p_value, found.placebo_p_value))


def finite(series: Sequence[float]) -> F64:
    """Return a series as an array.

    Raises:
        CorruptData: a value is not finite.
    """
    values = np.asarray(series, dtype=np.float64)
    if not np.isfinite(values).all():
        raise CorruptData("the series holds a value that is no finite number; repair or leave out that row")
    return values
