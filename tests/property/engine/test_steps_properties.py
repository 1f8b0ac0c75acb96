"""Roundings over floats are those of the Decimal code at the venue's edge, halves and all."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import Decision, Instrument, Kind, Symbol, VenueName
from omega.engine.steps import cut, leg_sizes, near, tradable
from services.runner.intents import Seat, intents_of

STEPS = [Decimal(text) for text in ("0.1", "0.01", "0.5", "0.00001", "1", "5", "0.0001", "0.25", "10", "0.00000001")]
steps = st.sampled_from(STEPS)
SEAT = Seat("bot", "venue", "main", "BTC-USDT.P")  # type: ignore[arg-type]


def parts(step: Decimal) -> tuple[float, float]:
    exact = Fraction(step)
    return float(exact.numerator), float(exact.denominator)


values = st.one_of(
    st.floats(0.0, 300_000.0),
    # What a candle, a size or a fee looks like: few decimals, often exactly between two steps.
    st.builds(lambda whole, digits: float(Decimal(whole).scaleb(-digits)), st.integers(0, 10**9), st.integers(0, 9)),
)


@settings(max_examples=2_000, deadline=None)
@given(value=values, step=steps)
def test_cut_is_the_decimal_cut(value: float, step: Decimal):
    exact = (Decimal(repr(value)) / step).quantize(Decimal(1), rounding=ROUND_DOWN) * step

    assert cut(value, *parts(step)) == float(exact)


@settings(max_examples=2_000, deadline=None)
@given(value=values, step=steps, sign=st.sampled_from([1.0, -1.0]))
def test_near_is_the_decimal_rounding(value: float, step: Decimal, sign: float):
    exact = (Decimal(repr(sign * value)) / step).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * step

    assert near(sign * value, *parts(step)) == float(exact)


def test_near_rounds_halves_to_the_even_step():
    assert [near(x, 1.0, 10.0) for x in (16541.25, 16541.35, 16541.45, 0.05, 0.15)] == [
        16541.2, 16541.4, 16541.4, 0.0, 0.2,
    ]  # fmt: skip


def test_no_step_leaves_a_value_alone():
    assert (cut(1.23456789, 0.0, 1.0), near(-1.23456789, 0.0, 1.0)) == (1.23456789, -1.23456789)


@pytest.mark.parametrize("targets", [0, 1, 2, 3])
@settings(max_examples=500, deadline=None)
@given(
    size=st.builds(lambda n: float(Decimal(n).scaleb(-5)), st.integers(1, 10**6)),
    price=st.sampled_from([9.9, 4_321.5, 97_123.4]),
    least=st.sampled_from(["0.001", "0.01"]),
    notional=st.sampled_from([0, 5, 100]),
)
def test_leg_sizes_are_those_of_the_intents(targets: int, size: float, price: float, least: str, notional: int):
    instrument = Instrument(
        symbol=Symbol("BTC-USDT.P"), venue=VenueName("venue"), venue_symbol="", base="BTC", quote="USDT",
        kind=Kind.SWAP, price_step=Decimal("0.1"), size_step=Decimal("0.001"), min_size=Decimal(least),
        min_notional=Decimal(notional), max_leverage=10, maker_fee=Decimal(0), taker_fee=Decimal(0),
    )  # fmt: skip
    shares = ((), (1.0,), (0.5, 0.5), (0.4, 0.4, 0.2))[targets]
    aims = tuple((price * (1.1 + j), share) for j, share in enumerate(shares))
    decision = Decision(0, price, 1, False, size, price * 0.9, aims, 1, 1.0, "r")
    asked = {float(i.target or 0): float(i.size) for i in intents_of(decision, SEAT, instrument, Decimal(0))}

    whole = cut(size, 1.0, 1_000.0)
    made = {}
    if tradable(whole, price, float(least), float(notional)):
        legs = leg_sizes(whole, price, targets, 1.0, 1_000.0, float(least), float(notional))
        prices = [near(aim, 1.0, 10.0) for aim, _ in aims] or [0.0]
        made = {at: leg for at, leg in zip(prices, legs, strict=False) if leg > 0.0}

    assert made == asked
