"""Walk-forward windows and objectives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from omega.backtest.sweep.goal import front, goals_of
from omega.backtest.sweep.windows import folds_of, walk_forward_of
from omega.errors import ConfigError

MINUTE = 60_000_000_000
TS = np.arange(10 * 1440, dtype=np.int64) * MINUTE


def test_folds_test_begins_where_training_ends_and_moves_by_the_test() -> None:
    folds = folds_of(TS, MINUTE, walk_forward_of("4d:2d"))

    day = 1440
    assert [(fold.train, fold.test) for fold in folds] == [
        ((0, 4 * day), (4 * day, 6 * day)),
        ((2 * day, 6 * day), (6 * day, 8 * day)),
        ((4 * day, 8 * day), (8 * day, 10 * day)),
    ]


def test_folds_move_by_their_own_step() -> None:
    assert len(folds_of(TS, MINUTE, walk_forward_of("4d:2d:12h"))) == 9


@pytest.mark.parametrize("text", ["", "4d", "4d:2x", "0d:1d", "1d:1d:1d:1d"])
def test_walk_forward_refuses_malformed_text(text: str) -> None:
    with pytest.raises(ConfigError, match="walk-forward"):
        walk_forward_of(text)


def test_folds_refuse_a_history_that_is_too_short() -> None:
    with pytest.raises(ConfigError, match=r"10\.0 days"):
        folds_of(TS, MINUTE, walk_forward_of("9d:2d"))


def test_goals_know_what_is_better() -> None:
    sharpe, drawdown, forced = goals_of(["sharpe", "max_drawdown", "trades:min"])

    assert (sharpe.larger, drawdown.larger, forced.larger) == (True, False, False)
    assert drawdown.score({"max_drawdown": 0.2}) == -0.2
    assert sharpe.score({"sharpe": None}) == -math.inf
    assert sharpe.score({}) == -math.inf


@pytest.mark.parametrize("texts", [["sharpe:up"], [""], ["sharpe", "sharpe:min"]])
def test_goals_refuse_malformed_text(texts: list[str]) -> None:
    with pytest.raises(ConfigError):
        goals_of(texts)


def test_front_keeps_what_nothing_beats_in_everything() -> None:
    assert front([(1.0, 5.0), (2.0, 4.0), (1.0, 4.0), (3.0, -math.inf)]) == [0, 1]
