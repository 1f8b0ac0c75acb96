"""Trend forecasts: models behind one port, scored walk-forward against "no change" before anybody sees a number.

Called by the analytics service, `omega analyze trend` and the evidence. Import the modules' own names from here.
"""

from omega.analytics.forecast.features import Design, design, hurst, outcomes
from omega.analytics.forecast.models import BOOSTING, DRIFT, MODELS, NO_CHANGE, Model, Task, model_of
from omega.analytics.forecast.predict import Direction, Forecast, forecast
from omega.analytics.forecast.regimes import Regimes, fit_regimes
from omega.analytics.forecast.scores import Bin, Gain, Score, gain, reliability, score
from omega.analytics.forecast.walk import Ground, Plan, Walked, folds, walk

__all__ = [
    "BOOSTING",
    "DRIFT",
    "MODELS",
    "NO_CHANGE",
    "Bin",
    "Design",
    "Direction",
    "Forecast",
    "Gain",
    "Ground",
    "Model",
    "Plan",
    "Regimes",
    "Score",
    "Task",
    "Walked",
    "design",
    "fit_regimes",
    "folds",
    "forecast",
    "gain",
    "hurst",
    "model_of",
    "outcomes",
    "reliability",
    "score",
    "walk",
]
