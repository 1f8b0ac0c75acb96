"""Bitget's rows as the gateway's values: REST answers and pushes, in Decimal, with the traps of both spellings.

Pure.
"""

from __future__ import annotations

from typing import Any, Final

from omega.domain import Bar, Instrument, Kind, Symbol, VenueName
from services.gateway.venue import (
    Balance,
    FundingBill,
    PlanKind,
    PlanOrder,
    Status,
    Tick,
    Trade,
    VenueOrder,
    VenuePosition,
    optional,
)
from services.gateway.venues._unified import MS, ZERO, Row, number, side_of

_STATUS: Final = {
    "live": Status.LIVE,
    "new": Status.LIVE,
    "init": Status.LIVE,
    "partially_filled": Status.LIVE,
    "filled": Status.FILLED,
    "canceled": Status.CANCELED,
    "cancelled": Status.CANCELED,
}
_STOPS: Final = frozenset({"sl", "loss_plan", "pos_loss"})
_TARGETS: Final = frozenset({"tp", "profit_plan", "pos_profit"})


def instrument(market: Row, venue: str) -> Instrument:
    """Read one contract's rules."""
    info = market["info"]
    places = int(info["pricePlace"])
    return Instrument(
        symbol=Symbol(f"{market['base']}-{market['quote']}.P"),
        venue=VenueName(venue),
        venue_symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        kind=Kind.SWAP,
        price_step=number(info.get("priceEndStep") or 1).scaleb(-places),
        size_step=number(info["sizeMultiplier"]),
        min_size=number(info["minTradeNum"]),
        min_notional=number(info.get("minTradeUSDT")),
        max_leverage=int(number(info.get("maxLever")) or 1),
        maker_fee=number(info.get("makerFeeRate")),
        taker_fee=number(info.get("takerFeeRate")),
    )


def order(row: Row, symbol: str) -> VenueOrder:
    """Read an order: `state` in a detail, `status` in lists and pushes; filled is the accumulated volume.

    A push's `baseVolume` is the last fill alone, so `accBaseVolume` comes first.
    """
    filled = row["accBaseVolume"] if "accBaseVolume" in row else row.get("baseVolume")
    return VenueOrder(
        order_id=str(row["orderId"]),
        client_id=str(row.get("clientOid") or ""),
        symbol=symbol,
        side=side_of(row),
        size=number(row.get("size")),
        filled=number(filled),
        status=_STATUS.get(str(row.get("status") or row.get("state")), Status.LIVE),
        reduce_only=str(row.get("reduceOnly", "")).lower() == "yes",
        ts_ns=int(row.get("uTime") or row.get("cTime") or 0) * MS,
    )


def plan(row: Row, symbol: str) -> PlanOrder:
    """Read a trigger order; a push spells its kind sl, tp or pl, a list loss_plan, profit_plan and so on."""
    word = str(row.get("planType", ""))
    status = str(row.get("planStatus") or row.get("status") or "live")
    kind = PlanKind.STOP if word in _STOPS else PlanKind.TARGET if word in _TARGETS else PlanKind.OTHER
    return PlanOrder(
        order_id=str(row["orderId"]),
        client_id=str(row.get("clientOid") or ""),
        symbol=symbol,
        side=side_of(row),
        size=number(row.get("size")),
        trigger=number(row.get("triggerPrice") or row.get("stopLossTriggerPrice") or row.get("price")),
        kind=kind,
        live=status in {"live", "not_trigger"},
        fired=status in {"executed", "executing", "triggered"},
        ts_ns=int(row.get("uTime") or row.get("cTime") or 0) * MS,
    )


def trade(row: Row, symbol: str) -> Trade:
    """Read an execution; a fee is negative on the wire when it was paid."""
    fees = row.get("feeDetail") or []
    details = fees if isinstance(fees, list) else [fees]
    return Trade(
        trade_id=str(row["tradeId"]),
        order_id=str(row["orderId"]),
        client_id=str(row.get("clientOid") or ""),
        symbol=symbol,
        side=side_of(row),
        price=number(row["price"]),
        size=number(row["baseVolume"]),
        fee=-sum((number(item.get("totalFee")) for item in details), ZERO),
        fee_coin=str(details[0].get("feeCoin", "")) if details else "",
        maker=str(row.get("tradeScope", "")).lower() in {"maker", "m"},
        forced=str(row.get("tradeSide", "")).startswith(("burst", "reduce_", "offset", "delivery")),
        ts_ns=int(row["cTime"]) * MS,
    )


def position(row: Row, symbol: str) -> VenuePosition:
    """Read a position; the size gets the sign of the side that is held."""
    size = number(row["total"])
    return VenuePosition(
        symbol=symbol,
        size=size if row["holdSide"] == "long" else -size,
        entry=number(row.get("openPriceAvg")),
        mark=number(row.get("markPrice")),
        leverage=int(number(row.get("leverage")) or 1),
    )


def balance(row: Row) -> Balance:
    """Read the futures wallet: equity with open profit, available without."""
    equity = row.get("accountEquity") or row.get("usdtEquity") or row.get("equity")
    return Balance(equity=number(equity), available=number(row.get("maxTransferOut")))


def bill(row: Row, symbol: str) -> FundingBill:
    """Read a funding payment, signed as cash to the account."""
    return FundingBill(str(row["billId"]), symbol, number(row["amount"]), int(row["cTime"]) * MS)


def bar(row: list[Any]) -> Bar:
    """Read a candle row."""
    return Bar(int(row[0]) * MS, float(row[1]), float(row[2]), float(row[3]), float(row[4]), float(row[5]))


def tick(row: Row, symbol: str, ts_ms: int) -> Tick:
    """Read a ticker push."""
    last = float(row["lastPr"])
    return Tick(
        symbol=symbol,
        bid=float(row.get("bidPr") or last),
        ask=float(row.get("askPr") or last),
        last=last,
        mark=float(row.get("markPrice") or last),
        venue_ns=int(row.get("ts") or ts_ms) * MS,
        bid_size=optional(row.get("bidSz")),
        ask_size=optional(row.get("askSz")),
        funding=optional(row.get("fundingRate")),
        change_24h=optional(row.get("change24h")),
    )
