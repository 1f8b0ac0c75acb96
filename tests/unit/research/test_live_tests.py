"""What live arms will use: tests that may be looked at all the time, and capital shares inside limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from omega.errors import ConfigError
from omega.research.statistics import (
    Limits,
    Rewards,
    always_valid_p,
    bounded_sequence,
    mean_sequence,
    step_towards,
    thompson_shares,
    ucb_shares,
    within_limits,
)

PATHS, DAYS = 400, 1000


@pytest.mark.req("0.10")
def test_sequential_looking_every_day_keeps_the_error_where_a_t_test_does_not() -> None:
    noise = np.random.default_rng(31).standard_normal((PATHS, DAYS))

    valid = np.mean([always_valid_p(path, deviation=1.0, scale=0.1)[-1] <= 0.05 for path in noise])
    n = np.arange(1, DAYS + 1)
    z = np.abs(np.cumsum(noise, axis=1) / np.sqrt(n))[:, 20:]
    naive = (2.0 * stats.norm.sf(z) <= 0.05).any(axis=1).mean()

    assert valid <= 0.06
    assert naive > 0.3


def test_sequential_p_value_never_rises_and_finds_an_effect() -> None:
    path = np.random.default_rng(32).standard_normal(DAYS) + 0.25

    p = always_valid_p(path, deviation=1.0, scale=0.2)

    assert (np.diff(p) <= 0.0).all()
    assert p[-1] < 0.001


@pytest.mark.parametrize("kind", ["mean", "bounded"])
def test_sequence_holds_the_mean_at_all_times_in_almost_every_path(kind: str) -> None:
    rng, missed = np.random.default_rng(33), 0
    for _ in range(200):
        path = rng.beta(0.4, 1.2, DAYS)
        if kind == "mean":
            found = mean_sequence(path, alpha=0.1, tightest=300)
        else:
            found = bounded_sequence(path, low=0.0, high=1.0, alpha=0.1)
        missed += bool(((found.low > 0.25) | (found.high < 0.25)).any())

    assert missed <= 26


def test_sequence_bounded_intervals_only_shrink_and_stay_inside_the_bounds() -> None:
    path = np.random.default_rng(34).uniform(-2.0, 3.0, 500)

    found = bounded_sequence(path, low=-2.0, high=3.0, alpha=0.05)

    assert (np.diff(found.low) >= 0.0).all()
    assert (np.diff(found.high) <= 0.0).all()
    assert found.low[0] >= -2.0
    assert found.high[0] <= 3.0
    assert found.high[-1] - found.low[-1] < 1.5


def test_sequence_decides_when_zero_is_left_out_and_not_before() -> None:
    rng = np.random.default_rng(35)
    effect = mean_sequence(rng.standard_normal(DAYS) + 0.5, alpha=0.05, tightest=100)
    noise = mean_sequence(np.tile([1.0, -1.0], 500), alpha=0.05, tightest=100)

    assert 29 <= effect.decided() < 300
    assert np.isinf(effect.high[28])
    assert noise.decided() == -1


def test_sequence_observation_outside_its_bounds_is_refused() -> None:
    with pytest.raises(ConfigError, match="every observation"):
        bounded_sequence(np.array([0.5, 1.5]), low=0.0, high=1.0, alpha=0.05)


@settings(max_examples=100, deadline=None)
@given(
    weights=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8),
    floor=st.floats(0.0, 1.0),
    room=st.floats(0.0, 1.0),
)
def test_shares_always_sum_to_one_inside_the_limits(weights: list[float], floor: float, room: float) -> None:
    arms = len(weights)
    limits = Limits(floor / arms, min(1.0, 1.0 / arms + room))

    shares = within_limits(np.array(weights), limits)

    assert shares.sum() == pytest.approx(1.0, abs=1e-9)
    assert (shares >= limits.floor - 1e-12).all()
    assert (shares <= limits.ceiling + 1e-12).all()


def test_shares_that_fit_already_stay() -> None:
    wanted = np.array([0.2, 0.3, 0.5])

    np.testing.assert_allclose(within_limits(wanted, Limits(0.1, 0.6)), wanted, atol=1e-12)


@pytest.mark.req("0.16")
@pytest.mark.parametrize("rule", ["thompson", "ucb"])
def test_bandit_moves_capital_to_the_better_arm_within_its_limits(rule: str) -> None:
    rng, limits = np.random.default_rng(36), Limits(0.1, 0.7, 0.2)
    truth, shares = np.array([0.0, 0.0, 0.004]), np.full(3, 1.0 / 3.0)
    seen: list[list[float]] = [[], [], []]
    for _ in range(40):
        for arm in range(3):
            seen[arm] += (truth[arm] + 0.01 * rng.standard_normal(10)).tolist()
        rewards = Rewards.of([np.array(one) for one in seen])
        if rule == "thompson":
            wanted = thompson_shares(rewards, limits=limits, prior_deviation=0.01, rng=rng, draws=500)
        else:
            wanted = ucb_shares(rewards, limits=limits, prior_deviation=0.01, boldness=0.5)
        moved = step_towards(shares, wanted, limits)
        assert np.abs(moved - shares).max() <= 0.2 + 1e-12
        assert moved.sum() == pytest.approx(1.0)
        shares = moved

    assert shares[2] == pytest.approx(0.7, abs=0.01)
    assert shares[:2].min() >= 0.1 - 1e-9


def test_bandit_arm_that_was_never_tried_comes_first() -> None:
    rewards = Rewards.of([np.full(50, 0.01), np.zeros(0)])

    shares = ucb_shares(rewards, limits=Limits(0.0, 1.0), prior_deviation=0.01)

    assert shares.tolist() == [0.0, 1.0]


def test_bandit_of_the_same_seed_is_the_same() -> None:
    rewards = Rewards.of([np.array([0.1, 0.2]), np.array([0.3])])
    one, other = (
        thompson_shares(rewards, limits=Limits(), prior_deviation=0.1, rng=np.random.default_rng(4)) for _ in range(2)
    )

    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("arms", "limits"), [(3, Limits(0.4, 1.0)), (3, Limits(0.0, 0.3))])
def test_bandit_limits_that_cannot_sum_to_one_are_refused(arms: int, limits: Limits) -> None:
    with pytest.raises(ConfigError, match="cannot sum to 1"):
        within_limits(np.ones(arms), limits)


def test_bandit_limits_upside_down_are_refused() -> None:
    with pytest.raises(ConfigError, match="no limits"):
        Limits(0.5, 0.2)
