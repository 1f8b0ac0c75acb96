"""One runner on a bus in memory: the test plays the gateway (instrument, bars, fills) and reads what the bot sends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import BarClosed, BotStatus, Command, CommandResult, DecisionMade, MemoryBus, MemoryHub, Verb
from omega.bus.instruments import keep_instrument
from omega.config import Settings
from omega.domain import (
    AccountName,
    Bar,
    BotName,
    ClientId,
    Fill,
    Instrument,
    Intent,
    Kind,
    OrderId,
    Role,
    Side,
    Symbol,
    TradeId,
    VenueName,
)
from omega.testing.service_contract import eventually
from services.runner.service import RunnerService

MINUTE_NS = 60_000_000_000
BOT = "alpha"
SYMBOL = "BTC-USDT.P"
BTC = Instrument(
    symbol=Symbol(SYMBOL),
    venue=VenueName("bitget"),
    venue_symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    kind=Kind.SWAP,
    price_step=Decimal("0.1"),
    size_step=Decimal("0.0001"),
    min_size=Decimal("0.0001"),
    min_notional=Decimal(5),
    max_leverage=125,
    maker_fee=Decimal("0.0002"),
    taker_fee=Decimal("0.0006"),
)
FALL = [1_000.0 - 0.5 * row for row in range(80)]
"""The averages end with the fast one below the slow one: the bot waits."""
JUMP = 1_010.0
"""A close that takes the fast average over the slow one: an entry."""
DROP = 900.0
"""A close that takes it back: an exit."""


def settings(**sections: Any) -> Settings:
    """Settings of one bot on averages of two and three bars (60 bars of warm-up)."""
    base: dict[str, Any] = {
        "environment": {"instance": "runner-alpha"},
        "monitoring": {"drain_s": 3.0, "heartbeat_s": 0.1, "start_s": 20.0},
        "runner": {"bot": BOT, "window": 200, "status_s": 0.05},
        "redis": {"lease_ttl_s": 15.0},
        "bots": {BOT: {"strategy": "ema_cross", "symbol": SYMBOL, "params": {"fast": 2, "slow": 3}}},
    }
    for name, section in sections.items():
        base[name] = {**base.get(name, {}), **section}
    return Settings.model_validate(base)


def bar(row: int, close: float) -> Bar:
    """A minute bar around a close."""
    return Bar((row + 1) * MINUTE_NS, close, close + 1.0, close - 1.0, close, 10.0)


@dataclass
class Desk:
    """The rest of the farm, played by the test."""

    hub: MemoryHub
    bus: MemoryBus
    changes: dict[str, Any] = field(default_factory=dict)
    record: Path | None = None
    runner: RunnerService | None = None
    rows: int = 0
    trades: int = 0

    @property
    def bot(self) -> RunnerService:
        assert self.runner is not None
        return self.runner

    async def history(self, closes: list[float]) -> None:
        """Bars that the gateway sent as history: they fill the window and nobody decides on them."""
        for close in closes:
            await self._send(close, 0)

    async def close(self, close: float, *, age_s: float = 0.0) -> None:
        """A bar that has just closed."""
        await self._send(close, time.time_ns() - int(age_s * 1e9))

    async def _send(self, close: float, received_ns: int) -> None:
        await self.bus.send(BarClosed("bitget", SYMBOL, "1m", bar(self.rows, close), received_ns))
        self.rows += 1

    async def start(self) -> RunnerService:
        bus = self.bus.peer("runner/alpha")
        recorded = {"runner": {"record": str(self.record)}} if self.record else {}
        self.runner = RunnerService(settings=settings(**{**self.changes, **recorded}), bus=bus)
        await self.runner.initialize()
        await self.runner.start()
        await eventually(lambda: self.bot.ready, what="the runner's readiness")
        return self.runner

    async def kill(self) -> None:
        """End the process as a crash would: nothing is saved; only the lease is gone, as after its time."""
        assert self.bot._lease is not None
        await self.bot._lease.release()
        await self.bot.shutdown()
        self.runner = None

    async def fill(self, side: Side, size: str, price: str, role: Role = Role.ENTRY) -> None:
        self.trades += 1
        await self.bus.send(
            Fill(
                trade_id=TradeId(f"t{self.trades}"),
                order_id=OrderId(f"o{self.trades}"),
                client_id=ClientId(f"c{self.trades}"),
                bot=BotName(BOT),
                venue=VenueName("bitget"),
                account=AccountName("main"),
                symbol=Symbol(SYMBOL),
                side=side,
                price=Decimal(price),
                size=Decimal(size),
                fee=Decimal("0.1"),
                fee_coin="USDT",
                role=role,
                ts_ns=self.rows * MINUTE_NS,
            )
        )

    async def command(
        self, verb: Verb, *, target: str = BOT, command_id: str = "", deadline_ns: int = 0, **params: str
    ) -> None:
        name = command_id or f"{verb}-{target}"
        await self.bus.send(Command(name, verb, target, "alice", "test", dict(params)), deadline_ns=deadline_ns)

    async def decisions(self) -> list[DecisionMade]:
        found = await self.bus.history(self.bus.topics.decisions())
        return [item.envelope.data for item in found if isinstance(item.envelope.data, DecisionMade)]

    async def intents(self) -> list[Intent]:
        topics = self.bus.topics
        lanes = [topics.intents("bitget", "main", high=high) for high in (True, False)]
        found = [item.envelope for lane in lanes for item in await self.bus.history(lane)]
        return [made.data for made in sorted(found, key=lambda made: made.id) if isinstance(made.data, Intent)]

    async def answers(self) -> list[CommandResult]:
        found = await self.bus.history(self.bus.topics.control_results())
        return [item.envelope.data for item in found if isinstance(item.envelope.data, CommandResult)]

    async def decided(self, count: int) -> list[DecisionMade]:
        """Wait for so many decisions on the bus."""
        end = time.monotonic() + 60
        while len(made := await self.decisions()) < count:
            assert time.monotonic() < end, f"{len(made)} decisions of {count}"
            await _breathe()
        return made

    async def answered(self, count: int) -> list[CommandResult]:
        """Wait for so many answers to commands."""
        end = time.monotonic() + 60
        while len(made := await self.answers()) < count:
            assert time.monotonic() < end, f"{len(made)} answers of {count}"
            await _breathe()
        return made

    async def status(self) -> BotStatus:
        """Return the next status that the runner sends."""
        async with self.bus.signals(self.bus.topics.bot_status(BOT)) as stream, asyncio.timeout(60):
            await self.bot._status()
            async for received in stream:
                assert isinstance(received.envelope.data, BotStatus)
                return received.envelope.data
        raise AssertionError("the stream ended")


async def _breathe() -> None:
    await asyncio.sleep(0.005)


@pytest.fixture
def make_desk() -> Callable[..., contextlib.AbstractAsyncContextManager[Desk]]:
    """Make a desk with a warm history and a ready runner; `start=False` leaves the runner to the test."""

    @contextlib.asynccontextmanager
    async def make(*, start: bool = True, record: Path | None = None, **changes: Any) -> AsyncIterator[Desk]:
        hub = MemoryHub()
        bus = MemoryBus(source="test/1", hub=hub)
        await bus.start()
        await keep_instrument(bus, BTC)
        desk = Desk(hub, bus, changes, record)
        await desk.history(FALL)
        try:
            if start:
                await desk.start()
            yield desk
        finally:
            if desk.runner is not None:
                await desk.runner.shutdown()
            await bus.close()

    return make


@pytest.fixture
async def desk(make_desk: Callable[..., Any]) -> AsyncIterator[Desk]:
    async with make_desk() as made:
        yield made
