"""How good probabilities were: accuracy, log loss, Brier score, reliability, and whether it is more than luck."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError
from omega.research.statistics import block_length, draw_blocks, resampled_means

_EDGE: Final = 1e-6
_DRAWS: Final = 2_000
_Z95: Final = 1.959963984540054
_EVEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Score:
    """What probabilities of "up" were worth over n outcomes; lower is better but for the accuracy.

    Units: accuracy a share, a probability of exactly one half counts as half a hit; log_loss in nats (0.693147 for
        one half always), brier a squared probability (0.25 for one half always); calibration_error the mean distance
        of the bins' forecasts from what happened in them, weighted by their numbers.
    """

    n: int
    accuracy: float
    log_loss: float
    brier: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about one probability.

    Units: probabilities; low and high are Wilson's 95 % interval of `happened`.
    """

    forecast: float
    happened: float
    low: float
    high: float
    n: int


def score(p: F64, y: F64) -> Score:
    """Score probabilities against outcomes.

    Shapes: both (n,), n of 1 or more. Source: Brier (1950), Monthly Weather Review 78(1); Good (1952), log loss.
    """
    if not len(p):
        raise ConfigError("there is no outcome to score against; give a longer history")
    bins = reliability(p, y)
    return Score(
        n=len(p),
        accuracy=float(hits(p, y).mean()),
        log_loss=float(log_losses(p, y).mean()),
        brier=float(((p - y) ** 2).mean()),
        calibration_error=sum(b.n * abs(b.forecast - b.happened) for b in bins) / len(p),
    )


def hits(p: F64, y: F64) -> F64:
    """Return 1.0 for a probability on the right side of one half, 0.5 for one half itself, 0.0 otherwise."""
    made: F64 = np.where(p == _EVEN, 0.5, ((p > _EVEN) == (y > _EVEN)).astype(np.float64))
    return made


def log_losses(p: F64, y: F64) -> F64:
    """Return minus the logarithm of the probability that was given to what happened. Shapes: (n,)."""
    cut = np.clip(p, _EDGE, 1.0 - _EDGE)
    made: F64 = -np.log(np.where(y > _EVEN, cut, 1.0 - cut))
    return made


def reliability(p: F64, y: F64, bins: int = 10) -> tuple[Bin, ...]:
    """Group forecasts into bins of about equal number, lowest first, and say what happened in each.

    Equal forecasts never fall into two bins. Source: Wilson (1927), JASA 22, for the interval.
    """
    order = np.argsort(p, kind="stable")
    sorted_p, sorted_y = p[order], y[order]
    cuts = np.unique(np.searchsorted(sorted_p, sorted_p[np.arange(1, bins) * len(p) // bins], side="left"))
    edges = np.concatenate(([0], cuts[cuts > 0], [len(p)]))
    return tuple(_bin(sorted_p[a:b], sorted_y[a:b]) for a, b in pairwise(edges) if b > a)


def wilson(happened: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of n."""
    z2 = _Z95 * _Z95
    middle = (happened + z2 / (2 * n)) / (1.0 + z2 / n)
    half = _Z95 / (1.0 + z2 / n) * math.sqrt(happened * (1.0 - happened) / n + z2 / (4.0 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


@dataclass(frozen=True, slots=True)
class Gain:
    """The mean of paired differences with its 95 % interval, and the chance of so large a one without any gain."""

    mean: float
    low: float
    high: float
    p_value: float


def gain(differences: F64, *, counts: F64 | None = None, least_block: float = 1.0, seed: int = 0) -> Gain:
    """Test whether paired differences (better minus worse) are above zero on the average.

    Neighbouring outcomes share most of their future, so whole blocks are drawn again, at least `least_block` long.

    Args:
        differences: (n,), in the order of time; with counts the sums of that many differences each.
        counts: (n,), above zero: how many outcomes a row sums up; one each when left out.
        least_block: in rows.
        seed: of the draws.

    Source: Politis and Romano (1994), stationary bootstrap of the centred differences.
    """
    weights = np.ones(len(differences)) if counts is None else counts
    mean = float(differences.sum() / weights.sum())
    if not float(np.abs(differences).max()) > 0.0:
        return Gain(mean, mean, mean, 1.0)
    length = max(block_length(differences), least_block)
    blocks = draw_blocks(len(differences), _DRAWS, length, np.random.default_rng(seed))
    drawn = resampled_means(np.column_stack([differences, weights]), blocks)
    means = drawn[:, 0] / drawn[:, 1]
    reached = int((means - mean >= mean).sum())
    low, high = (float(v) for v in np.quantile(means, (0.025, 0.975)))
    return Gain(mean, low, high, (1.0 + reached) / (_DRAWS + 1.0))


def _bin(p: F64, y: F64) -> Bin:
    happened = float(y.mean())
    low, high = wilson(happened, len(p))
    return Bin(float(p.mean()), happened, low, high, len(p))
