"""Markets drawn by hand: a path through given turning points, and a market that knows no pattern."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omega.engine import Bars

MINUTE_NS = 60_000_000_000
START = 400_000_000
"""So that the first bars lie in 1970: no test hangs on a date."""


def through(points: Sequence[float], *, leg: int = 12, lead: float | None = None, warm: int = 20) -> Bars:
    """Return bars that run straight from point to point, `leg` bars each, after a quiet lead.

    A bar's high and low are its ends but for a hair, so that the pivots are the points themselves.
    """
    begin = points[0] if lead is None else lead
    path = [np.full(warm, begin)]
    for start, end in zip([begin, *points[:-1]], points, strict=True):
        path.append(np.linspace(start, end, leg + 1)[1:])
    close = np.concatenate(path)
    return of_closes(close)


def of_closes(close: np.ndarray) -> Bars:
    """Return bars whose open is the close before."""
    open_ = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    return Bars.of(times(len(close)), open_, high, low, close, np.ones(len(close)))


def times(n: int) -> np.ndarray:
    """Return the open times of n minutes."""
    return START + np.arange(n, dtype=np.int64) * MINUTE_NS


def fair(n: int, seed: int, *, ticks: int = 12, step: float = 0.01) -> Bars:
    """Return a fair game: no drift, volatility that comes and goes, prices on a coarse grid."""
    rng = np.random.default_rng(seed)
    wave = np.cumsum(rng.normal(0.0, 0.1, n))
    wave -= np.linspace(0.0, wave[-1], n)
    volatility = 0.003 * np.exp(0.5 * np.tanh(wave))
    moves = rng.standard_t(5, (n, ticks)) * volatility[:, None] / np.sqrt(ticks * 5 / 3)
    path = np.cumsum(moves.ravel()).reshape(n, ticks)
    opened = np.concatenate([[0.0], path[:-1, -1]])
    prices = np.maximum(np.round(100.0 * np.exp(np.column_stack([opened, path])) / step), 1.0) * step
    return Bars.of(
        times(n), prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1], np.ones(n)
    )  # fmt: skip
