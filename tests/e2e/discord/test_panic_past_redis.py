"""/panic with the Redis server dead: from a person in Discord to the venue, past the bus, through real processes."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from decimal import Decimal
from typing import Any

import pytest

from omega.cli.farm.redis_server import write_private
from omega.domain import Action, Intent, Side, intent_id
from omega.testing.servers import free_port
from services.simulator.account import AccountSpec
from services.simulator.local import local_simulator
from services.simulator.options import SimulatorOptions

from .conftest import Stage, process

BTC = "BTC-USDT.P"
KEY = "a-long-random-text"


def gateway_env(stage: Stage, server: Any, port: int) -> dict[str, str]:
    return {
        "OMEGA_CONFIG_DIR": str(stage.home / "config"),
        "OMEGA_SECRETS_DIR": str(stage.home / "secrets"),
        "OMEGA_REDIS_URL": stage.redis_url,
        "OMEGA_ENVIRONMENT__INSTANCE": "gateway",
        "OMEGA_MONITORING__PORT": str(port),
        "OMEGA_GATEWAY__REST_URL": server.url,
        "OMEGA_GATEWAY__WS_URL": server.ws_url,
        "OMEGA_GATEWAY__API_KEY": "demo-key",
        "OMEGA_GATEWAY__API_SECRET": "demo-secret",
        "OMEGA_GATEWAY__PASSPHRASE": "demo-pass",
        "OMEGA_GATEWAY__JOURNAL": str(stage.home / "journal.sqlite"),
        "OMEGA_GATEWAY__HALT_FILE": str(stage.home / "HALT"),
    }


async def stepped(server: Any, phase: str = "") -> dict[str, Any]:
    """Let the venue go on by a minute."""

    def post() -> dict[str, Any]:
        request = urllib.request.Request(f"{server.admin_url}/step{phase}", method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    return await asyncio.to_thread(post)


async def until(condition: Any, what: str, within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - it changes in other processes
            await asyncio.sleep(0.05)
    assert condition(), what


@pytest.mark.req("0.28", "1.42")
async def test_panic_with_redis_dead_closes_the_position_at_the_venue(stage: Stage) -> None:
    write_private(stage.home / "secrets" / "gateway__kill_key", KEY)
    options = SimulatorOptions(speed=0, limits=False, warmup=300, accounts=(AccountSpec(usdt=Decimal(200_000)),))
    port = free_port()
    async with local_simulator(options) as server:
        env, log = gateway_env(stage, server, port), stage.home / "gateway.log"
        async with process([sys.executable, "-m", "services.gateway"], env, log):
            bus = await stage.bus("runner/1")
            await stage.start_bot(OMEGA_GATEWAY__KILL_URL=f"http://127.0.0.1:{port}")
            await stage.remote.until(lambda s: s["connected"] == 1 and s["commands"], 40)
            await until(lambda: "ready.gained" in log.read_text(), "the gateway", 40)
            bar = (await bus.history(bus.topics.bar("bitget", BTC, "1m")))[-1].envelope.data.bar
            at = Decimal(str(bar.close))
            stop = (at * Decimal("0.97")).quantize(Decimal("0.1"))
            await bus.send(
                Intent(
                    intent_id("fib-btc", 1, 0), "fib-btc", "bitget", "main", BTC, Action.ENTER, Side.BUY,
                    Decimal("0.01"), bar.ts_ns, at, stop,
                )  # type: ignore[arg-type]
            )  # fmt: skip
            venue = server.exchange.venue
            await until(lambda: any(order.open for order in venue.book.orders.values()), "the entry")
            await stepped(server)
            await until(lambda: venue.book.open_plans, "the position with its stop")

            await stage.stop_redis()
            asked = await stage.remote.act("slash", user="operator", channel="ops", path="panic")
            await stage.logged("one", "degraded", 20)
            await stage.remote.act("click", user="operator", message=asked["message"]["id"], button="PANIC")
            await until((stage.home / "HALT").exists, "the halt")
            await until(lambda: len(venue.book.orders) > 1, "the closing order")
            await stepped(server)
            await until(lambda: not venue.book.open_plans, "the stop gone with its position")
            told = await stage.remote.until(
                lambda s: any("was told **directly**" in m["text"] and not m["ephemeral"] for m in s["messages"]), 40
            )

    [text] = [m["text"] for m in told["messages"] if "was told **directly**" in m["text"] and not m["ephemeral"]]
    assert "confirmed" in text
    assert KEY not in stage.log() + log.read_text()
