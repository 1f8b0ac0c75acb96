"""The regimes of a history by machine code are those of the engine, which a runner names bar by bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.backtest.regimes import BLOCK, name_compiled, regimes_of
from omega.engine.bars import Bars
from omega.engine.regime import REGIME_BARS, Regime, regimes


def _bars(close: Any) -> Bars:
    return Bars.of(np.arange(len(close)) * 60_000_000_000 + 1, close, close, close, close, np.ones(len(close)))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([1, REGIME_BARS - 1, REGIME_BARS, REGIME_BARS + 1, BLOCK, BLOCK + 256, BLOCK + 257, 3 * BLOCK]),
    calm=st.floats(0.0, 0.9),
    step=st.sampled_from([0.0, 0.01, 0.5]),
)
def test_regimes_compiled_are_those_of_the_engine(seed: int, n: int, calm: float, step: float) -> None:
    """Wherever a block ends, in markets that stand still for a while, drift, and go wild."""
    rng = np.random.default_rng(seed)
    wild = np.repeat(rng.choice([0.0, 0.001, 0.02], -(-n // 50)), 50)[:n] * (rng.random(n) >= calm)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1.0, n) * wild + 0.0005 * np.repeat(rng.integers(-1, 2), n)))
    close = np.round(close / step) * step + step if step else close
    bars = _bars(close)

    found = name_compiled(bars)

    np.testing.assert_array_equal(found, regimes(bars))
    np.testing.assert_array_equal(regimes_of(bars), found)


@pytest.mark.parametrize("regime", [Regime.TRENDING, Regime.RANGING, Regime.VOLATILE])
def test_every_regime_is_named(regime: Regime) -> None:
    """So that the equality above is no equality of rows of nothing."""
    wave = np.sin(np.arange(600) * np.pi / 2.0)
    close = {
        Regime.TRENDING: 100.0 + np.arange(600) * 0.1,
        Regime.RANGING: 100.0 + wave,
        Regime.VOLATILE: 100.0 + wave * np.where(np.arange(600) > 500, 5.0, 0.1),
    }[regime]

    assert regime in name_compiled(_bars(close))
