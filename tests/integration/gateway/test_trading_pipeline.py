"""The whole way of one trade, from candle to closed round trip: bot, bus, gateway, exchange and back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from omega.bus import DecisionMade, MemoryBus, OrderEvent
from omega.domain import Fill, OrderState, Role
from services.runner.service import RunnerService

BOT = {
    "strategy": "ema_cross",
    "symbol": "BTC-USDT.P",
    "params": {"fast": 2, "slow": 3},
    "capital": "20000",
}
MOST_BARS = 120
"""Averages this short cross several times an hour."""


@dataclass
class Pipeline:
    """A runner and a gateway on one bus, over one exchange that is stepped bar by bar."""

    bench: Any
    runner: RunnerService

    async def bar(self) -> None:
        """Let one minute pass, the bot decide on it, and the gateway carry out what it wants."""
        decided = self.runner.counts["decisions"]
        await self.bench.step()
        await self.bench.until(lambda: self.runner.counts["decisions"] > decided, "the bot's decision", within_s=30)
        await self.bench.settle()

    async def decided(self) -> list[Any]:
        topic = self.bench.bus.topics.decisions("alpha")
        return [item.envelope.data for item in await self.bench.bus.history(topic)]


class TestTradingPipeline:
    """The exchange is the shipped simulator behind its real HTTP and WebSocket wire; nothing in the way is replaced."""

    @pytest.fixture
    async def mock_exchange(self, make_bench: Callable[..., Any]) -> AsyncIterator[Any]:
        async with make_bench(bots={"alpha": BOT}) as bench:
            yield bench

    @pytest.fixture
    async def trading_pipeline(self, mock_exchange: Any) -> AsyncIterator[Pipeline]:
        settings = mock_exchange.gateway.settings.model_dump()
        settings |= {"runner": {"bot": "alpha", "window": 120}, "environment": {"name": "dev", "instance": "runner"}}
        runner = RunnerService(
            settings=type(mock_exchange.gateway.settings).model_validate(settings),
            bus=MemoryBus(source="runner/alpha", hub=mock_exchange.hub),
        )
        await runner.initialize()
        await runner.start()
        await mock_exchange.until(lambda: runner.ready, "the bot", within_s=30)
        yield Pipeline(mock_exchange, runner)
        await runner.shutdown()

    @pytest.mark.req("4.44")
    async def test_complete_trading_cycle(self, trading_pipeline: Pipeline, mock_exchange: Any) -> None:
        """A candle becomes a decision, an order, a fill and a stop; another one the exit; the books agree with all."""
        entry, closed = None, False
        for _ in range(MOST_BARS):
            await trading_pipeline.bar()
            if entry is None and mock_exchange.size():
                entry = mock_exchange.size()
                assert mock_exchange.plans(), "a position without its stop at the exchange"
            closed = entry is not None and not mock_exchange.size()
            if closed:
                break
        assert closed, "the bot made no round trip"
        await mock_exchange.step()

        events = await mock_exchange.events()
        fills = [event for event in events if isinstance(event, Fill) and event.bot == "alpha"]
        orders = [event for event in events if isinstance(event, OrderEvent) and event.bot == "alpha"]
        decisions = [made for made in await trading_pipeline.decided() if isinstance(made, DecisionMade)]
        assert fills[0].role is Role.ENTRY
        assert fills[-1].role in {Role.EXIT, Role.STOP, Role.TARGET}
        assert sum(fill.size * fill.side.sign for fill in fills) == 0
        assert {order.state for order in orders} >= {OrderState.SENDING, OrderState.FILLED}
        bars = {made.decision.bar_ts_ns for made in decisions if made.decision.side or made.decision.exit}
        assert {order.bar_ts_ns for order in orders if order.role in {Role.ENTRY, Role.EXIT}} <= bars
        book = mock_exchange.gateway.account.books.book("alpha", "BTC-USDT.P")
        assert (book.trades, book.size) == (1, 0)
        assert trading_pipeline.runner.state.portfolio.position.net == book.net
        assert mock_exchange.plans() == []
        assert (await mock_exchange.invariants())["books_equal_venue"]
