"""The whole state as plain data: what the admin API shows and what two equal runs must have in common."""

from __future__ import annotations

from typing import Any

from services.simulator import rest_rows
from services.simulator.figures import ZERO, plain
from services.simulator.instruments import Product
from services.simulator.state import Venue


def ledger(venue: Venue) -> dict[str, Any]:
    """Write balances, positions, orders, plans, trades and totals."""
    return {
        "ts": venue.now_ms,
        "accounts": {uid: _account(venue, uid) for uid in venue.by_uid},
        "orders": [
            rest_rows.order(item) if item.product is Product.SWAP else rest_rows.spot_order(item)
            for item in venue.book.orders.values()
        ],
        "plans": [
            rest_rows.plan(item) if item.product is Product.SWAP else rest_rows.spot_plan(item)
            for item in venue.book.plans.values()
        ],
        "trades": [
            (rest_rows.fill(item) if item.product is Product.SWAP else rest_rows.spot_fill(item))
            | {"clientOid": item.client_oid, "uid": item.uid}
            for item in venue.book.trades
        ],
        "bills": [rest_rows.bill(item) | {"uid": item.uid} for item in venue.bills],
        "insurance": plain(venue.insurance),
        "fees": plain(sum((item.fee for item in venue.bills), ZERO)),
    }


def _account(venue: Venue, uid: str) -> dict[str, Any]:
    account = venue.by_uid[uid]
    return {
        "wallet": plain(account.wallet),
        "funds": rest_rows.futures_account(venue, account),
        "coins": {name: [plain(coin.available), plain(coin.frozen)] for name, coin in account.coins.items()},
        "positions": [rest_rows.position(venue, account, item) for item in account.positions.values()],
        "posMode": "hedge_mode" if account.hedged else "one_way_mode",
    }
