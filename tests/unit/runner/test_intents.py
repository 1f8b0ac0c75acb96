"""From decision to intents: deterministic, in the venue's steps, one leg a target."""

from __future__ import annotations

from decimal import Decimal

import pytest

from omega.domain import Action, Decision, Instrument, Kind, Side, Symbol, VenueName
from services.runner.intents import Seat, intents_of

BTC = Instrument(
    symbol=Symbol("BTC-USDT.P"),
    venue=VenueName("bitget"),
    venue_symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    kind=Kind.SWAP,
    price_step=Decimal("0.1"),
    size_step=Decimal("0.0001"),
    min_size=Decimal("0.0001"),
    min_notional=Decimal(5),
    max_leverage=125,
    maker_fee=Decimal("0.0002"),
    taker_fee=Decimal("0.0006"),
)
SEAT = Seat("fib-btc", "bitget", "main", "BTC-USDT.P")  # type: ignore[arg-type]


def decision(**changes: object) -> Decision:
    base: dict[str, object] = {
        "bar_ts_ns": 60_000_000_000,
        "price": 100_000.04,
        "side": 1,
        "exit": False,
        "size": 0.01239,
        "stop": 99_000.06,
        "targets": ((101_000.0, 0.4), (102_000.0, 0.4), (103_000.0, 0.2)),
        "leverage": 2,
        "confidence": 0.7,
        "reason": "bounce",
    }
    return Decision(**{**base, **changes})  # type: ignore[arg-type]


def test_intents_of_entry_one_leg_a_target_with_the_stop() -> None:
    """The legs sum to the cut size, each carries the stop and its own target."""
    legs = intents_of(decision(), SEAT, BTC, Decimal(0))

    assert [leg.target for leg in legs] == [Decimal(101_000), Decimal(102_000), Decimal(103_000)]
    assert sum(leg.size for leg in legs) == Decimal("0.0123")
    assert {leg.stop for leg in legs} == {Decimal("99000.1")}
    assert {leg.side for leg in legs} == {Side.BUY}
    assert len({leg.intent_id for leg in legs}) == 3


def test_intents_of_same_decision_same_ids() -> None:
    assert intents_of(decision(), SEAT, BTC, Decimal(0)) == intents_of(decision(), SEAT, BTC, Decimal(0))


def test_intents_of_small_legs_join_the_first() -> None:
    """A leg below the venue's minimum is not dropped: it joins the first one."""
    (only,) = intents_of(decision(size=0.0001), SEAT, BTC, Decimal(0))

    assert only.size == Decimal("0.0001")
    assert only.target == Decimal(101_000)


@pytest.mark.parametrize("size", [0.0, 0.00009, 0.00004])
def test_intents_of_size_below_the_minimum_is_nothing(size: float) -> None:
    assert intents_of(decision(size=size), SEAT, BTC, Decimal(0)) == ()


@pytest.mark.parametrize(("held", "side"), [("0.5", Side.SELL), ("-0.5", Side.BUY)])
def test_intents_of_exit_closes_all_of_the_held_side(held: str, side: Side) -> None:
    (leave,) = intents_of(decision(side=0, exit=True, targets=()), SEAT, BTC, Decimal(held))

    assert (leave.action, leave.side, leave.size) == (Action.EXIT, side, Decimal("0.5"))
    assert leave.reduces


def test_intents_of_exit_without_a_position_is_nothing() -> None:
    assert intents_of(decision(side=0, exit=True), SEAT, BTC, Decimal(0)) == ()


def test_intents_of_turn_leaves_before_it_enters() -> None:
    formed = intents_of(decision(side=-1, exit=True, stop=101_000.0, targets=()), SEAT, BTC, Decimal("0.2"))

    assert [intent.action for intent in formed] == [Action.EXIT, Action.ENTER]
    assert [intent.side for intent in formed] == [Side.SELL, Side.SELL]


def held_decision(stop: float) -> Decision:
    return decision(side=0, size=0.0, stop=stop, targets=())


def test_intents_of_trailing_stop_asks_for_the_nearer_one_once() -> None:
    """Rounded to the venue's step, on the losing side of the price, nearer than the last: else nothing."""
    price = decision().price
    level = price - 12.34
    (only,) = intents_of(held_decision(level), SEAT, BTC, Decimal("0.5"))

    assert (only.action, only.side, only.size, only.stop) == (
        Action.TIGHTEN,
        Side.SELL,
        Decimal("0.5"),
        BTC.price(level),
    )
    assert only.reduces
    assert intents_of(held_decision(level), SEAT, BTC, Decimal("0.5"), guard=BTC.price(level)) == ()
    assert intents_of(held_decision(level), SEAT, BTC, Decimal("0.5"), guard=BTC.price(level + 1)) == ()
    assert intents_of(held_decision(price + 1), SEAT, BTC, Decimal("0.5")) == ()
    assert intents_of(held_decision(0.0), SEAT, BTC, Decimal("0.5")) == ()
    assert intents_of(held_decision(level), SEAT, BTC, Decimal(0)) == ()


def test_intents_of_trailing_stop_of_a_short_lies_above() -> None:
    price = decision().price
    (only,) = intents_of(held_decision(price + 20.0), SEAT, BTC, Decimal("-0.5"), guard=BTC.price(price + 30.0))

    assert (only.side, only.stop) == (Side.BUY, BTC.price(price + 20.0))
    assert intents_of(held_decision(price + 40.0), SEAT, BTC, Decimal("-0.5"), guard=BTC.price(price + 30.0)) == ()
