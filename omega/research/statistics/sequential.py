"""Tests that may be looked at after every observation: confidence sequences and always-valid p-values.

For arms that run live: stopping when the answer is clear costs no validity. Called with an arm's daily differences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError

_LEAST_VARIANCE: Final = 1e-18
_MOST_BET: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A confidence sequence: with probability 1 - alpha the mean lies in every one of its intervals.

    Shapes: low and high are (n,), row t uses observations 0..t alone.
    """

    low: F64
    high: F64

    def decided(self) -> int:
        """Return the first row whose interval leaves 0 out, -1 when none does."""
        found = np.flatnonzero((self.low > 0.0) | (self.high < 0.0))
        return int(found[0]) if len(found) else -1


def always_valid_p(series: F64, *, deviation: float, scale: float) -> F64:
    """Return the always-valid p-values of the mixture sequential probability ratio test that the mean is 0.

    L(n) = sqrt(v / (v + n s^2)) exp(s^2 S(n)^2 / (2 v (v + n s^2))) with v = deviation^2, s = scale and S(n) the sum;
    p(n) = min over m <= n of 1 / L(m). Exact for normal observations of that deviation.

    Args:
        series: observations in their order, (n,).
        deviation: their standard deviation, known beforehand.
        scale: standard deviation of the effects that one expects; a wrong one costs power, never validity.

    Source: Robbins (1970); Johari, Koomen, Pekelis and Walsh (2022), Always Valid Inference, Operations Research 70(3).
    """
    if not (deviation > 0.0 and scale > 0.0):
        raise ConfigError(f"deviation {deviation} and scale {scale} must both lie above 0")
    v, s = deviation**2, scale**2
    n = np.arange(1, len(series) + 1)
    spread = v + n * s
    log_ratio = 0.5 * np.log(v / spread) + s * np.cumsum(series) ** 2 / (2.0 * v * spread)
    return np.minimum(np.exp(-np.maximum.accumulate(np.maximum(log_ratio, 0.0))), 1.0)


def mean_sequence(series: F64, *, alpha: float, tightest: int, least: int = 30) -> Sequence:
    """Return an asymptotic confidence sequence for a mean with unknown variance.

    mean(t) +- sd(t) sqrt(2 (t r^2 + 1) / (t^2 r^2) ln(sqrt(t r^2 + 1) / alpha)), r chosen so that it is tightest at a
    given number of observations; the first ones say nothing yet.

    Args:
        series: observations in their order, (n,).
        alpha: 1 - confidence, for all times together.
        tightest: number of observations at which the interval shall be tightest.
        least: observations before the first interval that is not infinite.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Time-uniform Central Limit Theory and Asymptotic
        Confidence Sequences, Annals of Statistics 52(6).
    """
    _check(alpha)
    if tightest < 1 or least < 2:  # noqa: PLR2004 - one value has no spread
        raise ConfigError(f"tightest = {tightest} and least = {least}: use at least 1 and 2 observations")
    t = np.arange(1, len(series) + 1, dtype=np.float64)
    mean = np.cumsum(series) / t
    variance = np.maximum(np.cumsum(series**2) / t - mean**2, _LEAST_VARIANCE)
    wide = -2.0 * math.log(alpha)
    squared = (wide + math.log(wide) + 1.0) / tightest
    reach = t * squared + 1.0
    radius = np.sqrt(variance * 2.0 * reach / (t**2 * squared) * np.log(np.sqrt(reach) / alpha))
    radius[: least - 1] = np.inf
    return Sequence(mean - radius, mean + radius)


def bounded_sequence(series: F64, *, low: float, high: float, alpha: float) -> Sequence:
    """Return a confidence sequence for the mean of bounded observations that holds for every sample size.

    The predictable plug-in empirical Bernstein sequence: no normality, no known variance, nothing asymptotic. The
    intervals are intersected over time.

    Args:
        series: observations in their order, (n,), each in [low, high].
        low: smallest possible observation.
        high: largest possible one.
        alpha: 1 - confidence, for all times together.

    Source: Waudby-Smith and Ramdas (2024), Estimating Means of Bounded Random Variables by Betting, JRSS B 86(1).
    """
    _check(alpha)
    if not low < high or (len(series) and not ((series >= low) & (series <= high)).all()):
        raise ConfigError(f"every observation must lie in {low} to {high}; widen the bounds or clip the series")
    x = (series - low) / (high - low)
    t = np.arange(1, len(x) + 1, dtype=np.float64)
    mean = (0.5 + np.cumsum(x)) / (t + 1.0)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1.0)
    earlier_mean = np.concatenate([[0.5], mean[:-1]])
    earlier_variance = np.concatenate([[0.25], variance[:-1]])
    log_odds = math.log(2.0 / alpha)
    bets = np.minimum(np.sqrt(2.0 * log_odds / (earlier_variance * t * np.log1p(t))), _MOST_BET)
    price = (-np.log1p(-bets) - bets) * (x - earlier_mean) ** 2
    staked = np.cumsum(bets)
    centre, radius = np.cumsum(bets * x) / staked, (log_odds + np.cumsum(price)) / staked
    below = np.clip(np.maximum.accumulate(centre - radius), 0.0, 1.0)
    above = np.clip(np.minimum.accumulate(centre + radius), 0.0, 1.0)
    return Sequence(low + below * (high - low), low + above * (high - low))


def _check(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise ConfigError(f"alpha = {alpha} lies outside 0 to 1; choose one inside, such as 0.05")
