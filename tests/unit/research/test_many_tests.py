"""Many arms at once: corrected p-values, the best of many, overfitting by choosing, placebos, power."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from omega.engine.bars import F64
from omega.errors import ConfigError
from omega.research.statistics import (
    Direction,
    benjamini_hochberg,
    benjamini_yekutieli,
    overfitting,
    random_shifts,
    rank_p,
    shifted,
    smallest_detectable,
    superiority,
)


@pytest.mark.parametrize(("ours", "method"), [(benjamini_hochberg, "bh"), (benjamini_yekutieli, "by")])
def test_false_discoveries_corrected_values_are_scipys(ours: Callable[[F64], F64], method: str) -> None:
    rng = np.random.default_rng(2)
    for m in (1, 2, 10, 57):
        p = rng.random(m) ** 2
        np.testing.assert_allclose(ours(p), stats.false_discovery_control(p, method=method))


def test_false_discoveries_of_the_papers_example_are_four() -> None:
    """Benjamini and Hochberg (1995), section 4.1: fifteen tests, four are found at 0.05."""
    small = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p = np.array([*small, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0])

    assert int((benjamini_hochberg(p) <= 0.05).sum()) == 4


def test_false_discoveries_of_no_p_value_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 to 1"):
        benjamini_hochberg(np.array([0.5, 1.2]))


def test_superiority_over_noise_is_not_found_more_often_than_by_chance() -> None:
    rng = np.random.default_rng(8)
    found = [superiority(rng.standard_normal((250, 8)), draws=199, rng=rng) for _ in range(200)]

    assert stats.kstest([one.upper for one in found], "uniform").pvalue > 0.05
    assert np.mean([one.consistent <= 0.05 for one in found]) <= 0.1


def test_superiority_of_one_better_arm_is_found_and_named() -> None:
    rng = np.random.default_rng(9)
    gains = rng.standard_normal((500, 10))
    gains[:, 7] += 0.25

    found = superiority(gains, draws=999, rng=rng)

    assert found.best == 7
    assert max(found.consistent, found.upper, found.reality_check) < 0.01


def test_superiority_poor_arms_weaken_white_but_not_hansen() -> None:
    """Hansen's point: arms that lose wildly make the reality check blind, the consistent test hardly notices them."""
    rng = np.random.default_rng(10)
    gains = rng.standard_normal((500, 12))
    gains[:, 0] += 0.14
    gains[:, 1:] = 6.0 * gains[:, 1:] - 2.0

    found = superiority(gains, draws=999, rng=rng)

    assert found.lower <= found.consistent <= found.upper
    assert found.consistent < 0.05 < found.reality_check


def test_superiority_arms_that_never_differ_have_none() -> None:
    found = superiority(np.zeros((100, 3)), draws=99, rng=np.random.default_rng(1))

    assert (found.statistic, found.consistent, found.reality_check) == (0.0, 1.0, 1.0)


def _level(returns: F64, sharpe: float) -> F64:
    """Return the columns with a full-sample Sharpe ratio of 0, the first one with the given one a year."""
    made = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    made[:, 0] += sharpe / np.sqrt(250.0)
    return made


@pytest.mark.parametrize(
    ("sharpe", "low", "high"),
    [(0.0, 1.0, 1.0), (1.0, 0.7, 1.0), (3.0, 0.0, 0.15)],
    ids=["all worthless", "one good for a year of 1", "one outstanding"],
)
def test_overfitting_of_the_papers_test_cases_is_the_papers(sharpe: float, low: float, high: float) -> None:
    """Bailey et al. (2017), accuracy tests: trials of equal full-sample Sharpe 0 and one better, 1,000 days.

    Where no trial is better than another over the whole sample, the best in sample must be the worst out of sample:
    the probability is 1. It falls as one trial stands out.
    """
    rng = np.random.default_rng(14)
    found = [overfitting(_level(rng.standard_normal((1000, 100)), sharpe)).probability for _ in range(3)]

    assert low <= np.mean(found) <= high


def test_overfitting_of_independent_noise_is_about_a_half_of_all_choices() -> None:
    rng = np.random.default_rng(15)
    found = [overfitting(rng.standard_normal((400, 20)), blocks=8).probability for _ in range(60)]

    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_overfitting_by_definition_on_small_cases(seed: int) -> None:
    """Four blocks of two days counted by hand, without the shortcuts; the middle one of three ranks at the median."""
    days = np.random.default_rng(seed).standard_normal((8, 3))
    cut, low = days.reshape(4, 2, 3), 0
    for half in combinations(range(4), 2):
        inside = np.concatenate([cut[b] for b in half])
        outside = np.concatenate([cut[b] for b in range(4) if b not in half])
        best = (inside.mean(axis=0) / inside.std(axis=0)).argmax()
        ratio = outside.mean(axis=0) / outside.std(axis=0)
        low += int(stats.rankdata(ratio)[best] / 4.0 <= 0.5)

    assert overfitting(days, blocks=4).probability == pytest.approx(low / 6.0)


@pytest.mark.parametrize(("shape", "blocks"), [((100, 1), 16), ((100, 3), 5), ((100, 3), 22), ((10, 3), 16)])
def test_overfitting_of_what_cannot_be_split_is_refused(shape: tuple[int, int], blocks: int) -> None:
    with pytest.raises(ConfigError):
        overfitting(np.ones(shape), blocks=blocks)


def test_placebo_shifts_are_distinct_and_never_the_truth() -> None:
    drawn = random_shifts(50, 49, np.random.default_rng(1))

    assert sorted(drawn.tolist()) == list(range(1, 50))
    with pytest.raises(ConfigError, match="distinct"):
        random_shifts(50, 50, np.random.default_rng(1))


def test_placebo_shifted_series_goes_round_in_a_circle() -> None:
    series = np.arange(5.0)

    assert shifted(series, 2).tolist() == [3.0, 4.0, 0.0, 1.0, 2.0]
    assert sorted(shifted(series, 3).tolist()) == series.tolist()


@pytest.mark.parametrize(
    ("value", "direction", "expected"),
    [
        (10.0, Direction.HIGHER, 0.1),
        (-1.0, Direction.HIGHER, 1.0),
        (-1.0, Direction.LOWER, 0.1),
        (9.0, Direction.HIGHER, 0.2),
        (100.0, Direction.EITHER, 0.1),
        (-100.0, Direction.EITHER, 0.1),
    ],
)
def test_placebo_rank_counts_ties_against_the_value(value: float, direction: Direction, expected: float) -> None:
    assert rank_p(value, np.arange(1.0, 10.0), direction) == pytest.approx(expected)


def test_placebo_rank_of_noise_is_uniform_in_every_direction() -> None:
    rng = np.random.default_rng(5)
    for direction in Direction:
        p = [rank_p(float(row[0]), row[1:], direction) for row in rng.standard_normal((800, 100))]
        assert stats.kstest(p, "uniform").pvalue > 0.05


@pytest.mark.parametrize("direction", [Direction.HIGHER, Direction.EITHER])
def test_power_of_the_smallest_detectable_effect_is_the_stated_one(direction: Direction) -> None:
    effect = smallest_detectable(1.0, alpha=0.05, power=0.8, direction=direction)
    seen = np.random.default_rng(7).standard_normal(200_000) + effect
    bound = stats.norm.ppf(0.95 if direction is Direction.HIGHER else 0.975)

    assert (seen > bound).mean() == pytest.approx(0.8, abs=0.005)
