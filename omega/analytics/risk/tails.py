"""Value at risk and expected shortfall by three methods, and whether the method's promise was kept on the past.

Called by the assessment and the analytics service. The historical figures are those of `omega.backtest.metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.backtest.metrics import expected_shortfall, value_at_risk
from omega.engine.bars import F64
from omega.errors import ConfigError

LEAST: Final = 100
"""Returns below which a tail is not spoken of."""

DECAY: Final = 0.94
_PATHS: Final = 20_000
_WARM: Final = 30


@dataclass(frozen=True, slots=True)
class Tail:
    """One method's answer.

    Units: fractions of the value held, positive for a loss; horizon in returns, tail a probability.

    Attributes:
        caveat: what limits the figure, empty when nothing does.
    """

    method: str
    var: float
    shortfall: float
    tail: float
    horizon: int
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often losses went beyond the value at risk that was known the day before.

    Units: n returns tested; expected and observed numbers beyond; p_value of Kupiec's test that the rate is the
        promised one, two-sided.
    """

    method: str
    n: int
    expected: float
    observed: int
    p_value: float

    @property
    def holds(self) -> bool:
        """Whether the promise is not refuted at 5 %."""
        return self.p_value >= 0.05  # noqa: PLR2004 - the usual level


def tails(returns: F64, rng: np.random.Generator, *, tail: float = 0.05, horizon: int = 1) -> tuple[Tail, Tail, Tail]:
    """Return historical, Cornish-Fisher and filtered historical figures.

    Args:
        returns: (n,), plain returns of equal periods, oldest first.
        rng: draws the paths of the filtered simulation.
        tail: probability of the tail, between 0 and 0.5.
        horizon: periods ahead.

    Raises:
        ConfigError: fewer than 100 returns, one that is not finite, or a tail outside its range.
    """
    _check(returns, tail, horizon)
    return (
        historical(returns, tail, horizon),
        cornish_fisher(returns, tail, horizon),
        filtered(returns, rng, tail, horizon),
    )


def historical(returns: F64, tail: float = 0.05, horizon: int = 1) -> Tail:
    """Take the quantile of what happened; over a longer horizon, of all overlapping stretches of that length.

    Raises:
        ConfigError: see `tails`.
    """
    _check(returns, tail, horizon)
    grown = np.concatenate(([0.0], np.cumsum(np.log1p(np.maximum(returns, -1.0 + 1e-12)))))
    over = np.expm1(grown[horizon:] - grown[:-horizon])
    caveat = f"overlapping stretches of {horizon} returns" if horizon > 1 else ""
    return Tail("historical", value_at_risk(over, tail), expected_shortfall(over, tail), tail, horizon, caveat)


def cornish_fisher(returns: F64, tail: float = 0.05, horizon: int = 1) -> Tail:
    """Bend the normal quantile by skew and kurtosis.

    z' = z + (z² - 1)S/6 + (z³ - 3z)K/24 - (2z³ - 5z)S²/36 with S the skew and K the excess kurtosis of the horizon,
    VaR = -(m + s z'); the shortfall is the mean of that quantile over the tail, in closed form.

    Raises:
        ConfigError: see `tails`.

    Source: Cornish and Fisher (1938); Maillard (2012) for where the expansion is monotone; skew falls with the root
        of the horizon and kurtosis with the horizon for independent returns.
    """
    _check(returns, tail, horizon)
    mean, deviation = float(returns.mean()), float(returns.std(ddof=1))
    if deviation <= 0.0:
        return Tail("cornish_fisher", -mean * horizon, -mean * horizon, tail, horizon, "the returns never vary")
    off = (returns - mean) / float(returns.std())
    skew = float((off**3).mean()) / math.sqrt(horizon)
    excess = (float((off**4).mean()) - 3.0) / horizon
    z = _normal_quantile(tail)
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    # Means of z, z² and z³ over the tail below the quantile of the normal law.
    first, second, third = -density / tail, 1.0 - z * density / tail, -(z * z + 2.0) * density / tail
    bent = _bend(z, z * z, z**3, skew, excess)
    mean_bent = _bend(first, second, third, skew, excess)
    centre, spread = mean * horizon, deviation * math.sqrt(horizon)
    caveat = "" if _monotone(skew, excess, z) else "skew and kurtosis are beyond the range of the expansion"
    return Tail("cornish_fisher", -(centre + spread * bent), -(centre + spread * mean_bent), tail, horizon, caveat)


def filtered(returns: F64, rng: np.random.Generator, tail: float = 0.05, horizon: int = 1) -> Tail:
    """Draw past surprises, scaled by their own volatility, into paths from today's volatility.

    Raises:
        ConfigError: see `tails`.

    Source: Barone-Adesi, Giannopoulos and Vosper (1999), VaR without Correlations, with the exponentially weighted
        variance of RiskMetrics, decay 0.94.
    """
    _check(returns, tail, horizon)
    variance = moving_variance(returns)
    surprises = (returns / np.sqrt(variance[:-1]))[_WARM:]
    surprises = surprises - surprises.mean()
    now = np.full(_PATHS, variance[-1])
    grown = np.zeros(_PATHS)
    for _ in range(horizon):
        moved = np.sqrt(now) * rng.choice(surprises, _PATHS)
        grown += np.log1p(np.maximum(moved, -1.0 + 1e-12))
        now = DECAY * now + (1.0 - DECAY) * moved**2
    over = np.expm1(grown)
    return Tail("filtered", value_at_risk(over, tail), expected_shortfall(over, tail), tail, horizon)


def moving_variance(returns: F64) -> F64:
    """Return the exponentially weighted variance before each return, and after the last.

    Shapes: (n,) -> (n + 1,). Units: squared returns, above zero.
    """
    out = np.empty(len(returns) + 1)
    now = max(float((returns[:_WARM] ** 2).mean()), 1e-12) if len(returns) else 1e-12
    for k, value in enumerate(returns):
        out[k] = now
        now = max(DECAY * now + (1.0 - DECAY) * float(value) ** 2, 1e-12)
    out[-1] = now
    return out


def coverage(returns: F64, method: str, rng: np.random.Generator, *, tail: float = 0.05, window: int = 500) -> Coverage:
    """Compare each return with the value at risk of the `window` returns before it.

    Raises:
        ConfigError: there is no such method, or the window leaves nothing to test.

    Source: Kupiec (1995), Techniques for Verifying the Accuracy of Risk Measurement Models, Journal of Derivatives 3.
    """
    if method not in METHODS:
        raise ConfigError(f"there is no method {method!r} of value at risk; known: {', '.join(METHODS)}")
    n = len(returns) - window
    if n < LEAST:
        raise ConfigError(f"{len(returns)} returns leave {max(n, 0)} to test after a window of {window}; give more")
    made = METHODS[method]
    known = np.array([made(returns[k : k + window], tail, rng) for k in range(n)])
    observed = int((returns[window:] < -known).sum())
    return Coverage(method, n, n * tail, observed, kupiec(observed, n, tail))


def kupiec(observed: int, n: int, tail: float) -> float:
    """Return the p-value of `observed` of n losses beyond a value at risk that promises a share of `tail`."""
    share = observed / n
    likelihood = _log_binomial(observed, n, tail) - _log_binomial(observed, n, share)
    return math.erfc(math.sqrt(max(-2.0 * likelihood, 0.0) / 2.0))


def _last_filtered(returns: F64, tail: float, rng: np.random.Generator) -> float:  # noqa: ARG001 - one form for all
    """One period ahead no path is needed: the quantile of the surprises, scaled, is what the paths converge to."""
    variance = moving_variance(returns)
    surprises = (returns / np.sqrt(variance[:-1]))[_WARM:]
    return -float(np.quantile(surprises - surprises.mean(), tail)) * math.sqrt(float(variance[-1]))


METHODS: Final[Mapping[str, Callable[[F64, float, np.random.Generator], float]]] = {
    "historical": lambda returns, tail, _: historical(returns, tail).var,
    "cornish_fisher": lambda returns, tail, _: cornish_fisher(returns, tail).var,
    "filtered": _last_filtered,
}


def _check(returns: F64, tail: float, horizon: int) -> None:
    if not 0.0 < tail < 0.5 or horizon < 1:  # noqa: PLR2004 - beyond the middle it is no tail
        raise ConfigError(f"a tail of {tail} over {horizon} returns: give a probability below 0.5, and one or more")
    if len(returns) < max(LEAST, horizon + LEAST):
        raise ConfigError(f"{len(returns)} returns are too few for a tail; give {max(LEAST, horizon + LEAST)} or more")
    if not np.isfinite(returns).all():
        raise ConfigError("a return is not finite: clean the prices first")


def _bend(first: float, second: float, third: float, skew: float, excess: float) -> float:
    """Take the powers of z apart, so the very same line gives the quantile and its mean over a tail."""
    return (
        first
        + (second - 1.0) * skew / 6.0
        + (third - 3.0 * first) * excess / 24.0
        - (2.0 * third - 5.0 * first) * skew * skew / 36.0
    )


def _monotone(skew: float, excess: float, z: float) -> bool:
    """Whether the bent quantile rises with z everywhere from the tail to the middle."""
    at = np.linspace(-4.0, min(z, 0.0) + 1.0, 200)
    slope = 1.0 + at * skew / 3.0 + (3.0 * at**2 - 3.0) * excess / 24.0 - (6.0 * at**2 - 5.0) * skew**2 / 36.0
    return bool((slope > 0.0).all())


def _normal_quantile(p: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def _log_binomial(k: int, n: int, p: float) -> float:
    made = 0.0
    if k:
        made += k * math.log(p)
    if n - k:
        made += (n - k) * math.log1p(-p)
    return made
