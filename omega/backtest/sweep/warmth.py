"""Compile what a sweep needs into the cache on the disk, as `make setup` does for the back-test."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from omega.backtest.run import RULES
from omega.backtest.sweep.evaluate import Evaluator
from omega.backtest.sweep.job import Job, Stretch, Task
from omega.backtest.types import Costs, Market
from omega.engine.bars import Bars
from omega.engine.decision import Sizing

_BARS = 512
_MINUTE_NS = 60_000_000_000


def warm_sweep() -> float:
    """Run a sweep of a few made-up bars both ways; return the seconds it took."""
    began = time.perf_counter()
    close = 100.0 + np.sin(np.arange(_BARS) / 7.0)
    bars = Bars.of(np.arange(_BARS) * _MINUTE_NS + 1, close, close + 0.1, close - 0.1, close, np.ones(_BARS))
    market = Market("WARM", bars, _MINUTE_NS)
    task = Task(0, {"fast": 3, "slow": 6}, (Stretch(-1),))
    for rules in (RULES, replace(RULES, sizing=Sizing.ALL_IN)):
        Evaluator(Job("ema_cross", {"stop_pct": 0.0}, rules, Costs(), 10_000.0), market).evaluate([task])
    return time.perf_counter() - began
