"""The models behind one port: three that know next to nothing, four simple rules, and gradient boosting.

Each is fitted on rows of the past and gives the probability that the close `horizon` bars on is higher. Called by the
walk-forward; a name that is not here is not a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from omega.analytics.forecast.features import Design
from omega.analytics.forecast.logistic import fit_logistic, fit_platt
from omega.analytics.forecast.regimes import fit_regimes
from omega.engine.bars import F64, I64
from omega.errors import ConfigError, EnvironmentFault
from omega.params import nearest

NO_CHANGE: Final = "no_change"
DRIFT: Final = "drift"
BOOSTING: Final = "gradient_boosting"

Predict = Callable[[I64], F64]
"""Rows of the design -> the probability of a higher close at each, in (0, 1)."""

_PRIOR: Final = 25.0
"""What pulls every fit to even odds: as if a hundred tosses of a fair coin had been seen, each worth a quarter."""
_HELD_OUT: Final = 0.2
_LEAST_FITTED: Final = 50
_STATES: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a model is fitted on.

    Shapes: up (n,), aligned with the design; rows (m,), rising: the training rows, whose outcomes are all known.
    Units: horizon in bars; seed of whatever a model draws.
    """

    design: Design
    up: F64
    rows: I64
    horizon: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """One way to forecast.

    Attributes:
        fit: training rows -> a function that forecasts later rows, each from what was known at its own bar.
        doc: what it believes, in a line.
    """

    name: str
    fit: Callable[[Task], Predict]
    doc: str


def model_of(name: str) -> Model:
    """Return a model by name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in MODELS:
        raise ConfigError(f"there is no forecast model {name!r}{nearest(name, MODELS)}; known: {', '.join(MODELS)}")
    return MODELS[name]


def _no_change(task: Task) -> Predict:  # noqa: ARG001 - every model takes its task
    return lambda rows: np.full(len(rows), 0.5)


def _drift(task: Task) -> Predict:
    """Laplace's rule keeps a one-sided past from certainty."""
    share = (float(task.up[task.rows].sum()) + 1.0) / (len(task.rows) + 2.0)
    return lambda rows: np.full(len(rows), share)


def _rule(*names: str) -> Callable[[Task], Predict]:
    def fit(task: Task) -> Predict:
        columns = np.column_stack([task.design.column(name) for name in names])
        return _fitted(task, columns)

    return fit


def _hurst(task: Task) -> Predict:
    """Let the move of the last day and week go on where the market persists, turn where it reverts."""
    lean = task.design.column("hurst") - 0.5
    columns = np.column_stack([lean * task.design.column(f"return_{lag}") for lag in (24, 168)])
    return _fitted(task, columns)


def _regime(task: Task) -> Predict:
    first, last = int(task.rows[0]), int(task.rows[-1])
    model = fit_regimes(task.design.log_returns[first : last + 1], _STATES)
    states = model.filtered(task.design.log_returns[first:])[:, :-1]  # the last one is what is left of 1
    whole = np.zeros((len(task.up), states.shape[1]))
    whole[first:] = states
    return _fitted(task, whole)


def _linear(task: Task) -> Predict:
    return _fitted(task, task.design.values)


def _fitted(task: Task, columns: F64) -> Predict:
    """Outcomes that overlap tell the same story `horizon` times: the prior is weighed up by as much."""
    prior = _PRIOR * task.horizon
    fitted = fit_logistic(columns[task.rows], task.up[task.rows], ridge=prior, even=prior)
    return lambda rows: fitted.probability(columns[rows])


def _boosting(task: Task) -> Predict:
    """Fit on the older rows and calibrate on the newer ones."""
    fitted_on, held_out = calibration_split(task)
    if len(fitted_on) < _LEAST_FITTED:
        raise ConfigError(
            f"a horizon of {task.horizon} bars leaves {len(fitted_on)} of {len(task.rows)} training rows to fit "
            f"{BOOSTING} on: give a longer history or a shorter horizon"
        )
    x, classifier = task.design.values, _classifier(len(fitted_on), task.seed)
    up = task.up[fitted_on]
    if up.min() == up.max():
        return _drift(task)
    with _one_thread():
        classifier.fit(x[fitted_on], up)
        raw = classifier.predict_proba(x[held_out])[:, 1]
    calibrated = fit_platt(raw, task.up[held_out], prior=_PRIOR * task.horizon)

    def predict(rows: I64) -> F64:
        with _one_thread():
            found: F64 = classifier.predict_proba(x[rows])[:, 1]
        return calibrated(found)

    return predict


def calibration_split(task: Task) -> tuple[I64, I64]:
    """Return (rows to fit on, rows to calibrate on): the older four fifths, and the newest fifth.

    Rows whose outcome is only known inside the newer part belong to neither.
    """
    held_out = task.rows[len(task.rows) - int(len(task.rows) * _HELD_OUT) :]
    return task.rows[task.rows < held_out[0] - task.horizon], held_out


def _classifier(n: int, seed: int) -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        raise EnvironmentFault(
            f"the model {BOOSTING} needs scikit-learn: pip install 'omega-bot-farm[analytics]', or name another model"
        ) from None
    return HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=60,
        max_leaf_nodes=8,
        min_samples_leaf=max(n // 50, 5),
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )


def _one_thread() -> Any:
    """A service shares its cores; threads that wait for each other cost more than they save on so few rows."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


MODELS: Final[Mapping[str, Model]] = {
    model.name: model
    for model in (
        Model(NO_CHANGE, _no_change, "nothing can be said: one half, always; what every forecast is held against"),
        Model(DRIFT, _drift, "the market goes on rising as often as it did"),
        Model("ema_slope", _rule("ema_slope", "ema_distance"), "the slope of an average, and the distance from it"),
        Model("regression", _rule("slope_t"), "the slope of a regression line over 48 closes, over its error"),
        Model("hurst", _hurst, "moves go on where the Hurst exponent is above one half, and turn where below"),
        Model("regime", _regime, "three hidden states of calm and wild returns, filtered bar by bar"),
        Model("linear", _linear, "a ridge logistic regression on every feature"),
        Model(BOOSTING, _boosting, "gradient-boosted trees on every feature, calibrated on the newest fifth"),
    )
}
"""The model registry, from the simplest to the richest."""
