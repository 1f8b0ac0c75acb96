"""What goes wrong on sockets: lost, malformed, poisoned, crossed, silent.

And bars that come once, in order, without holes.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import BarClosed
from omega.domain import Action, Bar, OrderState, Side
from omega.errors import CorruptData, OmegaError
from services.gateway import orderpath
from services.gateway.venue import Candles, Tick
from services.gateway.venues._tap import drop

MINUTE_NS = 60_000_000_000
BTC = "BTC-USDT.P"


async def bars(bench: Any, symbol: str = BTC) -> list[BarClosed]:
    topic = bench.bus.topics.bar("bitget", symbol, "1m")
    return [item.envelope.data for item in await bench.bus.history(topic, count=5_000)]


@pytest.mark.req("2.09")
async def test_bars_come_once_in_order_history_first(bench: Any) -> None:
    await bench.step(5)
    await bench.until(lambda: bench.gateway.market.idle, "idle")

    sent = await bars(bench)
    stamps = [message.bar.ts_ns for message in sent]
    assert stamps == list(range(stamps[0], stamps[-1] + 1, MINUTE_NS))
    assert len(sent) == 125
    assert all(message.received_ns == 0 for message in sent[:120])
    assert all(message.received_ns > 0 for message in sent[120:])


async def test_bars_after_a_lost_public_socket_have_no_hole(bench: Any) -> None:
    await bench.step(2)
    _, data = bench.gateway.account.venue.clients
    before, old = bench.subscriptions(), bench.public_session()
    drop(data, bench.gateway.account.venue.public_url(), "test")
    await bench.admin("POST", "/step")
    await bench.admin("POST", "/step")
    await bench.subscribed_again(before, old)
    await bench.step(2)
    await bench.until(lambda: bench.gateway.market.idle, "idle")

    stamps = [message.bar.ts_ns for message in await bars(bench)]
    assert stamps == list(range(stamps[0], stamps[-1] + 1, MINUTE_NS))
    assert len(stamps) == 126


async def test_hole_in_the_push_is_filled_by_rest_before_anything_newer(bench: Any) -> None:
    """Rows that skip two minutes: the missing ones are fetched, then the later ones go out."""
    market, hear = bench.gateway.market, bench.gateway.market.hear_candles
    lost: list[Candles] = []
    market.hear_candles = lost.append
    for _ in range(3):
        await bench.admin("POST", "/step")
    await bench.until(lambda: len([c for c in lost if c.symbol == BTC]) >= 3, "the pushes")
    market.hear_candles = hear
    await bench.step(2)
    await bench.until(lambda: market.idle, "the fill")

    stamps = [message.bar.ts_ns for message in await bars(bench)]
    assert stamps == list(range(stamps[0], stamps[-1] + 1, MINUTE_NS))
    assert len(stamps) == 125


async def test_unsound_row_is_kept_out(bench: Any) -> None:
    market, account = bench.gateway.market, bench.gateway.account
    last = account.newest_bar_ns[BTC, "1m"]
    nan = Bar(last + MINUTE_NS, float("nan"), 2.0, 1.0, 1.5, 1.0)
    market.hear_candles(Candles(BTC, "1m", (nan,), last + 3 * MINUTE_NS, time.time_ns()))
    market.hear_tick(Tick(BTC, bid=100.0, ask=99.0, last=99.5, mark=99.5, venue_ns=1))
    market.hear_tick(Tick(BTC, bid=float("nan"), ask=99.0, last=99.5, mark=99.5, venue_ns=1))

    assert account.newest_bar_ns[BTC, "1m"] == last
    assert account.price(BTC) > 1000
    assert bench.gateway.metrics["bars_quarantined_total"] == 3


@pytest.mark.req("0.54")
async def test_malformed_frame_opens_the_socket_anew_and_the_stream_goes_on(bench: Any) -> None:
    venue = bench.gateway.account.venue
    _, data = venue.clients
    client = data.client(venue.public_url())
    wanted, old = bench.subscriptions(), bench.public_session()

    client.handle_text_or_binary_message('{"action":"update","arg":{"channel":')

    assert venue.malformed == 1
    await bench.until(lambda: data.clients.get(venue.public_url()) not in {None, client}, "the new socket")
    await bench.subscribed_again(wanted, old)
    before = len(await bars(bench))
    await bench.step(2)
    await bench.until(lambda: bench.gateway.market.idle, "idle")
    assert len(await bars(bench)) == before + 2


async def test_refused_subscription_does_not_poison_the_other_streams(bench: Any) -> None:
    venue = bench.gateway.account.venue
    _, data = venue.clients
    wanted = bench.subscriptions()
    data.client(venue.public_url()).handle_text_or_binary_message('{"event":"error","code":30001,"msg":"no channel"}')
    await asyncio.sleep(0.5)  # whatever the refusal does to the other streams, it has done
    await bench.until(lambda: bench.subscriptions() >= wanted, "the subscriptions")
    before = len(await bars(bench))
    await bench.step(2)
    await bench.until(lambda: bench.gateway.market.idle, "idle")

    assert len(await bars(bench)) == before + 2


async def test_private_socket_lost_misses_nothing(bench: Any) -> None:
    """An order fills while nobody listens: the reads after the reconnect find the fill."""
    intent = bench.intent()
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)
    venue = bench.gateway.account.venue
    _, data = venue.clients
    drop(data, venue.private_url(), "test")
    await bench.admin("POST", "/step")
    await bench.until(venue.connected, "the private socket")
    await bench.until(lambda: bench.size() == Decimal("0.01"), "the fill")
    await bench.settle()

    assert bench.order(intent).state is OrderState.FILLED
    assert bench.gateway.keeper.stop_of("alpha", BTC)[0] == Decimal("0.01")
    assert (await bench.invariants())["books_equal_venue"]


async def test_private_socket_closed_by_the_venue_comes_back(bench: Any) -> None:
    await bench.fault("ws_close", path="private")
    await bench.until(lambda: not bench.gateway.account.venue.connected(), "the loss")
    await bench.until(bench.gateway.account.venue.connected, "the return")
    await bench.enter()

    assert bench.size() == Decimal("0.01")


async def test_recycled_session_goes_on(bench: Any) -> None:
    venue = bench.gateway.account.venue
    venue.recycle()
    await bench.until(lambda: not venue.connected(), "the end of the old one")
    await bench.until(venue.connected, "the new one")
    await bench.enter()

    assert bench.size() == Decimal("0.01")


async def test_crossed_book_is_never_handed_out(bench: Any) -> None:
    venue = bench.gateway.account.venue
    _, data = venue.clients
    first = await venue.book(BTC)
    assert first["bids"][0][0] < first["asks"][0][0]
    unified = venue.unified(BTC)
    crossed = data.orderbooks[unified]

    async def stale(*_: Any) -> Any:
        crossed["bids"].clear() if hasattr(crossed["bids"], "clear") else None
        return {"bids": [[101, 1]], "asks": [[100, 1]], "timestamp": 1}

    plain, data.watch_order_book = data.watch_order_book, stale
    with pytest.raises(CorruptData, match="crossed"):
        await venue.book(BTC)
    assert unified not in data.orderbooks
    data.watch_order_book = plain
    for _ in range(20):
        try:
            again = await venue.book(BTC)
            break
        except OmegaError:
            await asyncio.sleep(0.05)
    assert again["bids"][0][0] < again["asks"][0][0]


async def lose_the_session(bench: Any) -> None:
    await bench.fault("ws_silent", path="private", seconds=30)
    venue = bench.gateway.account.venue
    _, data = venue.clients
    drop(data, venue.private_url(), "test")
    await asyncio.sleep(0.05)
    assert not venue.connected()


@pytest.mark.req("0.28")
async def test_entry_waits_for_the_private_session_and_the_exit_overtakes_it(bench: Any) -> None:
    """An entry is not lost to a session that comes back by itself; an exit never waits for one."""
    await bench.enter()
    await lose_the_session(bench)
    entry, leave = bench.intent(bot="beta"), bench.intent(Action.EXIT, Side.SELL, stop=None)
    await bench.send(entry, leave)
    await bench.until(lambda: bench.order(leave), "the exit")

    assert not bench.gateway.account.venue.connected()
    assert bench.order(entry) is None
    await bench.until(lambda: bench.order(entry) and bench.order(entry).state is OrderState.WORKING, "the entry")
    assert bench.gateway.account.venue.connected()


async def test_entry_is_denied_when_the_session_stays_away(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orderpath, "_PATIENCE_S", 0.1)
    await lose_the_session(bench)
    intent = bench.intent()
    await bench.send(intent)
    await bench.until(lambda: bench.order(intent), "the verdict")

    assert (bench.order(intent).state, bench.order(intent).code) == (OrderState.DENIED, "venue")
