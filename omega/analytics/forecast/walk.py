"""Walk-forward: fit on the past, forecast the stretch that follows, move on; the only scores that are ever shown.

Called by the forecast and by `omega.analytics.forecast.measure`. Training outcomes that reach into a test stretch are
purged, and an embargo keeps the bars next to it out as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from omega.analytics.forecast.features import WARMUP, Design, design, outcomes
from omega.analytics.forecast.models import Model, Task
from omega.engine.bars import F64, I64, Bars, Flags
from omega.errors import ConfigError

_LEAST_TRAINING = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """How a history is walked.

    Units: bars; horizon is what is forecast, train the most training rows, step the rows forecast by one fit, embargo
        the rows left out between training and test beside the purge of one horizon.
    """

    horizon: int
    train: int
    step: int
    embargo: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be walked."""
        if self.horizon < 1 or self.step < 1 or self.embargo < 0 or self.train < _LEAST_TRAINING:
            raise ConfigError(f"{self} cannot be walked: horizon and step 1 or more, train {_LEAST_TRAINING} or more")


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """Out-of-sample forecasts. Shapes: all (m,). Units: rows of the bars, probabilities of up, outcomes 1.0 or 0.0."""

    rows: I64
    probability: F64
    up: F64


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A history made ready once for every model. Shapes: up and known (n,)."""

    features: Design
    up: F64
    known: Flags
    plan: Plan

    @classmethod
    def of(cls, bars: Bars, timeframe_ns: int, plan: Plan) -> Ground:
        """Make the features and outcomes of a history.

        Raises:
            ConfigError: the history is shorter than the warm-up.
        """
        up, known = outcomes(bars, plan.horizon, timeframe_ns)
        known[:WARMUP] = False
        return cls(design(bars), up, known, plan)

    def task(self, at: int, seed: int) -> Task:
        """Return the training rows for forecasts from row `at` on: their outcomes were known before it."""
        plan = self.plan
        last = at - plan.horizon - plan.embargo
        rows = np.flatnonzero(self.known[: max(last, 0)])[-plan.train :]
        return Task(self.features, self.up, rows, plan.horizon, seed)


def folds(known: Flags, plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield (first row, row after the last) of every test stretch, from where half the training rows are there.

    Raises:
        ConfigError: the history leaves no test row.
    """
    usable = np.flatnonzero(known)
    wanted = max(plan.train // 2, _LEAST_TRAINING)
    if len(usable) <= wanted:
        raise ConfigError(
            f"{len(usable)} usable bars leave nothing to test after {wanted} to train on; give a longer history"
        )
    first, last = int(usable[wanted - 1]) + 1 + plan.horizon + plan.embargo, int(usable[-1])
    if first > last:
        raise ConfigError("no bar is left to test a forecast on; give a longer history or a shorter horizon")
    for start in range(first, last + 1, plan.step):
        yield start, min(start + plan.step, last + 1)


def walk(ground: Ground, model: Model, *, seed: int = 0, told: Callable[[int, int], None] = lambda *_: None) -> Walked:
    """Forecast every test stretch with a model that was fitted before it.

    Args:
        ground: the history.
        model: which.
        seed: of whatever the model draws.
        told: called with (stretches done, stretches in all).

    Raises:
        ConfigError: the history leaves no test row.
    """
    stretches = list(folds(ground.known, ground.plan))
    rows, found = [], []
    for k, (start, end) in enumerate(stretches, start=1):
        tested = start + np.flatnonzero(ground.known[start:end])
        if len(tested):
            rows.append(tested)
            found.append(model.fit(ground.task(start, seed))(tested))
        told(k, len(stretches))
    if not rows:
        raise ConfigError("no outcome of the test stretches is known; give a history without so many gaps")
    all_rows = np.concatenate(rows)
    return Walked(all_rows, np.concatenate(found), ground.up[all_rows])
