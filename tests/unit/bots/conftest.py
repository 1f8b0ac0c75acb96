"""Random markets for the strategies: seeded, sound, and lively enough that every trading strategy enters."""

from collections.abc import Callable

import numpy as np
import pytest

from omega.domain import MINUTE_NS
from omega.engine import Bars


def random_bars(seed: int, n: int) -> Bars:
    """Make n one-minute bars of a walk with drifts that turn every few hours."""
    rng = np.random.default_rng(seed)
    drift = np.repeat(rng.normal(0.0, 2e-4, n // 90 + 1), 90)[:n]
    close = 60_000.0 * np.exp(np.cumsum(drift + rng.normal(0.0, 6e-4, n)))
    open_ = np.concatenate((close[:1], close[:-1]))
    wick = close * np.abs(rng.normal(0.0, 3e-4, (2, n)))
    high, low = np.maximum(open_, close) + wick[0], np.minimum(open_, close) - wick[1]
    ts = 1_700_000_000_000_000_000 // MINUTE_NS * MINUTE_NS + np.arange(n) * MINUTE_NS
    return Bars.of(ts, open_, high, low, close, rng.uniform(1.0, 9.0, n))


@pytest.fixture(scope="session")
def make_bars() -> Callable[[int, int], Bars]:
    """Return the maker of random markets."""
    return random_bars


@pytest.fixture(scope="session")
def market() -> Bars:
    """Return 10,000 random bars."""
    return random_bars(7, 10_000)
