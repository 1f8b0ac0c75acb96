"""Objects of the private REST answers: orders, plans, positions, fills, wallets. Called by the REST handlers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from services.simulator import exposure
from services.simulator.account import Account, Position
from services.simulator.figures import ZERO, plain
from services.simulator.instruments import Product
from services.simulator.orders import BARRIERS, STOPS, Order, Plan, Trade
from services.simulator.pushes import hold_text, plan_trade_side, side_text
from services.simulator.state import Bill, ClosedPosition, Venue
from services.simulator.wire_json import dumps

Row = dict[str, Any]


def order(item: Order, status_key: str = "status") -> Row:
    """Write a futures order; `detail` calls its status `state`."""
    return {
        "symbol": item.symbol,
        "size": plain(item.size),
        "orderId": item.order_id,
        "clientOid": item.client_oid,
        "baseVolume": plain(item.filled),
        "fee": plain(item.fee),
        "price": plain(item.price) if item.price else "",
        "priceAvg": plain(item.average) if item.filled else "",
        status_key: item.status,
        "side": side_text(item.hold if item.hedged else item.side),
        "force": item.force,
        "totalProfits": plain(item.profit),
        "posSide": hold_text(item),
        "marginCoin": "USDT",
        "presetStopSurplusPrice": _blank(item.presets.target),
        "presetStopSurplusExecutePrice": _blank(item.presets.target_execute),
        "presetStopLossPrice": _blank(item.presets.stop),
        "presetStopLossExecutePrice": _blank(item.presets.stop_execute),
        "quoteVolume": plain(item.value),
        "orderType": "market" if item.market else "limit",
        "leverage": str(item.leverage),
        "marginMode": item.margin_mode,
        "reduceOnly": "YES" if item.reducing else "NO",
        "enterPointSource": item.source,
        "tradeSide": item.trade_side,
        "posMode": "hedge_mode" if item.hedged else "one_way_mode",
        "orderSource": "normal" if item.source != "SYS" else "plan_market",
        "cancelReason": item.cancel_reason,
        "cTime": str(item.created_ms),
        "uTime": str(item.updated_ms),
    }


def spot_order(item: Order) -> Row:
    """Write a spot order of detail or history; `price` is the limit price."""
    detail = ""
    if item.filled:
        total = float(item.fee)
        fee = {"deduction": False, "feeCoinCode": item.fee_coin, "totalDeductionFee": 0, "totalFee": total}
        new = {"c": 0, "d": 0, "deduction": False, "r": total, "t": total, "totalDeductionFee": 0}
        detail = dumps({"newFees": new, item.fee_coin: fee})
    return {
        "userId": item.uid,
        "symbol": item.symbol,
        "orderId": item.order_id,
        "clientOid": item.client_oid,
        "price": plain(item.price),
        "size": plain(item.quote_size or item.size),
        "orderType": "market" if item.market else "limit",
        "side": side_text(item.side),
        "status": "cancelled" if item.status == "canceled" else item.status,
        "priceAvg": plain(item.average),
        "baseVolume": plain(item.filled),
        "quoteVolume": plain(item.value),
        "enterPointSource": item.source,
        "feeDetail": detail,
        "orderSource": "normal",
        "force": item.force,
        "cancelReason": item.cancel_reason,
        "cTime": str(item.created_ms),
        "uTime": str(item.updated_ms),
    }


def spot_open_order(item: Order) -> Row:
    """Write an open spot order: here `priceAvg` is the limit price and `basePrice` the average, as the venue has it."""
    row = spot_order(item)
    for name in ("price", "feeDetail", "cancelReason"):
        del row[name]
    return row | {"priceAvg": plain(item.price), "basePrice": plain(item.average)}


def plan(item: Plan) -> Row:
    """Write a futures plan order."""
    stop = item.trigger if item.kind in STOPS else item.presets.stop
    target = item.trigger if item.kind in BARRIERS - STOPS else item.presets.target
    return {
        "planType": item.kind,
        "symbol": item.symbol,
        "size": plain(item.size) if item.size else "",
        "orderId": item.order_id,
        "clientOid": item.client_oid,
        "executeOrderId": item.execute_order_id,
        "planStatus": item.status,
        "price": _blank(item.execute),
        "executePrice": _blank(item.execute),
        "feeDetail": None,
        "baseVolume": "0",
        "callbackRatio": _blank(item.callback),
        "triggerPrice": plain(item.trigger),
        "triggerType": item.trigger_type,
        "side": side_text(item.hold if item.hedged and item.hold else item.side),
        "posSide": hold_text(item) if item.hold or not item.hedged else ("long" if item.side > 0 else "short"),
        "marginCoin": "USDT",
        "marginMode": item.margin_mode,
        "enterPointSource": item.source,
        "tradeSide": plan_trade_side(item),
        "posMode": "hedge_mode" if item.hedged else "one_way_mode",
        "orderType": "limit" if item.execute else "market",
        "reduceOnly": "YES" if item.reducing else "NO",
        "stopSurplusTriggerPrice": _blank(target),
        "stopSurplusExecutePrice": _blank(item.presets.target_execute),
        "stopSurplusTriggerType": "fill_price",
        "stopLossTriggerPrice": _blank(stop),
        "stopLossExecutePrice": _blank(item.presets.stop_execute),
        "stopLossTriggerType": "fill_price",
        "cTime": str(item.created_ms),
        "uTime": str(item.updated_ms),
    }


def spot_plan(item: Plan) -> Row:
    """Write a spot trigger order."""
    return {
        "orderId": item.order_id,
        "clientOid": item.client_oid,
        "symbol": item.symbol,
        "size": plain(item.size),
        "planType": "TOTAL" if item.side > 0 and not item.execute else "AMOUNT",
        "executePrice": _blank(item.execute),
        "triggerPrice": plain(item.trigger),
        "status": item.status,
        "orderType": "limit" if item.execute else "market",
        "side": side_text(item.side),
        "triggerType": item.trigger_type,
        "enterPointSource": item.source,
        "executeOrderId": item.execute_order_id,
        "cTime": str(item.created_ms),
        "uTime": str(item.updated_ms),
    }


def fill(item: Trade) -> Row:
    """Write a futures fill."""
    fee = {"deduction": "no", "feeCoin": item.fee_coin, "totalDeductionFee": "0", "totalFee": plain(item.fee)}
    return {
        "tradeId": item.trade_id,
        "symbol": item.symbol,
        "orderId": item.order_id,
        "clientOid": item.client_oid,
        "price": plain(item.price),
        "baseVolume": plain(item.size),
        "feeDetail": [fee],
        "side": side_text(item.side),
        "quoteVolume": plain(item.value),
        "profit": plain(item.profit),
        "enterPointSource": item.source,
        "tradeSide": item.trade_side,
        "posMode": "hedge_mode" if item.hedged else "one_way_mode",
        "tradeScope": "maker" if item.maker else "taker",
        "cTime": str(item.ts_ms),
    }


def spot_fill(item: Trade) -> Row:
    """Write a spot fill."""
    return {
        "userId": item.uid,
        "symbol": item.symbol,
        "orderId": item.order_id,
        "tradeId": item.trade_id,
        "orderType": "market" if item.market else "limit",
        "side": side_text(item.side),
        "priceAvg": plain(item.price),
        "size": plain(item.size),
        "amount": plain(item.value),
        "feeDetail": {
            "deduction": "no",
            "feeCoin": item.fee_coin,
            "totalDeductionFee": "",
            "totalFee": plain(item.fee),
        },
        "tradeScope": "maker" if item.maker else "taker",
        "cTime": str(item.ts_ms),
        "uTime": str(item.ts_ms),
    }


def position(venue: Venue, account: Account, item: Position) -> Row:
    """Write an open position at the last price."""
    mark = venue.last(item.symbol)
    view = exposure.view(venue, account, item)
    stops = _barriers(venue, account, item)
    return {
        "marginCoin": "USDT",
        "symbol": item.symbol,
        "holdSide": "long" if item.side > 0 else "short",
        "openDelegateSize": plain(_opening(venue, account, item)),
        "marginSize": plain(item.margin()),
        "available": plain(item.size - view.locked),
        "locked": plain(view.locked),
        "total": plain(item.size),
        "leverage": str(item.leverage),
        "achievedProfits": plain(item.profit),
        "openPriceAvg": plain(item.entry),
        "marginMode": item.margin_mode,
        "posMode": "hedge_mode" if item.hedged else "one_way_mode",
        "unrealizedPL": plain(item.unrealised(mark)),
        "liquidationPrice": plain(view.liquidation),
        "keepMarginRate": plain(view.rate),
        "markPrice": repr(mark).removesuffix(".0"),
        "marginRatio": plain(view.margin_ratio),
        "breakEvenPrice": plain(view.break_even),
        "deductedFee": plain(-item.open_fee),
        "totalFee": plain(item.funding),
        "autoMargin": "off",
        "assetMode": "single",
        "cTime": str(item.created_ms),
        "uTime": str(item.updated_ms),
    } | stops


def _opening(venue: Venue, account: Account, item: Position) -> Decimal:
    orders = venue.book.open_of(account.uid, Product.SWAP, item.symbol)
    return sum((each.left for each in orders if not each.reducing and each.side == item.side), ZERO)


def _barriers(venue: Venue, account: Account, item: Position) -> Row:
    stop = target = None
    for each in venue.book.plans_of(account.uid, Product.SWAP, item.symbol):
        if each.hold == item.side and each.kind in BARRIERS:
            stop = each if each.kind in STOPS and stop is None else stop
            target = each if each.kind not in STOPS and target is None else target
    return {
        "takeProfit": plain(target.trigger) if target else "",
        "stopLoss": plain(stop.trigger) if stop else "",
        "takeProfitId": target.order_id if target else "",
        "stopLossId": stop.order_id if stop else "",
    }


def closed_position(item: ClosedPosition) -> Row:
    """Write a position that has gone flat."""
    held = item.position
    return {
        "positionId": held.pos_id,
        "symbol": held.symbol,
        "marginCoin": "USDT",
        "holdSide": "long" if held.side > 0 else "short",
        "posMode": "hedge_mode" if held.hedged else "one_way_mode",
        "openAvgPrice": plain(held.open_value / held.opened),
        "closeAvgPrice": plain(held.close_value / held.closed),
        "marginMode": held.margin_mode,
        "openTotalPos": plain(held.opened),
        "closeTotalPos": plain(held.closed),
        "pnl": plain(held.profit),
        "netProfit": plain(held.profit + held.open_fee + held.close_fee + held.funding),
        "totalFunding": plain(held.funding),
        "openFee": plain(held.open_fee),
        "closeFee": plain(held.close_fee),
        "ctime": str(held.created_ms),
        "utime": str(item.ts_ms),
    }


def futures_account(venue: Venue, account: Account) -> Row:
    """Write the futures wallet at the last prices."""
    funds = account.funds(venue.last, venue.reserved(account))
    risk = exposure.cross_risk(venue, account)
    bitcoin = venue.last("BTCUSDT") if "BTCUSDT" in venue.replay.series else 0.0
    return {
        "marginCoin": "USDT",
        "locked": plain(funds.reserved),
        "available": plain(funds.available),
        "crossedMaxAvailable": plain(funds.available),
        "isolatedMaxAvailable": plain(funds.available),
        "maxTransferOut": plain(funds.transferable),
        "accountEquity": plain(funds.equity),
        "usdtEquity": plain(funds.equity),
        "btcEquity": f"{float(funds.equity) / bitcoin:.12f}" if bitcoin else "0",
        "crossedRiskRate": plain(risk.cross_ratio),
        "unrealizedPL": plain(funds.unrealised),
        "coupon": "0",
        "crossedUnrealizedPL": plain(funds.cross_unrealised),
        "isolatedUnrealizedPL": plain(funds.isolated_unrealised),
        "grant": "",
        "assetMode": "single",
    }


def bill(item: Bill) -> Row:
    """Write one change of the futures wallet."""
    return {
        "billId": item.bill_id,
        "symbol": item.symbol,
        "amount": plain(item.amount),
        "fee": plain(item.fee),
        "feeByCoupon": "",
        "businessType": item.business,
        "coin": item.coin,
        "balance": "",
        "cTime": str(item.ts_ms),
    }


def _blank(value: Decimal) -> str:
    return plain(value) if value else ""
