"""A gateway over a real simulator (HTTP and WebSocket on free ports) and a bus in memory, stepped minute by minute."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omega.bus import MemoryBus, MemoryHub, connect
from omega.bus.redis import RedisBus
from omega.config import Settings
from omega.domain import Action, Intent, Side, intent_id
from omega.testing.servers import ValkeyServer, valkey_server
from services.gateway.service import GatewayService
from services.simulator.account import AccountSpec
from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions
from services.simulator.server import Server

BTC = "BTC-USDT.P"
RICH = AccountSpec(usdt=Decimal(200_000))
SECOND_NS = 1_000_000_000


def settings_for(server: Server, folder: Path, *, bots: Any = None, **gateway: Any) -> Settings:
    return Settings.model_validate(
        {
            "environment": {"name": "dev", "instance": "test"},
            "trading": {"capital": "20000"},
            "monitoring": {"port": 0, "drain_s": 5},
            "runner": {"window": 120},
            "bots": bots or {},
            "gateway": {
                "rest_url": server.url,
                "ws_url": server.ws_url,
                "api_key": "demo-key",
                "api_secret": "demo-secret",
                "passphrase": "demo-pass",
                "journal": str(folder / "gateway.sqlite"),
                "halt_file": str(folder / "HALT"),
                "look_up_s": [0.05, 0.1, 0.2],
                "look_up_every_s": 0.2,
                "reconcile_s": 0.5,
                "lanes": {"orders_per_s": 1000, "reads_per_s": 1000, "market_per_s": 1000, "burst": 1000},
                **gateway,
            },
        }
    )


@dataclass
class Bench:
    """One gateway at work, with everything a test needs to push and to look."""

    server: Server
    hub: MemoryHub
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    service: GatewayService | None = None
    bus: MemoryBus | None = None
    bars: int = 0

    @property
    def gateway(self) -> GatewayService:
        assert self.service is not None
        return self.service

    async def open(self) -> GatewayService:
        self.bus = self.bus or MemoryBus(source="test/1", hub=self.hub)
        own = MemoryBus(source="gateway/test", hub=self.hub)
        self.service = GatewayService(settings=settings_for(self.server, self.folder, **self.options), bus=own)
        await self.service.initialize()
        await self.service.start()
        await self.until(lambda: self.gateway.ready, "ready")
        return self.service

    async def close(self) -> None:
        if self.service is not None:
            await self.service.shutdown()
            self.service = None

    async def until(self, condition: Callable[[], Any], what: str, *, within_s: float = 60.0) -> None:
        import asyncio

        for _ in range(int(within_s / 0.01)):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{what} did not come within {within_s} s: {self.gateway.requests.status()}")

    def subscriptions(self) -> Counter[Any]:
        """What the gateway listens to at the venue now."""
        return Counter(arg for session in self.server.hub._sessions for arg in session.args)

    async def subscribed_again(self, before: Counter[Any], gone: Any) -> None:
        """Wait until a socket that went has a successor with the subscriptions of before."""
        await self.until(lambda: gone not in self.server.hub._sessions, "the end of the old socket")
        await self.until(lambda: self.subscriptions() >= before, "the subscriptions of the new socket")

    def public_session(self) -> Any:
        """The gateway's public socket, as the venue sees it."""
        [public] = [session for session in self.server.hub._sessions if not session.private]
        return public

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.server.admin_url}{path}", json=body) as answer,
        ):
            return await answer.json()

    async def fault(self, what: str, **more: Any) -> Any:
        return await self.admin("POST", "/faults", {"what": what, **more})

    async def step(self, times: int = 1) -> None:
        for _ in range(times):
            told = await self.admin("POST", "/step?phase=orders")
            if not told["published"]:
                await self.settle(int(told["private_seq"]))
                await self.admin("POST", "/step?phase=market")
            await self.settle()

    async def settle(self, frames: int = 0, *intents: str) -> Any:
        assert self.bus is not None
        return await self.bus.ask(
            "gateway", "settle", {"frames": frames, "intents": ",".join(intents)}, within_ns=60 * SECOND_NS
        )

    def price(self, symbol: str = BTC) -> Decimal:
        return self.gateway.account.price(symbol)

    def intent(
        self,
        action: Action = Action.ENTER,
        side: Side = Side.BUY,
        *,
        bot: str = "alpha",
        size: str = "0.01",
        stop: str | None = "auto",
        target: str | None = None,
        symbol: str = BTC,
        **more: Any,
    ) -> Intent:
        self.bars += 1
        price = self.price(symbol)
        away = (Decimal("0.97") if side is Side.BUY else Decimal("1.03")) * price
        level = away.quantize(Decimal("0.1")) if stop == "auto" else Decimal(stop) if stop else None
        return Intent(
            intent_id=intent_id(bot, self.bars, 0),
            bot=bot,
            venue="bitget",
            account="main",
            symbol=symbol,
            action=action,
            side=side,
            size=Decimal(size),
            bar_ts_ns=self.gateway.account.newest_bar_ns.get((symbol, "1m"), 0),
            ref_price=price,
            stop=level if action in {Action.ENTER, Action.TIGHTEN} else None,
            target=Decimal(target) if target else None,
            **more,
        )

    async def send(self, *intents: Intent, **more: Any) -> None:
        assert self.bus is not None
        for intent in intents:
            await self.bus.send(intent, **more)

    async def enter(self, **more: Any) -> Intent:
        """Send an entry, let it be accepted, and let the next minute fill it."""
        intent = self.intent(**more)
        await self.send(intent)
        await self.settle(0, intent.intent_id)
        await self.step()
        return intent

    def order(self, intent: Intent) -> Any:
        return self.gateway.account.journal.by_intent(intent.intent_id)

    def size(self, bot: str = "alpha", symbol: str = BTC) -> Decimal:
        return self.gateway.account.books.book(bot, symbol).size

    async def events(self) -> list[Any]:
        """Return what is on the bus, once all that was journalled is: events leave after the disk has them."""
        assert self.bus is not None
        await self.until(lambda: self.gateway.outbox.clear, "the events on the bus")
        return [item.envelope.data for item in await self.bus.history(self.bus.topics.ledger())]

    async def invariants(self) -> dict[str, Any]:
        assert self.bus is not None
        answer = await self.bus.ask("gateway", "invariants", within_ns=60 * SECOND_NS)
        assert isinstance(answer, dict)
        return answer

    def plans(self) -> list[Any]:
        return list(self.server.exchange.venue.book.open_plans.values())


@pytest.fixture
def make_bench(tmp_path: Path) -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    async def make(*, start: bool = True, **options: Any) -> AsyncIterator[Bench]:
        async with local_simulator(SimulatorOptions(speed=0, limits=False, warmup=300, accounts=(RICH,))) as server:
            bench = Bench(server, MemoryHub(), tmp_path, options)
            try:
                if start:
                    await bench.open()
                yield bench
            finally:
                await bench.close()

    return make


@pytest.fixture
async def bench(make_bench: Callable[..., Any]) -> AsyncIterator[Bench]:
    async with make_bench() as opened:
        yield opened


class RealBench(Bench):
    """The bench over a real server."""

    redis: ValkeyServer

    async def open(self) -> GatewayService:
        if self.bus is None:
            bus: Any = connect(self.redis.url, env="dev", source="test/1")
            await bus.start()
            self.bus = bus
        own: RedisBus = connect(self.redis.url, env="dev", source="gateway/test")
        self.service = GatewayService(settings=settings_for(self.server, self.folder, **self.options), bus=own)
        await self.service.initialize()
        await self.service.start()
        await self.until(lambda: self.gateway.ready, "ready", within_s=20)
        return self.service


@pytest.fixture
def options() -> dict[str, Any]:
    """Further settings of the gateway on a real server; a test file may say others."""
    return {}


@pytest.fixture
async def real(tmp_path: Path, options: dict[str, Any]) -> AsyncIterator[RealBench]:
    exchange = SimulatorOptions(speed=0, limits=False, warmup=300, accounts=(RICH,))
    with valkey_server() as redis:
        async with local_simulator(exchange) as server:
            bench = RealBench(server, MemoryHub(), tmp_path, options)
            bench.redis = redis
            try:
                await bench.open()
                yield bench
            finally:
                if not redis.running:
                    redis.start()
                await bench.close()
                if bench.bus is not None:
                    await bench.bus.close()
