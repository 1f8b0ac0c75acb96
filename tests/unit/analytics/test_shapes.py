"""Chart patterns drawn by hand: found at the close that breaks their line, and not when it breaks the other way."""

from __future__ import annotations

import numpy as np
import pytest

from omega.analytics.findings import Finding
from omega.analytics.outlines import OUTLINES
from omega.analytics.scan import scan
from omega.engine import LONG, SHORT, Bars

from .worlds import fair, of_closes, through

DOUBLE = [1_000, 1_100, 1_050, 1_102, 1_000]
TRIPLE = [1_000, 1_100, 1_050, 1_102, 1_052, 1_099, 1_000]
HEAD = [1_000, 1_080, 1_040, 1_120, 1_042, 1_082, 1_000]
# Five touches, beginning at a low; the last point is the break.
SHAPES = {
    ("ascending_triangle", LONG): [1_150, 1_000, 1_100, 1_035, 1_100, 1_070, 1_160],
    ("descending_triangle", SHORT): [950, 1_100, 1_000, 1_065, 1_000, 1_030, 940],
    ("symmetric_triangle", LONG): [1_150, 1_000, 1_120, 1_030, 1_090, 1_060, 1_160],
    ("rising_wedge", SHORT): [1_150, 1_000, 1_060, 1_030, 1_075, 1_060, 1_072, 1_000],
    ("ascending_channel", LONG): [1_100, 1_000, 1_060, 1_030, 1_090, 1_060, 1_250],
    ("descending_channel", SHORT): [900, 1_100, 1_040, 1_070, 1_010, 1_040, 850],
    ("horizontal_channel", LONG): [1_100, 1_000, 1_060, 1_002, 1_061, 1_001, 1_120],
    ("bull_flag", LONG): [1_000, 1_000.5, 900, 1_100, 1_060, 1_090, 1_050, 1_160],
    ("bear_flag", SHORT): [1_000, 999.5, 1_100, 900, 940, 910, 950, 840],
    ("bull_pennant", LONG): [1_000, 1_000.5, 900, 1_100, 1_040, 1_070, 1_050, 1_160],
}


def upside_down(points: list[float]) -> list[float]:
    return [2_200.0 - point for point in points]


def named(bars: Bars, name: str) -> list[Finding]:
    return [finding for finding in scan(bars, ["shapes"]) if finding.name == name]


@pytest.mark.req("1.14")
@pytest.mark.parametrize(
    ("top", "bottom", "points"),
    [
        ("double_top", "double_bottom", DOUBLE),
        ("triple_top", "triple_bottom", TRIPLE),
        ("head_and_shoulders", "inverse_head_and_shoulders", HEAD),
    ],
)
def test_shapes_tops_are_found_when_the_neck_breaks(top: str, bottom: str, points: list[float]) -> None:
    bars = through([1_030, *points], leg=12)
    mirrored = through(upside_down([1_030, *points]), leg=12)

    (found,) = named(bars, top)
    (twin,) = named(mirrored, bottom)

    neck = min(point.price for point in found.points if point.label == "neck")
    assert (found.direction, twin.direction) == (SHORT, LONG)
    assert found.price < bars.close[found.confirmed - 1]
    assert bars.close[found.confirmed - 1] > neck - 5.0
    assert found.invalidation > found.price > found.targets[0] > found.targets[1]
    assert (twin.confirmed, twin.score) == (found.confirmed, pytest.approx(found.score))
    assert twin.targets == pytest.approx([2_200.0 - target for target in found.targets])


@pytest.mark.parametrize(("name", "points"), [("double_top", DOUBLE), ("head_and_shoulders", HEAD)])
def test_shapes_tops_that_break_upwards_are_none(name: str, points: list[float]) -> None:
    assert named(through([1_030, *points[:-1], 1_060, 1_250], leg=12), name) == []


def test_shapes_unlevel_tops_are_no_double_top() -> None:
    assert named(through([1_030, 1_000, 1_100, 1_050, 1_125, 1_000], leg=12), "double_top") == []


@pytest.mark.req("1.14")
@pytest.mark.parametrize(("name", "direction"), SHAPES)
def test_shapes_between_two_lines_call_the_side_that_breaks(name: str, direction: int) -> None:
    bars = through([float(point) for point in SHAPES[name, direction]], leg=12)

    found = [finding for finding in named(bars, name) if finding.direction == direction]

    assert found
    one = found[0]
    assert one.confirmed > one.points[-1].row
    assert direction * (one.targets[0] - one.price) > 0.0 > direction * (one.invalidation - one.price)


def test_shapes_that_do_not_break_in_time_are_forgotten() -> None:
    """A triangle waits for as long as it took to form, then it is over."""
    drawn = through([1_100.0, 1_000.0, 1_060.0, 1_002.0, 1_061.0, 1_001.0, 1_030.0], leg=12)
    waiting = np.full(300, 1_030.0)
    late = np.concatenate([drawn.close, waiting, np.linspace(1_030.0, 1_200.0, 13)])
    soon = np.concatenate([drawn.close, waiting[:5], np.linspace(1_030.0, 1_200.0, 13)])
    assert named(of_closes(soon), "horizontal_channel")
    assert named(of_closes(late), "horizontal_channel") == []


def test_shapes_every_outline_is_found_in_some_market() -> None:
    """None of the rules is so narrow that it never holds."""
    names = {finding.name for seed in range(4) for finding in scan(fair(12_000, seed), ["shapes"], reversal=1.5)}

    assert names == {outline.name for outline in OUTLINES}
