"""Fibonacci tools against the golden tables, and the golden test on legs with the ratio and on legs without."""

from __future__ import annotations

import numpy as np
import pytest

from omega.analytics.fibonacci import (
    ZONES,
    Leg,
    channels,
    fibonacci,
    golden_zones,
    leg_levels,
    legs_of,
    level_clusters,
    pivot_points,
    time_zones,
)
from omega.analytics.golden import golden_test
from omega.analytics.pivots import by_reversal, by_window
from omega.engine import F64, Bars
from omega.engine.fibonacci import PHI
from omega.errors import ConfigError

HOUR_NS = 3_600_000_000_000


def leg(start: float, end: float, *, at: int = 0) -> Leg:
    return Leg(at, at + 10, at + 12, start, end)


def walk(n: int = 1_500, seed: int = 7) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    open_ = np.concatenate(([100.0], close[:-1]))
    spread = 1.0 + rng.uniform(0.0, 0.004, n)
    ts = (np.arange(n) + 1) * HOUR_NS
    return Bars.of(ts, open_, np.maximum(open_, close) * spread, np.minimum(open_, close) / spread, close, np.ones(n))


@pytest.mark.req("1.16", "2.56")
@pytest.mark.parametrize(
    ("start", "end", "ratio", "price"),
    [
        (40_000, 50_000, 0.618, 43_820),
        (40_000, 50_000, 1.618, 56_180),
        (50_000, 40_000, 0.236, 42_360),
        (50_000, 40_000, 4.236, 7_640),
    ],
)
def test_levels_of_a_leg_are_those_of_the_golden_table(start: float, end: float, ratio: float, price: float) -> None:
    made, dropped = leg_levels(leg(start, end), 45_000.0)

    found = {level.ratio: level for level in made}[ratio]
    assert found.price == pytest.approx(price)
    assert found.distance == pytest.approx(price / 45_000.0 - 1.0)
    assert found.kind == ("retracement" if ratio <= 1.0 else "extension")
    assert dropped == ()


def test_levels_below_zero_are_dropped_and_named() -> None:
    made, dropped = leg_levels(leg(100.0, 10.0), 20.0)

    assert dropped == (1.272, 1.414, 1.618, 2.0, 2.618, 3.618, 4.236)
    assert all(level.price > 0.0 for level in made)


def test_legs_alternate_and_keep_the_more_extreme_of_neighbours() -> None:
    """Two highs in a row are one pivot, the higher; the leg is known when both of its ends are."""
    high = [10.2, 10.3, 10.1, 11, 12, 14, 13, 13.5, 15, 13, 12, 11, 10, 10.2, 10.4, 10.5]
    low = [9.8, 9.5, 9, 9.6, 10, 11, 10.8, 10.9, 10.5, 10.2, 9.9, 9.4, 8.5, 9.1, 9.3, 9.6]
    middle = (np.array(high) + np.array(low)) / 2.0
    bars = Bars.of((np.arange(16) + 1) * HOUR_NS, middle, high, low, middle, np.ones(16))

    pivots = by_window(bars, 2)

    assert pivots.row.tolist() == [2, 5, 8, 12]
    assert legs_of(pivots) == (Leg(2, 8, 10, 9.0, 15.0), Leg(8, 12, 14, 15.0, 8.5))


def test_clusters_count_levels_and_the_swings_they_come_from() -> None:
    """The .5 of one swing and the .382 of another meet; their strength is two levels of two swings."""
    first, second = leg(90.0, 110.0), leg(81.45, 111.45)

    made = level_clusters([first, second], within=0.001)

    met = next(c for c in made if c.low <= 100.0 <= c.high)
    assert (met.strength, met.swings) == (2, 2)
    assert met.price == pytest.approx(99.995)
    assert sum(c.strength for c in level_clusters([first, second], within=0.001, least=1)) == 28


def test_time_zones_beyond_the_record_go_on_with_unbroken_bars() -> None:
    bars = walk(300)

    zones = time_zones(bars, 280, HOUR_NS)

    assert [z.number for z in zones] == list(ZONES)
    assert [z.row - 280 for z in zones] == list(ZONES)
    assert zones[4].ts_ns == bars.ts[288]
    assert zones[-1].ts_ns == bars.ts[-1] + (280 + 89 - 299) * HOUR_NS
    assert time_zones(bars, 0, HOUR_NS, unit=3)[2].row == 9


def test_time_zones_from_a_row_that_is_not_there_are_refused() -> None:
    with pytest.raises(ConfigError, match="name a row"):
        time_zones(walk(300), 300, HOUR_NS)


@pytest.mark.req("2.59")
def test_golden_zones_are_powers_of_the_ratio() -> None:
    zones = golden_zones(100.0)

    assert [(round(z.low, 4), round(z.high, 4)) for z in zones] == [
        (38.1966, 61.8034),
        (61.8034, 100.0),
        (100.0, 161.8034),
        (161.8034, 261.8034),
    ]


def test_pivot_points_are_the_printed_ones() -> None:
    made = pivot_points(50_000.0, 40_000.0, 45_000.0)

    assert {name: round(value) for name, value in made.items()} == {
        "P": 45_000, "R1": 48_820, "S1": 41_180, "R2": 51_180, "S2": 38_820, "R3": 55_000, "S3": 35_000,
    }  # fmt: skip


def test_channels_have_the_spread_about_the_line_and_no_width_on_one() -> None:
    """A pure trend has no spread; noise of one unit around it has that of the noise."""
    line = np.linspace(100.0, 200.0, 100)
    noise = np.tile([1.0, -1.0], 50)

    flat, wide = channels(line), channels(line + noise)

    assert max(c.upper - c.lower for c in flat) < 1e-9
    unit = next(c for c in wide if c.ratio == 1.0)
    assert (unit.upper - unit.lower) / 2.0 == pytest.approx(1.0, rel=0.01)
    assert unit.upper + unit.lower == pytest.approx(2.0 * 199.0)
    assert channels(line[:2]) == ()


def golden_moves(n: int, share: float, seed: int) -> F64:
    """Sizes of legs: neighbours stand in the golden ratio in a share of the cases, and are strangers in the others."""
    rng = np.random.default_rng(seed)
    size, made = 0.05, []
    for _ in range(n):
        if rng.random() < share:
            size = size * PHI if size < 0.05 else size / PHI
        else:
            size = 0.05 * float(np.exp(rng.normal(0.0, 0.6)))
        made.append(size)
    return np.array(made)


@pytest.mark.req("2.55")
def test_golden_test_finds_the_ratio_where_it_is_planted() -> None:
    made = golden_test(golden_moves(300, 0.4, 3), np.random.default_rng(1), draws=199)

    assert made.significant
    assert made.p_value <= 0.01
    assert made.share > made.expected + 0.2


def test_golden_test_on_random_legs_is_seldom_significant() -> None:
    found = [golden_test(golden_moves(200, 0.0, seed), np.random.default_rng(seed), draws=99) for seed in range(20)]

    assert sum(t.significant for t in found) <= 2


def like_moves(seed: int) -> F64:
    """Sizes of legs that follow each other."""
    rng = np.random.default_rng(seed)
    size, made = 0.0, []
    for _ in range(800):
        size = 0.75 * size + float(rng.normal(0.0, 0.4))
        made.append(0.05 * float(np.exp(size)))
    return np.array(made)


def test_golden_test_is_not_fooled_by_legs_of_like_size() -> None:
    """Neighbours of like size fill the whole neighbourhood of a ratio: reordering alone would call it gold."""
    found = [golden_test(like_moves(s), np.random.default_rng(s), target=1.4, draws=49) for s in range(20)]

    assert sum(t.p_value < 0.05 for t in found) > 10
    assert sum(t.significant for t in found) <= 3


def test_golden_test_with_few_legs_says_so() -> None:
    made = golden_test(golden_moves(10, 1.0, 3), np.random.default_rng(1))

    assert (made.significant, made.p_value) == (False, 1.0)
    assert "too few" in made.why


def test_fibonacci_reads_nothing_that_the_last_bar_did_not_know() -> None:
    """The same report comes from the bars as they were, and the swing was confirmed by then."""
    bars = walk()
    cut = bars.prefix(1_200)

    made = fibonacci(cut, HOUR_NS)

    assert made.leg is not None
    assert made.leg.confirmed < cut.n
    assert legs_of(by_reversal(bars).known(cut.n - 1))[-1] == made.leg
    assert made.nearest is not None
    assert abs(made.nearest.distance) == min(abs(level.distance) for level in made.levels)
    assert [c.swings for c in made.clusters] == sorted((c.swings for c in made.clusters), reverse=True)


def test_fibonacci_without_a_swing_says_nothing_of_levels() -> None:
    made = fibonacci(walk(5), HOUR_NS)

    assert (made.leg, made.levels, made.nearest, made.zones) == (None, (), None, ())
    assert len(made.golden) == 4


def test_fibonacci_of_no_bars_is_refused() -> None:
    with pytest.raises(ConfigError, match="no bar"):
        fibonacci(walk(5).prefix(0), HOUR_NS)
