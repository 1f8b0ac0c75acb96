"""Fills inside one stretch of price, decided for each order by rule, never by walking a path. Called by the exchange.

Order of events in a stretch: waiting market orders at its open; stops, targets and triggers; resting limits; the
stops, targets and triggers that those fills brought; liquidation.
"""

from __future__ import annotations

from omega.engine import fills
from services.simulator import liquidation, plans, quotes, settlement
from services.simulator.orders import Order
from services.simulator.replay import Range
from services.simulator.state import Venue


def open_stretch(venue: Venue, symbol: str, part: Range) -> None:
    """Fill the market orders that have waited for this open, and judge the orders that fill at once or never."""
    waiting = [item for item in venue.book.open_orders.values() if item.symbol == symbol and not item.rested]
    # By name, not by arrival: which of two clients was faster must not change a replay.
    for order in sorted(waiting, key=lambda item: item.client_oid):
        if not order.open:
            continue
        order.rested = True
        if order.market:
            settlement.fill(venue, order, market_price(venue, order, part.open_), maker=False)
            continue
        price = fills.limit_fill(order.side, float(order.price), part.open_, part.open_, part.open_)
        if price > 0.0:
            # A post-only order did not cross when it came: it was there before the price gapped over it.
            settlement.fill(venue, order, price, maker=order.force == "post_only")
        elif order.force in {"ioc", "fok"}:
            settlement.cancel(venue, order, f"{order.force}_unfilled")


def run_stretch(venue: Venue, symbol: str, part: Range) -> None:
    """Judge everything that rests against one stretch of price."""
    if venue.book.open_plans or venue.book.open_orders:
        newest = venue.latest_id
        plans.run(venue, symbol, part)
        # What a trigger has just placed is not judged by this stretch: its price may have come before.
        _limits(venue, symbol, part, until=newest)
        plans.run(venue, symbol, part, after=newest)
    liquidation.run(venue, symbol, part)


def at_once(venue: Venue, order: Order) -> None:
    """Judge a new order against the price of this instant; what does not fill rests, or ends when it may not rest."""
    order.rested = True
    if order.market:
        settlement.fill(venue, order, market_price(venue, order, venue.last(order.symbol)), maker=False)
        return
    price = crossing(venue, order)
    if price > 0.0 and order.force == "post_only":
        settlement.cancel(venue, order, "post_only_crossed")
    elif price > 0.0:
        settlement.fill(venue, order, price, maker=False)
    elif order.force in {"ioc", "fok"}:
        settlement.cancel(venue, order, f"{order.force}_unfilled")


def market_price(venue: Venue, order: Order, price: float) -> float:
    """Return what a market order gets at a price. Spot pays the same slippage."""
    return fills.market_fill(order.side, price, venue.options.slippage)


def crossing(venue: Venue, order: Order) -> float:
    """Return the price at which a limit order would take from the book of this instant, 0.0 when it would rest."""
    bid, ask = quotes.best(venue, order.product, order.symbol)
    touch = ask if order.side > 0 else bid
    return fills.limit_fill(order.side, float(order.price), touch, touch, touch)


def _limits(venue: Venue, symbol: str, part: Range, *, until: str) -> None:
    for order in [item for item in venue.book.open_orders.values() if item.symbol == symbol]:
        if order.market or not order.open or order.order_id > until:
            continue
        price = fills.limit_fill(order.side, float(order.price), part.open_, part.high, part.low)
        if price > 0.0:
            settlement.fill(venue, order, price, maker=True)
