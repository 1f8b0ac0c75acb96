"""A hidden Markov model of calm and wild, rising and falling stretches: Gaussian states over log returns.

Called by the regime model and by the condition of a market. States are filtered: a bar knows its past alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.backtest.compile import compiled
from omega.engine.bars import F64
from omega.errors import ConfigError

_LEAST: Final = 50
_STICKY: Final = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Regimes:
    """A fitted model, its states from the calmest to the wildest.

    Shapes: start, mean and spread (s,), move (s, s) from row to column. Units: mean and spread of log returns a bar.
    """

    start: F64
    move: F64
    mean: F64
    spread: F64
    log_likelihood: float

    @property
    def states(self) -> int:
        """The number of states."""
        return len(self.mean)

    def filtered(self, log_returns: F64) -> F64:
        """Return the probability of each state after each return, from the returns so far.

        Shapes: (n,) -> (n, s), rows sum to 1.
        """
        density, _ = _densities(log_returns, self.mean, self.spread)
        alpha, scale = np.empty_like(density), np.empty(len(density))
        compiled(_forward)(density, self.start, self.move, alpha, scale)
        return alpha


def fit_regimes(log_returns: F64, states: int = 3, *, rounds: int = 60, tolerance: float = 1e-5) -> Regimes:
    """Fit by expectation and maximisation from a start that the data alone decide, so a fit can be repeated.

    Args:
        log_returns: (n,), finite, in the order of time.
        states: 2 or more.
        rounds: most rounds.
        tolerance: gain of log likelihood a return below which it ends.

    Raises:
        ConfigError: fewer than 50 returns a state, or returns that do not vary.

    Source: Rabiner (1989), A Tutorial on Hidden Markov Models, Proceedings of the IEEE 77(2), scaled recursions.
    """
    n = len(log_returns)
    if states < 2 or n < _LEAST * states:  # noqa: PLR2004 - one state is no regime
        raise ConfigError(f"{n} returns are too few for {states} regimes; give {_LEAST * max(states, 2)} or more")
    floor = 0.05 * float(log_returns.std())
    if not floor > 0.0:
        raise ConfigError("returns that never vary have no regimes; leave this market out")
    model, before = _first_guess(log_returns, states), -np.inf
    for _ in range(rounds):
        model = _round(log_returns, model, floor)
        if model.log_likelihood - before < tolerance * n:
            break
        before = model.log_likelihood
    order = np.argsort(model.spread, kind="stable")
    return Regimes(
        model.start[order],
        model.move[np.ix_(order, order)],
        model.mean[order],
        model.spread[order],
        model.log_likelihood,
    )


def _first_guess(values: F64, states: int) -> Regimes:
    """Cut the sizes of the moves at their quantiles: a state for each band."""
    size = np.abs(values - np.median(values))
    band = np.searchsorted(np.quantile(size, np.arange(1, states) / states), size, side="right")
    mean = np.array([values[band == s].mean() if (band == s).any() else 0.0 for s in range(states)])
    spread = np.array([max(float(size[band <= s].std() + size[band == s].mean()), 1e-12) for s in range(states)])
    move = np.full((states, states), (1.0 - _STICKY) / (states - 1))
    np.fill_diagonal(move, _STICKY)
    return Regimes(np.full(states, 1.0 / states), move, mean, spread, -np.inf)


def _round(values: F64, model: Regimes, floor: float) -> Regimes:
    density, shift = _densities(values, model.mean, model.spread)
    alpha, beta, scale = np.empty_like(density), np.empty_like(density), np.empty(len(density))
    compiled(_forward)(density, model.start, model.move, alpha, scale)
    compiled(_backward)(density, model.move, scale, beta)
    gamma = alpha * beta
    gamma /= gamma.sum(axis=1, keepdims=True)
    joint = model.move * (alpha[:-1].T @ (density[1:] * beta[1:] / scale[1:, None]))
    weight = gamma.sum(axis=0) + 1e-12
    mean = values @ gamma / weight
    variance = ((values[:, None] - mean) ** 2 * gamma).sum(axis=0) / weight
    likelihood = float(np.log(scale).sum() + shift.sum())
    move = (joint + 1e-9) / (joint + 1e-9).sum(axis=1, keepdims=True)
    return Regimes(gamma[0], move, mean, np.maximum(np.sqrt(variance), floor), likelihood)


def _densities(values: F64, mean: F64, spread: F64) -> tuple[F64, F64]:
    """Return the densities over the largest of their row, and the logarithm of that largest."""
    log = -0.5 * ((values[:, None] - mean) / spread) ** 2 - np.log(spread) - 0.5 * np.log(2.0 * np.pi)
    top = log.max(axis=1)
    return np.exp(log - top[:, None]), top


def _forward(density: F64, start: F64, move: F64, alpha: F64, scale: F64) -> None:
    n, states = density.shape
    for t in range(n):
        total = 0.0
        for s in range(states):
            before = 0.0
            if t == 0:
                before = start[s]
            else:
                for r in range(states):
                    before += alpha[t - 1, r] * move[r, s]
            alpha[t, s] = before * density[t, s]
            total += alpha[t, s]
        total = max(total, 1e-300)
        scale[t] = total
        for s in range(states):
            alpha[t, s] /= total


def _backward(density: F64, move: F64, scale: F64, beta: F64) -> None:
    n, states = density.shape
    for s in range(states):
        beta[n - 1, s] = 1.0
    for t in range(n - 2, -1, -1):
        for r in range(states):
            after = 0.0
            for s in range(states):
                after += move[r, s] * density[t + 1, s] * beta[t + 1, s]
            beta[t, r] = after / scale[t + 1]
