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
_LEAST_LEGS: Final = 4
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
        expected: mean share over the permutations.
        ratios: how many there are.
        p_value: share of the permutations with at least as many, in (0, 1]; 1 with too few legs.
    """

    share: float
    expected: float
    ratios: int
    p_value: float


def golden_legs(series: Sequence[float], *, tolerance: float = 0.05, draws: int = DRAWS, seed: int = 7) -> GoldenRatio:
    """Count how often a leg between two turns over the leg before it is near phi or 1/phi.

    The null hypothesis is that the order of the legs means nothing: the same legs are put into random orders.

    Args:
        series: prices or other values, oldest first; a turn is where the direction changes.
        tolerance: how far a ratio may be from phi or 1/phi, as a fraction of it.
        draws: permutations.
        seed: of the permutations.

    Raises:
        CorruptData: a value is not finite.
    """
    values = finite(series)
    steps = np.diff(values[np.flatnonzero(np.diff(values, prepend=np.nan) != 0.0)]) if values.size else values
    turns = np.flatnonzero(np.diff(np.sign(steps))) + 1
    legs = np.abs([part.sum() for part in np.split(steps, turns)]) if steps.size else steps
    if legs.size < _LEAST_LEGS:
        return GoldenRatio(0.0, 0.0, max(int(legs.size) - 1, 0), 1.0)
    share = _share(legs, tolerance)
    rng = np.random.default_rng(seed)
    chance = np.array([_share(rng.permutation(legs), tolerance) for _ in range(draws)])
    p_value = (1.0 + float(np.count_nonzero(chance >= share))) / (draws + 1.0)
    return GoldenRatio(share, float(chance.mean()), int(legs.size) - 1, p_value)


def finite(series: Sequence[float]) -> F64:
    """Return a series as an array.

    Raises:
        CorruptData: a value is not finite.
    """
    values = np.asarray(series, dtype=np.float64)
    if not np.isfinite(values).all():
        raise CorruptData("the series holds a value that is no finite number; repair or leave out that row")
    return values


def _share(legs: F64, tolerance: float) -> float:
    ratios = legs[1:] / legs[:-1]
    near = (np.abs(ratios - PHI) <= tolerance * PHI) | (np.abs(ratios - 1.0 / PHI) <= tolerance / PHI)
    return float(np.count_nonzero(near)) / ratios.size
