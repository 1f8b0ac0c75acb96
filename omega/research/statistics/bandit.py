"""How much capital each arm gets next: Thompson sampling or upper confidence bounds, inside stated limits.

Pure: the generator is passed in. For allocation over running arms; every share stays between a floor and a ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError

_TOLERANCE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Limits:
    """What an allocation may do.

    Units: fractions of the capital; `most_change` bounds how far one share moves in one step.
    """

    floor: float = 0.0
    ceiling: float = 1.0
    most_change: float = 1.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.floor <= self.ceiling <= 1.0 and 0.0 < self.most_change <= 1.0):
            raise ConfigError(f"{self} are no limits: 0 <= floor <= ceiling <= 1 and 0 < most_change <= 1")

    def check(self, arms: int) -> None:
        """Raise unless so many shares between floor and ceiling can sum to 1."""
        if arms < 1 or self.floor * arms > 1.0 + _TOLERANCE or self.ceiling * arms < 1.0 - _TOLERANCE:
            raise ConfigError(
                f"{arms} shares between {self.floor} and {self.ceiling} cannot sum to 1; lower the floor or raise the "
                "ceiling"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Rewards:
    """What the arms have earned so far.

    Shapes: (arms,).
    Units: mean and variance (of one observation) in reward units.
    """

    count: F64
    mean: F64
    variance: F64

    @classmethod
    def of(cls, series: list[F64]) -> Rewards:
        """Summarise the observed rewards of every arm; an arm may have none yet."""
        return cls(
            count=np.array([float(len(one)) for one in series]),
            mean=np.array([float(one.mean()) if len(one) else 0.0 for one in series]),
            variance=np.array([float(one.var()) if len(one) else 0.0 for one in series]),
        )


def thompson_shares(
    rewards: Rewards, *, limits: Limits, prior_deviation: float, rng: np.random.Generator, draws: int = 4096
) -> F64:
    """Give every arm the posterior probability that it is the best, inside the limits.

    The posterior of a mean is Student's t of a normal-inverse-gamma prior around 0 with the weight of one observation.

    Args:
        rewards: what was observed.
        limits: floor and ceiling of a share.
        prior_deviation: standard deviation that one observation is expected to have.
        rng: the generator.
        draws: from the posterior.

    Source: Thompson (1933), Biometrika 25; Russo et al. (2018), A Tutorial on Thompson Sampling.
    """
    n, arms = rewards.count, len(rewards.count)
    limits.check(arms)
    if prior_deviation <= 0.0:
        raise ConfigError(f"prior_deviation = {prior_deviation} must lie above 0")
    weight, freedom = n + 1.0, n + 1.0
    centre = n * rewards.mean / weight
    squares = prior_deviation**2 + n * rewards.variance + n * rewards.mean**2 / weight
    scale = np.sqrt(squares / (freedom * weight))
    sampled = centre + scale * rng.standard_t(freedom, size=(draws, arms))
    wins = np.bincount(sampled.argmax(axis=1), minlength=arms) / draws
    return within_limits(wins, limits)


def ucb_shares(rewards: Rewards, *, limits: Limits, prior_deviation: float, boldness: float = 1.0) -> F64:
    """Fill the arms from the highest upper confidence bound down, each to the ceiling, all others at the floor.

    bound = mean + boldness sqrt(2 ln(N) v / n), v the variance with the prior's as one more observation; an arm that
    was never tried comes first.

    Source: Auer, Cesa-Bianchi and Fischer (2002), Machine Learning 47.
    """
    limits.check(len(rewards.count))
    total = max(float(rewards.count.sum()), 2.0)
    tried = rewards.count > 0.0
    n = np.where(tried, rewards.count, 1.0)
    variance = (n * rewards.variance + prior_deviation**2) / (n + 1.0)
    bound = np.where(tried, rewards.mean + boldness * np.sqrt(2.0 * np.log(total) * variance / n), np.inf)
    shares = np.full(len(n), limits.floor)
    left = 1.0 - float(shares.sum())
    for arm in np.argsort(-bound, kind="stable"):
        given = min(limits.ceiling - limits.floor, left)
        shares[arm] += given
        left -= given
    return shares


def within_limits(weights: F64, limits: Limits) -> F64:
    """Return the shares nearest to the weights that lie between floor and ceiling and sum to 1.

    The Euclidean projection onto the simplex with bounds: clip(weights + c) with the c that makes the sum 1.
    """
    limits.check(len(weights))
    low, high = limits.floor - float(weights.max()), limits.ceiling - float(weights.min())
    for _ in range(100):
        middle = 0.5 * (low + high)
        if float(np.clip(weights + middle, limits.floor, limits.ceiling).sum()) < 1.0:
            low = middle
        else:
            high = middle
    return np.clip(weights + high, limits.floor, limits.ceiling)


def step_towards(now: F64, wanted: F64, limits: Limits) -> F64:
    """Move the shares towards the wanted ones, none by more than `most_change`; the sum stays 1.

    Shapes: (arms,) each, both summing to 1.
    """
    apart = wanted - now
    largest = float(np.abs(apart).max()) if len(apart) else 0.0
    return now + apart * min(1.0, limits.most_change / largest) if largest > _TOLERANCE else now
