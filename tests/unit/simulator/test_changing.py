"""Modify, cancel and settings: what changes, what stays when the venue refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from omega.errors import Rejected
from services.simulator import changing, spot_trading
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.orders import PlanStatus, Status
from services.simulator.rest import account as account_api
from services.simulator.rest import orders as orders_api
from services.simulator.rest import spot as spot_api

CALM = (100_000.0, 100_010.0, 99_990.0, 100_000.0)


def refused(code: str) -> Any:
    return pytest.raises(Rejected, check=lambda error: error.code == code)


def test_modified_order_is_cancelled_and_placed_anew(desk: Any) -> None:
    trader = desk(CALM)
    old = trader.limit("buy", "0.01", 99_000, clientOid="old", presetStopLossPrice="95000")
    body = {"orderId": old.order_id, "newSize": "0.02", "newPrice": "98000", "newClientOid": "new"}

    fresh = changing.modify(trader.venue, trader.account, Fields(body))

    assert (old.status, old.cancel_reason) == (Status.CANCELED, "modified")
    assert (fresh.size, fresh.price, fresh.client_oid) == (Decimal("0.02"), Decimal(98_000), "new")
    assert fresh.presets.stop == Decimal(95_000)
    assert fresh.order_id > old.order_id


def test_order_whose_change_is_refused_stays_in_its_place(desk: Any) -> None:
    trader = desk(CALM)
    old, younger = trader.limit("buy", "0.01", 99_000), trader.limit("buy", "0.01", 98_000)
    body = {"orderId": old.order_id, "newSize": "500", "newPrice": "98000"}

    with refused("40762"):
        changing.modify(trader.venue, trader.account, Fields(body))

    assert list(trader.venue.book.open_orders.values()) == [old, younger]


def test_presets_alone_change_in_place(desk: Any) -> None:
    trader = desk(CALM)
    order = trader.limit("buy", "0.01", 99_000, presetStopLossPrice="95000")

    same = changing.modify(
        trader.venue,
        trader.account,
        Fields({"orderId": order.order_id, "newPresetStopLossPrice": "96000", "newPresetStopSurplusPrice": "105000"}),
    )

    assert same is order
    assert (order.presets.stop, order.presets.target) == (Decimal(96_000), Decimal(105_000))


def test_stop_moved_keeps_its_id_and_a_refused_move_changes_nothing(desk: Any) -> None:
    trader = desk(CALM)
    trader.place("buy", "0.1")
    trader.step()
    stop = trader.barrier("loss_plan", "buy", 95_000, size="0.05")
    plan = trader.trigger("buy", "0.1", 101_000)

    moved = changing.modify_plan(
        trader.venue, trader.account, Fields({"orderId": stop.order_id, "triggerPrice": "96000", "size": "0.1"})
    )
    changing.modify_plan(
        trader.venue, trader.account, Fields({"clientOid": plan.client_oid, "newTriggerPrice": "99000"})
    )

    assert (moved.order_id, moved.trigger, moved.size) == (stop.order_id, Decimal(96_000), Decimal("0.1"))
    assert (plan.trigger, plan.rising) == (Decimal(99_000), False)
    with refused("40917"):
        changing.modify_plan(trader.venue, trader.account, Fields({"orderId": stop.order_id, "triggerPrice": "101000"}))
    assert stop.trigger == Decimal(96_000)


@pytest.mark.parametrize(("named", "code"), [({}, "40019"), ({"orderId": "1"}, "40768"), ({"clientOid": "x"}, "40768")])
def test_change_of_what_does_not_exist_is_refused(desk: Any, named: dict[str, str], code: str) -> None:
    trader = desk(CALM)

    for act in (changing.cancel, changing.cancel_plan):
        with refused(code):
            act(trader.venue, trader.account, Product.SWAP, Fields(named))


def test_batches_report_each_failure_and_do_the_rest(desk: Any) -> None:
    trader = desk(CALM)
    order = trader.limit("buy", "0.01", 99_000)
    plan = trader.trigger("buy", "0.01", 101_000)
    named = {"orderIdList": [{"orderId": order.order_id}, {"orderId": "7"}]}

    cancelled = orders_api.cancel_batch(trader.venue, trader.account, Fields(named))
    plans = orders_api.cancel_plan(
        trader.venue, trader.account, Fields({"symbol": "BTCUSDT", "orderIdList": [{"clientOid": plan.client_oid}]})
    )

    assert [row["orderId"] for row in cancelled["successList"]] == [order.order_id]
    assert [row["errorCode"] for row in cancelled["failureList"]] == ["40768"]
    assert len(plans["successList"]) == 1
    assert plan.status is PlanStatus.CANCELLED
    with refused("40017"):
        orders_api.cancel_batch(trader.venue, trader.account, Fields({"orderIdList": "all"}))
    with refused("40017"):
        orders_api.plans_pending(trader.venue, trader.account, Fields({"planType": "hope"}))


def test_leverage_of_an_open_position_falls_only_when_the_wallet_backs_it(desk: Any) -> None:
    trader = desk(CALM)
    trader.place("buy", "1")
    trader.step()

    account_api.set_leverage(trader.venue, trader.account, Fields({"symbol": "BTCUSDT", "leverage": "15"}))
    assert trader.account.held("BTCUSDT")[0].leverage == 15
    with refused("40762"):
        account_api.set_leverage(trader.venue, trader.account, Fields({"symbol": "BTCUSDT", "leverage": "5"}))

    assert trader.account.held("BTCUSDT")[0].leverage == 15
    assert trader.account.setting("BTCUSDT").cross == 15
    with refused("45117"):
        body = {"symbol": "BTCUSDT", "marginMode": "isolated"}
        account_api.set_margin_mode(trader.venue, trader.account, Fields(body))
    with refused("22002"):
        body = {"symbol": "BTCUSDT", "amount": "5"}
        account_api.set_margin(trader.venue, trader.account, Fields(body))


def test_isolated_sides_have_leverage_of_their_own(desk: Any) -> None:
    trader = desk(CALM)
    account_api.set_margin_mode(trader.venue, trader.account, Fields({"symbol": "BTCUSDT", "marginMode": "isolated"}))

    answer = account_api.set_leverage(
        trader.venue, trader.account, Fields({"symbol": "BTCUSDT", "leverage": "3", "holdSide": "short"})
    )

    assert (answer["longLeverage"], answer["shortLeverage"]) == ("20", "3")
    with refused("40019"):
        account_api.set_leverage(trader.venue, trader.account, Fields({"symbol": "BTCUSDT"}))


def test_margin_added_by_hand_moves_the_liquidation_away_and_comes_back(desk: Any) -> None:
    trader = desk(CALM, CALM)
    trader.place("buy", "0.1", marginMode="isolated")
    trader.step()
    held = trader.account.held("BTCUSDT")[0]
    body = {"symbol": "BTCUSDT", "holdSide": "long"}

    def price() -> float:
        return float(account_api.position(trader.venue, trader.account, Fields(body))[0]["liquidationPrice"])

    before = price()
    account_api.set_margin(trader.venue, trader.account, Fields({**body, "amount": "1000"}))
    after = price()

    assert after == pytest.approx(before - 10_000 / (1 - 0.0046), rel=1e-6)
    with refused("40762"):
        account_api.set_margin(trader.venue, trader.account, Fields({**body, "amount": "-1001"}))
    account_api.set_margin(trader.venue, trader.account, Fields({**body, "amount": "-1000"}))
    assert held.extra == 0


def test_bills_list_fees_and_profit_newest_first(desk: Any) -> None:
    trader = desk(CALM, CALM)
    trader.place("buy", "0.1")
    trader.step()
    trader.place("sell", "0.1")
    trader.step()

    rows = account_api.bills(trader.venue, trader.account, Fields({"limit": "1"}))
    older = account_api.bills(trader.venue, trader.account, Fields({"idLessThan": rows["endId"]}))

    assert [row["businessType"] for row in rows["bills"] + older["bills"]] == ["sell_single", "buy_single"]
    assert {row["fee"] for row in rows["bills"]} == {"-6"}


def spot(trader: Any, side: str, size: str, **more: str) -> Any:
    body = {"symbol": "BTCUSDT", "side": side, "size": size, "orderType": "limit", "force": "gtc", **more}
    return spot_trading.place(trader.venue, trader.account, Fields(body))


def test_spot_order_is_replaced_or_stays_with_its_money(desk: Any) -> None:
    trader = desk(CALM)
    old = spot(trader, "buy", "0.05", price="99000")
    coin = trader.account.coin("USDT")

    fresh = spot_api.replace(
        trader.venue, trader.account, Fields({"orderId": old.order_id, "size": "0.1", "price": "99000"})
    )
    assert coin.frozen == Decimal(9_900)
    with refused("43012"):
        spot_api.replace(
            trader.venue, trader.account, Fields({"orderId": fresh["orderId"], "size": "0.2", "price": "99000"})
        )

    assert coin.frozen == Decimal(9_900)
    spot_api.cancel_symbol(trader.venue, trader.account, Fields({"symbol": "BTCUSDT"}))
    assert (coin.frozen, coin.available) == (Decimal(0), Decimal(10_000))
    assert len(spot_api.history(trader.venue, trader.account, Fields({}))) == 2


def test_spot_triggers_fire_and_are_cancelled_together(desk: Any) -> None:
    trader = desk((100_000.0, 101_000.0, 99_000.0, 100_500.0))
    plan = {"symbol": "BTCUSDT", "side": "buy", "orderType": "market"}
    fires = spot_trading.place_plan(
        trader.venue, trader.account, Fields({**plan, "size": "1000", "triggerPrice": "100500"})
    )
    spot_trading.place_plan(trader.venue, trader.account, Fields({**plan, "size": "1000", "triggerPrice": "120000"}))
    with refused("40019"):
        spot_trading.place_plan(trader.venue, trader.account, Fields({**plan, "triggerPrice": "120000"}))

    trader.step()
    done = spot_api.cancel_plans(trader.venue, trader.account, Fields({"symbolList": ["BTCUSDT"]}))

    assert fires.status is PlanStatus.EXECUTED
    assert trader.account.coin("BTC").available == Decimal("0.009950") * Decimal("0.998")
    assert len(done["successList"]) == 1
    assert len(spot_api.plan_history(trader.venue, trader.account, Fields({}))["orderList"]) == 2
