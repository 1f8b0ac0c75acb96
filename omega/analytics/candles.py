"""TA-Lib's 61 candlestick patterns as findings. Called by the scan.

TA-Lib keeps running totals, whose last bit depends on where they began, and equal bodies are common on a coarse price
grid. Prices are therefore laid on a binary grid fine enough to change nothing and coarse enough for exact totals: a
window of bars gives the answers of the whole history.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Final

import numpy as np

from omega.analytics.findings import Family, Findings, Kind, Stretch, ahead, table
from omega.engine.bars import F64, I64, Bars

LOOKBACK: Final = 40
"""Bars before a bar that its patterns can feel: five of the pattern and the averages before them, and some to spare."""

_LEAST_RISK: Final = 0.5  # average ranges between price and invalidation
_GRAIN: Final = 1e-4  # of the price, where the average range is not known yet
_BITS: Final = 40

CANDLES: Final[dict[str, tuple[str, int]]] = {
    "CDL2CROWS": ("two_crows", 3),
    "CDL3BLACKCROWS": ("three_black_crows", 3),
    "CDL3INSIDE": ("three_inside", 3),
    "CDL3LINESTRIKE": ("three_line_strike", 4),
    "CDL3OUTSIDE": ("three_outside", 3),
    "CDL3STARSINSOUTH": ("three_stars_in_the_south", 3),
    "CDL3WHITESOLDIERS": ("three_white_soldiers", 3),
    "CDLABANDONEDBABY": ("abandoned_baby", 3),
    "CDLADVANCEBLOCK": ("advance_block", 3),
    "CDLBELTHOLD": ("belt_hold", 1),
    "CDLBREAKAWAY": ("breakaway", 5),
    "CDLCLOSINGMARUBOZU": ("closing_marubozu", 1),
    "CDLCONCEALBABYSWALL": ("concealing_baby_swallow", 4),
    "CDLCOUNTERATTACK": ("counterattack", 2),
    "CDLDARKCLOUDCOVER": ("dark_cloud_cover", 2),
    "CDLDOJI": ("doji", 1),
    "CDLDOJISTAR": ("doji_star", 2),
    "CDLDRAGONFLYDOJI": ("dragonfly_doji", 1),
    "CDLENGULFING": ("engulfing", 2),
    "CDLEVENINGDOJISTAR": ("evening_doji_star", 3),
    "CDLEVENINGSTAR": ("evening_star", 3),
    "CDLGAPSIDESIDEWHITE": ("gap_side_by_side_white", 3),
    "CDLGRAVESTONEDOJI": ("gravestone_doji", 1),
    "CDLHAMMER": ("hammer", 1),
    "CDLHANGINGMAN": ("hanging_man", 1),
    "CDLHARAMI": ("harami", 2),
    "CDLHARAMICROSS": ("harami_cross", 2),
    "CDLHIGHWAVE": ("high_wave", 1),
    "CDLHIKKAKE": ("hikkake", 3),
    "CDLHIKKAKEMOD": ("modified_hikkake", 4),
    "CDLHOMINGPIGEON": ("homing_pigeon", 2),
    "CDLIDENTICAL3CROWS": ("identical_three_crows", 3),
    "CDLINNECK": ("in_neck", 2),
    "CDLINVERTEDHAMMER": ("inverted_hammer", 1),
    "CDLKICKING": ("kicking", 2),
    "CDLKICKINGBYLENGTH": ("kicking_by_length", 2),
    "CDLLADDERBOTTOM": ("ladder_bottom", 5),
    "CDLLONGLEGGEDDOJI": ("long_legged_doji", 1),
    "CDLLONGLINE": ("long_line", 1),
    "CDLMARUBOZU": ("marubozu", 1),
    "CDLMATCHINGLOW": ("matching_low", 2),
    "CDLMATHOLD": ("mat_hold", 5),
    "CDLMORNINGDOJISTAR": ("morning_doji_star", 3),
    "CDLMORNINGSTAR": ("morning_star", 3),
    "CDLONNECK": ("on_neck", 2),
    "CDLPIERCING": ("piercing", 2),
    "CDLRICKSHAWMAN": ("rickshaw_man", 1),
    "CDLRISEFALL3METHODS": ("rising_falling_three_methods", 5),
    "CDLSEPARATINGLINES": ("separating_lines", 2),
    "CDLSHOOTINGSTAR": ("shooting_star", 1),
    "CDLSHORTLINE": ("short_line", 1),
    "CDLSPINNINGTOP": ("spinning_top", 1),
    "CDLSTALLEDPATTERN": ("stalled_pattern", 3),
    "CDLSTICKSANDWICH": ("stick_sandwich", 3),
    "CDLTAKURI": ("takuri", 1),
    "CDLTASUKIGAP": ("tasuki_gap", 3),
    "CDLTHRUSTING": ("thrusting", 2),
    "CDLTRISTAR": ("tristar", 3),
    "CDLUNIQUE3RIVER": ("unique_three_river", 3),
    "CDLUPSIDEGAP2CROWS": ("upside_gap_two_crows", 3),
    "CDLXSIDEGAP3METHODS": ("gap_three_methods", 3),
}
"""TA-Lib's function, our name and the bars of the pattern."""

# TA-Lib answers +100 for every doji, whatever it means: these call no side, and the gravestone calls the other one.
_SIDELESS: Final = ("CDLDOJI", "CDLLONGLEGGEDDOJI", "CDLRICKSHAWMAN")
_TURNED: Final = ("CDLGRAVESTONEDOJI",)

KINDS: Final = tuple(Kind(Family.CANDLES, name, ("first",)) for name, _ in CANDLES.values())


class CandleWalk:
    """The candlesticks of a history, stretch after stretch."""

    kinds = KINDS

    def __init__(self) -> None:
        self._grid = 0.0

    def extend(self, stretch: Stretch) -> Findings:
        """Return the patterns that the new bars completed."""
        self._grid = self._grid or grid_of(float(stretch.bars.close[0]))
        begin = max(stretch.start - LOOKBACK, 0)
        row, which, value = hits(stretch.bars.since(begin), self._grid)
        new = row + begin >= stretch.start
        return _findings(stretch, row[new] + begin, which[new], value[new])


def grid_of(price: float) -> float:
    """Return the step of the binary grid for a market that trades near a price: 2 ** -40 of it."""
    return 2.0 ** (math.frexp(price)[1] - _BITS)


def hits(bars: Bars, grid: float = 0.0) -> tuple[I64, I64, I64]:
    """Return every non-zero answer of TA-Lib: the bar, the place in CANDLES, and the value.

    Args:
        bars: the candles.
        grid: the step to lay prices on, 0 for the one that suits the first price.

    Shapes: (h,) each, by pattern, then by bar.
    Units: values are +-100, +-80 for a body that touches at one end, +-200 for a confirmed hikkake.
    """
    step = grid or (grid_of(float(bars.close[0])) if bars.n else 1.0)
    prices = [np.rint(column / step) for column in (bars.open, bars.high, bars.low, bars.close)]
    rows, values = [], []
    for function in _functions():
        answer = function(*prices)
        at = answer.nonzero()[0]
        rows.append(at)
        values.append(answer[at].astype(np.int64))
    which = np.repeat(np.arange(len(rows)), [len(at) for at in rows])
    return np.concatenate(rows), which, np.concatenate(values)


@cache
def _functions() -> tuple[Any, ...]:
    import talib

    return tuple(getattr(talib, name) for name in CANDLES)


def _findings(stretch: Stretch, row: I64, which: I64, value: I64) -> Findings:
    bars = stretch.bars
    length = np.array([bars_of for _, bars_of in CANDLES.values()], dtype=np.int64)[which]
    sides = np.array([0 if name in _SIDELESS else -1 if name in _TURNED else 1 for name in CANDLES], dtype=np.int64)
    direction = np.sign(value) * sides[which]
    close = bars.close[row]
    begin = np.maximum(row - length + 1, 0)
    risk = np.fmax(_LEAST_RISK * stretch.ranges[row], _GRAIN * close)
    low, high = _extremes(bars, row, length)
    invalidation = np.where(direction > 0, np.minimum(low, close - risk), np.maximum(high, close + risk))
    invalidation[direction == 0] = np.nan
    targets = ahead(close, direction, np.abs(close - invalidation), np.empty((len(row), 0)))
    return table(
        stretch,
        KINDS,
        kind=which,
        direction=direction,
        confirmed=row + stretch.base,
        score=np.minimum(np.abs(value) / 200.0, 1.0),
        invalidation=invalidation,
        targets=targets,
        points=(begin + stretch.base, bars.ts[begin], bars.open[begin]),
    )


def _extremes(bars: Bars, row: I64, length: I64) -> tuple[F64, F64]:
    """Return the lowest low and the highest high of the `length` bars that end with each row."""
    low, high = bars.low[row], bars.high[row]
    for span in range(2, int(length.max(initial=1)) + 1):
        longer = np.flatnonzero(length >= span)
        back = np.maximum(row[longer] - span + 1, 0)
        low[longer] = np.minimum(low[longer], bars.low[back])
        high[longer] = np.maximum(high[longer], bars.high[back])
    return low, high
