"""The charts over time: equity beside holding, the drawdown under it, the return of every day. Called by the page."""

from __future__ import annotations

import numpy as np

from omega.backtest.metrics import DAY_NS, daily_returns, drawdown
from omega.backtest.report.axes import Scale, Span
from omega.backtest.report.draw import Plot
from omega.backtest.report.shrink import extremes
from omega.backtest.report.words import short_percent
from omega.backtest.types import Result
from omega.engine.bars import F64

COLUMNS = 1_000
"""Columns of a drawing: about the pixels of a wide screen."""

_LOG_FROM = 4.0


def equity_chart(result: Result, hold: F64 | None) -> str:
    """Draw the equity at every close beside the equity of holding."""
    span = Span.of(result.ts)
    shown = [result.equity] + ([hold] if hold is not None else [])
    low, high = min(float(c.min()) for c in shown), max(float(c.max()) for c in shown)
    log = low > 0.0 and high > _LOG_FROM * low
    scale = Scale.around(*shown, np.array([result.capital]), log=log)
    plot = Plot("Equity" + (", log scale" if log else ""), key="equity")
    plot.values(scale, [(value, _amount(value)) for value in scale.ticks()])
    plot.times(span)
    plot.rule(y=float(scale.at(np.array([result.capital]))[0]))
    where = span.at(result.ts)
    for column, style, legend in ((hold, "hold", "holding"), (result.equity, "own", result.strategy)):
        if column is not None:
            y = scale.at(column)
            rows = extremes(y, where, COLUMNS)
            plot.line(where[rows], y[rows], style, legend=legend)
    return plot.html()


def underwater_chart(result: Result) -> str:
    """Draw how far each close lies below the highest one before it."""
    span, deep = Span.of(result.ts), -drawdown(result.equity, result.capital)
    scale = Scale(min(float(deep.min()) * 1.08, -1e-4), 0.0)
    plot = Plot("Under water", height=150, key="under")
    plot.values(scale, [(value, short_percent(value)) for value in scale.ticks(3)])
    plot.times(span)
    where, y = span.at(result.ts), scale.at(deep)
    rows = extremes(y, where, COLUMNS)
    plot.area(where[rows], y[rows], "deep", base=1.0)
    return plot.html()


def days_chart(result: Result) -> str:
    """Draw the return of every UTC day as a bar, gains up and losses down."""
    daily = daily_returns(result.ts, result.equity, result.capital)
    begin = int(result.ts[0]) // DAY_NS * DAY_NS
    span = Span(begin, begin + len(daily) * DAY_NS)
    scale = Scale.around(daily, np.zeros(1), room=0.08)
    plot = Plot("Return of each day", height=150)
    plot.values(scale, [(value, short_percent(value)) for value in scale.ticks(3)])
    plot.times(span)
    left = (np.arange(len(daily)) + 0.15) / len(daily)
    right = left + 0.7 / len(daily)
    zero, y = scale.at(np.zeros(len(daily))), scale.at(daily)
    for style, picked in (("gain", daily > 0.0), ("loss", daily < 0.0)):
        low, high = np.minimum(zero, y)[picked], np.maximum(zero, y)[picked]
        plot.boxes(left[picked], right[picked], low, high, style)
    plot.rule(y=float(zero[0]))
    return plot.html()


def readings(result: Result, hold: F64 | None, count: int = 600) -> dict[str, list[float]]:
    """Return the figures that the page shows under the pointer: a sample of every curve, oldest first.

    Units: time in seconds UTC, drawdown in per cent, equity in quote currency.
    """
    rows = np.unique(np.linspace(0, len(result.ts) - 1, min(count, len(result.ts))).astype(np.int64))
    deep = drawdown(result.equity, result.capital)[rows]
    made = {
        "time": (result.ts[rows] // 1_000_000_000).tolist(),
        "equity": np.round(result.equity[rows], 2).tolist(),
        "under": np.round(-100.0 * deep, 2).tolist(),
    }
    if hold is not None:
        made["hold"] = np.round(hold[rows], 2).tolist()
    return made


def _amount(value: float) -> str:
    if abs(value) >= 1.0:
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
    return f"{value:.4g}"
