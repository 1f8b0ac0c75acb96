"""What the venue does to positions by itself: liquidation inside a stretch of price, funding at its instants.

Called by matching and by the exchange at the close of a minute; every price and payment is the shared formula's.
"""

from __future__ import annotations

from omega.engine import fills
from services.simulator import exposure, settlement
from services.simulator.account import Account, Position
from services.simulator.figures import ZERO, cash
from services.simulator.instruments import Product
from services.simulator.orders import Order, PlanStatus
from services.simulator.outbox import Channel, Private
from services.simulator.replay import Range
from services.simulator.state import Venue


def run(venue: Venue, symbol: str, part: Range) -> None:
    """Take the positions whose liquidation price lies inside this stretch."""
    for account in venue.by_uid.values():
        for position in account.held(symbol):
            risk = exposure.cross_risk(venue, account)
            limit = exposure.liquidation_price(venue, account, position, risk)
            price = fills.trigger_hit(position.side < 0, limit, part.open_, part.high, part.low)
            if price > 0.0:
                liquidate(venue, account, position, price)


def liquidate(venue: Venue, account: Account, position: Position, price: float) -> None:
    """Take a position at a price; what rests in its margin's reach is cancelled first."""
    symbol = position.symbol if position.isolated else ""
    for order in venue.book.open_of(account.uid, Product.SWAP, symbol):
        settlement.cancel(venue, order, "liquidation")
    for plan in venue.book.plans_of(account.uid, Product.SWAP, symbol):
        settlement.end_plan(venue, plan, PlanStatus.CANCELLED)
    order = Order(
        order_id=venue.next_id(),
        client_oid=venue.next_id(),
        uid=account.uid,
        product=Product.SWAP,
        symbol=position.symbol,
        side=-position.side,
        market=True,
        force="gtc",
        price=ZERO,
        size=position.size,
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        hold=position.side if position.hedged else 0,
        hedged=position.hedged,
        reducing=True,
        margin_mode=position.margin_mode,
        leverage=position.leverage,
        source="SYS",
        burst=_burst(position),
    )
    own = position.margin() if position.isolated else None
    before = account.wallet
    venue.book.add(order)
    settlement.tell_order(venue, order, None)
    settlement.fill(venue, order, price, maker=False)
    floor = before - own if own is not None else ZERO
    if account.wallet < floor:
        venue.insurance -= floor - account.wallet
        venue.post(account, position.symbol, "risk_captital_user_transfer", floor - account.wallet)


def _burst(position: Position) -> str:
    if position.hedged:
        return "burst_close_long" if position.side > 0 else "burst_close_short"
    return "burst_sell_single" if position.side > 0 else "burst_buy_single"


def settle_funding(venue: Venue) -> None:
    """Move the funding of this instant between the holders and the market."""
    for account in venue.by_uid.values():
        for position in account.positions.values():
            rate = venue.rates.at(position.symbol, venue.now_ms)
            mark = venue.last(position.symbol)
            amount = cash(fills.funding(position.side, float(position.size), mark, rate))
            position.funding += amount
            venue.post(account, position.symbol, "contract_settle_fee", amount)
            venue.outbox.put(Private(account.uid, Product.SWAP, Channel.POSITIONS))
            venue.outbox.put(Private(account.uid, Product.SWAP, Channel.ACCOUNT))
