"""The whole state as plain data: what the admin API shows and what two equal runs must have in common."""

from __future__ import annotations

from typing import Any

from services.simulator import rest_rows
from services.simulator.account import Account
from services.simulator.figures import ZERO, plain
from services.simulator.instruments import Product
from services.simulator.orders import STOPS
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


def exposed(venue: Venue, account: Account) -> list[dict[str, Any]]:
    """Write each net position with what its live reduce-only stops cover. Units: base units, signed by the side."""
    plans = venue.book.plans_of(account.uid, Product.SWAP, "")
    return [
        {
            "symbol": position.symbol,
            "size": plain(position.size * position.side),
            "stops": [
                [plan.order_id, plan.client_oid, plain(plan.size)]
                for plan in plans
                if plan.symbol == position.symbol and plan.kind in STOPS and plan.side == -position.side
            ],
        }
        for position in account.positions.values()
    ]


def waiting(venue: Venue, account: Account) -> list[dict[str, str]]:
    """Write the orders that are open."""
    return [
        {"orderId": order.order_id, "clientOid": order.client_oid, "symbol": order.symbol}
        for order in venue.book.open_of(account.uid, Product.SWAP)
    ]


def _account(venue: Venue, uid: str) -> dict[str, Any]:
    account = venue.by_uid[uid]
    return {
        "wallet": plain(account.wallet),
        "funds": rest_rows.futures_account(venue, account),
        "coins": {name: [plain(coin.available), plain(coin.frozen)] for name, coin in account.coins.items()},
        "positions": [rest_rows.position(venue, account, item) for item in account.positions.values()],
        "posMode": "hedge_mode" if account.hedged else "one_way_mode",
    }
