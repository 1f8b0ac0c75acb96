"""A cell: one arm on one asset in one fold, with all its placebos; the unit of work that is never lost.

Made by an `Evaluate`; kept by the store; read by the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from omega.engine.bars import F64
from omega.research.experiment.folds import Fold
from omega.research.experiment.plan import Plan


class Cell(NamedTuple):
    """One arm on one asset in one fold."""

    arm: str
    symbol: str
    fold: int


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a cell returned out of sample.

    Attributes:
        returns: daily returns, (1 + placebos, days); row 0 is the arm itself.
        trades: round trips of the arm itself.
        params: the parameters that it traded with.
        tries: what tuning tried on the training window: parameters and annualised Sharpe ratio.
    """

    returns: F64
    trades: int
    params: Mapping[str, Any] = field(default_factory=dict)
    tries: tuple[tuple[Mapping[str, Any], float], ...] = ()


Evaluate = Callable[[Cell], Outcome]
"""Runs one cell; the same cell always returns the same outcome."""


def cells_of(plan: Plan, present: Iterable[tuple[str, Fold]]) -> list[Cell]:
    """Return every cell, all arms of an asset and fold together.

    Args:
        plan: the experiment.
        present: which asset was there in which fold.
    """
    return [Cell(arm, symbol, fold.number) for symbol, fold in present for arm in plan.arms]


def pooled(outcomes: Mapping[Cell, Outcome], arm: str, symbols: Iterable[str]) -> F64:
    """Return an arm's out-of-sample days in a row: in each fold the mean over the assets that were there.

    Shapes: (1 + placebos, days of all folds).
    """
    wanted = set(symbols)
    folds: dict[int, list[F64]] = {}
    for cell, outcome in outcomes.items():
        if cell.arm == arm and cell.symbol in wanted:
            folds.setdefault(cell.fold, []).append(outcome.returns)
    return np.concatenate([np.mean(folds[number], axis=0) for number in sorted(folds)], axis=1)
