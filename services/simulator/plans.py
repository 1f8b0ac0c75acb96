"""Plan orders inside a stretch of price: stops, targets, triggers and trailing stops, by the shared rules.

Called by matching for every stretch; whatever fires becomes an order that carries the plan's client id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omega.engine import barriers, fills
from omega.errors import Rejected
from services.simulator import admission, settlement
from services.simulator.figures import ZERO
from services.simulator.instruments import Product
from services.simulator.orders import BARRIERS, STOPS, Order, Plan, PlanStatus, PlanType
from services.simulator.replay import Range
from services.simulator.state import Venue


@dataclass(frozen=True, slots=True)
class Firing:
    """A plan that fires inside a stretch. `rank` puts stops before targets before the rest, the nearest first."""

    rank: tuple[int, float, str]
    plan: Plan
    price: float


def run(venue: Venue, symbol: str, part: Range, *, after: str = "") -> None:
    """Fire what this stretch touches, among the plans that are younger than `after`."""
    live = [plan for plan in venue.book.open_plans.values() if plan.symbol == symbol and plan.order_id > after]
    if not live:
        return
    for firing in sorted(_firings(venue, live, part), key=lambda item: item.rank):
        if firing.plan.status is PlanStatus.LIVE:
            fire(venue, firing.plan, firing.price)


def _firings(venue: Venue, live: Sequence[Plan], part: Range) -> list[Firing]:
    found = []
    groups: dict[tuple[str, str], list[Plan]] = {}
    for plan in live:
        if plan.kind in BARRIERS:
            groups.setdefault((plan.uid, plan.group), []).append(plan)
            continue
        price = _trail(venue, plan, part) if plan.kind is PlanType.TRACK else _triggered(plan, part)
        if price > 0.0:
            found.append(Firing((3, abs(price - part.open_), plan.order_id), plan, price))
    for group in groups.values():
        found.extend(_barriers(group, part))
    return found


def _triggered(plan: Plan, part: Range) -> float:
    return fills.trigger_hit(plan.rising, float(plan.trigger), part.open_, part.high, part.low)


def _barriers(group: Sequence[Plan], part: Range) -> list[Firing]:
    """Judge the stop and the target of one group together: where both are touched the stop fires."""
    stop = next((plan for plan in group if plan.kind in STOPS), None)
    target = next((plan for plan in group if plan.kind not in STOPS), None)
    price, which = barriers.barrier_fill(
        group[0].hold,
        float(stop.trigger) if stop else 0.0,
        float(target.trigger) if target else 0.0,
        part.open_,
        part.high,
        part.low,
    )
    plan = (None, stop, target)[which]
    return [] if plan is None else [Firing((which, abs(price - part.open_), plan.order_id), plan, price)]


def _trail(venue: Venue, plan: Plan, part: Range) -> float:
    """Follow the best price; the stop of the stretches before is judged first, then moved by this one."""
    hold = -plan.side
    start = part.open_
    if not plan.active:
        start = _triggered(plan, part)
        if start <= 0.0:
            return 0.0
        plan.active, plan.extreme = True, start
        settlement.tell_plan(venue, plan)
    price = barriers.stop_fill(hold, plan.trail, part.open_, part.high, part.low)
    if price > 0.0:
        return price
    extreme = part.high if hold > 0 else part.low
    plan.extreme = max(plan.extreme, extreme) if hold > 0 else min(plan.extreme or extreme, extreme)
    plan.trail = barriers.trailing_stop(hold, plan.trail, plan.extreme * float(plan.callback) / 100.0, plan.extreme)
    # The close lies after the extreme on any path: a stop that the move left behind has been touched.
    return barriers.stop_fill(hold, plan.trail, part.close, part.close, part.close) and plan.trail


def fire(venue: Venue, plan: Plan, price: float) -> None:
    """Turn a plan into its order and fill it at the price where it fired, when the rules allow."""
    order = _order(venue, plan)
    try:
        admission.check_trigger(venue, order)
    except Rejected:
        settlement.end_plan(venue, plan, PlanStatus.FAILED)
        return
    plan.execute_order_id = order.order_id
    venue.book.add(order)
    settlement.end_plan(venue, plan, PlanStatus.EXECUTED)
    if plan.kind in BARRIERS:
        _cancel_siblings(venue, plan)
    settlement.tell_order(venue, order, None)
    if order.market:
        settlement.fill(venue, order, price, maker=False)
        return
    at = fills.limit_fill(order.side, float(order.price), price, price, price)
    if at > 0.0:
        settlement.fill(venue, order, at, maker=False)
    order.rested = True


def _order(venue: Venue, plan: Plan) -> Order:
    account = venue.by_uid[plan.uid]
    size = plan.size
    if plan.kind in BARRIERS:
        position = account.closable(plan.symbol, plan.side, plan.hold)
        size = settlement.barrier_size(plan, position) if position else ZERO
    order = Order(
        order_id=venue.next_id(),
        client_oid=plan.client_oid,
        uid=plan.uid,
        product=plan.product,
        symbol=plan.symbol,
        side=plan.side,
        market=not plan.execute,
        force="gtc",
        price=plan.execute,
        size=size,
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        hold=plan.hold if plan.hedged else 0,
        hedged=plan.hedged,
        reducing=plan.reducing,
        margin_mode=plan.margin_mode,
        leverage=plan.leverage,
        presets=plan.presets,
        source="SYS",
    )
    if plan.product is Product.SPOT and order.market and order.side > 0:
        order.quote_size, order.size = plan.size, ZERO
    return order


def _cancel_siblings(venue: Venue, plan: Plan) -> None:
    for other in venue.book.plans_of(plan.uid, plan.product, plan.symbol):
        if other.group == plan.group:
            settlement.end_plan(venue, other, PlanStatus.CANCELLED)
