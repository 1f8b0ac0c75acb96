"""Chart patterns: shapes drawn by confirmed pivots, found when a close breaks one of two lines. Called by the scan.

A shape is drawn when its last pivot is confirmed. It then waits, at most for as long as it took to form, for a close
beyond its upper or its lower line; a close on the side that the pattern does not call ends it without a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.analytics.findings import NEVER, Family, Findings, Kind, Stretch, ahead, empty, joined, table
from omega.analytics.outlines import OUTLINES, Corners, Outline
from omega.backtest.compile import compiled
from omega.engine.bars import F64, I8, I64, Flags

KINDS: Final = tuple(Kind(Family.SHAPES, outline.name, outline.labels) for outline in OUTLINES)


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Shapes that wait for a close beyond a line.

    Shapes: columns (w,); points (w, p) rows, times and prices of the corners.
    Units: since and until are rows of the whole history; a line is its price at row 0 and its rise a bar; called is +1
        or -1 for a pattern that calls one side, 0 for one that follows the break; height in quote currency; undone is a
        price, NaN for the line on the other side.
    """

    since: I64
    until: I64
    upper: F64
    upper_rise: F64
    lower: F64
    lower_rise: F64
    called: I8
    height: F64
    undone: F64
    score: F64
    rows: I64
    times: I64
    prices: F64

    def take(self, places: Flags | I64) -> Waiting:
        """Return some of them."""
        return Waiting(*[getattr(self, name)[places] for name in self.__slots__])

    def joined(self, more: Waiting) -> Waiting:
        """Return these and then the others."""
        return Waiting(*[np.concatenate([getattr(self, name), getattr(more, name)]) for name in self.__slots__])


class ShapeWalk:
    """The chart patterns of a history, stretch after stretch."""

    kinds = KINDS

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}

    def extend(self, stretch: Stretch) -> Findings:
        """Return the shapes that the new bars broke out of."""
        found = [self._one(stretch, number, outline) for number, outline in enumerate(OUTLINES)]
        return joined([empty(KINDS), *(part for part in found if part is not None)])

    def _one(self, stretch: Stretch, number: int, outline: Outline) -> Findings | None:
        waiting = self._waiting.pop(number, None)
        if stretch.fresh < stretch.pivots.m:
            drawn = _drawn(stretch, outline)
            waiting = waiting.joined(drawn) if waiting else drawn
        if waiting is None or not len(waiting.since):
            return None
        broke, side = np.full(len(waiting.since), NEVER, dtype=np.int64), np.zeros(len(waiting.since), dtype=np.int8)
        compiled(_breaks)(
            stretch.bars.close, stretch.start, stretch.base, waiting.since, waiting.until,
            waiting.upper, waiting.upper_rise, waiting.lower, waiting.lower_rise, broke, side,
        )  # fmt: skip
        still = (broke == NEVER) & (waiting.until >= stretch.base + stretch.bars.n)
        if still.any():
            self._waiting[number] = waiting.take(still)
        called = (broke != NEVER) & ((waiting.called == 0) | (waiting.called == side))
        if not called.any():
            return None
        return _findings(stretch, KINDS[number], waiting.take(called), broke[called], side[called])


def _drawn(stretch: Stretch, outline: Outline) -> Waiting:
    """Return the shapes of one kind that the fresh pivots complete."""
    width = len(outline.labels)
    last = np.arange(max(stretch.fresh, width - 1), stretch.pivots.m)
    pivots = stretch.pivots
    ends = last[pivots.kind[last] == outline.ends] if outline.ends else last
    places = ends[:, None] + np.arange(-width + 1, 1)
    corners = Corners(pivots.row[places], pivots.price[places], pivots.kind[ends].astype(np.int64))
    drawing = outline.draw(corners)
    fits = drawing.fits
    confirmed = pivots.confirmed[ends]
    rows = corners.row[fits]
    return Waiting(
        since=confirmed[fits],
        until=confirmed[fits] + rows[:, -1] - rows[:, 0],
        upper=drawing.upper[0][fits],
        upper_rise=drawing.upper[1][fits],
        lower=drawing.lower[0][fits],
        lower_rise=drawing.lower[1][fits],
        called=drawing.called[fits].astype(np.int8),
        height=drawing.height[fits],
        undone=drawing.undone[fits],
        score=drawing.score[fits],
        rows=rows,
        times=pivots.ts[places][fits],
        prices=corners.price[fits],
    )


def _findings(stretch: Stretch, kind: Kind, shapes: Waiting, broke: I64, side: I8) -> Findings:
    way = side.astype(np.float64)
    close = stretch.bars.close[broke - stretch.base]
    upper, lower = shapes.upper + shapes.upper_rise * broke, shapes.lower + shapes.lower_rise * broke
    line, other = np.where(way > 0, upper, lower), np.where(way > 0, lower, upper)
    undone = np.where(np.isnan(shapes.undone), other, shapes.undone)
    levels = line[:, None] + (way * shapes.height)[:, None] * np.array([1.0, 1.618])
    return table(
        stretch,
        (kind,),
        kind=np.zeros(len(broke), dtype=np.int16),
        direction=side,
        confirmed=broke,
        score=shapes.score,
        invalidation=undone,
        targets=ahead(close, side, np.abs(close - undone), levels),
        points=(shapes.rows, shapes.times, shapes.prices),
    )


def _breaks(
    close: F64,
    start: int,
    base: int,
    since: I64,
    until: I64,
    upper: F64,
    upper_rise: F64,
    lower: F64,
    lower_rise: F64,
    broke: I64,
    side: I8,
) -> None:
    """Write the first bar that closes beyond a line, and the side; once the lines have met, nothing breaks any more."""
    for i in range(since.shape[0]):
        for k in range(max(since[i] - base, start), min(until[i] - base + 1, close.shape[0])):
            top, bottom = upper[i] + upper_rise[i] * (k + base), lower[i] + lower_rise[i] * (k + base)
            if not top > bottom:
                break
            if close[k] > top or close[k] < bottom:
                broke[i] = k + base
                side[i] = 1 if close[k] > top else -1
                break
