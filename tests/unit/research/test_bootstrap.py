"""The stationary bootstrap: sums of blocks, block lengths, coverage, and the time it takes."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from omega.engine.bars import F64
from omega.errors import ConfigError
from omega.research.statistics import (
    MEASURES,
    Direction,
    block_length,
    compare,
    draw_blocks,
    measure,
    resampled_means,
    resampled_rows,
)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 300),
    draws=st.integers(1, 20),
    length=st.floats(1.0, 400.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_blocks_by_prefix_sums_are_those_laid_out_in_rows(n: int, draws: int, length: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.standard_normal((n, 2))
    blocks = draw_blocks(n, draws, length, rng)

    rows = resampled_rows(blocks)

    assert rows.shape == (draws, n)
    assert (blocks.lengths.sum(axis=1) == n).all()
    assert ((rows >= 0) & (rows < n)).all()
    np.testing.assert_allclose(resampled_means(columns, blocks), columns[rows].mean(axis=1), atol=1e-9)


@pytest.mark.parametrize("length", [1.0, 3.0, 12.0])
def test_blocks_have_the_mean_length_that_was_asked_for(length: float) -> None:
    rows = resampled_rows(draw_blocks(5000, 40, length, np.random.default_rng(5)))

    breaks = ((rows[:, 1:] - rows[:, :-1]) % 5000 != 1).mean()

    assert 1.0 / breaks == pytest.approx(length, rel=0.05)


def test_blocks_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        draw_blocks(0, 10, 1.0, np.random.default_rng(1))


def test_blocks_of_the_same_seed_are_the_same() -> None:
    one, other = (draw_blocks(100, 5, 4.0, np.random.default_rng(9)) for _ in range(2))

    np.testing.assert_array_equal(one.starts, other.starts)
    np.testing.assert_array_equal(one.lengths, other.lengths)


def _autoregressive(rho: float, n: int, rng: np.random.Generator) -> F64:
    noise, made = rng.standard_normal(n), np.zeros(n)
    for row in range(1, n):
        made[row] = rho * made[row - 1] + noise[row]
    return made


@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_block_length_of_an_autoregressive_series_is_near_its_optimum(rho: float) -> None:
    """Politis and White: (2 rho / (1 - rho^2))^(2/3) n^(1/3) for AR(1)."""
    rng, n = np.random.default_rng(11), 2000

    found = [block_length(_autoregressive(rho, n, rng)) for _ in range(40)]

    assert np.median(found) == pytest.approx((2 * rho / (1 - rho**2)) ** (2 / 3) * n ** (1 / 3), rel=0.25)


def test_block_length_of_noise_is_short() -> None:
    rng = np.random.default_rng(12)

    assert np.median([block_length(rng.standard_normal(1000)) for _ in range(40)]) < 4.0


@pytest.mark.parametrize("series", [np.zeros(0), np.zeros(50), np.ones(3), np.full(100, 0.1)])
def test_block_length_of_a_series_that_says_nothing_is_one(series: F64) -> None:
    assert block_length(series) == 1.0


@pytest.mark.parametrize("name", list(MEASURES))
def test_measure_resampled_is_that_of_the_rows(name: str) -> None:
    rng = np.random.default_rng(4)
    days = 0.02 * rng.standard_normal(150)
    blocks = draw_blocks(150, 30, 5.0, rng)

    np.testing.assert_allclose(
        measure(name).resampled(days, blocks), measure(name).of(days[resampled_rows(blocks)]), atol=1e-9
    )


def test_measure_values_are_those_of_the_definition() -> None:
    days = np.array([0.01, -0.02, 0.03, 0.0])

    assert measure("mean_return").of(days) == pytest.approx(0.005)
    assert measure("log_growth").of(days) == pytest.approx(np.log1p(days).mean())
    assert measure("sharpe").of(days) == pytest.approx(days.mean() / days.std() * 365**0.5)
    assert measure("sortino").of(days) == pytest.approx(days.mean() / (0.02**2 / 4) ** 0.5 * 365**0.5)
    assert measure("volatility").of(days) == pytest.approx(days.std() * 365**0.5)
    assert measure("max_drawdown").of(days) == pytest.approx(0.02)
    assert measure("sharpe").of(np.zeros(9)) == 0.0


def test_measure_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="sharpe"):
        measure("sharp")


def test_compare_interval_covers_the_truth_of_dependent_series() -> None:
    """Of a hundred 90 % intervals of an AR(0.5) difference at most a fifth may miss the true mean."""
    rng, missed = np.random.default_rng(21), 0
    for _ in range(100):
        apart = _autoregressive(0.5, 500, rng) + 0.1
        found = compare(
            apart, np.zeros(500), measure("mean_return"), direction=Direction.EITHER, draws=300, confidence=0.9, rng=rng
        )
        missed += not found.low <= 0.1 <= found.high

    assert missed <= 20


def test_compare_series_that_never_differ_says_so() -> None:
    days = np.random.default_rng(1).standard_normal(100)

    found = compare(
        days,
        days.copy(),
        measure("sharpe"),
        direction=Direction.HIGHER,
        draws=99,
        confidence=0.95,
        rng=np.random.default_rng(2),
    )

    assert (found.effect, found.p, found.t_p, found.wilcoxon_p) == (0.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("direction", "small"), [(Direction.HIGHER, True), (Direction.LOWER, False), (Direction.EITHER, True)]
)
def test_compare_p_values_follow_the_registered_direction(direction: Direction, small: bool) -> None:
    rng = np.random.default_rng(3)
    control = 0.02 * rng.standard_normal(400)
    arm = control + 0.01 * rng.standard_normal(400) + 0.003

    found = compare(arm, control, measure("mean_return"), direction=direction, draws=999, confidence=0.95, rng=rng)

    for p in (found.p, found.t_p, found.wilcoxon_p):
        assert (p < 0.01) is small
        assert (p > 0.99) is not small


@pytest.mark.parametrize(
    ("direction", "word"), [(Direction.HIGHER, "greater"), (Direction.LOWER, "less"), (Direction.EITHER, "two-sided")]
)
def test_compare_paired_tests_are_scipys(direction: Direction, word: Literal["greater", "less", "two-sided"]) -> None:
    rng = np.random.default_rng(13)
    apart = np.round(rng.standard_normal(150) + 0.1, 1)

    found = compare(
        apart, np.zeros(150), measure("mean_return"), direction=direction, draws=99, confidence=0.9, rng=rng
    )

    assert found.t_p == pytest.approx(stats.ttest_1samp(apart, 0.0, alternative=word).pvalue)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(apart, alternative=word, method="approx").pvalue)


def test_compare_series_of_other_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot pair"):
        compare(
            np.zeros(5),
            np.zeros(6),
            measure("sharpe"),
            direction=Direction.HIGHER,
            draws=99,
            confidence=0.9,
            rng=np.random.default_rng(1),
        )


def test_compare_two_thousand_days_and_draws_take_well_under_a_second() -> None:
    """Alone it takes some 70 ms of processor time; the bound leaves room for a machine that shares its caches."""
    rng = np.random.default_rng(6)
    control = rng.standard_normal(2000) * 0.02
    arm = control + 0.01 * rng.standard_normal(2000)
    spent = []
    for _ in range(4):
        began = time.process_time()
        compare(arm, control, measure("sharpe"), direction=Direction.HIGHER, draws=2000, confidence=0.95, rng=rng)
        spent.append(time.process_time() - began)

    assert min(spent) < 0.25
