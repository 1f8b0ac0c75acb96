"""Is the factor better than itself at a random phase? Circular shifts and the rank among them. Called by the judge."""

from __future__ import annotations

import numpy as np

from omega.engine.bars import F64, I64
from omega.errors import ConfigError
from omega.research.statistics.compare import Direction


def random_shifts(n: int, count: int, rng: np.random.Generator) -> I64:
    """Draw distinct circular shifts of a series of n rows, none of them 0.

    The true series is the shift 0 of the same group, so under the null it ranks among the drawn ones like any other.

    Raises:
        ConfigError: there are not so many.
    """
    if not 1 <= count < n:
        raise ConfigError(f"{count} distinct shifts of {n} rows do not exist: ask for 1 to {n - 1}")
    return 1 + rng.choice(n - 1, size=count, replace=False).astype(np.int64)


def shifted(series: F64, shift: int) -> F64:
    """Return the series moved to later rows; what leaves at the end comes back at the start."""
    return np.roll(series, shift)


def rank_p(value: float, placebos: F64, direction: Direction) -> float:
    """Return the exact p-value of a value among its placebos; ties count against it.

    p = (1 + number of placebos at least as extreme) / (K + 1); for `either` extreme means far from the placebos'
    median on whichever side, both counted in the same way.

    Source: Phipson and Smyth (2010), Permutation P-values Should Never Be Zero, SAGMB 9(1).
    """
    if direction is Direction.EITHER:
        pool = np.append(placebos, value)
        away = np.abs(pool - np.median(pool))
        reached = away[:-1] >= away[-1]
    else:
        reached = direction.sign * placebos >= direction.sign * value
    return (1.0 + float(reached.sum())) / (len(placebos) + 1.0)
