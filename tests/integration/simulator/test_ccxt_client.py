"""An unmodified ccxt.pro client over real HTTP and WebSocket: what any script of a stranger does."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


async def within(awaitable: Any, seconds: float = 5.0) -> Any:
    return await asyncio.wait_for(awaitable, seconds)


@pytest.mark.req("0.31", "0.05")
async def test_client_without_any_option_loads_markets_and_reads(running: Any, make_client: Any) -> None:
    """Given host, key, secret and passphrase alone, the unified-account probe included."""
    async with make_client(running, options={}) as client:
        markets = await within(client.load_markets())

        assert {BTC, ETH, "BTC/USDT", "ETH/USDT"} <= set(markets)
        assert (markets[BTC]["precision"]["amount"], markets[BTC]["precision"]["price"]) == (0.0001, 0.1)
        assert (await within(client.fetch_ticker(BTC)))["last"] > 0
        assert (await within(client.fetch_balance({"type": "swap"})))["USDT"]["total"] == 10_000


async def test_public_reads_parse_for_both_products(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())
        now = running.exchange.venue.now_ms

        for symbol in (BTC, "BTC/USDT"):
            candles = await within(client.fetch_ohlcv(symbol, "1m", None, 200))
            assert len(candles) == 200
            assert [row[0] for row in candles] == sorted(row[0] for row in candles)
            assert candles[-1][0] <= running.exchange.venue.now_ms
            book = await within(client.fetch_order_book(symbol, 15))
            assert book["bids"][0][0] < book["asks"][0][0]
            trades = await within(client.fetch_trades(symbol, None, 20))
            assert len(trades) == 20
            assert all(trade["timestamp"] <= running.exchange.venue.now_ms for trade in trades)
        hourly = await within(client.fetch_ohlcv(BTC, "1h", now - 10 * 3_600_000, 5))
        assert [row[0] % 3_600_000 for row in hourly] == [0] * 5
        tickers = await within(client.fetch_tickers([BTC, ETH]))
        assert set(tickers) == {BTC, ETH}
        assert set(await within(client.fetch_tickers(["BTC/USDT"], {"type": "spot"}))) == {"BTC/USDT"}
        assert (await within(client.fetch_funding_rate(BTC)))["fundingRate"] is not None
        assert await within(client.fetch_funding_rate_history(BTC, None, 3))
        assert (await within(client.fetch_funding_rates([BTC])))[BTC]["fundingRate"] is not None
        assert (await within(client.fetch_mark_price(BTC)))["markPrice"] > 0
        assert (await within(client.fetch_open_interest(BTC)))["openInterestAmount"] > 0
        assert (await within(client.fetch_market_leverage_tiers(BTC)))[0]["maxLeverage"] == 125
        assert await within(client.fetch_time())


@pytest.mark.req("0.31")
async def test_market_order_running_fills_at_once_and_streams(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())
        orders = asyncio.create_task(client.watch_orders(BTC))
        fills = asyncio.create_task(client.watch_my_trades(BTC))
        assert await within(client.watch_positions([BTC])) == []
        positions = asyncio.create_task(client.watch_positions([BTC]))

        sent = await within(client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "stranger-1"}))

        seen = (await within(orders))[-1]
        assert seen["clientOrderId"] == "stranger-1"
        held = await within(positions)
        assert (held[0]["side"], held[0]["contracts"]) == ("long", 0.01)
        assert (await within(fills))[-1]["amount"] == 0.01
        order = await within(client.fetch_order("", BTC, {"clientOrderId": "stranger-1"}))
        assert (order["id"], order["status"], order["filled"]) == (sent["id"], "closed", 0.01)
        assert order["fee"]["cost"] == pytest.approx(order["average"] * 0.01 * 0.0006, abs=1e-8)
        position = await within(client.fetch_position(BTC))
        assert position["contracts"] == 0.01
        assert position["entryPrice"] == order["average"]
        trades = await within(client.fetch_my_trades(BTC))
        assert [trade["order"] for trade in trades] == [sent["id"]]
        closed = await within(client.close_position(BTC))
        assert closed["id"]
        assert await within(client.fetch_positions([BTC])) == []
        assert len(await within(client.fetch_closed_orders(BTC))) == 2
        assert len(await within(client.fetch_positions_history([BTC]))) == 1


async def test_limit_orders_rest_modify_and_cancel(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())
        last = (await within(client.fetch_ticker(BTC)))["last"]
        low = round(last * 0.98, 1)

        resting = await within(client.create_order(BTC, "limit", "buy", 0.01, low))
        assert [order["id"] for order in await within(client.fetch_open_orders(BTC))] == [resting["id"]]
        changed = await within(client.edit_order(resting["id"], BTC, "limit", "buy", 0.02, low - 10))
        assert changed["id"] != resting["id"]
        opened = await within(client.fetch_open_orders(BTC))
        assert [(order["amount"], order["price"]) for order in opened] == [(0.02, low - 10)]
        await within(client.cancel_order(changed["id"], BTC))
        assert await within(client.fetch_open_orders(BTC)) == []
        with pytest.raises(ccxt.ExchangeError, match="40768"):
            await within(client.cancel_order(changed["id"], BTC))
        good = {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": low}
        batch = await within(client.create_orders([good, {**good, "price": low + 0.1, "amount": 99}]))
        # ccxt filters the refused one out of its result: only the raw answer shows it.
        assert len(batch) == 1
        failed = client.last_json_response["data"]["failureList"]
        assert [row["errorCode"] for row in failed] == ["40762"]
        assert len(await within(client.cancel_all_orders(BTC))) == 1


async def test_post_only_crossing_is_accepted_then_cancelled(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())
        last = (await within(client.fetch_ticker(BTC)))["last"]

        order = await within(client.create_order(BTC, "limit", "buy", 0.01, last + 100, {"postOnly": True}))

        found = await within(client.fetch_order(order["id"], BTC))
        assert (found["status"], found["filled"], found["timeInForce"]) == ("canceled", 0, "PO")


async def test_plan_orders_all_kinds_are_listed_and_cancelled(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())
        last = (await within(client.fetch_ticker(BTC)))["last"]
        await within(client.create_order(BTC, "market", "buy", 0.02))

        trigger = await within(client.create_order(BTC, "market", "buy", 0.01, None, {"triggerPrice": last * 1.04}))
        limit = await within(client.create_order(BTC, "limit", "buy", 0.01, last * 0.9, {"triggerPrice": last * 0.95}))
        stop = await within(client.create_order(BTC, "market", "sell", 0.02, None, {"stopLossPrice": last * 0.9}))
        part = await within(
            client.create_order(
                BTC, "market", "sell", 0.01, None, {"stopLossPrice": last * 0.92, "planType": "loss_plan"}
            )
        )
        target = await within(client.create_order(BTC, "market", "sell", 0.02, None, {"takeProfitPrice": last * 1.2}))
        trail = await within(
            client.create_order(
                BTC, "market", "sell", 0.01, None, {"trailingPercent": "5", "trailingTriggerPrice": last * 1.1}
            )
        )

        async def listed(**params: Any) -> set[str]:
            return {order["id"] for order in await within(client.fetch_open_orders(BTC, None, None, params))}

        assert await listed(trigger=True) == {trigger["id"], limit["id"]}
        assert await listed(trigger=True, planType="profit_loss") == {stop["id"], part["id"], target["id"]}
        assert await listed(trigger=True, planType="track_plan") == {trail["id"]}
        moved = await within(
            client.edit_order(part["id"], BTC, "market", "sell", 0.01, None, {"stopLossPrice": last * 0.93})
        )
        assert moved["id"] == part["id"]
        await within(client.cancel_order(part["id"], BTC, {"trigger": True, "planType": "loss_plan"}))
        await within(client.cancel_all_orders(BTC, {"trigger": True}))
        assert await listed(trigger=True) == set()
        history = await within(
            client.fetch_canceled_orders(BTC, None, None, {"trigger": True, "planType": "profit_loss"})
        )
        assert part["id"] in {order["id"] for order in history}


async def test_attached_stop_and_target_become_one_pair(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())
        last = (await within(client.fetch_ticker(BTC)))["last"]
        params = {"stopLoss": {"triggerPrice": last * 0.95}, "takeProfit": {"triggerPrice": last * 1.05}}

        await within(client.create_order(BTC, "market", "buy", 0.01, None, {**params, "clientOrderId": "entry"}))

        children = await within(client.fetch_open_orders(BTC, None, None, {"trigger": True, "planType": "profit_loss"}))
        assert sorted(child["info"]["planType"] for child in children) == ["loss_plan", "profit_plan"]
        assert all(child["clientOrderId"].isdigit() for child in children)
        assert {child["amount"] for child in children} == {0.01}
        await within(client.close_position(BTC))
        assert (
            await within(client.fetch_open_orders(BTC, None, None, {"trigger": True, "planType": "profit_loss"})) == []
        )


async def test_account_settings_round_trip(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())

        await within(client.set_leverage(7, BTC))
        assert (await within(client.fetch_leverage(BTC)))["longLeverage"] == 7
        with pytest.raises(ccxt.ExchangeError, match="40797"):
            await within(client.set_leverage(500, BTC))
        await within(client.set_margin_mode("isolated", BTC))
        assert (await within(client.fetch_margin_mode(BTC)))["marginMode"] == "isolated"
        await within(client.set_position_mode(True, BTC))
        await within(client.create_order(BTC, "market", "buy", 0.01, None, {"hedged": True, "marginMode": "isolated"}))
        await within(client.create_order(BTC, "market", "sell", 0.02, None, {"hedged": True, "marginMode": "isolated"}))
        held = {position["side"]: position for position in await within(client.fetch_positions([BTC]))}
        assert {side: position["contracts"] for side, position in held.items()} == {"long": 0.01, "short": 0.02}
        await within(client.add_margin(BTC, 5, {"holdSide": "long"}))
        with pytest.raises(ccxt.ExchangeError, match="40920"):
            await within(client.set_position_mode(False, BTC))
        close = {"hedged": True, "reduceOnly": True, "marginMode": "isolated"}
        await within(client.create_order(BTC, "market", "sell", 0.01, None, close))
        left = await within(client.fetch_positions([BTC]))
        assert [(position["side"], position["contracts"]) for position in left] == [("short", 0.02)]


async def test_spot_trades_and_keeps_the_wallet(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())

        bought = await within(client.create_market_buy_order_with_cost("BTC/USDT", 500))
        order = await within(client.fetch_order(bought["id"], "BTC/USDT"))
        assert order["status"] == "closed"
        assert order["cost"] == pytest.approx(500, rel=0.01)
        balance = await within(client.fetch_balance({"type": "spot"}))
        assert balance["BTC"]["free"] == pytest.approx(order["filled"] * 0.998, rel=1e-6)
        last = (await within(client.fetch_ticker("BTC/USDT")))["last"]
        resting = await within(client.create_order("BTC/USDT", "limit", "buy", 0.001, last * 0.97))
        opened = await within(client.fetch_open_orders("BTC/USDT"))
        assert [(item["id"], item["amount"]) for item in opened] == [(resting["id"], 0.001)]
        assert (await within(client.fetch_balance({"type": "spot"})))["USDT"]["used"] > 0
        await within(client.cancel_order(resting["id"], "BTC/USDT"))
        plan = await within(
            client.create_order("BTC/USDT", "market", "sell", 0.001, None, {"triggerPrice": last * 0.9})
        )
        plans = await within(client.fetch_open_orders("BTC/USDT", None, None, {"trigger": True}))
        assert [item["id"] for item in plans] == [plan["id"]]
        await within(client.cancel_order(plan["id"], "BTC/USDT", {"trigger": True}))
        assert len(await within(client.fetch_my_trades("BTC/USDT"))) == 1
        with pytest.raises(ccxt.InsufficientFunds):
            await within(client.create_order("BTC/USDT", "limit", "sell", 5, last * 1.01))


async def test_public_streams_agree_with_the_book_checksum(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())

        for _ in range(8):
            book = await within(client.watch_order_book(BTC))
            assert book["bids"][0][0] < book["asks"][0][0]
        shallow = await within(client.watch_order_book(ETH, 5))
        assert len(shallow["asks"]) == 5
        assert (await within(client.watch_ticker(BTC)))["last"] > 0
        assert await within(client.watch_trades(BTC))
        for timeframe in ("1m", "5m", "1h"):
            assert (await within(client.watch_ohlcv(BTC, timeframe)))[-1][4] > 0
        balance = await within(client.watch_balance({"type": "swap"}))
        assert balance["USDT"]["total"] == 10_000


@pytest.mark.req("0.54")
async def test_refusals_arrive_as_the_venues_codes(running: Any, make_client: Any) -> None:
    async with make_client(running) as client:
        await within(client.load_markets())
        await within(client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "once"}))
        last = (await within(client.fetch_ticker(BTC)))["last"]

        cases: list[tuple[str, type[Exception], tuple[Any, ...]]] = [
            ("40786", ccxt.ExchangeError, (BTC, "market", "buy", 0.01, None, {"clientOrderId": "once"})),
            ("40762", ccxt.InsufficientFunds, (BTC, "market", "buy", 100)),
            ("22002", ccxt.ExchangeError, (ETH, "market", "buy", 1, None, {"reduceOnly": True})),
            ("40815", ccxt.ExchangeError, (BTC, "limit", "buy", 0.01, last * 1.2)),
            ("40816", ccxt.ExchangeError, (BTC, "limit", "sell", 0.01, last * 0.8)),
            ("45113", ccxt.InvalidOrder, (BTC, "market", "buy", 500)),
            ("40917", ccxt.InvalidOrder, (BTC, "market", "sell", 0.01, None, {"stopLossPrice": last * 1.1})),
            ("45122", ccxt.InvalidOrder, (BTC, "market", "sell", 0.01, None, {"takeProfitPrice": last * 0.9})),
        ]
        for code, kind, arguments in cases:
            with pytest.raises(kind, match=code):
                await within(client.create_order(*arguments))
        with pytest.raises(ccxt.BadRequest, match="40404"):
            await within(client.publicMixGetV2MixMarketOiLimit())
