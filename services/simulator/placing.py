"""New orders and plan orders of the futures product, from request to state. Called by REST and the admin API."""

from __future__ import annotations

from typing import Final

from services.simulator import admission, matching, settlement
from services.simulator.account import Account
from services.simulator.codes import Code, refuse
from services.simulator.figures import ZERO
from services.simulator.instruments import Instrument, Product
from services.simulator.intake import FORCES, Fields
from services.simulator.orders import BARRIERS, STOPS, WHOLE, Order, Plan, PlanType
from services.simulator.outbox import Channel, Private
from services.simulator.state import Venue

SIDES: Final = {"buy": 1, "sell": -1}
HOLDS: Final = {"long": 1, "short": -1, "buy": 1, "sell": -1}
MARGIN_MODES: Final = frozenset({"crossed", "isolated"})
_PRESETS: Final = (
    "presetStopLossPrice",
    "presetStopLossExecutePrice",
    "presetStopSurplusPrice",
    "presetStopSurplusExecutePrice",
)
_PLAN_PRESETS: Final = (
    "stopLossTriggerPrice",
    "stopLossExecutePrice",
    "stopSurplusTriggerPrice",
    "stopSurplusExecutePrice",
)


def place(venue: Venue, account: Account, fields: Fields, source: str = "API") -> Order:
    """Take a futures order in; it may be filled or cancelled when this returns.

    Raises:
        Rejected: a rule of the venue; nothing has changed then.
    """
    fields.swap()
    instrument = venue.instrument(Product.SWAP, fields.text("symbol"))
    order = _order(venue, account, instrument, fields, source)
    order.client_oid = admission.check_client_oid(venue, account, Product.SWAP, fields.text("clientOid"))
    admission.check_order(venue, account, instrument, order)
    order.order_id = venue.next_id()
    accept(venue, order)
    return order


def accept(venue: Venue, order: Order) -> None:
    """Put a checked order into the book and tell of it; in a running market it is judged at once."""
    venue.book.add(order)
    settlement.tell_order(venue, order, None)
    venue.outbox.put(Private(order.uid, order.product, Channel.ACCOUNT))
    if not venue.options.lockstep:
        matching.at_once(venue, order)
    elif order.force == "post_only" and matching.crossing(venue, order) > 0.0:
        settlement.cancel(venue, order, "post_only_crossed")


def _order(venue: Venue, account: Account, instrument: Instrument, fields: Fields, source: str) -> Order:
    market = fields.choice("orderType", frozenset({"limit", "market"})) == "market"
    side = SIDES[fields.choice("side", SIDES)]
    closing, hold = _direction(account, fields, side)
    if account.hedged and closing:
        side = -hold
    margin_mode = fields.choice("marginMode", MARGIN_MODES, account.setting(instrument.symbol).margin_mode)
    return Order(
        order_id="",
        client_oid="",
        uid=account.uid,
        product=Product.SWAP,
        symbol=instrument.symbol,
        side=side,
        market=market,
        force=fields.choice("force", FORCES, "gtc"),
        price=ZERO if market else fields.amount("price"),
        size=fields.amount("size"),
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        hold=hold,
        hedged=account.hedged,
        reducing=closing,
        margin_mode=margin_mode,
        leverage=account.setting(instrument.symbol).leverage(margin_mode, hold or side),
        presets=fields.presets(instrument, _PRESETS),
        source=source,
    )


def _direction(account: Account, fields: Fields, side: int) -> tuple[bool, int]:
    """Return (closing, position side): in hedge mode the request's side names the position, open or close."""
    if not account.hedged:
        return fields.flag("reduceOnly"), 0
    trade_side = fields.text("tradeSide").lower()
    if trade_side not in {"open", "close"}:
        raise refuse(Code.UNILATERAL, "tradeSide must be open or close in hedge mode")
    return trade_side == "close", side


def place_plan(venue: Venue, account: Account, fields: Fields) -> Plan:
    """Take a trigger or trailing order in.

    Raises:
        Rejected: a rule of the venue; nothing has changed then.
    """
    fields.swap()
    instrument = venue.instrument(Product.SWAP, fields.text("symbol"))
    kind = PlanType(fields.choice("planType", frozenset({PlanType.NORMAL, PlanType.TRACK}), PlanType.NORMAL))
    side = SIDES[fields.choice("side", SIDES)]
    closing, hold = _direction(account, fields, side)
    if account.hedged and closing:
        side = -hold
    trigger = fields.price("triggerPrice", instrument)
    margin_mode = fields.choice("marginMode", MARGIN_MODES, account.setting(instrument.symbol).margin_mode)
    plan = Plan(
        order_id="",
        client_oid="",
        uid=account.uid,
        product=Product.SWAP,
        symbol=instrument.symbol,
        kind=kind,
        side=side,
        trigger=trigger,
        size=fields.amount("size"),
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        hold=hold if closing else 0,
        hedged=account.hedged,
        reducing=closing,
        rising=float(trigger) > venue.last(instrument.symbol),
        trigger_type=fields.text("triggerType", "mark_price"),
        execute=fields.price("executePrice", instrument),
        callback=fields.amount("callbackRatio"),
        active=kind is PlanType.NORMAL,
        margin_mode=margin_mode,
        leverage=account.setting(instrument.symbol).leverage(margin_mode, hold or side),
        presets=fields.presets(instrument, _PLAN_PRESETS),
    )
    if kind is PlanType.TRACK and not plan.callback > 0:
        raise refuse(Code.EMPTY, "callbackRatio")
    return _accept_plan(venue, account, instrument, plan, fields)


def place_barrier(venue: Venue, account: Account, fields: Fields) -> Plan:
    """Take a stop or target of an open position in.

    Raises:
        Rejected: a rule of the venue; nothing has changed then.
    """
    fields.swap()
    instrument = venue.instrument(Product.SWAP, fields.text("symbol"))
    kind = PlanType(fields.choice("planType", frozenset(BARRIERS)))
    hold = HOLDS[fields.choice("holdSide", HOLDS)]
    is_stop = kind in STOPS
    size = ZERO if kind in WHOLE else fields.amount("size")
    if kind not in WHOLE and not size:
        raise refuse(Code.EMPTY, "size")
    setting = account.setting(instrument.symbol)
    plan = Plan(
        order_id="",
        client_oid="",
        uid=account.uid,
        product=Product.SWAP,
        symbol=instrument.symbol,
        kind=kind,
        side=-hold,
        trigger=fields.price("triggerPrice", instrument),
        size=size,
        created_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        hold=hold,
        hedged=account.hedged,
        reducing=True,
        rising=is_stop == (hold < 0),
        trigger_type=fields.text("triggerType", "fill_price"),
        execute=fields.price("executePrice", instrument),
        margin_mode=setting.margin_mode,
        leverage=setting.leverage(setting.margin_mode, hold),
    )
    position = account.closable(plan.symbol, plan.side, plan.hold)
    if position is not None:
        plan.margin_mode, plan.leverage = position.margin_mode, position.leverage
    return _accept_plan(venue, account, instrument, plan, fields)


def _accept_plan(venue: Venue, account: Account, instrument: Instrument, plan: Plan, fields: Fields) -> Plan:
    plan.client_oid = admission.check_client_oid(venue, account, Product.SWAP, fields.text("clientOid"))
    admission.check_plan(venue, account, instrument, plan)
    plan.order_id = venue.next_id()
    plan.group = f"whole:{plan.symbol}:{plan.hold}" if plan.kind in WHOLE else plan.order_id
    venue.book.add_plan(plan)
    settlement.tell_plan(venue, plan)
    return plan
