"""Margin and liquidation against the venue's recorded figures and against their own equations."""

import pytest

from omega.engine.margin import break_even, cross_liquidation, initial_margin, isolated_liquidation, maintenance

MMR, TAKER = 0.004, 0.0006


def test_initial_margin_of_the_recorded_position_matches_the_venue():
    assert initial_margin(0.002, 37355.5, 20.0) == pytest.approx(3.73555, abs=1e-9)
    assert initial_margin(0.002, 37355.5, 0.0) == pytest.approx(74.711)


def test_break_even_of_the_recorded_position_matches_the_venue():
    assert int(break_even(1, 107410.3, TAKER) * 10) / 10 == 107539.2
    assert break_even(-1, 100.0, TAKER) < 100.0


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("leverage", [1.5, 3.0, 20.0, 100.0])
def test_isolated_liquidation_is_where_margin_and_profit_equal_maintenance(side: int, leverage: float):
    size, entry = 0.5, 60_000.0
    margin = initial_margin(size, entry, leverage)

    price = isolated_liquidation(side, size, entry, margin, MMR, TAKER)

    assert margin + side * size * (price - entry) == pytest.approx(maintenance(size, price, MMR, TAKER), abs=1e-6)
    assert side * (entry - price) > 0


@pytest.mark.parametrize("side", [1, -1])
def test_cross_liquidation_is_where_equity_equals_maintenance(side: int):
    size, mark, equity = 0.5, 60_000.0, 4_000.0

    price = cross_liquidation(side, size, mark, equity, MMR, TAKER)

    assert equity + side * size * (price - mark) == pytest.approx(maintenance(size, price, MMR, TAKER), abs=1e-6)


@pytest.mark.parametrize(
    "price",
    [
        isolated_liquidation(1, 1.0, 100.0, 200.0, MMR, TAKER),
        isolated_liquidation(1, 0.0, 100.0, 10.0, MMR, TAKER),
        isolated_liquidation(0, 1.0, 100.0, 10.0, MMR, TAKER),
        cross_liquidation(1, 1.0, 100.0, 200.0, MMR, TAKER),
        cross_liquidation(-1, 0.0, 100.0, 200.0, MMR, TAKER),
    ],
)
def test_liquidation_that_no_price_reaches_is_zero(price: float):
    assert price == 0.0
