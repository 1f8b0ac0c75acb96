"""ccxt's unified rows as the gateway's values: contracts become coins, texts become Decimal. Pure; used by `_ccxt`.

`coins` is how many coins one contract is: ccxt counts contracts, the farm counts coins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from omega.domain import Bar, Instrument, Kind, Side, Symbol, VenueName
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

Row = Mapping[str, Any]

MS: Final = 1_000_000
ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)

_STATUS: Final = {
    "open": Status.LIVE,
    "closed": Status.FILLED,
    "canceled": Status.CANCELED,
    "cancelled": Status.CANCELED,
    "canceling": Status.LIVE,
    "expired": Status.CANCELED,
    "rejected": Status.REJECTED,
}


def number(value: object) -> Decimal:
    """Read a number; blank and absent are zero.

    Raises:
        ValueError: it is not finite; a comparison with it would break whatever reads it.
    """
    found = Decimal(str(value)) if value not in (None, "") else ZERO
    if not found.is_finite():
        raise ValueError(f"{value!r} is told where a number belongs")
    return found


def coins_of(market: Row) -> Decimal:
    """Return how many coins one contract of a linear market is."""
    return number(market.get("contractSize")) or ONE


def instrument(market: Row, venue: str) -> Instrument:
    """Read one contract's rules; steps and minima of sizes come in contracts and leave in coins."""
    coins, limits, steps = coins_of(market), market["limits"], market["precision"]
    size_step = number(steps["amount"]) * coins
    smallest = number((limits.get("amount") or {}).get("min")) * coins
    return Instrument(
        symbol=Symbol(f"{market['base']}-{market['quote']}.P"),
        venue=VenueName(venue),
        venue_symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        kind=Kind.SWAP,
        price_step=_plain(number(steps["price"])),
        size_step=_plain(size_step),
        min_size=_plain(max(smallest, size_step)),
        min_notional=number((limits.get("cost") or {}).get("min")),
        max_leverage=int(number((limits.get("leverage") or {}).get("max"))) or 1,
        maker_fee=number(market.get("maker")),
        taker_fee=number(market.get("taker")),
    )


def order(row: Row, symbol: str, coins: Decimal) -> VenueOrder:
    """Read an order."""
    return VenueOrder(
        order_id=str(row["id"]),
        client_id=str(row.get("clientOrderId") or ""),
        symbol=symbol,
        side=side_of(row),
        size=number(row.get("amount")) * coins,
        filled=number(row.get("filled")) * coins,
        status=_STATUS.get(str(row.get("status")), Status.LIVE),
        reduce_only=bool(row.get("reduceOnly")),
        ts_ns=_stamp(row),
    )


def plan(row: Row, symbol: str, coins: Decimal) -> PlanOrder:
    """Read a trigger order: a target where a take-profit price is told, a stop where it may only reduce."""
    target, stop = row.get("takeProfitPrice"), row.get("stopLossPrice")
    reduces = bool(row.get("reduceOnly"))
    kind = PlanKind.TARGET if target else PlanKind.STOP if stop or reduces else PlanKind.OTHER
    status = str(row.get("status"))
    return PlanOrder(
        order_id=str(row["id"]),
        client_id=str(row.get("clientOrderId") or ""),
        symbol=symbol,
        side=side_of(row),
        size=number(row.get("amount")) * coins,
        trigger=number(target or stop or row.get("triggerPrice")),
        kind=kind,
        live=status == "open",
        fired=status == "closed",
        ts_ns=_stamp(row),
    )


def trade(row: Row, symbol: str, coins: Decimal, *, client_id: str = "", forced: bool = False) -> Trade:
    """Read an execution; ccxt's fee is positive when it was paid."""
    fee = row.get("fee") or {}
    return Trade(
        trade_id=str(row["id"]),
        order_id=str(row.get("order") or ""),
        client_id=client_id,
        symbol=symbol,
        side=side_of(row),
        price=number(row["price"]),
        size=number(row["amount"]) * coins,
        fee=number(fee.get("cost")),
        fee_coin=str(fee.get("currency") or ""),
        maker=row.get("takerOrMaker") == "maker",
        forced=forced,
        ts_ns=int(row["timestamp"]) * MS,
    )


def position(row: Row, symbol: str, coins: Decimal) -> VenuePosition:
    """Read a position; the size gets the sign of the side that is held."""
    size = number(row.get("contracts")) * coins
    return VenuePosition(
        symbol=symbol,
        size=-size if row.get("side") == "short" else size,
        entry=number(row.get("entryPrice")),
        mark=number(row.get("markPrice")),
        leverage=int(number(row.get("leverage"))) or 1,
    )


def balance(answer: Row, coin: str) -> Balance:
    """Read the account's coin: ccxt's total is the equity, its free part what is available."""
    row = answer.get(coin) or {}
    return Balance(equity=number(row.get("total")), available=number(row.get("free")))


def bill(row: Row, symbol: str) -> FundingBill:
    """Read a funding payment, positive when received."""
    return FundingBill(str(row["id"]), symbol, number(row["amount"]), int(row["timestamp"]) * MS)


def bar(row: Sequence[Any], coins: Decimal = ONE) -> Bar:
    """Read a candle row."""
    ts, *prices, volume = row[:6]
    opened, high, low, close = (float(price) for price in prices)
    return Bar(int(ts) * MS, opened, high, low, close, float(volume) * float(coins))


def tick(row: Row, symbol: str, *, venue_ns: int) -> Tick | None:
    """Read a ticker; None without a last price. Where bid or ask is not told, the last price stands in."""
    last = row.get("last")
    if not last:
        return None
    price = float(last)
    return Tick(
        symbol=symbol,
        bid=float(row.get("bid") or price),
        ask=float(row.get("ask") or price),
        last=price,
        mark=float(row.get("markPrice") or price),
        venue_ns=int(row.get("timestamp") or 0) * MS or venue_ns,
        bid_size=optional(row.get("bidVolume")),
        ask_size=optional(row.get("askVolume")),
        funding=optional(row.get("fundingRate")),
        change_24h=_percent(row.get("percentage")),
    )


def _percent(value: Any) -> float | None:
    found = optional(value)
    return None if found is None else found / 100.0


def side_of(row: Row) -> Side:
    """Read the side of a row."""
    return Side.BUY if str(row.get("side", "")).lower().startswith("buy") else Side.SELL


def _stamp(row: Row) -> int:
    return int(row.get("lastUpdateTimestamp") or row.get("timestamp") or 0) * MS


def _plain(value: Decimal) -> Decimal:
    """Return a step without an exponent and without trailing noughts."""
    return Decimal(format(value.normalize(), "f"))
