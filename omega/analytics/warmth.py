"""Compile what a scan needs into the cache on the disk, as `make setup` does for the back-test."""

from __future__ import annotations

import time

import numpy as np

from omega.analytics.scan import scan
from omega.engine.bars import Bars

_BARS = 512
_MINUTE_NS = 60_000_000_000


def warm_scan() -> float:
    """Scan a few made-up bars in every family; return the seconds it took."""
    began = time.perf_counter()
    rows = np.arange(_BARS)
    close = 100.0 + np.cumsum(np.sin(rows * rows))
    bars = Bars.of((rows + 1) * _MINUTE_NS, close, close + 0.1, close - 0.1, close, np.ones(_BARS))
    scan(bars, reversal=1.0)
    return time.perf_counter() - began
