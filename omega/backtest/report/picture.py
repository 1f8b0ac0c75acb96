"""The main chart as a PNG for Discord: headline figures, equity beside holding, and the drawdown under it.

`write_png` is called by `omega backtest`; `png` by whoever posts the bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from omega.backtest.metrics import drawdown, holding, metrics
from omega.backtest.report.axes import Scale, Span, instant
from omega.backtest.report.shrink import extremes
from omega.backtest.report.story import headline
from omega.backtest.report.words import short_percent, timeframe
from omega.backtest.types import Market, Result
from omega.engine.bars import F64
from omega.errors import ConfigError, EnvironmentFault

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BACK, _CARD, _INK, _SOFT, _LINE = "#0f141a", "#171e26", "#e7ecf2", "#94a1b0", "#2a343f"
_OWN, _HOLD, _GAIN, _LOSS = "#7ba4ff", "#8d99a7", "#3ecfa3", "#ff7a66"
_TONES: Final = {"gain": _GAIN, "loss": _LOSS, "": _INK}
_COLUMNS: Final = 900
_TILES: Final = 6
_LOG_FROM: Final = 4.0


def write_png(path: Path, result: Result, markets: Sequence[Market]) -> None:
    """Write the picture of a result, 1200 by 675 pixels.

    Raises:
        EnvironmentFault: the file cannot be written, or matplotlib is missing.
    """
    made = png(result, markets)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made)
    except OSError as error:
        raise EnvironmentFault(f"cannot write the picture to {path}: {error.strerror}; name another file") from None


def png(result: Result, markets: Sequence[Market]) -> bytes:
    """Return the picture of a result as PNG bytes.

    Raises:
        ConfigError: the result has no bar.
        EnvironmentFault: matplotlib is missing.
    """
    if not len(result.ts):
        raise ConfigError("there is nothing to draw: the result has no bar; give it a longer history")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise EnvironmentFault("pictures need matplotlib: pip install 'omega-bot-farm[research]'") from None
    hold = holding(markets, result)
    figure = Figure(figsize=(12.0, 6.75), dpi=100, facecolor=_BACK)
    FigureCanvasAgg(figure)
    _words(figure, result, metrics(result, hold))
    top, bottom = figure.add_axes((0.075, 0.325, 0.9, 0.375)), figure.add_axes((0.075, 0.075, 0.9, 0.155))
    span = Span.of(result.ts)
    _equity(top, result, hold, span)
    _under(bottom, result, span)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=_BACK)
    return buffer.getvalue()


def _words(figure: Figure, result: Result, figures: Mapping[str, float]) -> None:
    names = ", ".join(result.symbols)
    figure.text(0.025, 0.935, f"{result.strategy} on {names}", color=_INK, size=19, weight="bold", parse_math=False)
    about = f"{timeframe(result.timeframe_ns)} bars · {instant(int(result.ts[0]))} to {instant(int(result.ts[-1]))} UTC"
    figure.text(0.025, 0.898, f"{about} · {result.bars:,} bars", color=_SOFT, size=11, parse_math=False)
    for number, (label, value, small, tone) in enumerate(headline(figures)[:_TILES]):
        left = 0.025 + number * 0.95 / _TILES
        figure.text(left, 0.85, label, color=_SOFT, size=10.5)
        figure.text(left, 0.803, value, color=_TONES[tone], size=17, weight="bold")
        figure.text(left, 0.772, small, color=_SOFT, size=9)


def _equity(axes: Axes, result: Result, hold: F64, span: Span) -> None:
    shown = (result.equity, hold)
    low, high = min(float(c.min()) for c in shown), max(float(c.max()) for c in shown)
    log = low > 0.0 and high > _LOG_FROM * low
    scale = Scale.around(*shown, np.array([result.capital]), log=log)
    _frame(axes, span, scale, [(v, f"{v:,.0f}" if v >= 1.0 else f"{v:g}") for v in scale.ticks()])
    axes.axhline(float(scale.at(np.array([result.capital]))[0]), color=_SOFT, lw=0.8, ls=(0, (3, 3)))
    for column, colour, width, name in ((hold, _HOLD, 1.1, "holding"), (result.equity, _OWN, 1.7, result.strategy)):
        _line(axes, span.at(result.ts), scale.at(column), color=colour, lw=width, label=name)
    legend = axes.legend(loc="best", frameon=False, fontsize=10, labelcolor=_SOFT)
    for text in legend.get_texts():
        text.set_parse_math(False)
    title = "Equity, log scale" if log else "Equity"
    axes.set_title(title, loc="left", color=_INK, size=11, pad=6)


def _under(axes: Axes, result: Result, span: Span) -> None:
    deep = -drawdown(result.equity, result.capital)
    scale = Scale(min(float(deep.min()) * 1.08, -1e-4), 0.0)
    _frame(axes, span, scale, [(v, short_percent(v)) for v in scale.ticks(3)])
    where, y = span.at(result.ts), scale.at(deep)
    rows = extremes(y, where, _COLUMNS)
    axes.fill_between(where[rows], y[rows], 1.0, color=_LOSS, alpha=0.25, lw=0)
    axes.plot(where[rows], y[rows], color=_LOSS, lw=0.9)
    axes.set_title("Under water", loc="left", color=_INK, size=11, pad=6)


def _line(axes: Axes, where: F64, y: F64, **style: Any) -> None:
    rows = extremes(y, where, _COLUMNS)
    axes.plot(where[rows], y[rows], **style)


def _frame(axes: Axes, span: Span, scale: Scale, ticks: Sequence[tuple[float, str]]) -> None:
    """Draw everything on the unit square: the scales have laid the values out already."""
    axes.set_facecolor(_CARD)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([float(scale.at(np.array([value]))[0]) for value, _ in ticks], [words for _, words in ticks])
    times = span.ticks()
    axes.set_xticks([place for place, _ in times], [words for _, words in times])
    axes.grid(color=_LINE, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_SOFT, labelsize=10, length=0, pad=6)
    for side in axes.spines.values():
        side.set_visible(False)
