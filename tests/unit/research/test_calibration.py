"""Is the judge calibrated? Hundreds of experiments on noise, and on noise with an edge of a stated size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from omega.research.experiment import Judgement, judge

from .worlds import FACTOR_VARIANCE, World, plan_of

pytestmark = pytest.mark.slow

EXPERIMENTS = 500
PLANTED = 60
ALPHA = 0.05


@pytest.fixture(scope="module")
def noise() -> list[Judgement]:
    """Judge as many experiments on pure noise, each with a world of its own."""
    found = []
    for seed in range(EXPERIMENTS):
        plan = plan_of(seed=seed)
        found.append(judge(plan, World(plan, seed, {}).outcomes()))
    return found


@pytest.mark.req("0.14", "0.72")
@pytest.mark.parametrize("arm", ["moon", "storm", "fast"])
def test_calibration_p_values_on_noise_are_uniform(noise: list[Judgement], arm: str) -> None:
    """Two arms are ranked among their placebos, the third is compared by the bootstrap."""
    p = [one.p for judgement in noise for one in judgement.arms if one.name == arm]

    assert len(p) == EXPERIMENTS
    assert stats.kstest(p, "uniform").pvalue > 0.05


@pytest.mark.req("0.14")
def test_calibration_false_adoptions_on_noise_stay_below_the_nominal_rate(noise: list[Judgement]) -> None:
    """An experiment that adopts any arm on noise is a false adoption; alpha bounds them over all arms."""
    assert np.mean([bool(judgement.adopted) for judgement in noise]) <= ALPHA


@pytest.mark.req("0.10", "0.72")
@pytest.mark.parametrize("arm", ["moon", "fast"])
def test_calibration_planted_edge_of_twice_the_stated_size_is_adopted(noise: list[Judgement], arm: str) -> None:
    """The size is the one that the experiment on the same noise, without the edge, had stated as detectable."""
    adopted = 0
    for seed in range(PLANTED):
        stated = next(one.detectable for one in noise[seed].arms if one.name == arm)
        # A cosmic arm trades 1 + f/2 times the bot's size, so its placebos fall short by half the covariance.
        edge = 2.0 * stated / (0.5 * FACTOR_VARIANCE) if arm == "moon" else 2.0 * stated
        plan = noise[seed].plan
        adopted += arm in judge(plan, World(plan, seed, {arm: edge}).outcomes()).adopted

    assert adopted / PLANTED >= 0.9


def test_calibration_edge_below_the_registered_minimum_is_not_adopted(noise: list[Judgement]) -> None:
    plan = noise[0].plan
    stated = next(one.detectable for one in noise[0].arms if one.name == "fast")
    strict = plan.model_copy(update={"minimum_effect": 100.0 * stated})

    found = judge(strict, World(strict, 0, {"fast": 3.0 * stated}).outcomes())

    assert found.adopted == ()
    assert {one.name: one.why for one in found.arms}["fast"].endswith("smaller than the registered minimum")


def test_calibration_the_same_experiment_is_judged_the_same(noise: list[Judgement]) -> None:
    plan = noise[3].plan

    again = judge(plan, World(plan, 3, {}).outcomes())

    for one, other in zip(noise[3].arms, again.arms, strict=True):
        assert (one.p, one.q, one.detectable, one.compared) == (other.p, other.q, other.detectable, other.compared)
