"""Private REST endpoints of futures orders, plan orders and fills. Bound to paths in `routes`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from omega.errors import Rejected
from services.simulator import changing, placing, rest_rows
from services.simulator.account import Account
from services.simulator.codes import Code, refuse
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.orders import BARRIERS, Order, Plan, PlanStatus, PlanType, Trade
from services.simulator.rest.paging import page
from services.simulator.state import Venue

Ids = dict[str, str]
ItemT = TypeVar("ItemT", Order, Plan)


def ids(item: Order | Plan) -> Ids:
    """Write what every order answer consists of."""
    return {"orderId": item.order_id, "clientOid": item.client_oid}


def place(venue: Venue, account: Account, fields: Fields) -> Any:
    """Place one order."""
    return ids(placing.place(venue, account, fields))


def place_plan(venue: Venue, account: Account, fields: Fields) -> Any:
    """Place a trigger or trailing order."""
    return ids(placing.place_plan(venue, account, fields))


def place_barrier(venue: Venue, account: Account, fields: Fields) -> Any:
    """Place a stop or a target of an open position."""
    return ids(placing.place_barrier(venue, account, fields))


def place_batch(venue: Venue, account: Account, fields: Fields) -> Any:
    """Place several orders of one symbol; each succeeds or fails by itself."""
    shared = {key: value for key, value in fields.values.items() if key != "orderList"}
    orders = [Fields({**shared, **one.values}) for one in _listed(fields, "orderList")]
    return each(orders, lambda one: placing.place(venue, account, one))


def modify(venue: Venue, account: Account, fields: Fields) -> Any:
    """Replace an open order."""
    return ids(changing.modify(venue, account, fields))


def modify_plan(venue: Venue, account: Account, fields: Fields) -> Any:
    """Change a plan order in place."""
    return ids(changing.modify_plan(venue, account, fields))


def cancel(venue: Venue, account: Account, fields: Fields) -> Any:
    """Cancel one order."""
    return ids(changing.cancel(venue, account, Product.SWAP, fields))


def cancel_batch(venue: Venue, account: Account, fields: Fields) -> Any:
    """Cancel the orders named, or every open one of the symbol."""
    symbol = fields.text("symbol")
    if "orderIdList" in fields.values:
        named = _listed(fields, "orderIdList")
    else:
        named = [Fields(ids(item)) for item in venue.book.open_of(account.uid, Product.SWAP, symbol)]
    return each(named, lambda one: changing.cancel(venue, account, Product.SWAP, one))


def cancel_plan(venue: Venue, account: Account, fields: Fields) -> Any:
    """Cancel the plan orders named, or every live one of the symbol and kind."""
    if fields.values.get("orderIdList"):
        named = _listed(fields, "orderIdList")
    elif fields.text("orderId") or fields.text("clientOid"):
        named = [fields]
    else:
        kinds = _kinds(fields.text("planType")) if fields.text("planType") else frozenset(PlanType)
        live = venue.book.plans_of(account.uid, Product.SWAP, fields.text("symbol"))
        named = [Fields(ids(item)) for item in live if item.kind in kinds]
    return each(named, lambda one: changing.cancel_plan(venue, account, Product.SWAP, one))


def close(venue: Venue, account: Account, fields: Fields) -> Any:
    """Close positions at market."""
    orders = changing.close_positions(venue, account, fields)
    done = [ids(order) | {"symbol": order.symbol} for order in orders]
    return {"successList": done, "failureList": [], "result": False}


def detail(venue: Venue, account: Account, fields: Fields) -> Any:
    """Answer one order, whatever its state."""
    order = venue.book.find(account.uid, Product.SWAP, fields.text("orderId"), fields.text("clientOid"))
    if order is None:
        raise refuse(Code.NO_ORDER, fields.text("orderId") or fields.text("clientOid"))
    return rest_rows.order(order, "state")


def pending(venue: Venue, account: Account, fields: Fields) -> Any:
    """List open orders, newest first."""
    wanted = fields.text("orderId"), fields.text("clientOid")
    items = venue.book.open_of(account.uid, Product.SWAP, fields.text("symbol"))
    return _entrusted(_named(items, *wanted), fields, rest_rows.order)


def history(venue: Venue, account: Account, fields: Fields) -> Any:
    """List orders that have ended, newest first."""
    symbol, wanted = fields.text("symbol"), (fields.text("orderId"), fields.text("clientOid"))
    ended = [
        item
        for item in venue.book.orders.values()
        if item.uid == account.uid and item.product is Product.SWAP and not item.open and symbol in {"", item.symbol}
    ]
    return _entrusted(_named(ended, *wanted), fields, rest_rows.order)


def plans_pending(venue: Venue, account: Account, fields: Fields) -> Any:
    """List live plan orders of a kind, newest first."""
    kinds = _kinds(fields.text("planType", PlanType.NORMAL))
    live = venue.book.plans_of(account.uid, Product.SWAP, fields.text("symbol"))
    wanted = fields.text("orderId"), fields.text("clientOid")
    return _entrusted(_named([item for item in live if item.kind in kinds], *wanted), fields, rest_rows.plan)


def plans_history(venue: Venue, account: Account, fields: Fields) -> Any:
    """List plan orders of a kind that have ended, newest first."""
    kinds, symbol = _kinds(fields.text("planType", PlanType.NORMAL)), fields.text("symbol")
    ended = [
        item
        for item in venue.book.plans.values()
        if item.uid == account.uid
        and item.product is Product.SWAP
        and item.status is not PlanStatus.LIVE
        and item.kind in kinds
        and symbol in {"", item.symbol}
    ]
    wanted = fields.text("orderId"), fields.text("clientOid")
    return _entrusted(_named(ended, *wanted), fields, rest_rows.plan)


def fills_of(venue: Venue, account: Account, product: Product, fields: Fields) -> list[Trade]:
    """Return the page of an account's fills that a request asks for, newest first."""
    symbol, order_id = fields.text("symbol"), fields.text("orderId")
    mine = [
        item
        for item in venue.book.trades
        if item.uid == account.uid
        and item.product is product
        and symbol in {"", item.symbol}
        and order_id in {"", item.order_id}
    ]
    return page(mine, fields, lambda item: (item.trade_id, item.ts_ms))


def fills(venue: Venue, account: Account, fields: Fields) -> Any:
    """List fills, newest first."""
    found = fills_of(venue, account, Product.SWAP, fields)
    return {"fillList": [rest_rows.fill(item) for item in found], "endId": found[-1].trade_id if found else ""}


def each(requests: Iterable[Fields], act: Callable[[Fields], Order | Plan]) -> dict[str, Any]:
    """Do the same to each request; what is refused goes to the failure list."""
    done: list[Ids] = []
    failed: list[Ids] = []
    for request in requests:
        try:
            done.append(ids(act(request)))
        except Rejected as error:
            named = {"orderId": request.text("orderId"), "clientOid": request.text("clientOid")}
            failed.append(named | {"errorMsg": str(error), "errorCode": str(error.code)})
    return {"successList": done, "failureList": failed}


def _listed(fields: Fields, name: str) -> list[Fields]:
    items = fields.values.get(name)
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise refuse(Code.VERIFY, f"{name} must be a list of objects")
    return [Fields(item) for item in items]


def _kinds(text: str) -> frozenset[PlanType]:
    if text == "profit_loss":
        return frozenset(BARRIERS)
    if text not in set(PlanType):
        raise refuse(Code.VERIFY, f"planType {text!r}")
    return frozenset({PlanType(text)})


def _named(items: list[ItemT], order_id: str, client_oid: str) -> list[ItemT]:
    return [item for item in items if order_id in {"", item.order_id} and client_oid in {"", item.client_oid}]


def _entrusted(items: Iterable[Any], fields: Fields, write: Callable[[Any], Any]) -> dict[str, Any]:
    found = page(items, fields, lambda item: (item.order_id, item.created_ms))
    return {"entrustedList": [write(item) for item in found], "endId": found[-1].order_id if found else ""}
