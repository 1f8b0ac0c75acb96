"""What may be ordered: steps, minima, bands, balances, modes. Asked before an order is taken in."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from omega.engine import fills
from services.simulator.account import Account
from services.simulator.codes import Code, refuse
from services.simulator.figures import ZERO, cash
from services.simulator.instruments import Instrument, Product
from services.simulator.orders import BARRIERS, STOPS, Order, Plan, Presets
from services.simulator.settlement import cancel
from services.simulator.state import Venue

MAX_CLIENT_OID: Final = 50


def check_order(venue: Venue, account: Account, instrument: Instrument, order: Order) -> None:
    """Check a new order of either product, cheapest rules first.

    Raises:
        Rejected: the first rule that it breaks.
    """
    check_size(instrument, order)
    if not order.market:
        check_price(instrument, order.price)
        _check_band(venue, instrument, order)
    open_orders = venue.book.open_of(account.uid, order.product, order.symbol)
    if len(open_orders) >= instrument.max_orders:
        raise refuse(Code.MAXIMUM, f"{instrument.max_orders} orders of {order.symbol} are open")
    if order.product is Product.SPOT:
        return
    check_margin_mode(account, order)
    check_presets(venue, instrument, order.side, order.presets)
    if order.reducing:
        _make_room(venue, account, order, open_orders)
    else:
        check_funds(venue, account, instrument, order)


def check_size(instrument: Instrument, order: Order) -> None:
    """Check a size against step, minima and maxima."""
    size = order.size
    if order.quote_size:
        if order.quote_size < instrument.min_notional:
            raise refuse(Code.NOTIONAL, f"{order.quote_size} {instrument.quote}")
        return
    if size < instrument.min_size:
        raise refuse(Code.MINIMUM, f"{size} is below {instrument.min_size} {instrument.base}")
    if size % instrument.step:
        raise refuse(Code.SIZE_STEP, f"{size} is not a multiple of {instrument.step}")
    most = instrument.max_market_size if order.market else instrument.max_limit_size
    if most is not None and size > most:
        raise refuse(Code.MAXIMUM, f"{size} is above {most} {instrument.base}")


def check_price(instrument: Instrument, price: Decimal) -> None:
    """Check a price against the tick."""
    if price <= 0 or price % instrument.tick:
        raise refuse(Code.STEP, f"price {price} is not a positive multiple of {instrument.tick}")


def check_client_oid(venue: Venue, account: Account, product: Product, client_oid: str) -> str:
    """Return the client id to use: the client's own, unused so far, or a generated number."""
    if not client_oid:
        return venue.next_id()
    if len(client_oid) > MAX_CLIENT_OID:
        raise refuse(Code.VERIFY, f"clientOid is longer than {MAX_CLIENT_OID} characters")
    if venue.book.knows(account.uid, product, client_oid):
        raise refuse(Code.SPOT_DUPLICATE if product is Product.SPOT else Code.DUPLICATE, client_oid)
    return client_oid


def check_margin_mode(account: Account, order: Order) -> None:
    """Refuse an order whose margin mode differs from that of the symbol's open positions."""
    if any(position.margin_mode != order.margin_mode for position in account.held(order.symbol)):
        raise refuse(Code.MARGIN_MODE, order.symbol)


def check_presets(venue: Venue, instrument: Instrument, side: int, presets: Presets) -> None:
    """Check the stop and the target that ride on an entry of this side."""
    mark = Decimal(repr(venue.last(instrument.symbol)))
    for price, is_stop in ((presets.stop, True), (presets.target, False)):
        if price:
            check_price(instrument, price)
            check_barrier_side(side, price, mark, is_stop=is_stop)


def check_barrier_side(hold: int, trigger: Decimal, mark: Decimal, *, is_stop: bool) -> None:
    """Refuse a barrier on the wrong side of the mark: it would fire at once."""
    must_be_below = (hold > 0) == is_stop
    if must_be_below and trigger >= mark:
        raise refuse(Code.LONG_STOP, f"trigger {trigger}, mark {mark}")
    if not must_be_below and trigger <= mark:
        raise refuse(Code.SHORT_STOP, f"trigger {trigger}, mark {mark}")


def check_plan(venue: Venue, account: Account, instrument: Instrument, plan: Plan) -> None:
    """Check a new plan order.

    Raises:
        Rejected: the first rule that it breaks.
    """
    check_price(instrument, plan.trigger)
    if plan.execute:
        check_price(instrument, plan.execute)
    if plan.size % instrument.step or (plan.size and plan.size < instrument.min_size):
        raise refuse(Code.SIZE_STEP, f"{plan.size} is not a multiple of {instrument.step}")
    if plan.kind in BARRIERS:
        if account.closable(plan.symbol, plan.side, plan.hold) is None:
            raise refuse(Code.NO_POSITION, plan.symbol)
        mark = Decimal(repr(venue.last(plan.symbol)))
        check_barrier_side(plan.hold, plan.trigger, mark, is_stop=plan.kind in STOPS)
    elif not plan.size:
        raise refuse(Code.EMPTY, "size")


def check_trigger(venue: Venue, order: Order) -> None:
    """Check what a plan turns into at the moment when it fires.

    Raises:
        Rejected: nothing to reduce, or not enough margin; the plan fails.
    """
    account = venue.by_uid[order.uid]
    instrument = venue.instrument(order.product, order.symbol)
    if order.product is Product.SPOT:
        check_spot_funds(venue, account, instrument, order)
    elif order.reducing:
        if account.closable(order.symbol, order.side, order.hold) is None:
            raise refuse(Code.NO_POSITION, order.symbol)
    else:
        check_funds(venue, account, instrument, order)


def check_funds(venue: Venue, account: Account, instrument: Instrument, order: Order) -> None:
    """Refuse an order that the wallet cannot back: margin, padded as the venue pads it, and the taker fee."""
    size = float(venue.opening_size(account, order, order.size))
    if not size:
        return
    price = float(order.price) or venue.last(order.symbol)
    notional = size * price
    if notional < float(instrument.min_notional):
        raise refuse(Code.NOTIONAL, f"{notional:.2f} {instrument.quote}")
    padding = 1.0 + float(instrument.cost_padding)
    cost = cash(notional * padding / order.leverage + fills.fee(price, size, instrument.taker))
    available = account.funds(venue.last, venue.reserved(account)).available
    if cost > available:
        raise refuse(Code.FUNDS, f"needs {cost} USDT, {available} available")


def spot_cost(venue: Venue, order: Order) -> Decimal:
    """Return what a spot order sets aside: quote for a buy, base for a sell."""
    if order.side < 0:
        return order.size
    if order.quote_size:
        return order.quote_size
    return order.size * (order.price or Decimal(repr(venue.last(order.symbol))))


def check_spot_funds(
    venue: Venue, account: Account, instrument: Instrument, order: Order, *, returning: Decimal = ZERO
) -> None:
    """Refuse a spot order that the wallet, with what another order gives back, cannot pay."""
    name = instrument.quote if order.side > 0 else instrument.base
    cost, coin = spot_cost(venue, order), account.coin(name)
    if not order.quote_size and order.size * Decimal(repr(venue.last(order.symbol))) < instrument.min_notional:
        raise refuse(Code.NOTIONAL, f"{order.size} {instrument.base}")
    if cost > coin.available + returning:
        raise refuse(Code.SPOT_FUNDS, f"needs {cost} {name}, {coin.available} available")


def _check_band(venue: Venue, instrument: Instrument, order: Order) -> None:
    mark = Decimal(repr(venue.last(order.symbol)))
    if order.side > 0 and order.price > mark * (1 + instrument.buy_band):
        raise refuse(Code.PRICE_HIGH, f"{order.price} against a mark of {mark}")
    if order.side < 0 and order.price < mark * (1 - instrument.sell_band):
        raise refuse(Code.PRICE_LOW, f"{order.price} against a mark of {mark}")


def _make_room(venue: Venue, account: Account, order: Order, open_orders: list[Order]) -> None:
    """Cut a reduce-only order to the position; older ones give way when all together exceed it."""
    position = account.closable(order.symbol, order.side, order.hold)
    if position is None:
        raise refuse(Code.NO_POSITION, order.symbol)
    order.size = min(order.size, position.size)
    rivals = [item for item in open_orders if item.reducing and item.side == order.side and item.hold == order.hold]
    resting = sum((item.left for item in rivals), ZERO)
    for item in rivals:
        if order.size + resting <= position.size:
            return
        resting -= item.left
        cancel(venue, item, "reduce_only_replaced")
