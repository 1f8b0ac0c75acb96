"""The price chart: candles of the newest bars, and over them what an analysis marked. Called by the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from omega.analytics.analysis import Mark, MarkKind, Tone
from omega.analytics.charts.labels import spread
from omega.analytics.charts.theme import SMALL, Theme
from omega.backtest.report.axes import Scale, Span
from omega.engine.bars import F64, I64, Bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patheffects import AbstractPathEffect

LEAST, MOST = 90, 260
"""Bars that are shown: as many as the marks reach back, within these."""
LABELLED: Final = 14
POINTS_LABELLED: Final = 9
_ROOM: Final = 8
_GAP: Final = 0.058
_ROWS: Final = 3
_FAR: Final = 0.45
"""Levels further from the shown prices than this part of their range are left out: they would flatten the candles."""


_OPEN_ENDED: Final = frozenset({MarkKind.LEVEL, MarkKind.ZONE})
"""They may begin long before what is shown."""


class PriceChart:
    """Draws on one pair of axes."""

    def __init__(self, axes: Axes, bars: Bars, length_ns: int, theme: Theme) -> None:
        self.axes = axes
        self.bars = bars
        self.length_ns = length_ns
        self.theme = theme
        self.first = 0
        self.low = self.high = 0.0
        self._taken: list[tuple[float, float]] = []

    def draw(self, marks: Sequence[Mark]) -> None:
        """Draw the candles and every mark that lies in the picture."""
        self.first = self._first(marks)
        shown = self.bars.since(self.first)
        marks = self._near(marks, shown)
        values = [price for mark in marks for _, price in mark.points]
        scale = Scale.around(shown.low, shown.high, np.array(values or [shown.close[-1]]), room=0.04)
        self.low, self.high = scale.low, scale.high
        self._frame(scale, shown.ts)
        self._candles(shown)
        for mark in marks:
            _DRAW[mark.kind](self, mark)
        self._edge([mark for mark in marks if mark.kind is MarkKind.LEVEL and mark.label])
        self._words([mark for mark in marks if mark.kind is MarkKind.POINT and mark.label])

    def at(self, ts_ns: int) -> float:
        """Return the place of an instant across: bars count from the left edge, the future goes on at their pace."""
        ts = self.bars.ts
        if ts_ns > ts[-1]:
            return float(self.bars.n - 1 - self.first + (ts_ns - int(ts[-1])) / self.length_ns)
        return float(np.searchsorted(ts, ts_ns)) - self.first

    def _first(self, marks: Iterable[Mark]) -> int:
        """Return the first bar that is shown."""
        begins = [mark.points[0][0] for mark in marks if mark.points and mark.kind not in _OPEN_ENDED]
        oldest = int(np.searchsorted(self.bars.ts, min(begins))) if begins else self.bars.n
        wanted = min(max(self.bars.n - oldest + _ROOM, LEAST), MOST)
        return max(self.bars.n - wanted, 0)

    def _near(self, marks: Sequence[Mark], shown: Bars) -> list[Mark]:
        low, high = float(shown.low.min()), float(shown.high.max())
        room = _FAR * (high - low)
        begin = int(shown.ts[0])
        kept = []
        for mark in marks:
            prices = [price for _, price in mark.points]
            if not mark.keep and (min(prices) > high + room or max(prices) < low - room):
                continue
            ends = max(ts for ts, _ in mark.points)
            open_ended = mark.kind in _OPEN_ENDED and (len(mark.points) == 1 or mark.points[-1][0] == 0)
            if ends >= begin or open_ended:
                kept.append(mark)
        return kept

    def _frame(self, scale: Scale, ts: I64) -> None:
        axes, theme = self.axes, self.theme
        axes.set_xlim(-1.0, len(ts) + 0.5)
        axes.set_ylim(scale.low, scale.high)
        ticks = scale.ticks(5)
        axes.set_yticks(ticks, [money(tick) for tick in ticks])
        places = Span.of(ts).ticks(4)
        axes.set_xticks([place * (len(ts) - 1) for place, _ in places], [words for _, words in places])
        axes.tick_params(labelsize=SMALL, colors=theme.soft, length=0, pad=2)

    def _candles(self, bars: Bars) -> None:
        from matplotlib.collections import LineCollection, PolyCollection

        at = np.arange(bars.n, dtype=np.float64)
        least = 0.0015 * (self.high - self.low)
        low, high = np.minimum(bars.open, bars.close), np.maximum(bars.open, bars.close)
        high = np.maximum(high, low + least)
        for tone, picked in ((Tone.UP, bars.close >= bars.open), (Tone.DOWN, bars.close < bars.open)):
            x, colour = at[picked], self.theme.tones[tone]
            wicks = np.stack([np.column_stack([x, bars.low[picked]]), np.column_stack([x, bars.high[picked]])], axis=1)
            self.axes.add_collection(LineCollection(list(wicks), colors=colour, linewidths=0.6, gid="wick"))
            bodies = _boxes(x - 0.36, x + 0.36, low[picked], high[picked])
            self.axes.add_collection(PolyCollection(bodies, facecolors=colour, edgecolors="none", gid="candle"))

    def _line(self, mark: Mark) -> None:
        x = [self.at(ts) for ts, _ in mark.points]
        y = [price for _, price in mark.points]
        self.axes.plot(x, y, color=self.theme.tones[mark.tone], lw=1.2, alpha=0.95, gid="line")
        if mark.label:
            self._taken.append((x[-1], y[-1]))
            self._say(x[-1], y[-1], mark.label, mark.tone, above=y[-1] >= y[max(len(y) - 2, 0)])

    def _level(self, mark: Mark) -> None:
        ((ts, price),) = mark.points[:1]
        begin = max(self.at(ts), -1.0)
        self.axes.plot(
            [begin, self.axes.get_xlim()[1]],
            [price, price],
            color=self.theme.tones[mark.tone],
            lw=0.8,
            ls=(0, (4, 2)),
            alpha=0.9,
            gid="level",
        )

    def _zone(self, mark: Mark) -> None:
        from matplotlib.patches import Rectangle

        (begin_ns, a), (end_ns, b) = mark.points
        begin = max(self.at(begin_ns), -1.0)
        end = self.at(end_ns) if end_ns else self.axes.get_xlim()[1]
        colour = self.theme.tones[mark.tone]
        box = Rectangle((begin, min(a, b)), end - begin, abs(b - a), facecolor=colour, alpha=0.2, edgecolor=colour)
        box.set_gid("zone")
        box.set_linewidth(0.4)
        self.axes.add_patch(box)
        if mark.label:
            self.axes.text(
                min(max(begin + 0.5, 0.0), self.axes.get_xlim()[1] * 0.8),
                (a + b) / 2,
                mark.label,
                color=colour,
                size=SMALL,
                va="center",
                parse_math=False,
                clip_on=True,
                gid="zone label",
                path_effects=halo(self.theme),
            )

    def _point(self, mark: Mark) -> None:
        x, y = self.at(mark.points[0][0]), mark.points[0][1]
        sign = {Tone.UP: "^", Tone.DOWN: "v"}.get(mark.tone, "o")
        self.axes.plot([x], [y], sign, color=self.theme.tones[mark.tone], ms=3.6, mew=0, gid="point")

    def _edge(self, levels: Sequence[Mark]) -> None:
        """Write the words of the levels beside the right edge, the nearest to the price first."""
        last = float(self.bars.close[-1])
        chosen = sorted(levels, key=lambda mark: abs(mark.points[0][1] - last))[:LABELLED]
        span = self.high - self.low
        wanted = [(mark.points[0][1] - self.low) / span for mark in chosen]
        for mark, own, height in zip(chosen, wanted, spread(wanted, _GAP, 0.0, 1.0), strict=True):
            self.axes.annotate(
                mark.label,
                xy=(1.0, own),
                xytext=(1.025, height),
                xycoords="axes fraction",
                textcoords="axes fraction",
                color=self.theme.tones[mark.tone],
                size=SMALL,
                va="center",
                parse_math=False,
                annotation_clip=False,
                arrowprops={
                    "arrowstyle": "-",
                    "color": self.theme.tones[mark.tone],
                    "lw": 0.5,
                    "shrinkA": 0,
                    "shrinkB": 0,
                    "relpos": (0.0, 0.5),
                },
                gid="level label",
            )

    def _words(self, points: Sequence[Mark]) -> None:
        """Write the words of the newest points, each row of words above the one that would hide it."""
        taken = self._taken
        reach, height = 0.2 * self.axes.get_xlim()[1], 0.05 * (self.high - self.low)
        for mark in sorted(points, key=lambda one: one.points[0][0], reverse=True)[:POINTS_LABELLED]:
            x, y = self.at(mark.points[0][0]), mark.points[0][1]
            below = mark.tone is Tone.UP
            step = -height if below else height
            place = y + step
            for _ in range(_ROWS):
                if not any(abs(x - a) < reach and abs(place - b) < abs(height) for a, b in taken):
                    break
                place += step
            else:
                continue  # words so far from their place would say nothing
            if self.low < place < self.high:
                taken.append((x, place))
                self._say(x, place - step * 0.6, mark.label, mark.tone, above=not below)

    def _say(self, x: float, y: float, words: str, tone: Tone, *, above: bool) -> None:
        right = self.axes.get_xlim()[1]
        side = "right" if x > 0.7 * right else "left" if x < 0.3 * right else "center"
        self.axes.annotate(
            words,
            xy=(x, y),
            xytext=(0, 2 if above else -2),
            textcoords="offset points",
            color=self.theme.tones[tone],
            size=SMALL,
            ha=side,
            va="bottom" if above else "top",
            parse_math=False,
            annotation_clip=True,
            gid="word",
            path_effects=halo(self.theme),
        )


_DRAW: Final = {
    MarkKind.LINE: PriceChart._line,  # noqa: SLF001 - the table of this very class
    MarkKind.LEVEL: PriceChart._level,  # noqa: SLF001
    MarkKind.ZONE: PriceChart._zone,  # noqa: SLF001
    MarkKind.POINT: PriceChart._point,  # noqa: SLF001
}


def halo(theme: Theme) -> list[AbstractPathEffect]:
    """Return what keeps words readable over whatever they lie on."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.8, foreground=theme.card)]


def money(value: float) -> str:
    """Write a price as short as five figures allow."""
    return f"{value:,.0f}" if abs(value) >= 1_000.0 else f"{value:.5g}"  # noqa: PLR2004 - five figures are read


def _boxes(left: F64, right: F64, low: F64, high: F64) -> list[F64]:
    corners = np.stack(
        [np.column_stack([left, low]), np.column_stack([right, low]), np.column_stack([right, high]),
         np.column_stack([left, high])],
        axis=1,
    )  # fmt: skip
    return list(corners)
