"""Which path is served by which function. Read by the edge; a path that is not here answers 40404."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from services.simulator.account import Account, Right
from services.simulator.intake import Fields
from services.simulator.rest import account, market, orders, spot
from services.simulator.state import Venue

PublicHandler = Callable[[Venue, Fields], Any]
PrivateHandler = Callable[[Venue, Account, Fields], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One private endpoint and the right that its key must have."""

    right: Right
    handler: PrivateHandler


PUBLIC: Final[dict[str, PublicHandler]] = {
    "/api/v2/public/time": market.server_time,
    "/api/v2/spot/public/coins": market.coins,
    "/api/v2/spot/public/symbols": market.spot_symbols,
    "/api/v2/margin/currencies": market.nothing,
    "/api/v2/mix/market/contracts": market.contracts,
    "/api/v2/mix/market/ticker": market.ticker,
    "/api/v2/mix/market/tickers": market.tickers,
    "/api/v2/spot/market/tickers": market.spot_tickers,
    "/api/v2/mix/market/merge-depth": market.depth,
    "/api/v2/spot/market/orderbook": market.spot_depth,
    "/api/v2/mix/market/fills-history": market.trades,
    "/api/v2/mix/market/fills": market.trades,
    "/api/v2/spot/market/fills-history": market.spot_trades,
    "/api/v2/spot/market/fills": market.spot_trades,
    "/api/v2/mix/market/candles": market.candles,
    "/api/v2/mix/market/history-candles": market.candles,
    "/api/v2/mix/market/history-mark-candles": market.candles,
    "/api/v2/mix/market/history-index-candles": market.candles,
    "/api/v2/spot/market/candles": market.spot_candles,
    "/api/v2/spot/market/history-candles": market.spot_candles,
    "/api/v2/mix/market/current-fund-rate": market.funding_rate,
    "/api/v2/mix/market/history-fund-rate": market.funding_rates,
    "/api/v2/mix/market/symbol-price": market.symbol_price,
    "/api/v2/mix/market/open-interest": market.open_interest,
    "/api/v2/mix/market/query-position-lever": market.tiers,
    "/api/v3/account/settings": market.unified_settings,
}
"""GET endpoints without a signature."""

PRIVATE: Final[dict[tuple[str, str], Route]] = {
    ("GET", "/api/v2/mix/account/accounts"): Route(Right.READ, account.accounts),
    ("GET", "/api/v2/mix/account/account"): Route(Right.READ, account.single),
    ("GET", "/api/v2/mix/account/bill"): Route(Right.READ, account.bills),
    ("GET", "/api/v2/mix/position/all-position"): Route(Right.READ, account.positions),
    ("GET", "/api/v2/mix/position/single-position"): Route(Right.READ, account.position),
    ("GET", "/api/v2/mix/position/history-position"): Route(Right.READ, account.position_history),
    ("GET", "/api/v2/spot/account/info"): Route(Right.READ, account.info),
    ("GET", "/api/v2/spot/account/assets"): Route(Right.READ, account.assets),
    ("POST", "/api/v2/mix/account/set-leverage"): Route(Right.TRADE, account.set_leverage),
    ("POST", "/api/v2/mix/account/set-margin-mode"): Route(Right.TRADE, account.set_margin_mode),
    ("POST", "/api/v2/mix/account/set-position-mode"): Route(Right.TRADE, account.set_position_mode),
    ("POST", "/api/v2/mix/account/set-margin"): Route(Right.TRADE, account.set_margin),
    ("POST", "/api/v2/mix/order/place-order"): Route(Right.TRADE, orders.place),
    ("POST", "/api/v2/mix/order/batch-place-order"): Route(Right.TRADE, orders.place_batch),
    ("POST", "/api/v2/mix/order/place-plan-order"): Route(Right.TRADE, orders.place_plan),
    ("POST", "/api/v2/mix/order/place-tpsl-order"): Route(Right.TRADE, orders.place_barrier),
    ("POST", "/api/v2/mix/order/modify-order"): Route(Right.TRADE, orders.modify),
    ("POST", "/api/v2/mix/order/modify-plan-order"): Route(Right.TRADE, orders.modify_plan),
    ("POST", "/api/v2/mix/order/modify-tpsl-order"): Route(Right.TRADE, orders.modify_plan),
    ("POST", "/api/v2/mix/order/cancel-order"): Route(Right.TRADE, orders.cancel),
    ("POST", "/api/v2/mix/order/batch-cancel-orders"): Route(Right.TRADE, orders.cancel_batch),
    ("POST", "/api/v2/mix/order/cancel-plan-order"): Route(Right.TRADE, orders.cancel_plan),
    ("POST", "/api/v2/mix/order/close-positions"): Route(Right.TRADE, orders.close),
    ("GET", "/api/v2/mix/order/detail"): Route(Right.READ, orders.detail),
    ("GET", "/api/v2/mix/order/orders-pending"): Route(Right.READ, orders.pending),
    ("GET", "/api/v2/mix/order/orders-history"): Route(Right.READ, orders.history),
    ("GET", "/api/v2/mix/order/orders-plan-pending"): Route(Right.READ, orders.plans_pending),
    ("GET", "/api/v2/mix/order/orders-plan-history"): Route(Right.READ, orders.plans_history),
    ("GET", "/api/v2/mix/order/fills"): Route(Right.READ, orders.fills),
    ("GET", "/api/v2/mix/order/fill-history"): Route(Right.READ, orders.fills),
    ("POST", "/api/v2/spot/trade/place-order"): Route(Right.TRADE, spot.place),
    ("POST", "/api/v2/spot/trade/place-plan-order"): Route(Right.TRADE, spot.place_plan),
    ("POST", "/api/v2/spot/trade/cancel-replace-order"): Route(Right.TRADE, spot.replace),
    ("POST", "/api/v2/spot/trade/cancel-order"): Route(Right.TRADE, spot.cancel),
    ("POST", "/api/v2/spot/trade/cancel-symbol-order"): Route(Right.TRADE, spot.cancel_symbol),
    ("POST", "/api/v2/spot/trade/cancel-plan-order"): Route(Right.TRADE, spot.cancel_plan),
    ("POST", "/api/v2/spot/trade/batch-cancel-plan-order"): Route(Right.TRADE, spot.cancel_plans),
    ("GET", "/api/v2/spot/trade/orderInfo"): Route(Right.READ, spot.info),
    ("GET", "/api/v2/spot/trade/unfilled-orders"): Route(Right.READ, spot.unfilled),
    ("GET", "/api/v2/spot/trade/history-orders"): Route(Right.READ, spot.history),
    ("GET", "/api/v2/spot/trade/current-plan-order"): Route(Right.READ, spot.current_plans),
    ("GET", "/api/v2/spot/trade/history-plan-order"): Route(Right.READ, spot.plan_history),
    ("GET", "/api/v2/spot/trade/fills"): Route(Right.READ, spot.fills),
}
"""Signed endpoints."""
