"""Three venues, one price: the simulator is the own one, two wire servers are the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import AuditNote, ConsensusPrice
from omega.domain import Action, Mode, OrderState, Side
from omega.errors import ConfigError
from omega.testing.wire import WireServer, wire_server
from services.gateway.service import open_price_sources, switches

BTC = "BTC-USDT.P"
pytestmark = pytest.mark.req("3.13")


@pytest.fixture
async def others() -> AsyncIterator[dict[str, WireServer]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(wire_server(name)) for name in ("binance", "kraken")}


@pytest.fixture
async def bench(make_bench: Callable[..., Any], others: dict[str, WireServer]) -> AsyncIterator[Any]:
    urls = {name: server.url for name, server in others.items()}
    own = {"venues": list(urls), "urls": urls, "every_s": 0.05, "stale_s": 60.0, "release_after": 3}
    async with make_bench(start=False, symbols=[BTC], consensus=own) as opened:
        await opened.open()
        await opened.step()
        say(others, opened.price())
        await until_told(opened, lambda found: found.get("quarantined") == [] and len(found["members"]) == 3)
        yield opened


def say(others: dict[str, WireServer], price: Decimal) -> None:
    for server in others.values():
        server.book.price = price.quantize(Decimal(1))


async def told(bench: Any) -> dict[str, Any]:
    answer = await bench.bus.ask("gateway", "consensus", {"symbol": BTC}, within_ns=60_000_000_000)
    return dict(answer[0]) if answer else {}


async def until_told(bench: Any, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    topic = bench.bus.topics.consensus("bitget", BTC)
    async with bench.bus.signals(topic) as signals, asyncio.timeout(60):
        async for received in signals:
            found = received.envelope.data
            assert isinstance(found, ConsensusPrice)
            if condition(await told(bench)):
                return await told(bench)
    raise AssertionError("the signals ended")


async def test_venues_agree_and_a_bot_may_ask_for_the_price(bench: Any, others: Any) -> None:
    found = await until_told(bench, lambda found: len(found.get("members", ())) == 3)

    assert found["members"] == ["binance", "bitget", "kraken"]
    assert found["price"] == pytest.approx(float(bench.price()), rel=1e-3)
    assert (found["rejected"], found["quarantined"]) == ({}, [])
    assert bench.gateway.metrics["consensus_members"] == 3
    assert others["kraken"].calls("GET /derivatives/api/v3/tickers")


async def test_own_venue_that_drifts_is_quarantined_and_released_when_it_returns(bench: Any, others: Any) -> None:
    """Entries wait with a reason, exits go on, and the audit trail has both."""
    await bench.enter()
    say(others, bench.price() * Decimal("1.05"))
    await until_told(bench, lambda found: found.get("quarantined") == ["bitget"])
    entry, leave = bench.intent(bot="beta"), bench.intent(Action.EXIT, Side.SELL, stop=None)
    await bench.send(entry, leave)
    await bench.settle(0, entry.intent_id, leave.intent_id)

    assert (bench.order(entry).state, bench.order(entry).code) == (OrderState.DENIED, "consensus")
    assert "the others agree on" in bench.order(entry).reason
    assert bench.order(leave).state is not OrderState.DENIED

    await bench.step()
    say(others, bench.price())
    await until_told(bench, lambda found: found.get("quarantined") == [])
    again = bench.intent(bot="gamma")
    await bench.send(again)
    await bench.settle(0, again.intent_id)
    notes = [item.envelope.data for item in await bench.bus.history(bench.bus.topics.audit())]
    actions = [note.action for note in notes if isinstance(note, AuditNote) and note.subject == f"bitget {BTC}"]

    assert bench.order(again).state is not OrderState.DENIED
    assert actions[-2:] == ["quarantine", "release"]


async def test_other_venue_that_lies_is_quarantined_and_entries_go_on(bench: Any, others: Any) -> None:
    others["binance"].book.price = Decimal(1)
    await until_told(bench, lambda found: found.get("quarantined") == ["binance"])
    intent = bench.intent()
    await bench.send(intent)
    await bench.settle(0, intent.intent_id)

    assert bench.order(intent).state is not OrderState.DENIED
    assert (await told(bench))["rejected"] == {"binance": "outlier"}


async def test_venue_that_does_not_answer_leaves_no_quorum_and_stops_nothing(bench: Any, others: Any) -> None:
    await until_told(bench, lambda found: len(found.get("members", ())) == 3)
    bench.gateway.account.settings.gateway.consensus.__dict__["stale_s"] = 0.2
    others["binance"].refusals["GET /fapi/v1/ticker/bookTicker"] = (500, {"error": "away"})
    found = await until_told(bench, lambda found: found.get("rejected", {}).get("binance") == "stale")

    assert found["price"] == 0.0
    assert bench.gateway.agreement.drifting == {}


async def test_consensus_is_off_by_default_and_other_addresses_are_refused_in_live_mode(make_bench: Any) -> None:
    async with make_bench() as opened:
        assert not opened.gateway.agreement.on
        settings = opened.gateway.settings
        assert await opened.bus.ask("gateway", "consensus", {"symbol": BTC}, within_ns=60_000_000_000) == []
    live = settings.model_copy(deep=True)
    live.trading.__dict__["mode"] = Mode.LIVE
    live.gateway.consensus.__dict__["urls"] = {"okx": "http://127.0.0.1:1"}
    with pytest.raises(ConfigError, match=r"gateway\.consensus\.urls"):
        switches(live)
    live.gateway.consensus.__dict__["venues"] = ["nowhere"]
    with pytest.raises(ConfigError, match="nowhere"):
        open_price_sources(live)
