"""The golden table of Fibonacci levels, and what else is known about them by heart."""

import pytest

from omega.engine.fibonacci import RATIOS, clusters, level, levels, rolling
from omega.errors import CorruptData

TABLE = [
    (0.236, 47_640, 42_360),
    (0.382, 46_180, 43_820),
    (0.5, 45_000, 45_000),
    (0.618, 43_820, 46_180),
    (0.786, 42_140, 47_860),
    (0.886, 41_140, 48_860),
    (1.272, 52_720, 37_280),
    (1.414, 54_140, 35_860),
    (1.618, 56_180, 33_820),
    (2.0, 60_000, 30_000),
    (2.618, 66_180, 23_820),
    (3.618, 76_180, 13_820),
    (4.236, 82_360, 7_640),
]


@pytest.mark.req("1.16")
@pytest.mark.parametrize(("ratio", "up", "down"), TABLE)
def test_level_of_the_golden_swing_is_as_printed(ratio: float, up: float, down: float):
    assert level(50_000, 40_000, ratio, up=True) == pytest.approx(up, abs=1e-6)
    assert level(50_000, 40_000, ratio, up=False) == pytest.approx(down, abs=1e-6)


@pytest.mark.req("1.16")
@pytest.mark.parametrize(
    ("ratio", "price"), [(0.236, 37_080), (0.382, 41_460), (0.5, 45_000), (0.618, 48_540), (0.786, 53_580)]
)
def test_level_of_the_second_vector_counts_upward_from_the_low(ratio: float, price: float):
    assert level(60_000, 30_000, ratio, up=False) == pytest.approx(price)


def test_level_beyond_the_second_vector_is_the_up_extension():
    assert level(60_000, 30_000, 1.618, up=True) == pytest.approx(78_540)


def test_nearest_level_is_by_distance_and_the_lower_ratio_wins_a_tie():
    found = levels(60_000, 30_000, up=False, ratios=(0.382, 0.5, 0.618))

    assert found.nearest(45_000) == (0.5, 45_000.0)
    assert levels(50.0, 40.0, up=True, ratios=(0.0, 1.0)).nearest(45.0)[0] == 0.0


def test_levels_hold_the_ends_and_drop_what_lies_below_zero():
    found = levels(50_000, 20_000, up=False)

    assert dict(found.prices)[0.0] == 20_000
    assert dict(found.prices)[1.0] == 50_000
    assert found.dropped == (2.0, 2.618, 3.618, 4.236)
    assert len(found.prices) + len(found.dropped) == len(RATIOS)


@pytest.mark.parametrize(("high", "low"), [(1.0, 1.0), (1.0, 2.0), (1.0, 0.0)])
def test_levels_of_no_swing_are_refused(high: float, low: float):
    with pytest.raises(CorruptData, match="no levels"):
        levels(high, low, up=True)


def test_clusters_chain_neighbours_and_share_no_level():
    assert clusters([100.0, 100.9, 101.8, 110.0, 110.5, 130.0]) == [
        (pytest.approx(100.9), 3),
        (pytest.approx(110.25), 2),
        (130.0, 1),
    ]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 30, 31])
def test_rolling_extreme_equals_the_plain_loop(length: int):
    import numpy as np

    values = np.random.default_rng(3).normal(size=30)

    expected = [values[i : i + length].max() for i in range(30 - length + 1)]

    assert rolling(np.maximum, values, length).tolist() == expected
