"""The stationary block bootstrap with its automatic block length. Called by comparisons and superiority tests.

Blocks stay blocks: what is a function of means is resampled by prefix sums, and only a path is ever laid out in rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64, I64
from omega.errors import ConfigError

_SIGNIFICANT: Final = 2.0
_NOISE: Final = 1e-24
"""Below this share of the mean square a variance is rounding."""
_CHUNK: Final = 1 << 18
"""Blocks handled at once: what a core keeps close."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Resamples of n rows as circular blocks.

    Shapes: starts and lengths are (draws, m); the lengths of a draw sum to n, trailing ones may be 0.
    """

    n: int
    starts: I64
    lengths: I64

    @property
    def draws(self) -> int:
        """The number of resamples."""
        return len(self.starts)


def draw_blocks(n: int, draws: int, length: float, rng: np.random.Generator) -> Blocks:
    """Draw resamples whose blocks have geometric lengths of a given mean and start anywhere.

    Args:
        n: rows of the series, and of every resample.
        draws: how many resamples.
        length: mean length of a block, at least 1.
        rng: the generator; the same state draws the same blocks.

    Source: Politis and Romano (1994), The Stationary Bootstrap, JASA 89.
    """
    if n < 1 or draws < 1 or not length >= 1.0:
        raise ConfigError(f"cannot draw {draws} resamples of {n} rows in blocks of {length}: each must be at least 1")
    mean = min(length, float(n))
    if mean <= 1.0:
        single = rng.integers(0, n, size=(draws, n), dtype=np.int64)
        return Blocks(n, single, np.broadcast_to(np.int64(1), single.shape))
    most = min(n, math.ceil(n / mean + 6.0 * math.sqrt(n / mean) + 10.0))
    starts = rng.integers(0, n, size=(draws, most), dtype=np.int64)
    lengths = _geometric(mean, (draws, most), rng)
    ends = np.minimum(np.cumsum(lengths, axis=1), n)
    # The drawn blocks end short of n once in millions of draws: the last one then goes on to the end.
    ends[:, -1] = n
    lengths = np.diff(ends, axis=1, prepend=0)
    used = int((lengths > 0).sum(axis=1).max())
    return Blocks(n, starts[:, :used], lengths[:, :used])


def resampled_means(columns: F64, blocks: Blocks) -> F64:
    """Return the mean of every column in every resample.

    Shapes: columns (n, c) -> (draws, c).
    """
    if blocks.starts.shape[1] == blocks.n and (blocks.lengths == 1).all():
        return _means_of_singles(columns, blocks)
    wrapped = np.vstack([np.zeros((1, columns.shape[1])), np.cumsum(np.vstack([columns, columns]), axis=0)])
    step = max(1, _CHUNK // max(1, blocks.starts.shape[1]))
    means = np.empty((blocks.draws, columns.shape[1]))
    for first in range(0, blocks.draws, step):
        chunk = slice(first, first + step)
        starts = blocks.starts[chunk]
        ends = starts + blocks.lengths[chunk]
        for column in range(columns.shape[1]):
            sums = np.ascontiguousarray(wrapped[:, column])
            means[chunk, column] = (sums[ends] - sums[starts]).sum(axis=1)
    return means / blocks.n


def _means_of_singles(columns: F64, blocks: Blocks) -> F64:
    """Count how often each row was drawn: with blocks of one row the counts are shorter work than the rows."""
    n, step = blocks.n, max(1, _CHUNK // blocks.n)
    means = np.empty((blocks.draws, columns.shape[1]))
    for first in range(0, blocks.draws, step):
        starts = blocks.starts[first : first + step]
        places = starts + n * np.arange(len(starts))[:, None]
        counts = np.bincount(places.ravel(), minlength=len(starts) * n).reshape(-1, n)
        # No matrix product: threads that wait for each other cost more than they save at this size.
        means[first : first + step] = np.einsum("dn,nc->dc", counts.astype(np.float64), columns)
    return means / n


def resampled_rows(blocks: Blocks) -> I64:
    """Lay the resamples out as row numbers, for statistics of a whole path.

    Shapes: (draws, n).
    """
    lengths = blocks.lengths.ravel()
    begins = np.cumsum(lengths) - lengths
    rows = np.repeat(blocks.starts.ravel() - begins, lengths) + np.arange(blocks.draws * blocks.n)
    return (rows % blocks.n).reshape(blocks.draws, blocks.n)


def block_length(series: F64) -> float:
    """Return the mean block length that suits the dependence of a series, at least 1.

    b = (2 G^2 / D)^(1/3) n^(1/3) with G = sum of lambda(k/M) |k| R(k), D = 2 (sum of lambda(k/M) R(k))^2, lambda the
    flat-top window and M twice the lag after which the autocorrelations stay insignificant.

    Shapes: (n,).
    Source: Politis and White (2004), Econometric Reviews 23(1), as corrected by Patton, Politis and White (2009).
    """
    n = len(series)
    away = series - series.mean() if n else series
    variance = float((away**2).sum()) / max(n, 1)
    if n < 8 or variance <= _NOISE * float((series**2).mean()):  # noqa: PLR2004 - nothing can be said about dependence
        return 1.0
    run = max(5, math.ceil(math.log10(n)))
    most_lag = min(math.ceil(math.sqrt(n)) + run, n - 1)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(away, size)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum), size)[: most_lag + 1] / n
    lag = _last_significant(covariance[1:] / variance, run, n)
    window = min(2 * max(1, lag), most_lag)
    lags = np.arange(1, window + 1)
    weights = np.clip(2.0 * (1.0 - lags / window), 0.0, 1.0)
    weighted = weights * covariance[1 : window + 1]
    slope, level = 2.0 * float((weighted * lags).sum()), variance + 2.0 * float(weighted.sum())
    if level == 0.0:
        return 1.0
    length = (2.0 * slope**2 / (2.0 * level**2)) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return float(min(max(length, 1.0), math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


def _geometric(mean: float, size: tuple[int, int], rng: np.random.Generator) -> I64:
    waits = rng.standard_exponential(size, dtype=np.float32)
    return 1 + (waits * np.float32(-1.0 / math.log1p(-1.0 / mean))).astype(np.int64)


def _last_significant(correlations: F64, run: int, n: int) -> int:
    """Return the smallest lag after which a run of autocorrelations is insignificant, else the largest significant."""
    significant = np.abs(correlations) >= _SIGNIFICANT * math.sqrt(math.log10(n) / n)
    quiet = np.convolve(~significant, np.ones(run, dtype=np.int64), mode="valid")
    runs = np.flatnonzero(quiet == run)
    if len(runs):
        return int(runs[0])
    found = np.flatnonzero(significant)
    return int(found[-1]) + 1 if len(found) else 1
