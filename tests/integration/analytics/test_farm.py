"""Analyses of what the farm did: trades of the ledger and books of the gateway in, a record that is found again out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import AccountStatus, AnalysisMade, BarClosed, BookLine, MemoryBus
from omega.config import Database, Environment, Ledger, Monitoring, Settings
from omega.config.outer import Bot
from omega.domain import Bar, Mode
from omega.errors import Denied
from omega.runtime import BaseService
from services.analytics import AnalyticsService
from services.ledger import LedgerService
from tests.integration.ledger import farm

WITHIN_NS = 60_000_000_000
SYMBOL = farm.SYMBOL
D = Decimal


def settings(home: Path) -> Settings:
    bots = {name: Bot(strategy="ema_cross", symbol=SYMBOL, capital=D(1000)) for name in ("fib", "trend")}
    return Settings(
        environment=Environment(instance="one"),
        monitoring=Monitoring(drain_s=5.0, heartbeat_s=0.5),
        database=Database(url=f"sqlite+aiosqlite:///{home}/ledger.db"),
        ledger=Ledger(batch=64, flush_ms=5),
        bots=bots,
    )


@asynccontextmanager
async def living(service: BaseService) -> AsyncIterator[None]:
    await service.initialize()
    await service.start()
    try:
        yield
    finally:
        await service.shutdown()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[MemoryBus]:
    """A farm that has traded: bars, a session of two bots in the ledger, and both services."""
    made = MemoryBus(source="test/1")
    await made.start()
    for index in range(150):
        price = 60_000.0 + 250.0 * ((index * 7) % 11)
        bar = Bar(farm.bar_ns(index), price, price + 300.0, price - 300.0, price + 100.0, 5.0)
        await made.send(BarClosed("bitget", SYMBOL, "1m", bar, 1))
    ledger = LedgerService(settings=settings(tmp_path), bus=made.peer("ledger/1"))
    analytics = AnalyticsService(settings=settings(tmp_path), bus=made.peer("analytics/1"))
    async with living(ledger), living(analytics):
        for bot in ("fib", "trend"):
            for message in farm.session(bot):
                await made.send(message)
        await made.ask("ledger", "settle", {}, within_ns=WITHIN_NS)
        yield made
    await made.close()


async def analyze(bus: MemoryBus, name: str, **params: Any) -> dict[str, Any]:
    answer = await bus.ask(
        "analytics", "analyze", {"analysis": name, "symbol": SYMBOL, "timeframe": "1m", **params}, within_ns=WITHIN_NS
    )
    assert isinstance(answer, dict)
    return answer


def status(*lines: BookLine) -> AccountStatus:
    return AccountStatus(
        "bitget", "main", Mode.PAPER, D(2000), D(1500), lines, {}, {}, 0, 0.0, halted=False, halt_reason="",
        connected=True, ts_ns=1,
    )  # fmt: skip


@pytest.mark.req("1.84", "1.37", "2.45")
async def test_analysis_is_found_again_in_the_ledger_by_its_correlation_id(bus: MemoryBus) -> None:
    """From the trades of the ledger to figures, from the figures to a record, and back by the id of the request."""
    answer = await analyze(bus, "performance")
    await bus.ask("ledger", "settle", {}, within_ns=WITHIN_NS)
    kept: Any = await bus.ask("ledger", "analyses", {"corr": answer["corr"]}, within_ns=WITHIN_NS)
    of_symbol: Any = await bus.ask(
        "ledger", "analyses", {"symbol": SYMBOL, "analysis": "performance"}, within_ns=WITHIN_NS
    )
    others: Any = await bus.ask("ledger", "analyses", {"corr": "nobody"}, within_ns=WITHIN_NS)
    summary: Any = await bus.ask("ledger", "summary", {}, within_ns=WITHIN_NS)

    [one] = answer["analyses"]
    [row] = kept
    assert row["result"] == one
    assert (row["analysis"], row["symbol"], row["timeframe"]) == ("performance", SYMBOL, "1m")
    assert of_symbol == kept
    assert others == []
    figures = {figure["name"]: figure["value"] for figure in one["numbers"]}
    assert figures["trades"] == summary["totals"]["trades"] == 10
    capital = 2000.0
    net = float(summary["totals"]["realised"]) - float(summary["totals"]["fees"]) + float(summary["totals"]["funding"])
    assert figures["roi"] == pytest.approx(net / capital, abs=1e-4)
    assert {"fib", "trend"} <= {found["name"] for found in one["findings"]}
    assert {row["source"] for row in one["inputs"]} >= {"the ledger's database"}


async def test_analysis_that_is_no_json_goes_to_the_dead_letters_and_stops_nothing(bus: MemoryBus) -> None:
    await bus.send(AnalysisMade("fib", SYMBOL, "1m", 1, {}, "no json"))
    await bus.send(AnalysisMade("fib", SYMBOL, "1m", 1, {}, json.dumps({"summary": "sound"})))
    async with bus.records(bus.topics.dead_letters(bus.topics.analysis(SYMBOL)), group="test") as letters:
        async with asyncio.timeout(60):
            [letter, *_] = await anext(letters)
        async with letter:
            pass
    await bus.ask("ledger", "settle", {}, within_ns=WITHIN_NS)
    kept: Any = await bus.ask("ledger", "analyses", {"analysis": "fib"}, within_ns=WITHIN_NS)

    assert [row["result"] for row in kept] == [{"summary": "sound"}]


@pytest.mark.req("1.83", "1.09")
async def test_positions_of_the_gateway_are_read_with_their_stops(bus: MemoryBus) -> None:
    long = BookLine("fib", SYMBOL, D("0.02"), D(60_000), D(61_000), D(0), D(0), D(0), D("0.02"), D(59_000), 0.0)
    short = BookLine("trend", "ETH-USDT.P", D(-1), D(2500), D(2450), D(0), D(0), D(0), D(1), D(2600), 0.0)
    gateway = bus.peer("gateway/1")

    async def publish() -> None:
        while True:
            await gateway.send(status(long, short))
            await asyncio.sleep(0.05)

    publishing = asyncio.ensure_future(publish())
    try:
        answer = await analyze(bus, "position", chart="dark")
        risk = await analyze(bus, "risk")
    finally:
        publishing.cancel()

    [one] = answer["analyses"]
    figures = {figure["name"]: figure["value"] for figure in one["numbers"]}
    assert figures["long"] == pytest.approx(0.02 * 61_000)
    assert figures["short"] == pytest.approx(2450)
    assert figures["open profit"] == pytest.approx(20.0 + 50.0)
    assert figures["equity"] == 2000
    assert 0.0 <= figures["harmony: score"] <= 1.0
    assert any(row["source"] == "the gateway's books" and row["age_s"] < 60 for row in one["inputs"])
    assert all("information" in found["text"] for found in one["findings"] if found["name"] == "advice")
    assert answer["png"]
    book = {figure["name"]: figure["value"] for figure in risk["analyses"][0]["numbers"]}
    assert book["gross exposure"] == pytest.approx(0.02 * 61_000 + 2450)


async def test_positions_without_a_gateway_say_whom_nobody_could_ask(bus: MemoryBus) -> None:
    with pytest.raises(Denied, match="open positions"):
        await analyze(bus, "position")
