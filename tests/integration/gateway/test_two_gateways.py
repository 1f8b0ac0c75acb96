"""Two gateways, two accounts, one Redis server, one fleet limit: no interleaving of their entries breaks it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import RedisBus, connect
from omega.config import Settings
from omega.domain import Action, Intent, OrderState, Side, intent_id
from omega.testing.servers import valkey_server
from services.gateway.service import GatewayService
from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions

from .conftest import BTC, RICH, settings_for

ACCOUNTS = ("main", "second")
BOTS = {f"{account}-{n}": account for account in ACCOUNTS for n in range(10)}
SIZE = Decimal("0.001")
ROUNDS = 3


def settings(server: Any, folder: Path, account: str) -> Settings:
    """A gateway's settings: one of two accounts with ten bots each, no limit yet."""
    bots = {name: {"strategy": "ema_cross", "symbol": BTC} for name in BOTS}
    base = settings_for(server, folder / account, bots=bots)
    trading = base.trading.model_copy(update={"account": account, "max_notional": Decimal(100_000)})
    return base.model_copy(update={"trading": trading, "risk": risk(base, Decimal(100_000))})


def risk(base: Settings, limit: Decimal) -> Any:
    """A fleet limit that both accounts have together."""
    given = {
        "accounts": [f"bitget/{name}" for name in ACCOUNTS],
        "limits": {"fleet": {"gross_notional": str(limit)}},
        "fleet_stale_s": 60,
    }
    return type(base.risk).model_validate(given)


async def limited(service: GatewayService, limit: Decimal) -> None:
    """Set the fleet's limit as a new configuration does."""
    old = service.account.settings
    await service.on_config(old, old.model_copy(update={"risk": risk(old, limit)}))


class Pair:
    """Both gateways at work."""

    def __init__(self, bus: RedisBus, gateways: dict[str, GatewayService]) -> None:
        self.bus, self.gateways, self.bars = bus, gateways, 0

    def entry(self, bot: str) -> Intent:
        account = BOTS[bot]
        price = self.gateways[account].account.price(BTC)
        bar_ns = self.gateways[account].account.newest_bar_ns[BTC, "1m"]
        stop = (price * Decimal("0.97")).quantize(Decimal("0.1"))
        return Intent(
            intent_id(bot, self.bars, 0), bot, "bitget", account, BTC, Action.ENTER, Side.BUY, SIZE, bar_ns, price, stop
        )  # type: ignore[arg-type]

    async def rush(self) -> dict[str, list[OrderState]]:
        """Send one entry of every bot to both gateways at once; return what became of them, by account."""
        self.bars += 1
        intents = [self.entry(bot) for bot in BOTS]
        await asyncio.gather(*(self.bus.send(intent) for intent in intents))
        found: dict[str, list[OrderState]] = {}
        for name, service in self.gateways.items():
            mine = [intent.intent_id for intent in intents if intent.account == name]
            orders = [await outcome(service, intent) for intent in mine]
            found[name] = [order.state for order in orders]
        return found

    def used(self) -> Decimal:
        """What the fleet has at stake, held and reserved, as each gate has it."""
        gates = [service.account.risk for service in self.gateways.values()]
        return sum((use.gross for gate in gates for use in gate.shared()), Decimal(0))


async def outcome(service: GatewayService, intent_id: str) -> Any:
    async with asyncio.timeout(20):
        while (order := service.account.journal.by_intent(intent_id)) is None:  # noqa: ASYNC110 - a journal is asked
            await asyncio.sleep(0.01)
    return order


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with contextlib.AsyncExitStack() as stack:
        redis = stack.enter_context(valkey_server())
        bus = connect(redis.url, env="dev", source="test/1")
        await bus.start()
        stack.push_async_callback(bus.close)
        gateways: dict[str, GatewayService] = {}
        for account in ACCOUNTS:
            options = SimulatorOptions(speed=0, limits=False, warmup=300, accounts=(RICH,))
            server = await stack.enter_async_context(local_simulator(options))
            made = settings(server, tmp_path, account)
            own = connect(redis.url, env="dev", source=f"gateway/{account}")
            service = gateways[account] = GatewayService(settings=made, bus=own)
            await service.initialize()
            await service.start()
            stack.push_async_callback(service.shutdown)
        await until(lambda: all(service.ready for service in gateways.values()))
        await until(lambda: all(heard(service) for service in gateways.values()))
        yield Pair(bus, gateways)


def heard(service: GatewayService) -> bool:
    """Tell whether a gateway knows a price and has heard the other one."""
    account = service.account
    return bool(account.price(BTC)) and not account.risk.stale(time.monotonic())


async def until(condition: Any, within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - it changes in other tasks
            await asyncio.sleep(0.02)


@pytest.mark.req("4.68")
async def test_two_gateways_never_take_the_fleet_beyond_its_limit_together(pair: Pair) -> None:
    price = max(service.account.price(BTC) for service in pair.gateways.values())
    limit = price * SIZE * Decimal("8.2")
    for service in pair.gateways.values():
        await limited(service, limit)
    first = await pair.rush()
    for _ in range(ROUNDS):
        assert pair.used() <= limit
        await pair.rush()

    for name, states in first.items():
        sent = [state for state in states if state is not OrderState.DENIED]
        assert len(sent) == 4, f"{name} admits its share, four of eight, and no less: {states}"
    assert pair.used() <= limit
