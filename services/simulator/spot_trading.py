"""Orders of the spot product, from request to state. Called by the spot REST handlers."""

from __future__ import annotations

from services.simulator import admission, changing, placing, settlement
from services.simulator.account import Account
from services.simulator.codes import Code, refuse
from services.simulator.figures import ZERO
from services.simulator.instruments import Instrument, Product
from services.simulator.intake import FORCES, Fields
from services.simulator.orders import Order, Plan, PlanType
from services.simulator.state import Venue


def place(venue: Venue, account: Account, fields: Fields, source: str = "API") -> Order:
    """Take a spot order in; the size of a market buy is what it may cost.

    Raises:
        Rejected: a rule of the venue; nothing has changed then.
    """
    instrument = venue.instrument(Product.SPOT, fields.text("symbol"))
    order = _order(venue, account, instrument, fields, source)
    order.client_oid = admission.check_client_oid(venue, account, Product.SPOT, fields.text("clientOid"))
    admission.check_order(venue, account, instrument, order)
    admission.check_spot_funds(venue, account, instrument, order)
    order.order_id = venue.next_id()
    settlement.freeze(account, instrument, order, admission.spot_cost(venue, order))
    placing.accept(venue, order)
    return order


def _order(venue: Venue, account: Account, instrument: Instrument, fields: Fields, source: str) -> Order:
    market = fields.choice("orderType", frozenset({"limit", "market"})) == "market"
    side = placing.SIDES[fields.choice("side", placing.SIDES)]
    size = fields.amount("size")
    if size <= 0:
        raise refuse(Code.EMPTY, "size")
    by_cost = market and side > 0
    return Order(
        order_id="",
        client_oid="",
        uid=account.uid,
        product=Product.SPOT,
        symbol=instrument.symbol,
        side=side,
        market=market,
        force=fields.choice("force", FORCES, "gtc"),
        price=ZERO if market else fields.amount("price"),
        size=ZERO if by_cost else size,
        quote_size=size if by_cost else ZERO,
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        fee_coin=instrument.base if side > 0 else instrument.quote,
        source=source,
    )


def place_plan(venue: Venue, account: Account, fields: Fields) -> Plan:
    """Take a spot trigger order in.

    Raises:
        Rejected: a rule of the venue; nothing has changed then.
    """
    instrument = venue.instrument(Product.SPOT, fields.text("symbol"))
    side = placing.SIDES[fields.choice("side", placing.SIDES)]
    trigger = fields.price("triggerPrice", instrument)
    size = fields.amount("size")
    admission.check_price(instrument, trigger)
    if size <= 0:
        raise refuse(Code.EMPTY, "size")
    execute = fields.price("executePrice", instrument)
    if execute:
        admission.check_price(instrument, execute)
    order_id = venue.next_id()
    plan = Plan(
        order_id=order_id,
        client_oid=admission.check_client_oid(venue, account, Product.SPOT, fields.text("clientOid")),
        uid=account.uid,
        product=Product.SPOT,
        symbol=instrument.symbol,
        kind=PlanType.NORMAL,
        side=side,
        trigger=trigger,
        size=size,
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        group=order_id,
        rising=float(trigger) > venue.last(instrument.symbol),
        trigger_type=fields.text("triggerType", "fill_price"),
        execute=execute,
    )
    venue.book.add_plan(plan)
    settlement.tell_plan(venue, plan)
    return plan


def replace(venue: Venue, account: Account, fields: Fields) -> Order:
    """Cancel a spot order and place another in its stead; the old one stays when the new one is refused.

    Raises:
        Rejected: unknown order, or the new one breaks a rule.
    """
    old = changing.find_open(venue, account, Product.SPOT, fields)
    instrument = venue.instrument(Product.SPOT, old.symbol)
    body = {
        "symbol": old.symbol,
        "orderType": "limit",
        "side": "buy" if old.side > 0 else "sell",
        "force": old.force,
        "size": fields.need("size"),
        "price": fields.need("price"),
        "clientOid": fields.text("newClientOid"),
    }
    fresh = _order(venue, account, instrument, Fields(body), old.source)
    admission.check_order(venue, account, instrument, fresh)
    admission.check_spot_funds(venue, account, instrument, fresh, returning=old.frozen)
    settlement.cancel(venue, old, "modified")
    return place(venue, account, Fields(body), old.source)
