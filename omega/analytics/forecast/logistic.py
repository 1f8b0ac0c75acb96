"""Logistic regression with a ridge, by Newton's rule: the linear model, and Platt's calibration of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.engine.bars import F64

_STEPS: Final = 50
_CLOSE: Final = 1e-9
_EDGE: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """A fitted regression. Shapes: mean, spread and weights (k,)."""

    mean: F64
    spread: F64
    weights: F64
    bias: float

    def probability(self, x: F64) -> F64:
        """Return the probability of 1 for every row. Shapes: (m, k) -> (m,)."""
        return sigmoid((x - self.mean) / self.spread @ self.weights + self.bias)


def sigmoid(z: F64) -> F64:
    """Return 1 / (1 + e^-z) without overflow."""
    made: F64 = 0.5 * (1.0 + np.tanh(0.5 * z))
    return made


def logit(p: F64) -> F64:
    """Return log(p / (1 - p)), cut to stay finite at 0 and 1."""
    cut = np.clip(p, _EDGE, 1.0 - _EDGE)
    made: F64 = np.log(cut / (1.0 - cut))
    return made


def fit_logistic(x: F64, y: F64, *, ridge: float = 1.0, even: float = 1e-6) -> Logistic:
    """Fit by penalised maximum likelihood on standardised columns.

    Shapes: x (m, k), y (m,) of 0.0 and 1.0. Units: ridge weighs half the squared length of the weights, even half the
        square of the bias: a quarter of the outcomes of a fair coin that count as seen beforehand.
    Source: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, 4.4.
    """
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-12)
    z = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    penalty = np.append(np.full(x.shape[1], ridge), even)
    w = np.zeros(z.shape[1])
    for _ in range(_STEPS):
        p = sigmoid(z @ w)
        gradient = z.T @ (y - p) - penalty * w
        curvature = (z * (p * (1.0 - p))[:, None]).T @ z + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        # A full step may overshoot where the data are nearly separable; a bounded one does not.
        w += step / max(1.0, float(np.abs(step).max()) / 2.0)
        if float(np.abs(step).max()) < _CLOSE:
            break
    return Logistic(mean, spread, w[:-1], float(w[-1]))


@dataclass(frozen=True, slots=True)
class Platt:
    """Probabilities put right on rows that the model was not fitted on: sigmoid(a logit(p) + b), a never below 0."""

    slope: float
    shift: float

    def __call__(self, p: F64) -> F64:
        """Return the calibrated probabilities. Shapes: (m,) -> (m,)."""
        return sigmoid(self.slope * logit(p) + self.shift)


def fit_platt(p: F64, y: F64, *, prior: float = 1e-6) -> Platt:
    """Calibrate probabilities against what happened; a model that ranks the wrong way round is made a constant.

    Shapes: p and y (m,). Units: prior pulls slope and shift to the even odds, see `fit_logistic`.
    Source: Platt (1999), Probabilistic Outputs for Support Vector Machines.
    """
    z = logit(p)
    fitted = fit_logistic(z[:, None], y, ridge=prior, even=prior)
    slope = float(fitted.weights[0] / fitted.spread[0])
    if slope <= 0.0:
        return Platt(0.0, fitted.bias)
    return Platt(slope, fitted.bias - slope * float(fitted.mean[0]))
