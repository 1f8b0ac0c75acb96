"""The pictures under the price chart: curves over time, plots, bars, histograms. Called by the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from omega.analytics.analysis import Panel, PanelKind, Series
from omega.analytics.charts.price import halo, money
from omega.analytics.charts.theme import SMALL, Theme
from omega.backtest.report.axes import Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TICKS: Final = 4
_VALUED: Final = 12
"""So many bars have their values written on them."""


def draw_panel(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Draw one panel on its axes."""
    axes.set_title(panel.title, loc="left", color=theme.ink, size=SMALL + 0.8, pad=3, parse_math=False)
    axes.tick_params(labelsize=SMALL, colors=theme.soft, length=0, pad=2)
    _DRAW[panel.kind](axes, panel, theme)
    _rules(axes, panel, theme)
    axes.set_xlabel(panel.x_label, size=SMALL, color=theme.soft, labelpad=1)
    axes.set_ylabel(panel.y_label, size=SMALL, color=theme.soft, labelpad=2)
    if len(panel.series) > 1:
        axes.legend(
            fontsize=SMALL, labelcolor=theme.ink, frameon=False, loc="best", handlelength=1.2, borderpad=0.1,
            labelspacing=0.2,
        )  # fmt: skip


def _curve(axes: Axes, panel: Panel, theme: Theme) -> None:
    for number, series in enumerate(panel.series):
        x, y = _seconds(series), np.array(series.y)
        axes.plot(x, y, color=theme.tones[series.tone], lw=1.1, ls="-" if number == 0 else "--", label=series.name)
        if len(panel.series) == 1:
            axes.fill_between(
                x, y, 0.0 if y.min() <= 0.0 <= y.max() else y.min(), color=theme.tones[series.tone], alpha=0.15
            )
    ts = np.array([instant for series in panel.series for instant in (series.x[0], series.x[-1])], dtype=np.int64)
    span = Span(int(ts.min()), max(int(ts.max()), int(ts.min()) + 1))
    places = span.ticks(_TICKS)
    axes.set_xticks(
        [(span.start + place * (span.end - span.start)) / 1e9 for place, _ in places], [w for _, w in places]
    )
    _y_ticks(axes)


def _plot(axes: Axes, panel: Panel, theme: Theme) -> None:
    if panel.diagonal:
        axes.plot([0.0, 1.0], [0.0, 1.0], color=theme.soft, lw=0.8, ls=(0, (3, 3)), label="_perfect")
    for series in panel.series:
        colour = theme.tones[series.tone]
        axes.plot(series.x, series.y, "o-", color=colour, lw=1.1, ms=2.8, label=series.name)
        if series.low:
            axes.vlines(series.x, series.low, series.high, color=colour, lw=0.8, alpha=0.7, gid="interval")


def _bars(axes: Axes, panel: Panel, theme: Theme) -> None:
    count = len(panel.series)
    width = 0.8 / max(count, 1)
    for number, series in enumerate(panel.series):
        at = np.arange(len(series.y)) + (number - (count - 1) / 2) * width
        drawn = axes.bar(at, series.y, width * 0.92, color=theme.tones[series.tone], label=series.name, gid="bar")
        if len(panel.names) * count <= _VALUED:
            axes.bar_label(drawn, [f"{value:.4g}" for value in series.y], size=SMALL, color=theme.ink, padding=1)
    axes.margins(y=0.16)
    steep = sum(map(len, panel.names)) > 44  # noqa: PLR2004 - as many letters stand side by side
    axes.set_xticks(
        range(len(panel.names)), panel.names, rotation=28 if steep else 0, ha="right" if steep else "center",
        rotation_mode="anchor" if steep else "default",
    )  # fmt: skip


def _histogram(axes: Axes, panel: Panel, theme: Theme) -> None:
    for series in panel.series:
        axes.stairs(series.y, series.x, fill=True, color=theme.tones[series.tone], alpha=0.75, label=series.name)


def _rules(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Draw the reference lines, upright over a histogram, level elsewhere, with their words."""
    upright = panel.kind in {PanelKind.HISTOGRAM, PanelKind.PLOT}
    for number, (value, words) in enumerate(panel.rules):
        draw = axes.axvline if upright else axes.axhline
        draw(value, color=theme.ink, lw=0.8, ls=(0, (2, 2)), gid="rule")
        place = (value, 0.97 - 0.13 * number) if upright else (0.01, value)
        left = upright and value < sum(axes.get_xlim()) / 2  # words stand on the emptier side, away from the middle
        axes.text(
            *place,
            f"{words} " if left else f" {words}",
            transform=axes.get_xaxis_transform() if upright else axes.get_yaxis_transform(),
            size=SMALL,
            color=theme.ink,
            ha="right" if left else "left",
            va="top" if upright else "bottom",
            parse_math=False,
            path_effects=halo(theme),
        )


def _y_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(_TICKS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: money(float(value))))


def _seconds(series: Series) -> np.ndarray:
    return np.array(series.x, dtype=np.float64) / 1e9


_DRAW: Final = {
    PanelKind.CURVE: _curve,
    PanelKind.PLOT: _plot,
    PanelKind.BARS: _bars,
    PanelKind.HISTOGRAM: _histogram,
}
