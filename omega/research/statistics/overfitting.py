"""The probability that the best trial in sample is below the median out of sample. Called by the experiment's judge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.errors import ConfigError

_NOISE: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Overfitting:
    """What symmetric cross-validation found.

    Attributes:
        probability: share of the splits in which the best in sample is at or below the median out of sample.
        loss: share of the splits in which it loses out of sample.
        slope: of its Sharpe ratio out of sample on the one in sample; below zero the better the worse.
        logits: of its relative rank out of sample, one a split.
    """

    probability: float
    loss: float
    slope: float
    logits: F64


def overfitting(returns: F64, *, blocks: int = 16) -> Overfitting:
    """Measure how much choosing the best of several trials overfits, by combinatorially symmetric cross-validation.

    The days are cut into an even number of blocks; every half of the blocks is in sample once, the other half out of
    sample. For each split the trial with the highest Sharpe ratio in sample gets its relative rank w = rank / (N + 1)
    out of sample, and the probability is the share of splits with ln(w / (1 - w)) <= 0. Equal trials share their rank.

    Args:
        returns: one column a trial, (n, N), at least two trials; days beyond a multiple of `blocks` are left out.
        blocks: an even number of blocks from 2 to 20.

    Source: Bailey, Borwein, Lopez de Prado and Zhu (2017), The Probability of Backtest Overfitting, Journal of
        Computational Finance 20(4).
    """
    if returns.ndim != 2 or returns.shape[1] < 2:  # noqa: PLR2004 - a matrix of two trials at least
        raise ConfigError(f"returns of shape {returns.shape} cannot be split: give (days, trials) with two trials")
    if blocks % 2 or not 2 <= blocks <= 20:  # noqa: PLR2004 - C(20, 10) is 184,756 splits
        raise ConfigError(f"{blocks} blocks cannot be halved, or are too many: use an even number from 2 to 20")
    days = len(returns) // blocks
    if days < 2:  # noqa: PLR2004 - a block needs a spread
        raise ConfigError(f"{len(returns)} days are too few for {blocks} blocks of two: use fewer blocks")
    cut = returns[: days * blocks].reshape(blocks, days, -1)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    half = days * blocks // 2
    # No matrix product: for sizes like these the threads behind it wait for each other longer than they work.
    inside_sums, inside_squares = (np.einsum("sb,bn->sn", _splits(blocks), part) for part in (sums, squares))
    inside = _sharpe(inside_sums, inside_squares, half)
    # The splits stand in lexical order, so the complement of the first is the last, and so on inwards.
    outside = inside[::-1]
    best, rows = inside.argmax(axis=1), np.arange(len(inside))
    reached = outside[rows, best][:, None]
    below, level = (outside < reached).sum(axis=1), (outside == reached).sum(axis=1)
    rank = (below + (level + 1.0) / 2.0) / (returns.shape[1] + 1.0)
    logits = np.log(rank / (1.0 - rank))
    return Overfitting(
        probability=float((logits <= 0.0).mean()),
        loss=float((outside[rows, best] < 0.0).mean()),
        slope=_slope(inside[rows, best], outside[rows, best]),
        logits=logits,
    )


@lru_cache(maxsize=8)
def _splits(blocks: int) -> F64:
    """Return which blocks are in sample, one row a split."""
    chosen = np.zeros((comb(blocks, blocks // 2), blocks))
    for split, half in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[split, half] = 1.0
    return chosen


def _sharpe(sums: F64, squares: F64, n: int) -> F64:
    mean = sums / n
    variance = squares / n - mean**2
    sound = variance > _NOISE * np.maximum(mean**2, _NOISE)
    return np.where(sound, mean / np.sqrt(np.where(sound, variance, 1.0)), 0.0)


def _slope(inside: F64, outside: F64) -> float:
    away = inside - inside.mean()
    spread = float((away**2).sum())
    return float((away * outside).sum()) / spread if spread > _NOISE else 0.0
