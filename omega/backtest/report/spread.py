"""How the trades are spread: a histogram of their returns, and how far each went both ways. Called by the page."""

from __future__ import annotations

from typing import Final

import numpy as np

from omega.backtest.metrics import round_trips
from omega.backtest.report.axes import Scale
from omega.backtest.report.draw import Plot
from omega.backtest.report.words import percent, short_percent
from omega.backtest.types import Trades
from omega.engine.bars import F64

MOST_DOTS: Final = 1_500
_EDGE: Final = 0.5
"""Per cent of the trades on either side that the first and the last bar of the histogram take in."""


def histogram(trades: Trades) -> str:
    """Draw the distribution of the round trips' returns."""
    pnl, notional, _, _ = round_trips(trades)
    returns = pnl / notional
    edges = _edges(returns)
    counts, _ = np.histogram(np.clip(returns, edges[0], edges[-1]), edges)
    scale, across = Scale(0.0, float(counts.max()) * 1.08), Scale(float(edges[0]), float(edges[-1]))
    mean, middle = float(returns.mean()), float(np.median(returns))
    plot = Plot(
        "Returns of the round trips",
        height=240,
        note=f"Mean {percent(mean, signed=True)} (line), median {percent(middle, signed=True)}; after costs.",
    )
    plot.values(scale, [(value, f"{value:,.0f}") for value in scale.ticks(4) if value.is_integer()])
    plot.bottom([(float(across.at(np.array([v]))[0]), short_percent(v)) for v in across.ticks(5)])
    left, right = across.at(edges[:-1]), across.at(edges[1:])
    gap, top = 0.08 * (right - left), scale.at(counts.astype(np.float64))
    for style, picked in (("gain", edges[:-1] >= 0.0), ("loss", edges[:-1] < 0.0)):
        bars = picked & (counts > 0)
        plot.boxes((left + gap)[bars], (right - gap)[bars], np.zeros(int(bars.sum())), top[bars], style)
    if across.low < mean < across.high:
        plot.rule(x=float(across.at(np.array([mean]))[0]), style="rule strong")
    return plot.html()


def excursions(trades: Trades, weight: F64) -> str:
    """Draw for every leg how far the price went against it (left to right) and in its favour (upwards).

    Shapes: weight (m,), what each trade did to the equity: the largest are drawn.
    """
    rows = np.argsort(-np.abs(weight), kind="stable")[:MOST_DOTS]
    against, favour, won = -trades.mae[rows], trades.mfe[rows], trades.pnl[rows] > 0.0
    right, up = Scale(0.0, _most(against)), Scale(0.0, _most(favour))
    shown = f"The {len(rows):,} of {trades.n:,} legs with the largest effect. " if len(rows) < trades.n else ""
    plot = Plot(
        "How far it went before the exit",
        height=240,
        note=f"{shown}Upwards: best move for the position (MFE); to the right: worst move against it (MAE).",
    )
    plot.values(up, [(value, short_percent(value)) for value in up.ticks(4)])
    plot.bottom([(float(right.at(np.array([v]))[0]), short_percent(v)) for v in right.ticks(5)])
    x, y = right.at(against), up.at(favour)
    for style, legend, picked in (("loss", "lost", ~won), ("gain", "won", won)):
        plot.strokes(x[picked], y[picked], x[picked], y[picked], f"dot {style}", legend=legend)
    return plot.html()


def _edges(returns: F64) -> F64:
    """Return the edges of the bars: equally wide, one of them at zero."""
    low, high = (float(edge) for edge in np.percentile(returns, (_EDGE, 100.0 - _EDGE)))
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 0.0:
        high = low + 1e-4
    count = min(40, max(8, round(2.0 * len(returns) ** 0.5)))
    width = (high - low) / count
    made: F64 = np.arange(np.floor(low / width), np.ceil(high / width) + 1, dtype=np.float64) * width
    return made


def _most(values: F64) -> float:
    return max(float(values.max()) * 1.06, 1e-6)
