"""Modify, cancel and close on the futures product. Called by the REST handlers and the admin API."""

from __future__ import annotations

from services.simulator import admission, placing, settlement
from services.simulator.account import Account
from services.simulator.codes import Code, refuse
from services.simulator.figures import ZERO
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.orders import BARRIERS, STOPS, WHOLE, Order, Plan, PlanStatus, Presets
from services.simulator.state import Venue


def find_open(venue: Venue, account: Account, product: Product, fields: Fields) -> Order:
    """Return the open order that a request names.

    Raises:
        Rejected: unknown, or it has ended.
    """
    code = Code.SPOT_NO_ORDER if product is Product.SPOT else Code.NO_ORDER
    order_id, client_oid = fields.text("orderId"), fields.text("clientOid")
    if not order_id and not client_oid:
        raise refuse(Code.EMPTY, "orderId")
    order = venue.book.find(account.uid, product, order_id, client_oid)
    if order is None or not order.open:
        raise refuse(code, order_id or client_oid)
    return order


def cancel(venue: Venue, account: Account, product: Product, fields: Fields) -> Order:
    """Cancel one open order."""
    order = find_open(venue, account, product, fields)
    settlement.cancel(venue, order)
    return order


def find_plan(venue: Venue, account: Account, product: Product, fields: Fields) -> Plan:
    """Return the live plan order that a request names.

    Raises:
        Rejected: unknown, or it has ended.
    """
    order_id, client_oid = fields.text("orderId"), fields.text("clientOid")
    if not order_id and not client_oid:
        raise refuse(Code.EMPTY, "orderId")
    plan = venue.book.find_plan(account.uid, product, order_id, client_oid)
    if plan is None or plan.status is not PlanStatus.LIVE:
        raise refuse(Code.NO_ORDER, order_id or client_oid)
    return plan


def cancel_plan(venue: Venue, account: Account, product: Product, fields: Fields) -> Plan:
    """Cancel one live plan order."""
    plan = find_plan(venue, account, product, fields)
    settlement.end_plan(venue, plan, PlanStatus.CANCELLED)
    return plan


def modify(venue: Venue, account: Account, fields: Fields) -> Order:
    """Replace an open order: cancel and new, with a new id; presets alone change in place.

    Raises:
        Rejected: unknown order, or the new one breaks a rule; the old one stays then.
    """
    fields.swap()
    order = find_open(venue, account, Product.SWAP, fields)
    instrument = venue.instrument(Product.SWAP, order.symbol)
    presets = Presets(
        fields.price("newPresetStopLossPrice", instrument) or order.presets.stop,
        order.presets.stop_execute,
        fields.price("newPresetStopSurplusPrice", instrument) or order.presets.target,
        order.presets.target_execute,
    )
    if not fields.text("newSize") and not fields.text("newPrice"):
        admission.check_presets(venue, instrument, order.side, presets)
        order.presets, order.updated_ms = presets, venue.now_ms
        settlement.tell_order(venue, order, None)
        return order
    body = {
        "symbol": order.symbol,
        "orderType": "limit",
        "force": order.force,
        "side": placing_side(order),
        "tradeSide": "close" if order.reducing else "open",
        "reduceOnly": "YES" if order.reducing else "NO",
        "marginMode": order.margin_mode,
        "size": fields.text("newSize") or str(order.left),
        "price": fields.text("newPrice") or str(order.price),
        "clientOid": fields.text("newClientOid"),
        "presetStopLossPrice": str(presets.stop),
        "presetStopLossExecutePrice": str(presets.stop_execute),
        "presetStopSurplusPrice": str(presets.target),
        "presetStopSurplusExecutePrice": str(presets.target_execute),
    }
    # The old order's margin is free while the new one is judged; it comes back when the new one is refused.
    held = venue.book.open_orders.pop(order.order_id)
    try:
        replacement = placing.place(venue, account, Fields(body))
    except BaseException:
        venue.book.put_back(held)
        raise
    settlement.cancel(venue, order, "modified")
    return replacement


def placing_side(order: Order) -> str:
    """Return the side that a request for this order carries: in hedge mode the position's."""
    side = order.hold if order.hedged else order.side
    return "buy" if side > 0 else "sell"


def modify_plan(venue: Venue, account: Account, fields: Fields) -> Plan:
    """Change a trigger, stop or target in place; its id and its place in the queue stay.

    Raises:
        Rejected: unknown plan, or the change breaks a rule; the plan stays as it was then.
    """
    plan = find_plan(venue, account, Product.SWAP, fields)
    instrument = venue.instrument(Product.SWAP, plan.symbol)
    names = ("newTriggerPrice", "newPrice", "newSize") if plan.kind not in BARRIERS else _BARRIER_FIELDS
    trigger = fields.price(names[0], instrument) or fields.price("triggerPrice", instrument) or plan.trigger
    execute = fields.price(names[1], instrument) or plan.execute
    size = plan.size if plan.kind in WHOLE else fields.amount(names[2]) or plan.size
    before = (plan.trigger, plan.execute, plan.size)
    plan.trigger, plan.execute, plan.size = trigger, execute, size
    try:
        admission.check_plan(venue, account, instrument, plan)
    except BaseException:
        plan.trigger, plan.execute, plan.size = before
        raise
    if plan.kind in BARRIERS:
        plan.rising = (plan.kind in STOPS) == (plan.hold < 0)
    else:
        plan.rising = float(trigger) > venue.last(plan.symbol)
    plan.updated_ms = venue.now_ms
    settlement.tell_plan(venue, plan)
    return plan


_BARRIER_FIELDS = ("triggerPrice", "executePrice", "size")


def close_positions(venue: Venue, account: Account, fields: Fields) -> list[Order]:
    """Close positions at market: all, one symbol's, or one side of it."""
    fields.swap()
    symbol = fields.text("symbol")
    hold = placing.HOLDS.get(fields.text("holdSide").lower(), 0)
    wanted = [
        position
        for position in account.positions.values()
        if symbol in {"", position.symbol} and hold in {0, position.side}
    ]
    if not wanted:
        raise refuse(Code.NO_POSITION, symbol)
    orders = []
    for position in wanted:
        side = position.side if position.hedged else -position.side
        body = {
            "symbol": position.symbol,
            "orderType": "market",
            "side": "buy" if side > 0 else "sell",
            "tradeSide": "close",
            "reduceOnly": "YES",
            "marginMode": position.margin_mode,
            "size": str(position.size or ZERO),
        }
        orders.append(placing.place(venue, account, Fields(body)))
    return orders
