"""ExchangeService under the names of both seeds, requests over the bus, money matters.

Liquidation, funding, daily loss.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import AccountStatus, FundingPaid
from omega.domain import Fill, OrderState, Role, Side
from omega.errors import ConfigError, Rejected
from services.gateway.venue import FundingBill, PrivateFrame, Trade

BTC = "BTC-USDT.P"


@pytest.mark.req("1.20", "1.64", "1.67", "1.68", "2.05", "2.06", "2.08", "2.09", "2.13", "2.14", "2.15", "1.66")
async def test_exchange_service_answers_under_every_name_of_the_seeds(bench: Any) -> None:
    exchange = bench.gateway.exchange
    kind = type(exchange)
    assert kind.get_positions is kind.fetch_positions
    assert kind.place_order is kind.create_order
    assert await exchange.get_exchange_client() is exchange.exchange_client is bench.gateway.account.venue
    assert (exchange.exchange_id, exchange.use_testnet, exchange.is_connected()) == ("bitget", True, True)
    assert "demo-secret" not in f"{exchange.credentials} {exchange.api_secret} {exchange.status()}"
    assert BTC in await exchange.fetch_markets()
    await bench.step()
    assert (await exchange.fetch_ticker(BTC)).bid > 0
    assert set(await exchange.fetch_tickers()) == {BTC, "ETH-USDT.P"}
    with pytest.raises(ConfigError, match=r"gateway\.symbols"):
        await exchange.fetch_ticker("DOGE-USDT.P")
    closed = await exchange.fetch_ohlcv(BTC, limit=10)
    assert closed[-1].ts_ns <= bench.gateway.account.newest_bar_ns[BTC, "1m"]
    assert (await exchange.fetch_balance()).equity > 0
    assert await exchange.set_leverage(BTC, 100) == bench.gateway.settings.trading.max_leverage

    order = await exchange.place_order(bench.intent())
    await bench.settle(0, order.intent_id)
    assert await exchange.fetch_positions() == []
    await bench.step()
    assert [position.size for position in await exchange.get_positions()] == [Decimal("0.01")]
    assert [item.client_id for item in await exchange.fetch_orders(BTC)] == [order.client_id]
    gone = await exchange.cancel_order(BTC, client_id=order.client_id)
    assert (gone.outcome, gone.filled) == ("filled", Decimal("0.01"))
    assert await exchange.close_position(BTC) == ["alpha"]
    await bench.settle()
    await bench.step()
    assert await exchange.get_positions() == []


async def test_requests_answer_and_refuse(bench: Any) -> None:
    await bench.enter()
    minute = 60_000_000_000
    [line] = await bench.bus.ask("gateway", "positions", within_ns=minute)
    assert (line["bot"], line["size"], line["stop_size"]) == ("alpha", "0.01", "0.01")
    assert (await bench.bus.ask("gateway", "status", within_ns=minute))["connected"]
    with pytest.raises(Rejected, match="settle, positions, invariants, reconcile, budget, status"):
        await bench.bus.ask("gateway", "dance", within_ns=minute)


async def test_liquidation_is_shared_by_the_bots_it_closes_and_halts(bench: Any) -> None:
    await bench.enter(bot="alpha", size="0.01")
    await bench.enter(bot="beta", size="0.03")
    forced = Trade("t1", "o1", "", BTC, Side.SELL, Decimal(90000), Decimal("0.04"), Decimal(2), "USDT", False, True, 5)
    bench.gateway.private.hear(PrivateFrame(trades=(forced,), count=1))
    await bench.until(lambda: bench.gateway.account.halt.active, "the halt")

    assert (bench.size("alpha"), bench.size("beta")) == (0, 0)
    fills = [event for event in await bench.events() if isinstance(event, Fill) and event.role is Role.LIQUIDATION]
    assert sorted((fill.bot, fill.size, fill.fee) for fill in fills) == [
        ("alpha", Decimal("0.01"), Decimal("0.5")),
        ("beta", Decimal("0.03"), Decimal("1.5")),
    ]
    bench.gateway.private.take_trades([forced])
    assert (bench.size("alpha"), bench.size("beta")) == (0, 0)


async def test_funding_is_shared_once_by_size(bench: Any) -> None:
    await bench.enter(bot="alpha", size="0.01")
    await bench.enter(bot="beta", size="0.03")
    bill = FundingBill("f1", BTC, Decimal("-0.4"), bench.gateway.account.journal.last_fill_ns(BTC) + 1)
    bench.gateway.private.take_funding([bill])
    bench.gateway.private.take_funding([bill])
    await bench.settle()

    paid = sorted((e.bot, e.amount) for e in await bench.events() if isinstance(e, FundingPaid))
    assert paid == [("alpha", Decimal("-0.1")), ("beta", Decimal("-0.3"))]
    assert bench.gateway.account.books.book("beta", BTC).funding == Decimal("-0.3")


async def test_funding_that_is_read_late_is_paid_by_the_books_of_its_instant(bench: Any) -> None:
    await bench.enter(bot="alpha", size="0.01")
    instant = bench.gateway.account.journal.last_fill_ns(BTC) + 1
    await bench.enter(bot="beta", size="0.03")
    bench.gateway.private.take_funding([FundingBill("f1", BTC, Decimal("-0.4"), instant)])
    await bench.settle()

    paid = [(e.bot, e.amount) for e in await bench.events() if isinstance(e, FundingPaid)]
    assert paid == [("alpha", Decimal("-0.4"))]


async def test_daily_loss_halts_entries(bench: Any) -> None:
    await bench.enter(size="0.1")
    await bench.enter(size="0.1", bot="gamma")
    bench.gateway.status.watch_limits()
    assert not bench.gateway.account.halt.active
    bench.gateway.account.last[BTC] = bench.price() / 100
    bench.gateway.status.watch_limits()

    assert "since 00:00 UTC" in bench.gateway.account.halt.reason
    intent = bench.intent(bot="beta")
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    assert bench.order(intent).state is OrderState.DENIED


async def test_account_status_comes_every_second_and_after_a_fill(bench: Any) -> None:
    seen: list[AccountStatus] = []
    topic = bench.bus.topics.account_status("bitget", "main")
    async with bench.bus.signals(topic) as signals, asyncio.timeout(30):
        await bench.enter()
        async for received in signals:
            seen.append(received.envelope.data)
            if seen[-1].books:
                break

    [line] = seen[-1].books
    assert (line.bot, line.size, line.stop_size, line.naked_s) == ("alpha", Decimal("0.01"), Decimal("0.01"), 0.0)
    assert seen[-1].equity > 0
    assert seen[-1].connected


async def test_residual_that_stays_halts_entries(make_bench: Any) -> None:
    async with make_bench(residual_clear_s=0.3, reconcile_s=0.1) as bench:
        await bench.enter()
        bench.gateway.account.books.apply(
            Fill(
                "x",
                "o",
                "c",
                "ghost",
                "bitget",
                "main",
                BTC,
                Side.BUY,
                Decimal(1),
                Decimal("0.5"),
                Decimal(0),
                "USDT",
                Role.ENTRY,
                1,
            )  # type: ignore[arg-type]
        )
        await bench.until(lambda: bench.gateway.account.halt.active, "the halt")

        assert "more than the books" in bench.gateway.account.halt.reason
