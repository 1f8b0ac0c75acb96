"""What a fill does: position, fee, profit, wallet, bill, trade and their frames. Called by matching and plans."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from omega.engine import fills
from services.simulator import pushes
from services.simulator.account import Account, Position
from services.simulator.figures import ZERO, cash, cut, nearest, ratio
from services.simulator.instruments import Instrument, Product
from services.simulator.orders import WHOLE, Order, Plan, PlanStatus, PlanType, Status, Trade
from services.simulator.outbox import Channel, Private
from services.simulator.state import ClosedPosition, Venue


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a fill that opens or closes. Units: size in base units, price and the signed fee in quote currency."""

    size: Decimal
    price: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Fillable:
    """How much of an order is filled now, and at which price."""

    size: Decimal
    price: Decimal


def _part(venue: Venue, instrument: Instrument, order: Order) -> Decimal:
    """Return how much of an order is filled at once: all that is left, or a half where a mishap says so."""
    half = cut(order.left / 2, instrument.step)
    if not venue.partials or not venue.options.lockstep or order.source != "API" or order.filled or not half:
        return order.left
    venue.partials -= 1
    return half


def fill(venue: Venue, order: Order, price: float, *, maker: bool) -> None:
    """Fill an order whole at a price that a fill rule gave, or cancel it when nothing may be filled."""
    account = venue.by_uid[order.uid]
    instrument = venue.instrument(order.product, order.symbol)
    exact = nearest(price, instrument.tick)
    if order.product is Product.SPOT:
        _fill_spot(venue, account, instrument, order, exact, maker=maker)
        return
    size = order.left
    if order.reducing:
        position = account.closable(order.symbol, order.side, order.hold)
        size = min(size, position.size if position else ZERO)
    if size <= 0:
        cancel(venue, order, "reduce_only_no_position")
        return
    if size < order.left:
        order.size = order.filled + size
    _fill_swap(venue, account, instrument, order, Fillable(_part(venue, instrument, order), exact), maker=maker)


def cancel(venue: Venue, order: Order, reason: str = "normal_cancel") -> None:
    """End an open order unfilled."""
    order.status = Status.CANCELED
    order.cancel_reason = reason
    order.updated_ms = venue.now_ms
    if order.frozen:
        _release(venue.by_uid[order.uid], venue.instrument(order.product, order.symbol), order)
    venue.book.settle(order)
    tell_order(venue, order, None)
    _tell_state(venue, order)


def end_plan(venue: Venue, plan: Plan, status: PlanStatus) -> None:
    """End a live plan order."""
    plan.status = status
    plan.updated_ms = venue.now_ms
    venue.book.settle_plan(plan)
    tell_plan(venue, plan)


def tell_order(venue: Venue, order: Order, trade: Trade | None) -> None:
    """Queue the push of an order as it is now."""
    row = pushes.order(order, trade, venue.last(order.symbol))
    venue.outbox.put(Private(order.uid, order.product, Channel.ORDERS, order.symbol, row))


def tell_plan(venue: Venue, plan: Plan) -> None:
    """Queue the push of a plan order as it is now."""
    venue.outbox.put(Private(plan.uid, plan.product, Channel.ALGO, plan.symbol, pushes.plan(plan)))


def _tell_state(venue: Venue, order: Order) -> None:
    if order.product is Product.SWAP:
        venue.outbox.put(Private(order.uid, order.product, Channel.POSITIONS))
    venue.outbox.put(Private(order.uid, order.product, Channel.ACCOUNT))


def _fill_swap(
    venue: Venue, account: Account, instrument: Instrument, order: Order, at: Fillable, *, maker: bool
) -> None:
    size, price = at.size, at.price
    rate = instrument.maker if maker else instrument.taker
    fee = -cash(fills.fee(float(price), float(size), rate))
    profit = ZERO
    left = size
    if order.reducing or not order.hedged:
        closing = account.closable(order.symbol, order.side, order.hold)
        if closing is not None:
            closed = min(left, closing.size)
            profit = _reduce(venue, account, closing, Part(closed, price, fee * closed / size))
            left -= closed
    if left > 0:
        _increase(venue, account, order, Part(left, price, fee * left / size))
    venue.post(account, order.symbol, order.trade_side, profit, fee)
    order.profit += profit
    trade = _record(venue, order, Part(size, price, fee), "USDT", profit, maker=maker)
    _tell_fill(venue, order, trade)
    if left > 0 and order.presets:
        _attach(venue, order, left)
    _sweep(venue, account, order.symbol)


def _tell_fill(venue: Venue, order: Order, trade: Trade) -> None:
    tell_order(venue, order, trade)
    venue.outbox.put(Private(order.uid, order.product, Channel.FILL, order.symbol, pushes.fill(trade)))
    _tell_state(venue, order)


def _increase(venue: Venue, account: Account, order: Order, part: Part) -> None:
    position = account.positions.get((order.symbol, order.side))
    if position is None:
        position = account.positions[order.symbol, order.side] = Position(
            pos_id=venue.next_id(),
            symbol=order.symbol,
            side=order.side,
            hedged=order.hedged,
            margin_mode=order.margin_mode,
            leverage=order.leverage,
            size=ZERO,
            entry=part.price,
            created_ms=venue.now_ms,
            updated_ms=venue.now_ms,
        )
    if position.size:
        entry = fills.average_entry(float(position.size), float(position.entry), float(part.size), float(part.price))
        position.entry = ratio(entry)
    position.size += part.size
    position.opened += part.size
    position.open_value += part.size * part.price
    position.open_fee += part.fee
    position.updated_ms = venue.now_ms


def _reduce(venue: Venue, account: Account, position: Position, part: Part) -> Decimal:
    profit = cash(fills.unrealised(position.side, float(part.size), float(position.entry), float(part.price)))
    position.extra -= position.extra * part.size / position.size
    position.size -= part.size
    position.profit += profit
    position.closed += part.size
    position.close_value += part.size * part.price
    position.close_fee += part.fee
    position.updated_ms = venue.now_ms
    if not position.size:
        del account.positions[position.symbol, position.side]
        venue.history.append(ClosedPosition(account.uid, position, venue.now_ms))
    return profit


def _record(venue: Venue, order: Order, part: Part, coin: str, profit: Decimal, *, maker: bool) -> Trade:
    trade = Trade(
        trade_id=venue.next_id(),
        order_id=order.order_id,
        client_oid=order.client_oid,
        uid=order.uid,
        product=order.product,
        symbol=order.symbol,
        side=order.side,
        market=order.market,
        price=part.price,
        size=part.size,
        fee=part.fee,
        fee_coin=coin,
        profit=profit,
        trade_side=order.trade_side,
        hedged=order.hedged,
        maker=maker,
        source=order.source,
        ts_ms=venue.now_ms,
    )
    order.filled += part.size
    order.value += part.price * part.size
    order.fee += part.fee
    order.fee_coin = coin
    order.status = Status.PARTIAL if order.filled < order.size else Status.FILLED
    order.updated_ms = venue.now_ms
    venue.book.trades.append(trade)
    if order.open:
        order.rested = False  # the rest is filled like an order that has just come
    else:
        venue.book.settle(order)
    return trade


def _attach(venue: Venue, order: Order, size: Decimal) -> None:
    presets = order.presets
    for kind, trigger, execute in (
        (PlanType.LOSS, presets.stop, presets.stop_execute),
        (PlanType.PROFIT, presets.target, presets.target_execute),
    ):
        if not trigger:
            continue
        if kind is PlanType.LOSS and venue.lost_stops:
            venue.lost_stops -= 1
            continue
        child = Plan(
            order_id=venue.next_id(),
            client_oid=_child_oid(order, kind),
            uid=order.uid,
            product=order.product,
            symbol=order.symbol,
            kind=kind,
            side=-order.side,
            trigger=trigger,
            size=size,
            created_ms=venue.now_ms,
            updated_ms=venue.now_ms,
            group=order.order_id,
            parent=order.order_id,
            hold=order.side,
            hedged=order.hedged,
            reducing=True,
            rising=(kind is PlanType.PROFIT) == (order.side > 0),
            trigger_type="fill_price",
            execute=execute,
            margin_mode=order.margin_mode,
            leverage=order.leverage,
            source="SYS",
        )
        venue.book.add_plan(child)
        tell_plan(venue, child)


def _child_oid(order: Order, kind: PlanType) -> str:
    """Make the venue's own client id of a child: 19 digits that do not depend on which order came first."""
    digest = hashlib.blake2b(f"{order.client_oid}:{kind}".encode(), digest_size=8).digest()
    return str(10**18 + int.from_bytes(digest, "big") % (9 * 10**18))


def _sweep(venue: Venue, account: Account, symbol: str) -> None:
    """Take away the stops and targets of a side that is flat, and reduce-only orders with nothing left to reduce."""
    sides = {side for held, side in account.positions if held == symbol}
    for plan in venue.book.plans_of(account.uid, Product.SWAP, symbol):
        if plan.hold and plan.hold not in sides:
            end_plan(venue, plan, PlanStatus.CANCELLED)
    for order in venue.book.open_of(account.uid, Product.SWAP, symbol):
        if order.reducing and account.closable(symbol, order.side, order.hold) is None:
            cancel(venue, order, "reduce_only_no_position")


def barrier_size(plan: Plan, position: Position) -> Decimal:
    """Return how much a stop or target closes: its own size or the whole, never more than is held."""
    return position.size if plan.kind in WHOLE or not plan.size else min(plan.size, position.size)


def _fill_spot(
    venue: Venue, account: Account, instrument: Instrument, order: Order, price: Decimal, *, maker: bool
) -> None:
    _release(account, instrument, order)
    if order.market and order.side > 0:
        order.size = cut(order.quote_size / price, instrument.step)
    base, quote = account.coin(instrument.base), account.coin(instrument.quote)
    size, value = order.size, order.size * price
    if not size or (value > quote.available if order.side > 0 else size > base.available):
        cancel(venue, order, "insufficient_balance")
        return
    rate = instrument.maker if maker else instrument.taker
    if order.side > 0:
        coin, fee = instrument.base, -cash(fills.fee(1.0, float(size), rate))
        quote.available -= value
        base.available += size + fee
    else:
        coin, fee = instrument.quote, -cash(fills.fee(float(price), float(size), rate))
        base.available -= size
        quote.available += value + fee
    trade = _record(venue, order, Part(size, price, fee), coin, ZERO, maker=maker)
    _tell_fill(venue, order, trade)


def freeze(account: Account, instrument: Instrument, order: Order, amount: Decimal) -> None:
    """Set aside what an open spot order will spend."""
    coin = account.coin(instrument.quote if order.side > 0 else instrument.base)
    coin.available -= amount
    coin.frozen += amount
    order.frozen = amount


def _release(account: Account, instrument: Instrument, order: Order) -> None:
    coin = account.coin(instrument.quote if order.side > 0 else instrument.base)
    coin.available += order.frozen
    coin.frozen -= order.frozen
    order.frozen = ZERO
