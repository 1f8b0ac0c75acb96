"""Tables of the fill rules: at the price, at the open when gapped, the stop before the target."""

import pytest

from omega.engine.barriers import barrier_fill, stop_fill, target_fill, time_exit, trailing_stop
from omega.engine.fills import average_entry, fee, funding, limit_fill, market_fill, trigger_hit, unrealised


@pytest.mark.parametrize(
    ("side", "stop", "bar", "price"),
    [
        (1, 95.0, (100.0, 101.0, 94.0), 95.0),
        (1, 95.0, (93.0, 96.0, 92.0), 93.0),
        (1, 95.0, (100.0, 101.0, 95.5), 0.0),
        (1, 95.0, (100.0, 101.0, 95.0), 95.0),
        (-1, 105.0, (100.0, 106.0, 99.0), 105.0),
        (-1, 105.0, (107.0, 108.0, 104.0), 107.0),
        (-1, 105.0, (100.0, 104.0, 99.0), 0.0),
        (1, 0.0, (100.0, 101.0, 94.0), 0.0),
        (-1, 0.0, (100.0, 101.0, 94.0), 0.0),
        (0, 95.0, (100.0, 101.0, 94.0), 0.0),
    ],
)
def test_stop_touched_or_gapped_fills_at_its_price_or_the_open(
    side: int, stop: float, bar: tuple[float, float, float], price: float
):
    assert stop_fill(side, stop, *bar) == price


@pytest.mark.parametrize(
    ("side", "target", "bar", "price"),
    [
        (1, 105.0, (100.0, 106.0, 99.0), 105.0),
        (1, 105.0, (107.0, 108.0, 106.0), 107.0),
        (1, 105.0, (100.0, 104.0, 99.0), 0.0),
        (-1, 95.0, (100.0, 101.0, 94.0), 95.0),
        (-1, 95.0, (93.0, 94.0, 92.0), 93.0),
        (1, 0.0, (100.0, 106.0, 99.0), 0.0),
        (-1, 0.0, (100.0, 106.0, 99.0), 0.0),
    ],
)
def test_target_touched_or_gapped_fills_at_its_price_or_better(
    side: int, target: float, bar: tuple[float, float, float], price: float
):
    assert target_fill(side, target, *bar) == price


@pytest.mark.parametrize(("side", "stop", "target"), [(1, 95.0, 105.0), (-1, 105.0, 95.0)])
def test_barrier_bar_that_touches_both_fills_the_stop(side: int, stop: float, target: float):
    assert barrier_fill(side, stop, target, 100.0, 106.0, 94.0) == (stop, 1)


def test_barrier_names_the_one_that_filled():
    assert barrier_fill(1, 95.0, 105.0, 100.0, 106.0, 99.0) == (105.0, 2)
    assert barrier_fill(1, 95.0, 105.0, 100.0, 104.0, 96.0) == (0.0, 0)


@pytest.mark.parametrize(
    ("side", "limit", "bar", "price"),
    [
        (1, 99.0, (100.0, 101.0, 98.0), 99.0),
        (1, 99.0, (97.0, 98.0, 96.0), 97.0),
        (1, 99.0, (100.0, 101.0, 99.5), 0.0),
        (-1, 101.0, (100.0, 102.0, 99.0), 101.0),
        (-1, 101.0, (103.0, 104.0, 102.0), 103.0),
        (-1, 0.0, (100.0, 102.0, 99.0), 0.0),
    ],
)
def test_limit_touched_fills_at_its_price_or_better(
    side: int, limit: float, bar: tuple[float, float, float], price: float
):
    assert limit_fill(side, limit, *bar) == price


@pytest.mark.parametrize(
    ("rising", "trigger", "bar", "price"),
    [
        (True, 102.0, (100.0, 103.0, 99.0), 102.0),
        (True, 102.0, (104.0, 105.0, 103.0), 104.0),
        (True, 102.0, (100.0, 101.0, 99.0), 0.0),
        (False, 98.0, (100.0, 101.0, 97.0), 98.0),
        (False, 98.0, (96.0, 97.0, 95.0), 96.0),
        (False, 98.0, (100.0, 101.0, 99.0), 0.0),
        (False, 0.0, (100.0, 101.0, 99.0), 0.0),
    ],
)
def test_trigger_crossed_fills_at_the_trigger_or_the_open(
    rising: bool, trigger: float, bar: tuple[float, float, float], price: float
):
    assert trigger_hit(rising, trigger, *bar) == price


def test_market_slippage_is_adverse_on_both_sides():
    assert market_fill(1, 100.0, 0.01) == pytest.approx(101.0)
    assert market_fill(-1, 100.0, 0.01) == pytest.approx(99.0)


def test_fee_of_the_recorded_fill_matches_the_venue():
    assert fee(64045.9, 0.001, 0.0006) == pytest.approx(0.03842754, abs=1e-12)
    assert fee(100.0, 1.0, -0.0001) == 0.0


def test_funding_above_zero_makes_longs_pay_shorts():
    assert funding(1, 2.0, 100.0, 0.0001) == pytest.approx(-0.02)
    assert funding(-1, 2.0, 100.0, 0.0001) == pytest.approx(0.02)


def test_unrealised_follows_the_side():
    assert unrealised(1, 2.0, 100.0, 103.0) == 6.0
    assert unrealised(-1, 2.0, 100.0, 103.0) == -6.0


def test_average_entry_weighs_by_size():
    assert average_entry(1.0, 100.0, 3.0, 108.0) == 106.0
    assert average_entry(0.0, 0.0, 0.0, 108.0) == 0.0


@pytest.mark.parametrize(
    ("side", "stop", "extreme", "moved"),
    [
        (1, 95.0, 103.0, 98.0),
        (1, 99.0, 103.0, 99.0),
        (-1, 105.0, 97.0, 102.0),
        (-1, 101.0, 97.0, 101.0),
        (-1, 0.0, 97.0, 102.0),
    ],
)
def test_trailing_stop_never_moves_against_the_position(side: int, stop: float, extreme: float, moved: float):
    assert trailing_stop(side, stop, 5.0, extreme) == moved


def test_trailing_stop_without_distance_stays():
    assert trailing_stop(1, 95.0, 0.0, 200.0) == 95.0


def test_time_exit_limit_zero_never_ends():
    assert [time_exit(n, 3) for n in (2, 3, 4)] == [False, True, True]
    assert not time_exit(10**6, 0)
