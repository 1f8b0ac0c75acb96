"""Parity: equal trades are no difference; a planted fault is found, in its class, at its bar, with its cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from omega.backtest.checks.causes import Kind
from omega.backtest.checks.parity import Parity, backtest_of, check_parity, compare
from omega.backtest.checks.recorded import Recorded
from omega.backtest.types import Costs
from omega.bus import FundingPaid, OrderEvent
from omega.domain import OrderState, Role, Side, iso
from omega.engine import Bars
from omega.errors import CorruptData
from omega.plugins import strategies

from .conftest import BTC, CHARTER, COSTS, MINUTE, session_of

FIRST = 2_000


@pytest.fixture(scope="module")
def stretch(bars: Bars) -> Bars:
    strategies.discover()
    return bars.prefix(4_000)


@pytest.fixture(scope="module")
def farm(stretch: Bars) -> Callable[..., Recorded]:
    """A session that trades as the back-test of a charter does; each call gives a fresh one."""

    def make(costs: Costs = COSTS, **changes: Any) -> Recorded:
        charter = {**CHARTER, **changes}
        seed = Recorded(charter, BTC, first_ns=int(stretch.ts[FIRST]))
        result = backtest_of(seed, stretch, costs=costs)
        assert result.trades.n > 20
        return session_of(result, stretch, FIRST, charter)

    return make


def kinds(found: Parity) -> set[Kind]:
    return {one.kind for one in found.differences}


@pytest.mark.parametrize("target", [0.0, 0.004])
def test_parity_of_equal_trades_finds_nothing(target: float, farm: Callable[..., Recorded], stretch: Bars) -> None:
    recorded = farm(params={"target_pct": target, "stop_pct": 0.003})

    found = check_parity(recorded, stretch, costs=COSTS)

    assert found.sound, found.differences[0]
    assert found.trades > 20
    assert found.bars == 2_000
    assert found.as_json()["differences"] == []


def test_parity_other_fee_is_a_matter_of_config(farm: Callable[..., Recorded], stretch: Bars) -> None:
    found = check_parity(farm(), stretch, costs=replace(COSTS, taker=0.0005))

    first = found.differences[0]
    assert (first.kind, first.quantity) == (Kind.CONFIG, "fee")
    assert "0.000600 of the notional in the farm, 0.000500 in the back-test" in first.cause
    assert kinds(found) == {Kind.CONFIG}


def test_parity_other_slippage_is_a_matter_of_config(farm: Callable[..., Recorded], stretch: Bars) -> None:
    found = check_parity(farm(), stretch, costs=replace(COSTS, slippage=0.0005))

    first = found.differences[0]
    assert (first.kind, first.quantity) == (Kind.CONFIG, "entry_price")
    assert "slippage: 2.0" in first.cause
    assert "5.0" in first.cause
    assert kinds(found) == {Kind.CONFIG}


@pytest.mark.parametrize("at", [-300, 700])
def test_parity_dropped_bar_is_a_matter_of_data(at: int, farm: Callable[..., Recorded], stretch: Bars) -> None:
    """In the warm-up or in the middle: the bar is named, and what follows from it has the same class."""
    recorded, row = farm(), FIRST + at
    recorded.bars = [bar for bar in recorded.bars if bar.ts_ns != stretch.ts[row]]
    recorded.decisions.pop(int(stretch.ts[row]), None)

    found = check_parity(recorded, stretch, costs=COSTS)

    first = found.differences[0]
    assert (first.kind, first.quantity, first.ts_ns) == (Kind.DATA, "bar", stretch.ts[row])
    assert (first.farm, first.backtest) == ("missing", "there")
    assert kinds(found) == {Kind.DATA}


def test_parity_other_close_is_a_matter_of_data(farm: Callable[..., Recorded], stretch: Bars) -> None:
    """One bar of the data differs by a per cent: named with its column; the trades after it follow from it."""
    close, high = stretch.close.copy(), stretch.high.copy()
    row = FIRST + 500
    close[row] *= 1.01
    high[row] = max(high[row], close[row])

    found = check_parity(farm(), replace(stretch, close=close, high=high), costs=COSTS)

    first = found.differences[0]
    assert (first.kind, first.ts_ns) == (Kind.DATA, stretch.ts[row])
    assert first.quantity in {"close", "high"}
    assert kinds(found) == {Kind.DATA}
    assert len(found.differences) > 1


def test_parity_volume_in_the_venues_step_is_no_difference(farm: Callable[..., Recorded], stretch: Bars) -> None:
    """The wire carries volumes in the contract's own step; the candle file has more digits."""
    fine = replace(stretch, volume=stretch.volume + 0.00004)

    assert check_parity(farm(), fine, costs=COSTS).sound


def test_parity_late_entry_is_a_matter_of_latency(farm: Callable[..., Recorded], stretch: Bars) -> None:
    """An intent that was filled one bar after its turn."""
    recorded = farm()
    at = next(i for i, fill in enumerate(recorded.fills) if fill.role is Role.ENTRY and i > 10)
    late = recorded.fills[at].ts_ns
    row = int(np.searchsorted(stretch.ts, late)) + 1
    price = Decimal(repr(round(float(stretch.open[row]) * 1.0002, 1)))
    recorded.fills[at] = replace(recorded.fills[at], ts_ns=late + MINUTE, price=price)

    found = check_parity(recorded, stretch, costs=COSTS)

    (only,) = found.differences
    assert (only.kind, only.quantity, only.ts_ns) == (Kind.LATENCY, "entry", late)
    assert only.farm == iso(late + MINUTE)
    assert "an intent came late" in only.cause


def test_parity_late_exit_is_a_matter_of_latency(farm: Callable[..., Recorded], stretch: Bars) -> None:
    recorded = farm()
    at = next(i for i, fill in enumerate(recorded.fills) if fill.role is Role.EXIT and i > 10)
    recorded.fills[at] = replace(recorded.fills[at], ts_ns=recorded.fills[at].ts_ns + 2 * MINUTE)

    (only,) = check_parity(recorded, stretch, costs=COSTS).differences

    assert (only.kind, only.quantity) == (Kind.LATENCY, "exit_ns")
    assert "2 bars after its turn" in only.cause


def lost(recorded: Recorded) -> int:
    """Take one round trip out of a session's fills; return when it was entered."""
    entry = next(fill for i, fill in enumerate(recorded.fills) if fill.role is Role.ENTRY and i > 10)
    at = recorded.fills.index(entry)
    del recorded.fills[at : at + 2]
    return entry.ts_ns


@pytest.mark.parametrize(
    ("state", "code", "kind", "says"),
    [
        (OrderState.DENIED, "deadline", Kind.LATENCY, "denied the order by its rule 'deadline'"),
        (OrderState.DENIED, "order_notional", Kind.CONFIG, "denied the order by its rule 'order_notional'"),
        (OrderState.REJECTED, "40762", Kind.CONFIG, "the venue refused"),
        (OrderState.WORKING, "", Kind.LATENCY, "its fill has not come"),
    ],
)
def test_parity_order_that_was_never_filled_is_judged_by_what_became_of_it(
    state: OrderState, code: str, kind: Kind, says: str, farm: Callable[..., Recorded], stretch: Bars
) -> None:
    recorded = farm()
    at = lost(recorded)
    recorded.orders.append(
        OrderEvent(
            "ema-btc", "i", "c", "o", "bitget", "main", "BTC-USDT.P", Side.BUY, Decimal(1), Role.ENTRY, state,
            Decimal(0), "words", code, at, at - MINUTE,
        )
    )  # fmt: skip

    (only,) = check_parity(recorded, stretch, costs=COSTS).differences

    assert (only.kind, only.quantity, only.ts_ns, only.farm) == (kind, "entry", at, "none")
    assert says in only.cause


def test_parity_other_decision_is_a_matter_of_code(farm: Callable[..., Recorded], stretch: Bars) -> None:
    """The same bars, and the runner did not want to enter."""
    recorded = farm()
    at = lost(recorded)
    made = recorded.decisions[at - MINUTE]
    recorded.decisions[at - MINUTE] = replace(made, decision=replace(made.decision, side=0, reason="wait"), intents=())

    (only,) = check_parity(recorded, stretch, costs=COSTS).differences

    assert (only.kind, only.quantity) == (Kind.CODE, "entry")
    assert "decided 'wait'" in only.cause


def test_parity_other_parameters_are_a_matter_of_code(farm: Callable[..., Recorded], stretch: Bars) -> None:
    """The farm ran another strategy than the back-test: the decisions differ on the same bars."""
    recorded = farm(params={"fast": 10})
    recorded.charter = CHARTER

    found = check_parity(recorded, stretch, costs=COSTS)

    assert kinds(found) == {Kind.CODE}


def test_parity_stop_at_another_price_is_a_matter_of_fills(farm: Callable[..., Recorded], stretch: Bars) -> None:
    recorded = farm(params={"stop_pct": 0.003})
    at = next(i for i, fill in enumerate(recorded.fills) if fill.role is Role.STOP)
    recorded.fills[at] = replace(recorded.fills[at], price=recorded.fills[at].price - 5)

    first = check_parity(recorded, stretch, costs=COSTS).differences[0]

    assert (first.kind, first.quantity) == (Kind.FILL, "exit_price")


def test_parity_funding_that_only_the_farm_paid_is_a_matter_of_config(
    farm: Callable[..., Recorded], stretch: Bars
) -> None:
    recorded = farm()
    at = next(i for i, fill in enumerate(recorded.fills) if fill.role is Role.ENTRY)
    paid_ns = recorded.fills[at].ts_ns + MINUTE
    recorded.funded.append(FundingPaid("ema-btc", "bitget", "main", "BTC-USDT.P", Decimal("-0.05"), "f", paid_ns))

    (only,) = check_parity(recorded, stretch, costs=COSTS).differences

    assert (only.kind, only.quantity, only.farm) == (Kind.CONFIG, "funding", "-0.05")


def test_parity_data_that_do_not_cover_the_session_are_refused(farm: Callable[..., Recorded], stretch: Bars) -> None:
    with pytest.raises(CorruptData, match="needs 520 before"):
        check_parity(farm(), stretch.since(FIRST - 100), costs=COSTS)


def test_parity_compares_against_a_result_of_the_callers_own(farm: Callable[..., Recorded], stretch: Bars) -> None:
    """The seam that other back-tests can use: a session, the bars, a result."""
    recorded = farm()

    found = compare(recorded, stretch, backtest_of(recorded, stretch, costs=COSTS), COSTS)

    assert found.sound
