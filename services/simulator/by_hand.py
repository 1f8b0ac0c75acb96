"""What a person does on the venue's own page: orders and cancels outside of any client. Called by the admin API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.simulator import changing, placing, spot_trading
from services.simulator.account import Account
from services.simulator.codes import Code, refuse
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.orders import Order, Plan
from services.simulator.state import Venue


def place(venue: Venue, fields: Fields) -> Order | Plan:
    """Place an order; `account` names whose it is, the first account by default."""
    account = account_of(venue, fields)
    values = Fields({"orderType": "market", "tradeSide": "open", **fields.values})
    if _product(fields) is Product.SPOT:
        return spot_trading.place(venue, account, values, source="WEB")
    return placing.place(venue, account, values, source="WEB")


def withdraw(venue: Venue, fields: Fields) -> Order | Plan:
    """Cancel an order or a plan order."""
    account, product = account_of(venue, fields), _product(fields)
    if venue.book.find_plan(account.uid, product, fields.text("orderId"), fields.text("clientOid")):
        return changing.cancel_plan(venue, account, product, fields)
    return changing.cancel(venue, account, product, fields)


ACTS: Final[dict[str, Callable[[Venue, Fields], Order | Plan]]] = {"place": place, "cancel": withdraw}


def account_of(venue: Venue, fields: Fields) -> Account:
    """Return the account that a request names, the first one when it names none.

    Raises:
        Rejected: no such account.
    """
    uid = fields.text("account") or next(iter(venue.by_uid))
    if uid not in venue.by_uid:
        raise refuse(Code.KEY_UNKNOWN, f"no account {uid}")
    return venue.by_uid[uid]


def _product(fields: Fields) -> Product:
    return Product.SPOT if fields.text("productType").upper() == Product.SPOT else Product.SWAP
