"""The simulator seeded with a recorded state is read by ccxt as the recorded answer is."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from services.simulator.account import AccountSpec, Coin, Position, SymbolSettings
from services.simulator.candles import MINUTE_MS, candles
from services.simulator.instruments import Product
from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions
from services.simulator.orders import Order, Plan, PlanStatus, PlanType, Status, Trade
from services.simulator.state import Venue

START = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS
UID = "7264631750"
D = Decimal


def raw(case: dict[str, Any]) -> Any:
    """The one object of a recorded answer."""
    data = case["response"]["data"]
    while isinstance(data, dict) and any(isinstance(value, list) for value in data.values()):
        data = next(value for value in data.values() if isinstance(value, list))
    return data[0] if isinstance(data, list) else data


def swap_order(venue: Venue, row: dict[str, Any]) -> None:
    order = Order(
        order_id=row["orderId"],
        client_oid=row["clientOid"],
        uid=UID,
        product=Product.SWAP,
        symbol=row["symbol"],
        side=1,
        market=False,
        force=row["force"],
        price=D(row["price"]),
        size=D(row["size"]),
        created_ms=int(row["cTime"]),
        updated_ms=int(row["uTime"]),
        hold=1,
        hedged=True,
        leverage=int(row["leverage"]),
        status=Status(row.get("state") or row["status"]),
    )
    venue.book.add(order)
    venue.book.settle(order)


def spot_order(venue: Venue, row: dict[str, Any]) -> None:
    price = row.get("price", row["priceAvg"])
    order = Order(
        order_id=row["orderId"],
        client_oid=row["clientOid"],
        uid=UID,
        product=Product.SPOT,
        symbol=row["symbol"],
        side=1,
        market=False,
        force="gtc",
        price=D(price),
        size=D(row["size"]),
        created_ms=int(row["cTime"]),
        updated_ms=int(row["uTime"]),
        status=Status.CANCELED if row["status"] == "cancelled" else Status(row["status"]),
    )
    venue.book.add(order)
    venue.book.settle(order)


def swap_plan(venue: Venue, row: dict[str, Any]) -> None:
    plan = Plan(
        order_id=row["orderId"],
        client_oid=row["clientOid"],
        uid=UID,
        product=Product.SWAP,
        symbol=row["symbol"],
        kind=PlanType.NORMAL,
        side=1,
        trigger=D(row["triggerPrice"]),
        execute=D(row["price"]),
        size=D(row["size"]),
        hedged=True,
        created_ms=int(row["cTime"]),
        updated_ms=int(row["uTime"]),
        status=PlanStatus(row["planStatus"]),
    )
    venue.book.add_plan(plan)
    venue.book.settle_plan(plan)


def spot_plan(venue: Venue, row: dict[str, Any]) -> None:
    venue.book.add_plan(
        Plan(
            order_id=row["orderId"],
            client_oid=row["clientOid"],
            uid=UID,
            product=Product.SPOT,
            symbol=row["symbol"],
            kind=PlanType.NORMAL,
            side=1,
            trigger=D(row["triggerPrice"]),
            execute=D(row["executePrice"]),
            size=D(row["size"]),
            created_ms=int(row["cTime"]),
            updated_ms=int(row["uTime"]),
        )
    )


def trade(venue: Venue, row: dict[str, Any], product: Product) -> None:
    fee = row["feeDetail"] if product is Product.SPOT else row["feeDetail"][0]
    venue.book.trades.append(
        Trade(
            trade_id=row["tradeId"],
            order_id=row["orderId"],
            client_oid="",
            uid=UID,
            product=product,
            symbol=row["symbol"],
            side=1 if row["side"] == "buy" else -1,
            market=row.get("orderType", "market") == "market",
            price=D(row.get("price") or row["priceAvg"]),
            size=D(row.get("baseVolume") or row["size"]),
            fee=D(fee["totalFee"]),
            fee_coin=fee["feeCoin"],
            profit=D(row.get("profit", "0")),
            trade_side=row.get("tradeSide", ""),
            hedged="posMode" in row,
            maker=row["tradeScope"] == "maker",
            source="API",
            ts_ms=int(row["cTime"]),
        )
    )


def position(venue: Venue, row: dict[str, Any]) -> None:
    account = venue.by_uid[UID]
    account.hedged = True
    maintenance = (float(row["keepMarginRate"]) + 0.0006) * float(row["total"]) * float(row["markPrice"])
    account.wallet = D(str(round(maintenance / float(row["marginRatio"]) - float(row["unrealizedPL"]), 8)))
    account.positions[row["symbol"], 1] = Position(
        pos_id="1",
        symbol=row["symbol"],
        side=1,
        hedged=True,
        margin_mode=row["marginMode"],
        leverage=int(row["leverage"]),
        size=D(row["total"]),
        entry=D(row["openPriceAvg"]),
        created_ms=int(row["cTime"]),
        updated_ms=int(row["cTime"]),
    )


def settings(venue: Venue, row: dict[str, Any]) -> None:
    setting = venue.by_uid[UID].setting("BTCUSDT")
    setting.cross = int(row.get("crossedMarginLeverage") or setting.cross)
    setting.long = int(row.get("isolatedLongLever") or row.get("longLeverage") or setting.long)
    setting.short = int(row.get("isolatedShortLever") or row.get("shortLeverage") or setting.short)


def nothing(venue: Venue, row: dict[str, Any]) -> None:
    """The case asks for what every simulator has."""


def empty(venue: Venue, row: dict[str, Any]) -> None:
    venue.by_uid[UID].wallet = D(0)
    venue.by_uid[UID].coins["USDT"] = Coin()


SEEDS: dict[str, Callable[[Venue, dict[str, Any]], None]] = {
    "rest-02": nothing,
    "rest-08": empty,
    "rest-09": empty,
    "rest-14": spot_order,
    "rest-15": swap_order,
    "rest-16": spot_order,
    "rest-17": spot_plan,
    "rest-18": swap_order,
    "rest-19": spot_order,
    "rest-20": swap_order,
    "rest-21": swap_plan,
    "rest-22": lambda venue, row: trade(venue, row, Product.SPOT),
    "rest-23": lambda venue, row: trade(venue, row, Product.SWAP),
    "rest-24": position,
    "rest-28": settings,
    "rest-31": settings,
    "rest-33": nothing,
    "rest-38": settings,
}

ONLY_FIRST = {"rest-02"}
"""We serve more tiers than the one that was recorded."""

APPROXIMATE = {"liquidationPrice": 1e-3, "marginRatio": 1e-6, "percentage": 1e-6}
"""The recorded hedge-mode liquidation price is met within 0.1 per cent."""


def comparable(value: Any) -> Any:
    """What ccxt parsed, without the raw answer and without what depends on ours being longer."""
    if isinstance(value, dict):
        return {
            key: comparable(item)
            for key, item in value.items()
            if key not in {"info", "requestTime"} and item is not None
        }
    return [comparable(item) for item in value] if isinstance(value, list) else value


def same(expected: Any, found: Any, where: str = "") -> None:
    if isinstance(expected, dict):
        for key, value in expected.items():
            same(value, found.get(key), f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            same(value, found[number], f"{where}[{number}]")
    elif isinstance(expected, float):
        tolerance = APPROXIMATE.get(where.rpartition(".")[2], 1e-12)
        assert found == pytest.approx(expected, rel=tolerance), where
    else:
        assert found == expected, where


def series(mark: float) -> Any:
    rows = 120
    flat = np.full(rows, mark)
    ts = (START + np.arange(rows) * MINUTE_MS).astype(np.float64)
    columns = dict.fromkeys(("open", "high", "low", "close"), flat)
    return {"BTCUSDT": candles("BTCUSDT", {"ts": ts, **columns, "volume": np.ones(rows)})}


@pytest.mark.req("0.05", "0.31")
@pytest.mark.parametrize("case_id", SEEDS)
async def test_seeded_state_reads_as_recorded(
    case_id: str, rest_cases: dict[str, Any], make_client: Any, loaded: Any
) -> None:
    rest_case = rest_cases[case_id]
    row = raw(rest_case)
    options = SimulatorOptions(speed=0, limits=False, warmup=60, accounts=(AccountSpec(uid=UID),))
    async with (
        local_simulator(options, series(float(row.get("markPrice", 37359)))) as server,
        make_client(server.url, server.ws_url) as client,
    ):
        client.set_markets_from_exchange(loaded)
        SEEDS[rest_case["id"]](server.exchange.venue, row)

        found = await getattr(client, rest_case["method"])(*_arguments(rest_case, row))

    found = comparable(json.loads(json.dumps(found)))
    expected = comparable(rest_case["parsed"])
    same(expected, found[: len(expected)] if rest_case["id"] in ONLY_FIRST else found)


def _arguments(case: dict[str, Any], row: dict[str, Any]) -> list[Any]:
    """The recorded call asked for order 1; ours must be asked for the order that was seeded."""
    arguments = list(case["args"])
    if case["method"] == "fetch_order":
        arguments[0] = row["orderId"]
    if case["method"] == "set_margin_mode":
        arguments[0] = row["marginMode"]
    return arguments


def test_settings_default_to_one_leverage_for_all_modes() -> None:
    setting = SymbolSettings(20, 20, 20)

    assert {setting.leverage(mode, side) for mode in ("crossed", "isolated") for side in (1, -1)} == {20}
