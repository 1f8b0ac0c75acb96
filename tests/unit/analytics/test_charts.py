"""Pictures by their structure: what is drawn, where, in which size. No pixel is compared."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from omega.analytics.analysis import Analysis, Finding, Mark, MarkKind, Panel, PanelKind, Series, Tone
from omega.analytics.charts import THEMES, draw, figure_of
from omega.analytics.charts.labels import spread
from omega.analytics.charts.price import LEAST, MOST
from omega.analytics.context import Context
from omega.domain import MINUTE_NS, from_iso
from omega.engine.bars import Bars
from omega.errors import ConfigError, Denied

BEGIN = from_iso("2025-05-20T00:00:00Z")
N = 400


def market(n: int = N) -> Bars:
    k = np.arange(n)
    close = 100.0 + np.sin(k / 7.0) + 0.01 * k
    before = np.concatenate([[100.0], close[:-1]])
    return Bars.of(
        BEGIN + MINUTE_NS * k, before, np.maximum(close, before) + 0.1, np.minimum(close, before) - 0.1, close, close
    )


CONTEXT = Context("BTC-USDT.P", "1m", BEGIN + N * MINUTE_NS, market=market())


def at(k: int) -> int:
    return BEGIN + k * MINUTE_NS


def analysis(*marks: Mark, panels: tuple[Panel, ...] = (), summary: str = "Said in a sentence.") -> Analysis:
    found = (Finding("x", at(N - 1), "x", marks=marks),) if marks else ()
    return Analysis("fib", "BTC-USDT.P", "1m", at(N), N, summary, found, panels=panels)


def artists(figure: Any) -> Counter[str]:
    return Counter(str(one.get_gid()) for axes in figure.axes for one in axes.get_children() if one.get_gid())


MARKS = (
    Mark(MarkKind.LINE, ((at(320), 102.0), (at(350), 104.0)), "swing", Tone.UP),
    Mark(MarkKind.LEVEL, ((at(350), 103.5),), "0.618  103.5", Tone.STRONG),
    Mark(MarkKind.LEVEL, ((at(350), 103.6),), "0.5  103.6", Tone.STRONG),
    Mark(MarkKind.LEVEL, ((at(350), 900.0),), "far away"),
    Mark(MarkKind.ZONE, ((at(10), 103.0), (0, 103.4)), "block", Tone.DOWN),
    Mark(MarkKind.ZONE, ((at(10), 103.0), (at(20), 103.4)), "over long ago", Tone.DOWN),
    Mark(MarkKind.POINT, ((at(390), 104.0),), "HH", Tone.DOWN),
)


@pytest.mark.parametrize("theme", THEMES)
def test_figure_shows_each_mark_that_lies_in_the_picture(theme: str) -> None:
    figure = figure_of([analysis(*MARKS)], CONTEXT, theme=theme)

    found = artists(figure)
    assert found["level"] == found["level label"] == 2
    assert (found["line"], found["zone"], found["point"]) == (1, 1, 1)
    assert (found["candle"], found["wick"]) == (2, 2)
    bodies = sum(len(one.get_paths()) for one in figure.axes[0].collections if one.get_gid() == "candle")
    assert LEAST <= bodies == N - 320 + 8 + 2 <= MOST or bodies == LEAST


def test_figure_keeps_a_level_that_matters_however_far_it_lies() -> None:
    """Entry and stop of a position are in the picture, also where they flatten the candles."""
    figure = figure_of([analysis(Mark(MarkKind.LEVEL, ((at(390), 150.0),), "stop 150", keep=True))], CONTEXT)

    assert artists(figure)["level"] == 1
    assert figure.axes[0].get_ylim()[1] > 150.0


def test_figure_words_of_levels_do_not_lie_on_one_another() -> None:
    levels = [Mark(MarkKind.LEVEL, ((at(350), 103.5 + 0.001 * k),), f"level {k}") for k in range(8)]
    figure = figure_of([analysis(*levels)], CONTEXT)
    figure.canvas.draw()

    boxes = [Text.get_window_extent(one) for one in figure.axes[0].texts if one.get_gid() == "level label"]
    tops = sorted((box.y0, box.y1) for box in boxes)
    assert len(boxes) == 8
    assert all(above[0] >= below[1] - 1.0 for below, above in pairwise(tops))
    assert max(box.x1 for box in boxes) <= figure.bbox.width


def test_figure_texts_are_readable_on_a_phone_and_stay_on_the_picture() -> None:
    """A picture of 800 pixels is shown 400 points wide: texts of 6 points or more at 200 dpi are 8 points there."""
    long = "A sentence that goes on and on about what was found in this market and what it might mean, " * 3
    figure = figure_of([analysis(*MARKS, summary=long)], CONTEXT)
    figure.canvas.draw()

    assert figure.bbox.width == 800
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    assert min(text.get_size() for text in texts if text.get_text()) >= 6.0
    assert max(text.get_window_extent().x1 for text in figure.texts) <= 800


def test_figure_several_analyses_stand_below_one_another() -> None:
    curve = Panel(
        PanelKind.CURVE, "curve", (Series("y", (float(at(0)), float(at(9))), (1.0, 2.0)),), rules=((1.0, "one"),)
    )
    bars = Panel(PanelKind.BARS, "bars", (Series("a", (), (1.0, 2.0)), Series("b", (), (2.0, 1.0))), names=("x", "y"))
    plot = Panel(
        PanelKind.PLOT, "plot", (Series("p", (0.1, 0.9), (0.2, 0.8), low=(0.1, 0.7), high=(0.3, 0.9)),), diagonal=True
    )
    histogram = Panel(PanelKind.HISTOGRAM, "h", (Series("h", (0.0, 1.0, 2.0), (3.0, 4.0)),), rules=((0.5, "half"),))
    figure = figure_of([analysis(*MARKS), analysis(panels=(curve, bars, plot, histogram))], CONTEXT)

    assert len(figure.axes) == 5
    edges = [axes.get_position() for axes in figure.axes]
    assert all(lower.y1 < upper.y0 for upper, lower in pairwise(edges))
    assert edges[-1].y0 > 0.0
    found = artists(figure)
    assert (found["bar"], found["interval"], found["rule"]) == (4, 1, 2)


def test_draw_returns_a_png_of_phone_width() -> None:
    png = draw([analysis(*MARKS)], CONTEXT, theme="light")

    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20]) == 800
    assert len(png) < 400_000


def test_draw_unknown_theme_or_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ConfigError, match="no theme 'pink'"):
        draw([analysis(*MARKS)], CONTEXT, theme="pink")
    with pytest.raises(Denied, match="nothing to draw"):
        draw([], CONTEXT)


@given(st.lists(st.floats(0.0, 1.0), max_size=20), st.floats(0.001, 0.2))
def test_spread_keeps_the_order_and_the_gap_inside_the_picture(wanted: list[float], gap: float) -> None:
    placed = spread(wanted, gap, 0.0, 1.0)

    assert len(placed) == len(wanted)
    assert all(-1e-9 <= height <= 1.0 + 1e-9 for height in placed)
    room = min(gap, 1.0 / max(len(wanted) - 1, 1))
    ordered = sorted(placed)
    assert all(above - below >= room - 1e-9 for below, above in pairwise(ordered))
    ranked = sorted(range(len(wanted)), key=lambda k: wanted[k])
    assert [placed[k] for k in ranked] == sorted(placed)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6, unique=True))
def test_spread_leaves_alone_what_has_room(wanted: list[float]) -> None:
    ordered = sorted(wanted)
    gap = min((b - a for a, b in pairwise(ordered)), default=1.0)

    assert spread(wanted, gap, 0.0, 1.0) == pytest.approx(wanted)
