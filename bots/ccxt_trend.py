"""Trend follower for any venue: enters when trend, slower timeframe, regime, structure and pullback agree.

Both sides by one rule, stop by the average true range. Run by omega.engine, once a bar.
"""

from __future__ import annotations

import numpy as np
import talib

from omega.domain import MINUTE_NS
from omega.engine import F64, FLAT, Bars, Flags, Signals
from omega.engine.coarse import coarsen, spread
from omega.engine.fibonacci import rolling
from omega.plugins import param, params, strategy

_SLOWER, _REGIME, _STRUCTURE, _PULLBACK = 0.4, 0.3, 0.2, 0.1
_RECENT = 10
"""Bars of each half in the structure rule, and of the search for a pullback."""


@params
class Params:
    """Lengths, thresholds in ATR, and the barriers."""

    window: int = param(20, low=5, high=100, unit="bars", reload="restart", doc="length of the trend rule")
    short: int = param(10, low=5, high=50, unit="bars", reload="restart", doc="short trend of the regime")
    long: int = param(30, low=10, high=100, unit="bars", reload="restart", doc="long trend of the regime")
    slower: int = param(15, low=2, high=240, unit="minutes", reload="restart", doc="timeframe that confirms")
    slower_window: int = param(10, low=3, high=50, unit="bars", reload="restart", doc="its trend rule's length")
    trend_atr: float = param(1.0, low=0.0, high=10.0, unit="ATR", doc="how far from its average a trend must be")
    threshold: float = param(0.65, low=0.1, high=1.0, doc="score from which to enter")
    stop_atr: float = param(4.0, low=0.5, high=20.0, unit="ATR", doc="stop distance")
    stop_floor: float = param(0.004, low=0.0, high=0.05, unit="fraction", doc="smallest stop distance of the price")
    reward: float = param(2.0, low=0.5, high=10.0, unit="R", doc="first target; the others lie 1 R and 3 R farther")
    atr: int = param(14, low=2, high=25, unit="bars", reload="restart", doc="length of the average true range")
    time_limit: int = param(960, low=0, high=100_000, unit="bars", doc="longest holding time; 0 for none")
    trail: float = param(0.0, low=0.0, high=0.2, unit="fraction", doc="trailing stop, of the entry price; 0 for none")


def need(p: Params) -> int:
    """Return the bars after which nothing older can be felt: every rule here looks back over a fixed window."""
    longest = max(p.window, p.long, p.short) + p.atr + 2 * _RECENT
    return max(longest, (2 * p.slower_window + p.atr + 2) * p.slower)


@strategy("ccxt_trend", params=Params, warmup=need, reasons=("trend_up", "trend_down", "trend_lost"))
def signals(bars: Bars, p: Params) -> Signals:
    """Score every bar for the side of its trend, and enter where the score first reaches the threshold.

    Shapes: every array is (n,), aligned with bars; row k reads rows 0..k alone.
    Units: distances in quote currency per unit; the confidence is the score.
    Source: the entry score of the strategic trader: .4 when the slower timeframe agrees, .3 when the regime supports,
        .2 for structure, and .1 for a pullback that has turned.
    """
    unit = _range(bars, p.atr)
    side = _trend(bars, p.window, p.trend_atr * unit)
    slower, closed = coarsen(bars, p.slower * MINUTE_NS)
    confirmed = spread(_trend(slower, p.slower_window, p.trend_atr * _range(slower, p.atr)), closed, 0.0)
    regime = _regime(_trend(bars, p.short, p.trend_atr * unit), _trend(bars, p.long, p.trend_atr * unit))
    score = (side != 0.0) * (
        _SLOWER * (confirmed == side)
        + _REGIME * (regime == side)
        + _STRUCTURE * (_structure(bars) == side)
        + _PULLBACK * (_pullback(bars, p.short, side))
    )
    wanted = np.where(score >= p.threshold, side, 0.0)
    fresh = wanted != _before(wanted)
    stop = np.maximum(p.stop_atr * unit, p.stop_floor * bars.close)
    stop[np.isnan(stop)] = 0.0
    return Signals.of(
        side=np.where(fresh, wanted, FLAT),
        exit=_turned(confirmed, p.slower * p.slower_window),
        stop_distance=stop,
        targets=tuple((p.reward + more) * stop for more in (0.0, 1.0, 3.0)),
        confidence=np.minimum(score, 1.0),
        reason=np.where(wanted > 0.0, 0, np.where(wanted < 0.0, 1, 2)),
    )


def _range(bars: Bars, length: int) -> F64:
    """Return the mean true range over a fixed window: unlike the smoothed one it forgets entirely."""
    if bars.n <= length:
        return np.full(bars.n, np.nan)
    made: F64 = talib.SMA(talib.TRANGE(bars.high, bars.low, bars.close), length)
    return made


def _trend(bars: Bars, length: int, edge: F64) -> F64:
    """Return +1.0, -1.0 or 0.0: the close lies an edge beyond its average and has gone an edge over the window."""
    made = np.zeros(bars.n)
    if bars.n < length:
        return made
    off = bars.close - talib.SMA(bars.close, length)
    gone = np.full(bars.n, np.nan)
    gone[length - 1 :] = bars.close[length - 1 :] - bars.close[: bars.n - length + 1]
    made[(off > edge) & (gone > edge)] = 1.0
    made[(off < -edge) & (gone < -edge)] = -1.0
    return made


def _regime(short: F64, long: F64) -> F64:
    """Return the side that the regime supports: both trends of one mind, or a correction within the long one."""
    against = (long != 0.0) & (short == -long)
    return np.where((short == long) | against, long, 0.0)


def _structure(bars: Bars) -> F64:
    """Return the side of the structure: higher lows +1.0, lower highs -1.0, both or neither 0.0."""
    made = np.zeros(bars.n)
    if bars.n < 2 * _RECENT:
        return made
    lows, highs = rolling(np.minimum, bars.close, _RECENT), rolling(np.maximum, bars.close, _RECENT)
    rising, falling = lows[_RECENT:] > lows[:-_RECENT], highs[_RECENT:] < highs[:-_RECENT]
    made[2 * _RECENT - 1 :] = rising.astype(np.float64) - falling.astype(np.float64)
    return made


def _pullback(bars: Bars, length: int, side: F64) -> Flags:
    """Tell where the price came back to its short average within the last bars and has turned with the trend again."""
    turned = np.zeros(bars.n, dtype=np.bool_)
    if bars.n < length + _RECENT:
        return turned
    average = talib.SMA(bars.close, length)
    under = rolling(np.minimum, bars.low - average, _RECENT) <= 0.0
    over = rolling(np.minimum, average - bars.high, _RECENT) <= 0.0
    turned[_RECENT - 1 :] = np.where(side[_RECENT - 1 :] > 0.0, under, over)
    return turned & (side * (bars.close - average) > 0.0)


def _turned(trend: F64, memory: int) -> Flags:
    """Tell where a trend begins that runs against the last one, when that one ended at most `memory` bars ago.

    Only a position of the old side can be open there, since entries need the slower trend on their side.
    """
    rows = np.arange(trend.shape[0])
    last = np.maximum.accumulate(np.where(trend != 0.0, rows, 0))
    held = np.where(rows - last <= memory, trend[last], 0.0)
    turned: Flags = (trend != 0.0) & (_before(held) == -trend)
    return turned


def _before(values: F64) -> F64:
    """Return the values of the row before, 0.0 in the first."""
    made = np.zeros_like(values)
    made[1:] = values[:-1]
    return made
