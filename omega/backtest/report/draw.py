"""A chart as HTML: lines in an SVG that stretches with the page, words beside it that do not.

The report's charts are made of these pieces; experiments draw with them too, so that all pages look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from omega.backtest.report.axes import Scale, Span
from omega.engine.bars import F64

WIDE, HIGH = 4_000, 2_000
"""Size of the drawing plane: whole numbers on it are finer than any screen."""


@dataclass(slots=True)
class Plot:
    """One chart while it is drawn.

    Units: every position is a fraction of the plot, 0 at the left and at the bottom.
    """

    title: str
    height: int = 300
    note: str = ""
    key: str = ""
    _shapes: list[str] = field(default_factory=list)
    _words: list[str] = field(default_factory=list)
    _legend: list[str] = field(default_factory=list)

    def line(self, x: F64, y: F64, style: str, *, legend: str = "") -> None:
        """Draw a line through the points."""
        self._shape(path(x, y), style, legend)

    def area(self, x: F64, y: F64, style: str, *, base: float = 0.0, legend: str = "") -> None:
        """Fill what lies between the points and a base line."""
        down = _point(float(x[-1]), base) + "L" + _point(float(x[0]), base)
        self._shape(f"{path(x, y)}L{down}Z", style, legend)

    def strokes(self, x0: F64, y0: F64, x1: F64, y1: F64, style: str, *, legend: str = "") -> None:
        """Draw separate straight strokes; strokes of no length are dots."""
        ends = zip(_plane(x0, WIDE), _plane(1.0 - y0, HIGH), _plane(x1, WIDE), _plane(1.0 - y1, HIGH), strict=True)
        self._shape("".join([f"M{a} {b}L{c} {d}" for a, b, c, d in ends]), style, legend)

    def boxes(self, left: F64, right: F64, low: F64, high: F64, style: str, *, legend: str = "") -> None:
        """Draw filled boxes."""
        sides = zip(
            _plane(left, WIDE), _plane(right, WIDE), _plane(1.0 - low, HIGH), _plane(1.0 - high, HIGH), strict=True
        )
        self._shape("".join([f"M{a} {c}H{b}V{d}H{a}Z" for a, b, c, d in sides]), style, legend)

    def mark(self, x: float, y: float, style: str, words: str) -> None:
        """Set a sign that keeps its shape, with words for whoever points at it."""
        place = f"left:{100 * x:.2f}%;bottom:{100 * y:.2f}%"
        self._words.append(f'<i class="m {style}" style="{place}" title="{escape(words)}"></i>')

    def values(self, scale: Scale, ticks: Sequence[tuple[float, str]]) -> None:
        """Label the left side and draw its grid; ticks are (value, words)."""
        for value, words in ticks:
            y = float(scale.at(np.array([value]))[0])
            self._grid(f"M0 {HIGH * (1 - y):.0f}H{WIDE}")
            self._words.append(f'<span class="yt" style="bottom:{100 * y:.2f}%">{escape(words)}</span>')

    def times(self, span: Span, count: int = 6) -> None:
        """Label the bottom with round instants."""
        self.bottom(span.ticks(count))

    def bottom(self, ticks: Sequence[tuple[float, str]]) -> None:
        """Label the bottom; ticks are (place, words)."""
        for number, (x, words) in enumerate(ticks):
            self._grid(f"M{WIDE * x:.0f} 0V{HIGH}")
            side = " first" if x < 0.04 else " last" if x > 0.96 else ""  # noqa: PLR2004 - words stay on the plot
            thin = " odd" if number % 2 else ""
            self._words.append(f'<span class="xt{side}{thin}" style="left:{100 * x:.2f}%">{escape(words)}</span>')

    def rule(self, *, x: float | None = None, y: float | None = None, style: str = "rule") -> None:
        """Draw a line across the plot, upright at x or level at y."""
        d = f"M{WIDE * x:.0f} 0V{HIGH}" if x is not None else f"M0 {HIGH * (1 - (y or 0.0)):.0f}H{WIDE}"
        self._shapes.append(f'<path class="{style}" d="{d}"/>')

    def html(self) -> str:
        """Return the finished chart."""
        note = f'<p class="note">{escape(self.note)}</p>' if self.note else ""
        legend = f'<span class="legend">{"".join(self._legend)}</span>' if self._legend else ""
        key = f' data-key="{escape(self.key)}"' if self.key else ""
        svg = (
            f'<svg viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" role="img" '
            f'aria-label="{escape(self.title)}">{"".join(self._shapes)}</svg>'
        )
        return (
            f"<figure><figcaption><b>{escape(self.title)}</b>{legend}<output></output></figcaption>"
            f'<div class="plot" style="--h:{self.height}px"{key}>{svg}{"".join(self._words)}</div>{note}</figure>'
        )

    def _shape(self, d: str, style: str, legend: str) -> None:
        if d:
            self._shapes.append(f'<path class="{style}" d="{d}"/>')
        if legend:
            self._legend.append(f'<span><i class="key {style}"></i>{escape(legend)}</span>')

    def _grid(self, d: str) -> None:
        self._shapes.insert(0, f'<path class="grid" d="{d}"/>')


def path(x: F64, y: F64) -> str:
    """Return the SVG path through points given as fractions."""
    points = zip(_plane(x, WIDE), _plane(1.0 - y, HIGH), strict=True)
    return "M" + "L".join([f"{a} {b}" for a, b in points])


def _plane(share: F64, size: int) -> list[int]:
    made: list[int] = np.rint(np.clip(share, -0.5, 1.5) * size).astype(np.int64).tolist()
    return made


def _point(x: float, y: float) -> str:
    return f"{WIDE * x:.0f} {HIGH * (1 - y):.0f}"
