"""The outlines of chart patterns: which pivots make one, where its lines run and what it calls. Called by shapes.

Every rule is written for one way up; the mirrored pattern is drawn in mirrored prices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from omega.analytics.pivots import HIGH, LOW
from omega.engine.bars import F64, I64, Flags

LEVEL: Final = 0.15
"""Two tops are level when they differ by no more of the pattern's height."""

NECK: Final = 0.35
"""The points of a neckline, and the shoulders, differ by no more of the pattern's height."""

HEAD: Final = 0.15
"""A head stands out of both shoulders by at least so much of the pattern's height."""

FLAT: Final = 0.15
"""A line is flat when it rises or falls by no more of the pattern's height from its first point to its last."""

ON_LINE: Final = 0.15
"""The middle touch of three lies no farther from the line, as a part of the pattern's height."""

POLE: Final = 2.5
"""A pole is at least so many times as high as the flag on it."""

Line = tuple[F64, F64]  # the price at row 0 and the rise a bar, (w,) each


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """The pivots of possible shapes, oldest first.

    Shapes: row and price (w, p); kind (w,) of the newest pivot.
    """

    row: I64
    price: F64
    kind: I64

    def mirrored(self) -> Corners:
        """Return the corners upside down."""
        return Corners(self.row, -self.price, -self.kind)

    def line(self, first: int, last: int) -> Line:
        """Return the line through two corners."""
        span = (self.row[:, last] - self.row[:, first]).astype(np.float64)
        rise = (self.price[:, last] - self.price[:, first]) / span
        return self.price[:, first] - rise * self.row[:, first], rise

    def off(self, corner: int, line: Line) -> F64:
        """Return how far a corner lies above a line."""
        made: F64 = self.price[:, corner] - line[0] - line[1] * self.row[:, corner]
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """What an outline makes of corners.

    Shapes: every column is (w,).
    Units: called is the side of the break that counts, 0 for either; height in quote currency; undone is the price
        beyond which the pattern has failed, NaN for the other line; score above 0 to 1.
    """

    fits: Flags
    upper: Line
    lower: Line
    called: I64
    height: F64
    undone: F64
    score: F64

    def mirrored(self) -> Drawing:
        """Return the drawing the right way up again."""
        (upper, upper_rise), (lower, lower_rise) = self.upper, self.lower
        return replace(
            self, upper=(-lower, -lower_rise), lower=(-upper, -upper_rise), called=-self.called, undone=-self.undone
        )


Draw = Callable[[Corners], Drawing]


@dataclass(frozen=True, slots=True)
class Outline:
    """A chart pattern.

    Attributes:
        name: of the pattern.
        labels: of its corners, oldest first.
        ends: the kind of its newest pivot, 0 for either.
        draw: the rule.
    """

    name: str
    labels: tuple[str, ...]
    ends: int
    draw: Draw


def _tops(corners: Corners, tops: int) -> Drawing:
    """Draw a trend into level tops over a neckline: the newest pivot is the last top."""
    price = corners.price
    first = price.shape[1] - 2 * tops + 1
    highs, lows = price[:, first::2], price[:, first + 1 :: 2]
    neck, peak = lows.min(axis=1), highs.max(axis=1)
    height = peak - neck
    spread = highs.max(axis=1) - highs.min(axis=1)
    uneven = lows.max(axis=1) - neck
    fits = (height > 0.0) & (spread <= LEVEL * height) & (uneven <= NECK * height) & (price[:, 0] < neck)
    flat = np.zeros(len(neck))
    return Drawing(
        fits, (peak, flat), (neck, flat), np.full(len(neck), -1), height, peak, _score(spread, LEVEL * height)
    )


def _head(corners: Corners) -> Drawing:
    """Draw a trend into shoulder, head and shoulder over a neckline that may slope."""
    left, head, right = (corners.price[:, i] for i in (1, 3, 5))
    neck = corners.line(2, 4)
    height = corners.off(3, neck)
    shoulders, slope = np.abs(left - right), np.abs(corners.price[:, 4] - corners.price[:, 2])
    before, after = corners.row[:, 3] - corners.row[:, 1], corners.row[:, 5] - corners.row[:, 3]
    fits = (
        (height > 0.0)
        & (head - np.maximum(left, right) >= HEAD * height)
        & (corners.off(1, neck) > 0.0)
        & (corners.off(5, neck) > 0.0)
        & (shoulders <= NECK * height)
        & (slope <= NECK * height)
        & (corners.price[:, 0] < np.minimum(corners.price[:, 2], corners.price[:, 4]))
        & (np.maximum(before, after) <= 3 * np.minimum(before, after))
    )
    flat = np.zeros(len(head))
    score = _score(shoulders + slope, 2.0 * NECK * height)
    return Drawing(fits, (right, flat), neck, np.full(len(head), -1), height, right, score)


def _between(admits: Callable[[F64, F64], Flags], called: int = 0) -> Draw:
    """Return the rule of two lines with five touches: what their rises, as parts of the height, must obey."""

    def draw(corners: Corners) -> Drawing:
        three, two = corners.line(0, 4), corners.line(1, 3)
        tops = (corners.kind == HIGH).astype(np.bool_)
        upper = _either(tops, three, two)
        lower = _either(tops, two, three)
        begin, end = corners.row[:, 0], corners.row[:, 4]
        height = _gap(upper, lower, begin)
        safe = np.where(height > 0.0, height, 1.0)
        length = (end - begin).astype(np.float64)
        rises, falls = upper[1] * length / safe, lower[1] * length / safe
        off = np.abs(corners.off(2, three))
        fits = (height > 0.0) & (_gap(upper, lower, end) > 0.0) & (off <= ON_LINE * height) & admits(rises, falls)
        nowhere = np.full(len(height), np.nan)
        return Drawing(fits, upper, lower, np.full(len(height), called), height, nowhere, _score(off, ON_LINE * height))

    return draw


def _flag(corners: Corners, *, pennant: bool) -> Drawing:
    """Draw a steep rise and a small pause after it that gives back less than half of the rise."""
    pole = corners.price[:, 1] - corners.price[:, 0]
    upper, lower = corners.line(1, 3), corners.line(2, 4)
    height = _gap(upper, lower, corners.row[:, 2])
    after = _gap(upper, lower, corners.row[:, 4])
    lows = np.minimum(corners.price[:, 2], corners.price[:, 4])
    quick = corners.row[:, 1] - corners.row[:, 0] <= corners.row[:, 4] - corners.row[:, 1]
    fits = (pole > 0.0) & (height > 0.0) & (after > 0.0) & (pole >= POLE * height) & quick
    fits &= (corners.price[:, 1] - lows <= 0.5 * pole) & (upper[1] <= 0.0)
    fits &= (after < 0.6 * height) & (lower[1] >= 0.0) if pennant else (after >= 0.6 * height) & (after <= 1.5 * height)
    score = np.clip(1.0 - height / np.where(fits, pole, 1.0), 0.0, 1.0)
    nowhere = np.full(len(pole), np.nan)
    return Drawing(fits, upper, lower, np.full(len(pole), 1), pole, nowhere, score)


def _either(first: Flags, one: Line, other: Line) -> Line:
    return np.where(first, one[0], other[0]), np.where(first, one[1], other[1])


def _gap(upper: Line, lower: Line, row: I64) -> F64:
    made: F64 = upper[0] - lower[0] + (upper[1] - lower[1]) * row
    return made


def _score(off: F64, most: F64) -> F64:
    """Return 1 for no deviation, falling to 0.5 at the most that the rule admits."""
    return 1.0 - 0.5 * np.divide(off, most, out=np.ones(len(off)), where=most > 0.0)


def _upside_down(draw: Draw) -> Draw:
    return lambda corners: draw(corners.mirrored()).mirrored()


def _pair(name: str, mirror: str, labels: tuple[str, ...], ends: int, draw: Draw) -> tuple[Outline, Outline]:
    return Outline(name, labels, ends, draw), Outline(mirror, labels, -ends, _upside_down(draw))


def _parallel(upper: F64, lower: F64) -> Flags:
    made: Flags = np.abs(upper - lower) <= 2.0 * FLAT
    return made


_TOUCHES: Final = ("1", "2", "3", "4", "5")
_POLE: Final = ("pole", "tip", "1", "2", "3")

OUTLINES: Final[tuple[Outline, ...]] = (
    *_pair("double_top", "double_bottom", ("start", "1", "neck", "2"), HIGH, lambda c: _tops(c, 2)),
    *_pair("triple_top", "triple_bottom", ("start", "1", "neck", "2", "neck", "3"), HIGH, lambda c: _tops(c, 3)),
    *_pair(
        "head_and_shoulders",
        "inverse_head_and_shoulders",
        ("start", "left", "neck", "head", "neck", "right"),
        HIGH,
        _head,
    ),
    Outline("ascending_triangle", _TOUCHES, 0, _between(lambda u, d: (np.abs(u) <= FLAT) & (d > 2.0 * FLAT))),
    Outline("descending_triangle", _TOUCHES, 0, _between(lambda u, d: (np.abs(d) <= FLAT) & (u < -2.0 * FLAT))),
    Outline("symmetric_triangle", _TOUCHES, 0, _between(lambda u, d: (u < -FLAT) & (d > FLAT))),
    Outline("rising_wedge", _TOUCHES, 0, _between(lambda u, d: (u > FLAT) & (d > u + 2.0 * FLAT))),
    Outline("falling_wedge", _TOUCHES, 0, _between(lambda u, d: (d < -FLAT) & (u < d - 2.0 * FLAT))),
    Outline("ascending_channel", _TOUCHES, 0, _between(lambda u, d: _parallel(u, d) & (u > FLAT) & (d > FLAT))),
    Outline("descending_channel", _TOUCHES, 0, _between(lambda u, d: _parallel(u, d) & (u < -FLAT) & (d < -FLAT))),
    Outline("horizontal_channel", _TOUCHES, 0, _between(lambda u, d: (np.abs(u) <= FLAT) & (np.abs(d) <= FLAT))),
    *_pair("bull_flag", "bear_flag", _POLE, LOW, lambda c: _flag(c, pennant=False)),
    *_pair("bull_pennant", "bear_pennant", _POLE, LOW, lambda c: _flag(c, pennant=True)),
)
