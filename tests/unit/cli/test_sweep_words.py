"""What a sweep says of the best trial so far."""

from __future__ import annotations

import pytest

from omega.backtest.sweep.study import Trial
from omega.cli.sweep import _best


@pytest.mark.parametrize(
    ("metric", "score", "value", "words"),
    [
        ("sharpe", -26.25, -26.25, "best sharpe -26.25 at fast=9"),
        ("max_drawdown", -0.25, 0.25, "best max_drawdown 0.25 at fast=9"),
    ],
)
def test_best_trial_is_shown_by_its_own_figure_and_sign(metric: str, score: float, value: float, words: str) -> None:
    """A score is larger where it is better: of what shall be small it has the other sign."""
    trial = Trial(0, 1, "done", score, {"fast": 9}, {metric: value}, "", 0)

    assert _best(trial, metric) == words
    assert _best(None, metric) == ""
