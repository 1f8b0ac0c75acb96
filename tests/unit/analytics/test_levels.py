"""Support and resistance: clusters of pivots, their strength, and what price does at them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from omega.analytics.levels import levels
from omega.analytics.pivots import HIGH, LOW, Pivots, by_reversal
from omega.analytics.scan import scan
from omega.engine import LONG, SHORT

from .worlds import through

RANGE = [1_100.0, 1_000.0, 1_100.0, 1_001.0, 1_099.0, 1_000.5, 1_100.5, 1_001.0]


def pivots(prices: list[float]) -> Pivots:
    rows = np.arange(len(prices), dtype=np.int64) * 10
    kinds = np.resize(np.array([HIGH, LOW], dtype=np.int8), len(prices))
    return Pivots(rows, rows + 3, rows * 60, np.array(prices), kinds)


@pytest.mark.req("1.14")
def test_levels_are_clusters_of_three_and_more() -> None:
    found = levels(pivots([100.0, 90.0, 101.0, 80.0, 100.5, 90.4, 70.0, 90.2]), within=1.0)

    assert [(level.low, level.high, level.touches) for level in found] == [(90.0, 90.4, 3), (100.0, 101.0, 3)]
    assert [level.role(95.0) for level in found] == ["support", "resistance"]
    assert found[0].role(90.1) == "inside"
    assert found[0].last_row == 70


def test_levels_touched_later_are_stronger() -> None:
    old, new = levels(pivots([100.0, 100.1, 100.2, *[10.0 * i for i in range(20, 30)], 50.0, 50.1, 50.2]), within=1.0)[
        ::-1
    ]

    assert (old.touches, new.touches) == (3, 3)
    assert new.strength > old.strength > 0.0
    assert new.strength <= 3.0


def test_levels_no_pivot_belongs_to_two() -> None:
    many = pivots(np.random.default_rng(3).normal(100.0, 5.0, 40).round(1).tolist())

    found = levels(many, within=0.3)

    assert sum(level.touches for level in found) <= many.m
    assert all(below.high < above.low for below, above in pairwise(found))


def test_levels_none_without_pivots() -> None:
    assert levels(pivots([]), within=1.0) == ()


@pytest.mark.req("1.14")
def test_levels_bounce_and_break_are_found_at_the_level() -> None:
    bars = through([*RANGE, 1_080.0, 900.0])
    found = [f for f in scan(bars, ["levels"]) if f.confirmed > 60]

    bounces = [f for f in found if f.name == "level_bounce"]
    breaks = [f for f in found if f.name == "level_break"]
    assert LONG in {f.direction for f in bounces} | {f.direction for f in breaks}
    assert breaks[-1].direction == SHORT
    assert breaks[-1].zone is not None
    assert breaks[-1].zone[0] >= 1_000.0
    assert breaks[-1].price < 1_000.0


def test_levels_at_a_bar_know_only_its_past() -> None:
    bars = through(RANGE)
    known = by_reversal(bars)

    assert levels(known.known(30), within=5.0) == ()
    assert len(levels(known.known(bars.n), within=5.0)) == 2
