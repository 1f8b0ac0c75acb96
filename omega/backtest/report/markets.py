"""Prices with the trades on them: the whole history of a market, and close-ups of some of it. Called by the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.backtest.report.axes import Scale, Span, instant
from omega.backtest.report.draw import Plot
from omega.backtest.report.shrink import Ranges, ranges
from omega.backtest.report.words import money, price
from omega.backtest.types import ExitKind, Market, Trades
from omega.engine.bars import F64, I64

MOST_MARKED: Final = 120
"""Trades that are marked on the chart of a whole history; more would hide the price."""

CANDLES: Final = 140
_COLUMNS: Final = 900
_LEAST_ROOM: Final = 15


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A stretch of a market worth a closer look. Units: rows of the market's bars, the last one included."""

    name: str
    first: int
    last: int


def price_chart(market: Market, trades: Trades, picked: I64, weight: F64) -> str:
    """Draw a market's whole history and mark the trades that moved the account most.

    Shapes: picked (k,) rows of the trades in this market; weight (m,) what each trade did to the equity.
    """
    rows = picked[np.argsort(-np.abs(weight[picked]), kind="stable")][:MOST_MARKED]
    note = ""
    if len(picked) > len(rows):
        note = f"Marked are the {len(rows)} of {len(picked):,} exits that moved the account most."
    plot = Plot(f"{market.symbol}: price, entries and exits", height=320, note=note)
    _draw(plot, market, 0, market.bars.n - 1, trades, rows)
    return plot.html()


def close_ups(market: Market, trades: Trades, picked: I64, weight: F64) -> list[tuple[str, str]]:
    """Draw the best trade, the worst one and the last ones closely, as (name, chart)."""
    made = []
    for view in _views(market, trades, picked, weight):
        inside = picked[_touching(market, trades, picked, view)]
        day = instant(int(market.bars.ts[view.first]))[:10]
        plot = Plot(f"{market.symbol}, {view.name}: {day}", height=320)
        _draw(plot, market, view.first, view.last, trades, inside)
        made.append((view.name, plot.html()))
    return made


def _views(market: Market, trades: Trades, picked: I64, weight: F64) -> list[CloseUp]:
    if not len(picked):
        return []
    effect = weight[picked]
    trip = trades.position[picked]
    chosen = {
        "best trade": picked[trip == trip[int(effect.argmax())]],
        "worst trade": picked[trip == trip[int(effect.argmin())]],
    }
    chosen["last trades"] = picked[np.argsort(trades.exit_ts[picked], kind="stable")][-12:]
    made = []
    for name, rows in chosen.items():
        first = int(np.searchsorted(market.bars.ts, trades.entry_ts[rows].min()))
        last = int(np.searchsorted(market.bars.ts, trades.exit_ts[rows].max()))
        room = max(_LEAST_ROOM, (last - first) // 5)
        made.append(CloseUp(name, max(first - room, 0), min(last + room, market.bars.n - 1)))
    return made


def _touching(market: Market, trades: Trades, picked: I64, view: CloseUp) -> I64:
    first, last = market.bars.ts[view.first], market.bars.ts[view.last]
    return np.flatnonzero((trades.exit_ts[picked] >= first) & (trades.entry_ts[picked] <= last))


def _draw(plot: Plot, market: Market, first: int, last: int, trades: Trades, rows: I64) -> None:
    bars, part = market.bars, slice(first, last + 1)
    span = Span.of(bars.ts[part])
    scale = Scale.around(bars.low[part], bars.high[part])
    plot.values(scale, [(value, _tick(value)) for value in scale.ticks()])
    plot.times(span)
    few = last - first < CANDLES
    columns = (
        scale.at(bars.open[part]),
        scale.at(bars.high[part]),
        scale.at(bars.low[part]),
        scale.at(bars.close[part]),
    )
    folded = ranges(span.at(bars.ts[part]), columns, last - first + 1 if few else _COLUMNS)
    if few or last - first < _COLUMNS // 2:
        _candles(plot, folded)
    else:
        plot.strokes(folded.at, folded.low, folded.at, folded.high, "range")
    _trades(plot, trades, rows, span, scale)


def _candles(plot: Plot, bars: Ranges) -> None:
    width = 0.36 / max(len(bars.at), 1)
    for style, picked in (("up", bars.close >= bars.open), ("down", bars.close < bars.open)):
        at, opens, closes = bars.at[picked], bars.open[picked], bars.close[picked]
        plot.strokes(at, bars.low[picked], at, bars.high[picked], f"wick {style}")
        low, high = np.minimum(opens, closes), np.maximum(opens, closes)
        plot.boxes(at - width, at + width, low, np.maximum(high, low + 0.002), style)


def _trades(plot: Plot, trades: Trades, rows: I64, span: Span, scale: Scale) -> None:
    """Join entry and exit of each leg; an arrow shows where it was entered, a dot where it was left."""
    x0, x1 = span.at(trades.entry_ts[rows]), span.at(trades.exit_ts[rows])
    y0, y1 = scale.at(trades.entry_price[rows]), scale.at(trades.exit_price[rows])
    won = trades.pnl[rows] > 0.0
    for style, legend, picked in (("gain", "won", won), ("loss", "lost", ~won)):
        plot.strokes(x0[picked], y0[picked], x1[picked], y1[picked], f"trip {style}", legend=legend)
        plot.strokes(x1[picked], y1[picked], x1[picked], y1[picked], f"exit {style}")
    for number, row in enumerate(rows.tolist()):
        if 0.0 <= x0[number] <= 1.0:
            style = "long" if trades.side[row] > 0 else "short"
            plot.mark(float(x0[number]), float(y0[number]), style, _words(trades, row))


def _words(trades: Trades, row: int) -> str:
    side = "long" if trades.side[row] > 0 else "short"
    left = ExitKind(int(trades.exit_kind[row])).name.lower()
    return (
        f"{side} {trades.size[row]:.6g} at {price(trades.entry_price[row])}, {instant(int(trades.entry_ts[row]))}\n"
        f"{left} at {price(trades.exit_price[row])}, {instant(int(trades.exit_ts[row]))}\n"
        f"{money(float(trades.pnl[row]), signed=True)} after costs"
    )


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000.0 else f"{value:.4g}"  # noqa: PLR2004 - five figures are read


def by_market(trades: Trades, number: int) -> I64:
    """Return the rows of the trades in one market of the result."""
    return np.flatnonzero(trades.symbol == number)
