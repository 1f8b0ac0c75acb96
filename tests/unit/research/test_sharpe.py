"""Sharpe ratios and what they are worth: the worked examples of their papers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from omega.errors import ConfigError
from omega.research.statistics import (
    Shape,
    deflated_sharpe,
    expected_maximum,
    least_record,
    probabilistic_sharpe,
    shape_of,
)

PER_YEAR = 250


@pytest.mark.parametrize(
    ("trials", "expected"),
    [(100, 0.9004), (46, 0.9505)],
    ids=["a hundred trials: not enough", "forty-six: enough"],
)
def test_deflated_sharpe_of_the_papers_example_is_the_papers(trials: int, expected: float) -> None:
    """Bailey and Lopez de Prado (2014): SR 2.5 a year, 1,250 days, skew -3, kurtosis 10, V[SR] = 1/2 a year."""
    found = Shape(1250, 2.5 / math.sqrt(PER_YEAR), -3.0, 10.0)

    assert deflated_sharpe(found, trials, 0.5 / PER_YEAR) == pytest.approx(expected, abs=5e-5)


def test_expected_maximum_of_the_papers_example_is_the_papers() -> None:
    assert expected_maximum(100, 0.5 / PER_YEAR) == pytest.approx(0.1132, abs=5e-5)


def test_expected_maximum_is_that_of_simulated_noise() -> None:
    best = np.random.default_rng(1).standard_normal((4000, 100)).max(axis=1).mean()

    assert expected_maximum(100, 1.0) == pytest.approx(best, rel=0.01)


@pytest.mark.parametrize(("trials", "variance"), [(0, 1.0), (1, 1.0), (50, 0.0)])
def test_expected_maximum_without_a_search_is_zero(trials: int, variance: float) -> None:
    assert expected_maximum(trials, variance) == 0.0


@pytest.mark.parametrize(
    ("skew", "kurtosis", "expected"), [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)], ids=["normal", "as it was"]
)
def test_probabilistic_sharpe_of_the_papers_fund_is_the_papers(skew: float, kurtosis: float, expected: float) -> None:
    """Bailey and Lopez de Prado (2012): 24 months, SR 0.458 a month."""
    assert probabilistic_sharpe(Shape(24, 0.458, skew, kurtosis)) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("per_year", "skew", "kurtosis", "years"),
    [(250, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
    ids=["daily", "weekly", "monthly", "monthly, fat tails"],
)
def test_least_record_of_the_papers_examples_is_the_papers(
    per_year: int, skew: float, kurtosis: float, years: float
) -> None:
    """Bailey and Lopez de Prado (2012): SR 2 a year against 1 a year at 95 %."""
    found = Shape(0, 2.0 / math.sqrt(per_year), skew, kurtosis)

    assert least_record(found, 1.0 / math.sqrt(per_year)) / per_year == pytest.approx(years, abs=5e-3)


def test_least_record_below_the_benchmark_is_never_long_enough() -> None:
    assert least_record(Shape(100, 0.01, 0.0, 3.0), 0.02) == math.inf


def test_least_record_is_where_the_probability_reaches_the_confidence() -> None:
    needed = least_record(Shape(0, 0.1, -0.5, 6.0))

    assert probabilistic_sharpe(Shape(round(needed), 0.1, -0.5, 6.0)) == pytest.approx(0.95, abs=1e-3)


def test_least_record_confidence_outside_its_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0\.2"):
        least_record(Shape(100, 0.1, 0.0, 3.0), confidence=0.2)


def test_shape_of_a_sample_is_scipys() -> None:
    from scipy import stats

    days = np.random.default_rng(3).standard_t(5, 700) * 0.01 + 0.001
    found = shape_of(days)

    assert found.n == 700
    assert found.sharpe == pytest.approx(days.mean() / days.std(ddof=1))
    assert found.skew == pytest.approx(stats.skew(days))
    assert found.kurtosis == pytest.approx(stats.kurtosis(days, fisher=False))


@pytest.mark.parametrize("days", [np.zeros(0), np.array([0.01]), np.full(50, 0.01), np.zeros(9)])
def test_shape_of_a_series_without_spread_is_flat(days: np.ndarray) -> None:
    assert shape_of(days) == Shape(len(days), 0.0, 0.0, 3.0)
    assert probabilistic_sharpe(shape_of(days)) == 0.5
