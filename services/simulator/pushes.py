"""Rows of the private WebSocket channels. Called by settlement when something happens, by the hub for states."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from services.simulator.account import Account, Coin, Funds, Position
from services.simulator.figures import plain
from services.simulator.instruments import Product
from services.simulator.orders import BARRIERS, STOPS, Order, Plan, Trade

if TYPE_CHECKING:
    from services.simulator import exposure  # the state it works on holds the outbox of these rows

Row = dict[str, Any]


def side_text(side: int) -> str:
    """Return the venue's word for the side of an order."""
    return "buy" if side > 0 else "sell"


def hold_text(order: Order | Plan) -> str:
    """Return the venue's word for the position side of an order."""
    if not order.hedged:
        return "net"
    return "long" if order.hold > 0 else "short"


def order(item: Order, trade: Trade | None, last: float) -> Row:
    """Make the row of an order; `trade` is the fill that caused it, if one did."""
    return _spot_order(item, trade) if item.product is Product.SPOT else _swap_order(item, trade, last)


def _swap_order(item: Order, trade: Trade | None, last: float) -> Row:
    value = item.value if item.filled else item.size * (item.price or _exact(last))
    row: Row = {
        "accBaseVolume": plain(item.filled),
        "cTime": str(item.created_ms),
        "cancelReason": item.cancel_reason,
        "clientOid": item.client_oid,
        "enterPointSource": item.source,
        "feeDetail": [{"feeCoin": item.fee_coin, "fee": f"{item.fee:.8f}"}],
        "force": item.force,
        "instId": item.symbol,
        "leverage": str(item.leverage),
        "marginCoin": "USDT",
        "marginMode": item.margin_mode,
        "notionalUsd": plain(value),
        "orderId": item.order_id,
        "orderType": "market" if item.market else "limit",
        "posMode": "hedge_mode" if item.hedged else "one_way_mode",
        "posSide": hold_text(item),
        "presetStopLossExecutePrice": _blank(item.presets.stop_execute),
        "presetStopLossPrice": _blank(item.presets.stop),
        "presetStopLossType": "fill_price" if item.presets.stop else "",
        "presetStopSurplusExecutePrice": _blank(item.presets.target_execute),
        "presetStopSurplusPrice": _blank(item.presets.target),
        "presetStopSurplusType": "fill_price" if item.presets.target else "",
        "price": plain(item.price),
        "reduceOnly": "yes" if item.reducing else "no",
        "side": side_text(item.side),
        "size": plain(item.size),
        "status": item.status,
        "stpMode": "none",
        "totalProfits": plain(item.profit),
        "tradeSide": item.trade_side,
        "uTime": str(item.updated_ms),
    }
    return row | _last_fill(item, trade) | ({"pnl": plain(trade.profit)} if trade else {})


def _spot_order(item: Order, trade: Trade | None) -> Row:
    row: Row = {
        "instId": item.symbol,
        "orderId": item.order_id,
        "clientOid": item.client_oid,
        "notional": plain(item.quote_size or item.size * item.price),
        "newSize": plain(item.quote_size if item.market and item.side > 0 else item.size),
        "size": plain(item.size),
        "orderType": "market" if item.market else "limit",
        "force": item.force,
        "side": side_text(item.side),
        "accBaseVolume": plain(item.filled),
        "priceAvg": plain(item.average),
        "status": item.status,
        "cTime": str(item.created_ms),
        "uTime": str(item.updated_ms),
        "feeDetail": [{"feeCoin": item.fee_coin, "fee": plain(item.fee)}] if item.filled else [],
        "enterPointSource": item.source,
        "stpMode": "none",
    }
    if not item.market:
        row["price"] = plain(item.price)
    return row | _last_fill(item, trade)


def _last_fill(item: Order, trade: Trade | None) -> Row:
    if trade is None:
        return {}
    return {
        "baseVolume": plain(trade.size),
        "fillFee": f"{trade.fee:.8f}",
        "fillFeeCoin": trade.fee_coin,
        "fillNotionalUsd": plain(trade.value),
        "fillPrice": plain(trade.price),
        "fillTime": str(trade.ts_ms),
        "priceAvg": plain(item.average),
        "tradeId": trade.trade_id,
        "tradeScope": "M" if trade.maker else "T",
    }


def plan(item: Plan) -> Row:
    """Make the row of a plan order."""
    kind = "pl" if item.kind not in BARRIERS else ("sl" if item.kind in STOPS else "tp")
    return {
        "instId": item.symbol,
        "orderId": item.order_id,
        "clientOid": item.client_oid,
        "triggerPrice": plain(item.trigger),
        "triggerType": item.trigger_type,
        "triggerTime": str(item.updated_ms) if item.execute_order_id else "",
        "planType": kind,
        "price": plain(item.trigger),
        "executePrice": plain(item.execute),
        "size": plain(item.size),
        "actualSize": "0",
        "orderType": "limit" if item.execute else "market",
        "side": side_text(item.side),
        "posSide": hold_text(item),
        "posMode": "hedge_mode" if item.hedged else "one_way_mode",
        "tradeSide": plan_trade_side(item),
        "marginCoin": "USDT",
        "marginMode": item.margin_mode,
        "reduceOnly": "yes" if item.reducing else "no",
        "status": item.status,
        "enterPointSource": item.source,
        "executeOrderId": item.execute_order_id,
        "stopSurplusTriggerType": "fill_price",
        "stopLossTriggerType": "fill_price",
        "cTime": str(item.created_ms),
        "uTime": str(item.updated_ms),
    }


def plan_trade_side(item: Plan) -> str:
    """Return the venue's word for what a plan does to the position."""
    if item.hedged:
        return "close" if item.reducing else "open"
    return f"{side_text(item.side)}_single"


def fill(trade: Trade) -> Row:
    """Make the row of a fill."""
    detail = {
        "feeCoin": trade.fee_coin,
        "deduction": "no",
        "totalDeductionFee": "0",
        "totalFee": plain(trade.fee),
    }
    row: Row = {
        "orderId": trade.order_id,
        "clientOid": trade.client_oid,
        "tradeId": trade.trade_id,
        "symbol": trade.symbol,
        "orderType": "market" if trade.market else "limit",
        "side": side_text(trade.side),
        "tradeScope": "maker" if trade.maker else "taker",
        "feeDetail": [detail],
        "cTime": str(trade.ts_ms),
        "uTime": str(trade.ts_ms),
    }
    if trade.product is Product.SPOT:
        return row | {"priceAvg": plain(trade.price), "size": plain(trade.size), "amount": plain(trade.value)}
    return row | {
        "price": plain(trade.price),
        "baseVolume": plain(trade.size),
        "quoteVolume": plain(trade.value),
        "profit": plain(trade.profit),
        "tradeSide": trade.trade_side,
        "posMode": "hedge_mode" if trade.hedged else "one_way_mode",
    }


def position(item: Position, view: exposure.View, mark: float) -> Row:
    """Make the row of a position."""
    profit = item.unrealised(mark)
    margin = item.margin()
    return {
        "posId": item.pos_id,
        "instId": item.symbol,
        "marginCoin": "USDT",
        "marginSize": plain(margin),
        "marginMode": item.margin_mode,
        "holdSide": "long" if item.side > 0 else "short",
        "posMode": "hedge_mode" if item.hedged else "one_way_mode",
        "total": plain(item.size),
        "available": plain(item.size - view.locked),
        "frozen": plain(view.locked),
        "openPriceAvg": plain(item.entry),
        "leverage": item.leverage,
        "achievedProfits": plain(item.profit),
        "unrealizedPL": plain(profit),
        "unrealizedPLR": plain(round(profit / margin, 11)) if margin else "0",
        "liquidationPrice": plain(view.liquidation),
        "keepMarginRate": plain(view.rate),
        "marginRate": plain(view.margin_ratio),
        "markPrice": plain(_exact(mark)),
        "breakEvenPrice": plain(view.break_even),
        "totalFee": plain(item.funding),
        "deductedFee": plain(-item.open_fee),
        "cTime": str(item.created_ms),
        "uTime": str(item.updated_ms),
        "assetMode": "single",
        "autoMargin": "off",
    }


def futures_account(funds: Funds, account: Account, risk: exposure.Risk) -> Row:
    """Make the row of the futures wallet."""
    return {
        "marginCoin": "USDT",
        "frozen": f"{funds.margins + funds.reserved:.8f}",
        "available": plain(account.wallet),
        "maxOpenPosAvailable": plain(funds.available),
        "maxTransferOut": plain(funds.transferable),
        "equity": plain(funds.equity),
        "usdtEquity": plain(funds.equity),
        "crossedRiskRate": plain(risk.cross_ratio),
        "unrealizedPL": plain(funds.unrealised),
    }


def spot_account(coins: Mapping[str, Coin], now_ms: int) -> list[Row]:
    """Make the rows of the spot wallet."""
    return [
        {
            "coin": name,
            "available": plain(coin.available),
            "frozen": plain(coin.frozen),
            "locked": "0",
            "limitAvailable": "0",
            "uTime": str(now_ms),
        }
        for name, coin in coins.items()
    ]


def _blank(value: Decimal) -> str:
    return plain(value) if value else ""


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
