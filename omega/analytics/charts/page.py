"""One picture of one or several analyses: what, when, in a sentence, then price chart and panels from top to bottom."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from omega.analytics.analysis import Analysis, Mark, MarkKind
from omega.analytics.charts.panels import draw_panel
from omega.analytics.charts.price import PriceChart
from omega.analytics.charts.theme import DPI, SMALL, TEXT, THEMES, TITLE, WIDTH_IN, Theme, theme_of
from omega.analytics.context import Context
from omega.backtest.report.axes import instant
from omega.errors import Denied, EnvironmentFault

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["THEMES", "draw", "figure_of"]

_PRICE_IN, _PANEL_IN, _GAP_IN = 2.7, 1.15, 0.42
_LINE_IN: Final = 0.135
_LETTERS: Final = 66
_LEFT, _RIGHT, _LEVELS = 0.125, 0.975, 0.76
"""Edges of the axes, as fractions of the width; the words of levels stand right of the third."""


def draw(analyses: Sequence[Analysis], context: Context, *, theme: str = "dark") -> bytes:
    """Return the picture as PNG bytes, 800 pixels wide; its height follows from what there is to show.

    Raises:
        Denied: there is nothing to draw.
        ConfigError: there is no such theme.
        EnvironmentFault: matplotlib is missing.
    """
    figure = figure_of(analyses, context, theme=theme)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=figure.get_facecolor())
    return buffer.getvalue()


def figure_of(analyses: Sequence[Analysis], context: Context, *, theme: str = "dark") -> Figure:
    """Return the picture as a figure; see `draw`."""
    colours = theme_of(theme)
    if not analyses:
        raise Denied("there is nothing to draw: no analysis was made", rule="inputs")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise EnvironmentFault("pictures need matplotlib: pip install 'omega-bot-farm[analytics]'") from None
    blocks = [_Block(one, context) for one in analyses]
    height = sum(block.height for block in blocks) + 0.1
    figure = Figure(figsize=(WIDTH_IN, height), dpi=DPI, facecolor=colours.back)
    FigureCanvasAgg(figure)
    top = height - 0.05
    for block in blocks:
        block.draw(figure, top, colours)
        top -= block.height
    return figure


class _Block:
    """One analysis in the picture. Units: inches from the top."""

    def __init__(self, analysis: Analysis, context: Context) -> None:
        self.analysis = analysis
        self.context = context
        self.marks: list[Mark] = [*analysis.marks, *(mark for one in analysis.findings for mark in one.marks)]
        self.words = textwrap.wrap(analysis.summary, _LETTERS)
        # Nothing to mark and nothing else to show: the candles that were looked at.
        self.priced = context.market is not None and bool(self.marks or not analysis.panels)

    @property
    def height(self) -> float:
        head = 0.42 + _LINE_IN * len(self.words)
        return head + (_PRICE_IN + 0.3 if self.priced else 0.0) + (_PANEL_IN + _GAP_IN) * len(self.analysis.panels)

    def draw(self, figure: Figure, top: float, theme: Theme) -> None:
        at = self._head(figure, top, theme)
        if self.priced:
            named = any(mark.kind is MarkKind.LEVEL and mark.label for mark in self.marks)
            axes = _axes(figure, at, _PRICE_IN, theme, right=_LEVELS if named else _RIGHT)
            PriceChart(axes, self.context.bars, self.context.length_ns, theme).draw(self.marks)
            at -= _PRICE_IN + 0.3
        for panel in self.analysis.panels:
            draw_panel(_axes(figure, at - 0.15, _PANEL_IN, theme, right=_RIGHT), panel, theme)
            at -= _PANEL_IN + _GAP_IN

    def _head(self, figure: Figure, top: float, theme: Theme) -> float:
        whole, one = figure.get_figheight(), self.analysis
        title = f"{one.symbol} {one.timeframe} · {one.analysis}"
        figure.text(0.03, (top - 0.14) / whole, title, color=theme.ink, size=TITLE, weight="bold", parse_math=False)
        figure.text(
            0.97, (top - 0.13) / whole, f"{instant(one.as_of_ns)} UTC", color=theme.soft, size=SMALL, ha="right"
        )
        for number, line in enumerate(self.words):
            y = (top - 0.3 - _LINE_IN * number) / whole
            figure.text(0.03, y, line, color=theme.soft, size=TEXT, parse_math=False)
        return top - 0.36 - _LINE_IN * len(self.words)


def _axes(figure: Figure, top: float, height: float, theme: Theme, *, right: float) -> Axes:
    whole = figure.get_figheight()
    axes = figure.add_axes((_LEFT, (top - height) / whole, right - _LEFT, height / whole))
    axes.set_facecolor(theme.card)
    axes.grid(color=theme.grid, lw=0.5)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes
