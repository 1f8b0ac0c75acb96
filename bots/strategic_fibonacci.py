"""Strategic Fibonacci: buys the bounce off a retracement of a confirmed up-swing, sells it in a down-swing.

The stop lies beyond the next level, the targets at the extensions. Run by omega.engine, once a bar.
"""

from __future__ import annotations

import numpy as np
import talib

from omega.engine import F64, FLAT, I8, LONG, Bars, Signals
from omega.engine.fibonacci import Swings, swings
from omega.plugins import param, params, strategy

_ENTRIES = ((0.618, 0.786), (0.5, 0.618), (0.382, 0.5))
"""(entry level, the next level behind it), deepest first: the deepest level that was touched names the entry."""

_TARGETS = (1.272, 1.618, 2.0)


@params
class Params:
    """What makes a swing, a touch and a stop."""

    span: int = param(20, low=2, high=50, unit="bars", reload="restart", doc="bars on either side of a pivot")
    swing_atr: float = param(4.0, low=0.5, high=20.0, unit="ATR", doc="smallest leg of a swing")
    swing_pct: float = param(0.006, low=0.0, high=0.1, unit="fraction", doc="smallest leg as a part of the price")
    max_age: int = param(480, low=20, high=1000, unit="bars", reload="restart", doc="life of a swing")
    trend: int = param(60, low=5, high=100, unit="bars", reload="restart", doc="length of the trend average")
    proximity_atr: float = param(0.25, low=0.0, high=3.0, unit="ATR", doc="how near counts as a touch")
    buffer_atr: float = param(0.5, low=0.0, high=5.0, unit="ATR", doc="how far beyond the next level the stop lies")
    stop_floor: float = param(0.004, low=0.0, high=0.05, unit="fraction", doc="smallest stop distance of the price")
    atr: int = param(14, low=2, high=25, unit="bars", reload="restart", doc="length of the average true range")
    time_limit: int = param(720, low=0, high=100_000, unit="bars", doc="longest holding time; 0 for none")


def need(p: Params) -> int:
    """Return the bars after which nothing older can be felt: a swing's life, its pivots, and both averages."""
    return max(p.max_age + 2 * p.span, 0) + max(40 * p.atr, 20 * p.trend)


@strategy("strategic_fibonacci", params=Params, warmup=need, reasons=("bounce_618", "bounce_500", "bounce_382"))
def signals(bars: Bars, p: Params) -> Signals:
    """Mark the bounces in the direction of swing and trend.

    Shapes: every array is (n,), aligned with bars; row k reads rows 0..k alone.
    Units: distances in quote currency per unit; confidence is the part of the leg that was not given back.
    """
    atr = talib.ATR(bars.high, bars.low, bars.close, p.atr)
    swing = swings(bars, p.span, np.maximum(p.swing_atr * atr, p.swing_pct * bars.close), p.max_age)
    leg = swing.high - swing.low
    sign = swing.direction.astype(np.float64)
    tip = np.where(sign > 0.0, swing.high, swing.low)
    back = sign * (tip - bars.close)
    level, behind = _bounce(bars, p, swing, atr)
    entered = (level >= 0) & (sign * _trend(bars, p) > 0.0) & (sign * (bars.close - bars.open) > 0.0)
    stop = np.maximum(behind * leg + p.buffer_atr * atr - back, p.stop_floor * bars.close)
    kept = 1.0 - np.divide(back, leg, out=np.ones(bars.n), where=leg > 0.0)
    return Signals.of(
        side=np.where(entered, swing.direction, FLAT),
        stop_distance=stop,
        targets=tuple(np.maximum(leg * (ratio - 1.0) + back, 0.0) for ratio in _TARGETS),
        confidence=np.clip(kept, 0.0, 1.0),
        reason=np.maximum(level, 0),
    )


def _bounce(bars: Bars, p: Params, swing: Swings, atr: F64) -> tuple[I8, F64]:
    """Return the deepest level that the bar touched and closed back from, as an index (-1 none), and the next level."""
    leg = swing.high - swing.low
    up = swing.direction == LONG
    reach = np.where(up, swing.high - bars.low, bars.high - swing.low)
    back = np.where(up, swing.high - bars.close, bars.close - swing.low)
    near = p.proximity_atr * atr
    live = (swing.direction != FLAT) & (reach < leg)
    level, behind = np.full(bars.n, -1, dtype=np.int8), np.ones(bars.n)
    for index in reversed(range(len(_ENTRIES))):  # the deepest is written last
        ratio, following = _ENTRIES[index]
        touched = live & (reach >= ratio * leg - near) & (back < ratio * leg)
        level[touched], behind[touched] = index, following
    return level, behind


def _trend(bars: Bars, p: Params) -> F64:
    """Return by how much the trend average rose over half its length; 0.0 while it warms up."""
    average = talib.EMA(bars.close, p.trend)
    rise = np.zeros(bars.n)
    half = max(p.trend // 2, 1)
    rise[half:] = average[half:] - average[:-half]
    rise[np.isnan(rise)] = 0.0
    return rise
