"""Private REST endpoints of the spot product. Bound to paths in `routes`."""

from __future__ import annotations

from typing import Any

from services.simulator import changing, rest_rows, settlement, spot_trading
from services.simulator.account import Account
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.orders import PlanStatus
from services.simulator.rest.orders import each, fills_of, ids
from services.simulator.rest.paging import page
from services.simulator.state import Venue


def place(venue: Venue, account: Account, fields: Fields) -> Any:
    """Place a spot order."""
    return ids(spot_trading.place(venue, account, fields))


def place_plan(venue: Venue, account: Account, fields: Fields) -> Any:
    """Place a spot trigger order."""
    return ids(spot_trading.place_plan(venue, account, fields))


def replace(venue: Venue, account: Account, fields: Fields) -> Any:
    """Cancel a spot order and place another in its stead."""
    return ids(spot_trading.replace(venue, account, fields)) | {"success": "success", "msg": ""}


def cancel(venue: Venue, account: Account, fields: Fields) -> Any:
    """Cancel one spot order."""
    return ids(changing.cancel(venue, account, Product.SPOT, fields))


def cancel_symbol(venue: Venue, account: Account, fields: Fields) -> Any:
    """Cancel every open spot order of a symbol."""
    symbol = fields.need("symbol")
    for order in venue.book.open_of(account.uid, Product.SPOT, symbol):
        settlement.cancel(venue, order)
    return {"symbol": symbol}


def cancel_plan(venue: Venue, account: Account, fields: Fields) -> Any:
    """Cancel one spot trigger order."""
    changing.cancel_plan(venue, account, Product.SPOT, fields)
    return {"result": "success"}


def cancel_plans(venue: Venue, account: Account, fields: Fields) -> Any:
    """Cancel every live spot trigger order of the symbols named."""
    symbols = set(fields.values.get("symbolList") or [])
    live = [item for item in venue.book.plans_of(account.uid, Product.SPOT) if not symbols or item.symbol in symbols]
    named = [Fields(ids(item)) for item in live]
    return each(named, lambda one: changing.cancel_plan(venue, account, Product.SPOT, one))


def info(venue: Venue, account: Account, fields: Fields) -> Any:
    """Answer one spot order as a list, empty when it is unknown."""
    order = venue.book.find(account.uid, Product.SPOT, fields.text("orderId"), fields.text("clientOid"))
    return [rest_rows.spot_order(order)] if order else []


def unfilled(venue: Venue, account: Account, fields: Fields) -> Any:
    """List open spot orders, newest first."""
    items = venue.book.open_of(account.uid, Product.SPOT, fields.text("symbol"))
    found = page(items, fields, lambda item: (item.order_id, item.created_ms))
    return [rest_rows.spot_open_order(item) for item in found]


def history(venue: Venue, account: Account, fields: Fields) -> Any:
    """List spot orders that have ended, newest first."""
    symbol = fields.text("symbol")
    ended = [
        item
        for item in venue.book.orders.values()
        if item.uid == account.uid and item.product is Product.SPOT and not item.open and symbol in {"", item.symbol}
    ]
    return [rest_rows.spot_order(item) for item in page(ended, fields, lambda item: (item.order_id, item.created_ms))]


def current_plans(venue: Venue, account: Account, fields: Fields) -> Any:
    """List live spot trigger orders."""
    return _plans(venue, account, fields, live=True)


def plan_history(venue: Venue, account: Account, fields: Fields) -> Any:
    """List spot trigger orders that have ended."""
    return _plans(venue, account, fields, live=False)


def _plans(venue: Venue, account: Account, fields: Fields, *, live: bool) -> Any:
    symbol = fields.text("symbol")
    items = [
        item
        for item in venue.book.plans.values()
        if item.uid == account.uid
        and item.product is Product.SPOT
        and (item.status is PlanStatus.LIVE) == live
        and symbol in {"", item.symbol}
    ]
    found = page(items, fields, lambda item: (item.order_id, item.created_ms))
    return {
        "nextFlag": False,
        "idLessThan": found[-1].order_id if found else "",
        "orderList": [rest_rows.spot_plan(item) for item in found],
    }


def fills(venue: Venue, account: Account, fields: Fields) -> Any:
    """List spot fills, newest first."""
    return [rest_rows.spot_fill(item) for item in fills_of(venue, account, Product.SPOT, fields)]
