"""Instruments: numbers meet the wire in the venue's own steps."""

from decimal import Decimal

import pytest

from omega.domain import Instrument, Kind, Symbol, VenueName
from omega.errors import CorruptData


def instrument(price_step: str = "0.1", size_step: str = "0.0001") -> Instrument:
    return Instrument(
        symbol=Symbol("BTC-USDT.P"),
        venue=VenueName("bitget"),
        venue_symbol="BTC/USDT:USDT",
        base="BTC",
        quote="USDT",
        kind=Kind.SWAP,
        price_step=Decimal(price_step),
        size_step=Decimal(size_step),
        min_size=Decimal(size_step),
        min_notional=Decimal(5),
        max_leverage=125,
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.0006"),
    )


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [("97123.44", "0.1", "97123.4"), ("97123.46", "0.1", "97123.5"), ("97123.26", "0.5", "97123.5"), ("7", "0.1", "7")],
)
def test_price_any_value_rounds_to_the_nearest_step(value: str, step: str, expected: str) -> None:
    assert instrument(price_step=step).price(Decimal(value)) == Decimal(expected)


def test_size_any_value_is_cut_never_raised() -> None:
    assert instrument().size(Decimal("0.12349")) == Decimal("0.1234")
    assert instrument().size(0.00009) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, Decimal("NaN")])
def test_price_unsound_value_is_refused(value: float | Decimal) -> None:
    with pytest.raises(CorruptData, match="BTC-USDT"):
        instrument().price(value)


def test_tradable_below_minimum_notional_is_false() -> None:
    assert not instrument().tradable(Decimal("0.0001"), Decimal(40_000))
    assert instrument().tradable(Decimal("0.0002"), Decimal(40_000))
