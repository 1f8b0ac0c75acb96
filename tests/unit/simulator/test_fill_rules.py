"""Fills inside a bar: at which price, in which order, and what they leave."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from omega.errors import Rejected
from services.simulator.orders import PlanStatus, Status

UP = (100_000.0, 101_000.0, 99_000.0, 100_500.0)
CALM = (100_000.0, 100_010.0, 99_990.0, 100_000.0)


@pytest.mark.parametrize(("side", "expected"), [("buy", 100_050.0), ("sell", 99_950.0)])
def test_market_order_waiting_fills_at_next_open_plus_slippage(desk: Any, side: str, expected: float) -> None:
    trader = desk(UP, slippage=0.0005)

    order = trader.place(side, "0.1")
    assert order.status is Status.LIVE
    trader.step()

    assert trader.prices == [expected]
    assert order.created_ms == order.updated_ms == trader.venue.replay.start_ms


@pytest.mark.parametrize(
    ("side", "stop", "target", "bar", "expected"),
    [
        ("buy", 99_500, 100_800, UP, 99_500.0),  # both inside the bar: the stop
        ("sell", 100_800, 99_500, UP, 100_800.0),
        ("buy", 98_000, 100_800, UP, 100_800.0),
        ("sell", 102_000, 99_500, UP, 99_500.0),
        ("buy", 99_500, 103_000, (99_000.0, 99_200.0, 98_000.0, 98_500.0), 99_000.0),  # gapped beyond: the open
        ("buy", 97_000, 100_800, (101_500.0, 101_600.0, 101_400.0, 101_500.0), 101_500.0),
        ("sell", 100_800, 97_000, (101_500.0, 101_600.0, 101_400.0, 101_500.0), 101_500.0),
    ],
)
def test_attached_pair_fires_by_the_shared_rules(
    desk: Any, side: str, stop: int, target: int, bar: Any, expected: float
) -> None:
    trader = desk(CALM, bar)

    trader.place(side, "0.1", presetStopLossPrice=str(stop), presetStopSurplusPrice=str(target), clientOid="entry")
    trader.step(2)

    assert trader.prices == [100_000.0, expected]
    assert trader.size == 0
    assert not trader.venue.book.open_plans


def test_attached_pair_is_live_in_the_entry_bar(desk: Any) -> None:
    trader = desk(UP)

    trader.place("buy", "0.1", presetStopLossPrice="99500")
    trader.step()

    assert trader.prices == [100_000.0, 99_500.0]


def test_fired_stop_carries_the_plans_client_id_and_names_its_order(desk: Any) -> None:
    trader = desk(UP)
    trader.place("buy", "0.1", presetStopLossPrice="99500", presetStopSurplusPrice="105000", clientOid="entry")
    trader.step()

    stop, target = trader.venue.book.plans.values()
    fired = trader.venue.book.orders[stop.execute_order_id]

    assert (stop.status, target.status) == (PlanStatus.EXECUTED, PlanStatus.CANCELLED)
    assert fired.client_oid == stop.client_oid
    assert stop.client_oid.isdigit()
    assert fired.source == "SYS"
    assert trader.venue.book.trades[-1].client_oid == stop.client_oid


def test_stops_of_two_bots_on_one_position_close_their_own_part(desk: Any) -> None:
    trader = desk(CALM, (100_000.0, 100_000.0, 99_400.0, 99_400.0))
    trader.place("buy", "0.1", presetStopLossPrice="99500")
    trader.place("buy", "0.2", presetStopLossPrice="98000")

    trader.step(2)

    assert trader.prices == [100_000.0, 100_000.0, 99_500.0]
    assert trader.size == Decimal("0.2")
    assert [plan.size for plan in trader.venue.book.open_plans.values()] == [Decimal("0.2")]


def test_sized_stop_never_closes_more_than_is_held(desk: Any) -> None:
    trader = desk(CALM, CALM, (100_000.0, 100_000.0, 99_000.0, 99_000.0))
    trader.place("buy", "0.3", presetStopLossPrice="99500")
    trader.step()
    trader.place("sell", "0.2", reduceOnly="YES")

    trader.step(2)

    assert [float(trade.size) for trade in trader.venue.book.trades] == [0.3, 0.2, 0.1]
    assert trader.size == 0


def test_plans_of_a_side_vanish_with_the_position(desk: Any) -> None:
    trader = desk(CALM, CALM)
    trader.place("buy", "0.1", presetStopLossPrice="99000", presetStopSurplusPrice="101000")
    trader.step()
    trader.barrier("pos_loss", "buy", 98_000)

    trader.place("sell", "0.3")
    trader.step()

    assert trader.size == Decimal("-0.2")
    assert {plan.status for plan in trader.venue.book.plans.values()} == {PlanStatus.CANCELLED}


def test_whole_position_stop_and_target_close_everything_once(desk: Any) -> None:
    trader = desk(CALM, UP)
    trader.place("buy", "0.1")
    trader.step()
    trader.place("buy", "0.2")
    stop, target = trader.barrier("pos_loss", "buy", 99_500), trader.barrier("pos_profit", "buy", 100_800)

    trader.step()

    assert trader.prices[-1] == 99_500.0
    assert trader.size == 0
    assert (stop.status, target.status) == (PlanStatus.EXECUTED, PlanStatus.CANCELLED)


@pytest.mark.parametrize(
    ("side", "trigger", "bar", "expected"),
    [
        ("buy", 100_500, UP, [100_500.0]),
        ("sell", 99_500, UP, [99_500.0]),
        ("buy", 99_500, UP, [99_500.0]),
        ("buy", 100_500, (100_700.0, 100_900.0, 100_600.0, 100_800.0), [100_700.0]),
        ("buy", 102_000, UP, []),
    ],
)
def test_trigger_fires_at_its_price_or_at_the_gapped_open(
    desk: Any, side: str, trigger: int, bar: Any, expected: list[float]
) -> None:
    trader = desk(bar)

    trader.trigger(side, "0.1", trigger)
    trader.step()

    assert trader.prices == expected


def test_trigger_without_margin_fails_and_says_so(desk: Any) -> None:
    trader = desk(CALM, UP)
    plan = trader.trigger("buy", "1.5", 100_500)
    trader.place("buy", "1.5")

    trader.step(2)

    assert plan.status is PlanStatus.FAILED
    assert trader.size == Decimal("1.5")


def test_trigger_with_execute_price_rests_when_not_marketable(desk: Any) -> None:
    trader = desk(UP, (100_500.0, 100_600.0, 99_900.0, 100_000.0))
    plan = trader.trigger("buy", "0.1", 100_500, executePrice="99950")

    trader.step()
    order = trader.venue.book.orders[plan.execute_order_id]
    assert (trader.prices, order.status) == ([], Status.LIVE)
    trader.step()

    assert trader.prices == [99_950.0]


def test_trailing_stop_follows_and_fires_on_the_retrace(desk: Any) -> None:
    trader = desk(
        CALM,
        (100_000.0, 102_000.0, 100_000.0, 102_000.0),
        (102_000.0, 104_000.0, 102_000.0, 104_000.0),
        (104_000.0, 104_000.0, 102_500.0, 103_000.0),
    )
    trader.place("buy", "0.1")
    trader.step()
    trader.trigger("sell", "0.1", 101_000, planType="track_plan", callbackRatio="1", reduceOnly="YES")

    trader.step(3)

    assert trader.prices[-1] == pytest.approx(104_000 * 0.99)
    assert trader.size == 0


@pytest.mark.parametrize(
    ("side", "price", "bar", "expected"),
    [
        ("buy", 99_500, UP, 99_500.0),
        ("sell", 100_500, UP, 100_500.0),
        ("buy", 99_500, (99_300.0, 99_400.0, 99_200.0, 99_300.0), 99_300.0),
    ],
)
def test_limit_order_fills_by_the_shared_rule(desk: Any, side: str, price: int, bar: Any, expected: float) -> None:
    trader = desk(bar)

    trader.limit(side, "0.1", price)
    trader.step()

    assert trader.prices == [expected]


def test_limit_order_marketable_at_the_open_takes_a_resting_one_makes(desk: Any) -> None:
    trader = desk(UP, UP)

    trader.limit("buy", "0.1", 100_200)
    trader.limit("buy", "0.1", 99_500)
    trader.step()

    takes, makes = trader.venue.book.trades
    assert (takes.maker, makes.maker) == (False, True)
    assert takes.fee == Decimal(-6)
    assert makes.fee == Decimal("-1.99")


@pytest.mark.parametrize("force", ["ioc", "FOK"])
def test_immediate_order_that_cannot_fill_at_the_open_is_cancelled(desk: Any, force: str) -> None:
    trader = desk(UP)

    order = trader.limit("buy", "0.1", 99_500, force=force)
    trader.step()

    assert (order.status, trader.prices) == (Status.CANCELED, [])


def test_post_only_order_that_would_cross_is_cancelled_with_success(desk: Any) -> None:
    trader = desk(UP)

    order = trader.limit("buy", "0.1", 100_500, force="post_only")

    assert order.status is Status.CANCELED
    assert trader.limit("buy", "0.1", 99_900, force="post_only").status is Status.LIVE


def test_opposite_order_reduces_then_flips(desk: Any) -> None:
    trader = desk(CALM, (100_100.0, 100_100.0, 100_100.0, 100_100.0), CALM)
    trader.place("buy", "0.1")
    trader.step()

    trader.place("sell", "0.3")
    trader.step()

    assert trader.size == Decimal("-0.2")
    assert trader.venue.book.trades[-1].profit == Decimal(10)
    assert trader.account.held("BTCUSDT")[0].entry == Decimal(100_100)
    assert [item.position.profit for item in trader.venue.history] == [Decimal(10)]


def test_reduce_only_order_is_cut_and_older_ones_give_way(desk: Any) -> None:
    trader = desk(CALM)
    trader.place("buy", "0.1")
    trader.step()

    first = trader.limit("sell", "0.08", 101_000, reduceOnly="YES")
    second = trader.limit("sell", "0.5", 102_000, reduceOnly="YES")

    assert first.status is Status.CANCELED
    assert second.size == Decimal("0.1")


def test_reduce_only_order_without_position_is_refused(desk: Any) -> None:
    trader = desk(CALM)

    with pytest.raises(Rejected) as caught:
        trader.place("sell", "0.1", reduceOnly="YES")

    assert caught.value.code == "22002"


def test_hedge_mode_keeps_both_sides_and_closes_by_the_positions_side(desk: Any) -> None:
    trader = desk(CALM, CALM)
    trader.account.hedged = True
    trader.place("buy", "0.1", tradeSide="Open")
    trader.place("sell", "0.2", tradeSide="open")
    trader.step()
    assert len(trader.account.positions) == 2

    close = trader.place("buy", "0.1", tradeSide="Close")
    trader.step()

    assert close.side == -1
    assert {(side, position.size) for (_, side), position in trader.account.positions.items()} == {(-1, Decimal("0.2"))}
    with pytest.raises(Rejected) as caught:
        trader.place("buy", "0.1")
    assert caught.value.code == "40774"


def test_funding_moves_cash_from_longs_at_its_instant(desk: Any) -> None:
    minutes_to_eight = 8 * 60 - 2
    trader = desk(*[CALM] * minutes_to_eight)
    trader.place("buy", "0.1")

    trader.step(minutes_to_eight - 1)
    before = trader.account.wallet
    trader.step()

    assert trader.venue.now_ms % (8 * 3_600_000) == 0
    assert trader.account.wallet - before == Decimal(-1)
    assert trader.venue.bills[-1].business == "contract_settle_fee"


@pytest.mark.parametrize("margin_mode", ["crossed", "isolated"])
def test_liquidation_takes_the_position_at_the_formulas_price(desk: Any, margin_mode: str) -> None:
    crash = (100_000.0, 100_000.0, 80_000.0, 81_000.0)
    trader = desk(CALM, crash)
    trader.place("buy", "1", marginMode=margin_mode)
    trader.step()
    wallet = trader.account.wallet
    margin = Decimal(5_000) if margin_mode == "isolated" else wallet
    # mmr and taker: 0.004 + 0.0006 of the lowest tier, solved for the price.
    expected = (100_000 - float(margin)) / (1 - 0.004 - 0.0006)

    trader.limit("sell", "0.001", 104_000, marginMode=margin_mode)
    trader.step()

    burst = trader.venue.book.trades[-1]
    assert burst.trade_side == "burst_sell_single"
    assert float(burst.price) == pytest.approx(expected, abs=0.1)
    assert trader.size == 0
    assert not trader.venue.book.open_orders
    assert trader.account.wallet >= (wallet - margin).quantize(Decimal(1)) - 1
    assert trader.account.wallet >= 0


def test_margin_too_small_is_refused_and_changes_nothing(desk: Any) -> None:
    trader = desk(CALM)

    with pytest.raises(Rejected) as caught:
        trader.place("buy", "2.1")

    assert caught.value.code == "40762"
    assert not trader.venue.book.orders


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": "0.00005"}, "45111"),
        ({"size": "0.00015"}, "45115"),
        ({"price": "100000.05"}, "40808"),
        ({"price": "106000"}, "40815"),
        ({"side": "sell", "price": "94000"}, "40816"),
        ({"size": "1300"}, "45113"),
        ({"symbol": "NOPEUSDT"}, "40034"),
        ({"symbol": ""}, "40019"),
        ({"side": "up"}, "40017"),
        ({"clientOid": "x" * 51}, "40017"),
        ({"productType": "COIN-FUTURES"}, "40020"),
        ({"presetStopLossPrice": "100100"}, "40917"),
        ({"presetStopSurplusPrice": "99000"}, "45122"),
        ({"size": "one"}, "40017"),
    ],
)
def test_order_that_breaks_a_rule_is_refused_with_its_code(desk: Any, changes: dict[str, str], code: str) -> None:
    trader = desk(CALM)
    body = {"symbol": "BTCUSDT", "side": "buy", "size": "0.01", "orderType": "limit", "price": "99000", **changes}

    with pytest.raises(Rejected) as caught:
        trader.place(**{key: body.pop(key) for key in ("side", "size")}, kind=body.pop("orderType"), **body)

    assert caught.value.code == code


def test_client_id_is_refused_a_second_time_whatever_became_of_the_first(desk: Any) -> None:
    trader = desk(CALM)
    first = trader.limit("buy", "0.01", 99_000, clientOid="once")
    trader.cancel(first)

    with pytest.raises(Rejected) as caught:
        trader.limit("buy", "0.01", 99_000, clientOid="once")

    assert caught.value.code == "40786"
