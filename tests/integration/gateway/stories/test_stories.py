"""What went wrong in other systems, each story by its name: here it ends well.

The gateway runs over the real simulator's sockets. The threads are those of the named projects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import BusState, MemoryBus, OrderEvent, Patience, connect
from omega.config import Database, Environment, Ledger, Monitoring, Settings
from omega.domain import Action, Fill, OrderState, Side
from omega.errors import EnvironmentFault
from omega.testing.servers import ValkeyServer, valkey_server
from services.gateway.service import GatewayService
from services.ledger import LedgerService

PLACE = "/order/place-order"
PLACE_STOP = "/api/v2/mix/order/place-tpsl-order"
COIN = Decimal("0.01")


def sent_orders(bench: Any) -> list[Any]:
    """The orders that the venue has from a client."""
    return [order for order in bench.server.exchange.venue.book.orders.values() if order.source == "API"]


def stop_posts(bench: Any) -> int:
    """How often a stop was posted, whatever the venue answered."""
    return sum(count for (path, _), count in bench.server.edge.answered.items() if path == PLACE_STOP)


async def cancel_stop(bench: Any) -> None:
    [plan] = bench.plans()
    body = {"orderId": plan.order_id, "symbol": "BTCUSDT", "productType": "USDT-FUTURES"}
    await bench.admin("POST", "/cancel", body)


async def sound(bench: Any) -> None:
    """Books equal the venue, every position is stopped, nothing is in doubt, no client id names two orders."""
    truth = await bench.invariants()
    assert truth["books_equal_venue"], truth
    assert truth["every_position_has_stop"], truth
    assert (truth["unresolved"], truth["duplicate_client_ids"]) == (0, 0)


async def test_story_order_lost_after_creation(bench: Any) -> None:
    """freqtrade #4403, #6392: the answer to a creation is lost and the bot never hears of its order again.

    Here it is found by its client id, also by the gateway's next life, with its fill and its stop.
    """
    await bench.fault("drop_after", path=PLACE)
    intent = bench.intent()
    await bench.send(intent)
    await bench.until(lambda: bench.order(intent), "the journal's order")
    await bench.close()
    await bench.admin("POST", "/step")
    await bench.open()
    await bench.until(lambda: bench.order(intent).state is OrderState.FILLED, "the fill")
    await bench.settle()

    assert len(sent_orders(bench)) == 1
    assert bench.size() == COIN
    assert [plan.size for plan in bench.plans()] == [COIN]
    await sound(bench)


async def test_story_stop_reposted_175_times(bench: Any) -> None:
    """freqtrade #11788, #12528: one stop is posted about 175 times in 14 minutes, and again after the close.

    Here the stop is a resource: looked at all the time, posted only when it is gone, and never after the position.
    """
    await bench.enter()
    posts = stop_posts(bench)
    for _ in range(14):
        bench.gateway.keeper.request("again")
        bench.gateway.recovery.request()
        await bench.step()
    assert (stop_posts(bench), len(bench.plans())) == (posts, 1)

    await cancel_stop(bench)
    await bench.until(lambda: len(bench.plans()) == 1, "the one new stop")
    await bench.settle()
    assert stop_posts(bench) == posts + 1

    leave = bench.intent(Action.EXIT, Side.SELL)
    await bench.send(leave)
    await bench.settle(0, leave.intent_id)
    await bench.step(3)
    assert (bench.size(), bench.plans(), stop_posts(bench)) == (0, [], posts + 1)
    await sound(bench)


async def test_story_stops_left_behind_or_lost_at_restart(bench: Any) -> None:
    """freqtrade #12984, #11608, OctoBot #3190: a restart loses the stop, doubles it, or leaves it behind.

    Here the next life finds the stop that stands, places one that has gone, and leaves none behind a flat position.
    """
    intent = await bench.enter()
    [before] = bench.plans()
    await bench.close()
    await bench.open()
    await bench.settle()
    assert [plan.order_id for plan in bench.plans()] == [before.order_id]

    await bench.close()
    await cancel_stop(bench)
    await bench.open()
    await bench.until(bench.plans, "the stop again")
    await bench.settle()
    assert [(plan.size, plan.trigger) for plan in bench.plans()] == [(COIN, intent.stop)]

    leave = bench.intent(Action.EXIT, Side.SELL)
    await bench.send(leave)
    await bench.settle(0, leave.intent_id)
    await bench.close()
    await bench.admin("POST", "/step")
    await bench.open()
    await bench.settle()
    assert (bench.size(), bench.plans()) == (0, [])
    await sound(bench)


async def test_story_executors_gone_at_api_restart(bench: Any) -> None:
    """hummingbot-api #243: a restart of the API ends its executors, and the position stays without a stop.

    Here the stop stands at the venue while nobody runs, fires there, and its fill is booked on its bot afterwards.
    """
    near = (bench.price() * Decimal("0.9985")).quantize(Decimal("0.1"))
    await bench.enter(stop=str(near))
    held = bench.size()
    await bench.close()
    assert sum(plan.size for plan in bench.plans()) == held
    for _ in range(600):
        await bench.admin("POST", "/step")
        if not bench.plans():
            break
    await bench.open()
    await bench.settle()

    assert bench.size() == 0
    fills = [event for event in await bench.events() if isinstance(event, Fill)]
    assert [(fill.bot, fill.role.value) for fill in fills] == [("alpha", "entry"), ("alpha", "stop")]
    await sound(bench)


@asynccontextmanager
async def ledger(bench: Any, path: Path) -> AsyncIterator[LedgerService]:
    """A ledger of the same farm, on its own database file."""
    settings = Settings(
        environment=Environment(instance="ledger"),
        monitoring=Monitoring(drain_s=3.0),
        database=Database(url=f"sqlite+aiosqlite:///{path}"),
        ledger=Ledger(batch=64, flush_ms=5),
    )
    patience = Patience(retry_s=0.01, claim_s=0.2, claim_idle_s=0.5)
    service = LedgerService(settings=settings, bus=MemoryBus(source="ledger/ledger", hub=bench.hub, patience=patience))
    await service.initialize()
    await service.start()
    try:
        yield service
    finally:
        await service.shutdown()


async def test_story_doubled_history(bench: Any, tmp_path: Path) -> None:
    """OctoBot #2931: every restart doubles the history of trades.

    Here gateway and ledger start again and again, and every execution is there once.
    """
    await bench.enter()
    await bench.enter(bot="beta")
    for _ in range(3):
        async with ledger(bench, tmp_path / "ledger.sqlite"):
            await bench.bus.ask("ledger", "settle", within_ns=60 * 10**9)
            summary = await bench.bus.ask("ledger", "summary", within_ns=60 * 10**9)
        await bench.close()
        await bench.open()
        await bench.settle()

    assert summary["totals"]["fills"] == len(bench.server.exchange.venue.book.trades) == 2
    fills = Counter(event.trade_id for event in await bench.events() if isinstance(event, Fill))
    assert set(fills.values()) == {1}
    await sound(bench)


async def test_story_fills_dropped_in_a_disconnect(bench: Any) -> None:
    """Lean, InteractiveBrokers brokerage #249: fills that come while the socket is away are never recovered.

    Here executions are read again from the last known one, so the books know them whatever the socket has lost.
    """
    intent = bench.intent()
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    await bench.fault("push_lost", times=50)
    await bench.admin("POST", "/step")
    await bench.fault("ws_close", path="private")
    await bench.until(lambda: bench.size() == COIN, "the fill, read over REST")
    await bench.admin("DELETE", "/faults")

    await bench.until(lambda: bench.order(intent).state is OrderState.FILLED, "the order's end")
    await bench.settle()
    await sound(bench)


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    try:
        with valkey_server() as server:
            yield server
    except EnvironmentFault as error:
        pytest.skip(str(error))


async def test_story_silent_redis_stall(make_bench: Callable[..., Any], valkey: ValkeyServer) -> None:
    """Jesse PR 619: Redis stalls, the connection stays open, and live trading stands still without a word.

    Here the silence is noticed, entries are refused by name, stops are mended all the same, and the events follow.
    """
    patience = Patience(socket_s=0.5, ping_s=0.1, degraded_s=0.3, isolated_s=1.0, retry_s=0.05)
    async with make_bench() as bench:
        settings = bench.gateway.settings
        await bench.close()
        bench.bus = connect(valkey.url, env="dev", source="test/1", patience=patience)
        await bench.bus.start()
        own = connect(valkey.url, env="dev", source="gateway/test", patience=patience)
        try:
            bench.service = GatewayService(settings=settings, bus=own)
            await bench.service.initialize()
            await bench.service.start()
            await bench.until(lambda: bench.gateway.ready, "ready", within_s=30)
            await bench.enter()
            valkey.freeze()
            await bench.until(lambda: own.state() is not BusState.CONNECTED, "the silence noticed", within_s=20)
            await cancel_stop(bench)
            await bench.until(bench.plans, "the stop, without the bus", within_s=20)
            refused = bench.intent(bot="beta")
            bench.gateway.path.accept([(_envelope(refused), refused)])
            assert (bench.order(refused).state, bench.order(refused).code) == (OrderState.DENIED, "bus")

            valkey.thaw()
            await bench.until(lambda: bench.gateway.outbox.clear, "the events", within_s=20)
            told = [event.state for event in await bench.events() if isinstance(event, OrderEvent)]
            assert told.count(OrderState.DENIED) == 1
        finally:
            valkey.thaw()
            await bench.close()
            await bench.bus.close()


def _envelope(intent: Any) -> Any:
    from omega.bus import Envelope

    return Envelope("x", "intent", 1, 0, "runner/1", 0, 1, "", "", intent.bot, 0, "", intent)


async def test_story_futures_chained_stop_silently_not_created(bench: Any) -> None:
    """OctoBot #3532, #3536: on futures the chained stop is silently not created; the simulator showed nothing.

    Here the local exchange can forget it too: the gateway sees the naked position and places the stop itself.
    """
    await bench.admin("POST", "/mishaps", {"mishap": "no_stop"})
    intent = await bench.enter()
    await bench.until(bench.plans, "the stop")
    await bench.settle()

    [plan] = bench.plans()
    assert (plan.size, plan.trigger) == (COIN, intent.stop)
    assert plan.client_oid.startswith("s")
    assert bench.gateway.keeper.naked_max_s < 5
    await sound(bench)


async def test_story_rate_limit_at_start_kills_the_bot(make_bench: Callable[..., Any]) -> None:
    """OctoBot #1301: the venue says 429 while the bot starts, and the bot ends.

    Here the start waits and asks again; then it trades.
    """
    async with make_bench(start=False) as bench:
        await bench.fault("http_429", path="", times=4)
        await bench.open()
        await bench.enter()

        assert bench.size() == COIN
        await sound(bench)


async def test_story_portfolio_wrong_after_a_fill(bench: Any) -> None:
    """OctoBot-Trading PR 1162: after a fill the portfolio is not what the venue says.

    Here a fill in two parts whose pushes are doubled and in the wrong order gives the venue's position, to the coin,
    and after the close the realised profit less fees is the change of the wallet, to the cent.
    """
    [account] = bench.server.exchange.venue.accounts.values()
    before = account.wallet
    await bench.admin("POST", "/mishaps", {"mishap": "partial"})
    await bench.fault("push_doubled", times=3)
    await bench.fault("push_reordered", times=3)
    intent = await bench.enter(size="0.03")
    assert Decimal(0) < bench.size() < Decimal("0.03")
    await bench.step()
    assert (bench.size(), bench.order(intent).state) == (Decimal("0.03"), OrderState.FILLED)
    assert sum(plan.size for plan in bench.plans()) == Decimal("0.03")
    await sound(bench)

    leave = bench.intent(Action.EXIT, Side.SELL, size="0.03")
    await bench.send(leave)
    await bench.settle(0, leave.intent_id)
    await bench.step()
    book = bench.gateway.account.books.book("alpha", intent.symbol)
    assert abs(book.net - (account.wallet - before)) < Decimal("0.01")
    await bench.until(lambda: bench.gateway.account.balance.equity == account.wallet, "the venue's equity")
    await sound(bench)
