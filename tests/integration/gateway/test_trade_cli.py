"""`omega trade` and the kill switch as a person calls them: a gateway on a real Redis, a venue on a real socket."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.testing import commands

from .conftest import RealBench

ROOT = Path(__file__).resolve().parents[3]
BTC = "BTC-USDT.P"
KEY = "kill-me-softly"
HAND = {"symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginMode": "crossed", "marginCoin": "USDT"}


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Omega = Callable[..., Awaitable[Done]]


@pytest.fixture
def omega(real: RealBench, tmp_path: Path) -> Omega:
    async def call(*args: str, **env: str) -> Done:
        whole = {
            **os.environ,
            "OMEGA_CONFIG_DIR": str(ROOT / "config"),
            "PYTHONPATH": str(ROOT),
            "OMEGA_REDIS_URL": real.redis.url,
            **env,
        }
        done = await asyncio.to_thread(commands.omega, args, cwd=tmp_path, env=whole)
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def options() -> dict[str, Any]:
    return {
        "kill_key": KEY,
        "bots": {
            name: {"strategy": "ema_cross", "symbol": BTC, "labels": {"family": "trend"}}
            for name in ("ema-btc", "fib-btc")
        },
    }


async def test_trade_reconcile_adopt_and_budget(real: RealBench, omega: Omega) -> None:
    """A position opened by hand is shown, given to a bot with a stop, and is the bot's from then on."""
    await real.admin("POST", "/orders", {**HAND, "size": "0.02", "side": "buy"})
    await real.step()
    level = str((real.price() * Decimal("0.97")).quantize(Decimal("0.1")))

    seen = await omega("trade", "reconcile")
    refused = await omega("trade", "adopt", BTC, "--bot", "fib-btc", "--reason", "mine", "--yes")
    unasked = await omega("trade", "adopt", BTC, "--bot", "fib-btc", "--stop", level, "--reason", "mine")
    assert real.size("external") == Decimal("0.02")
    adopted = await omega(
        "trade", "adopt", BTC, "--bot", "fib-btc", "--stop", level, "--reason", "mine", "-y", "--json"
    )
    after = await omega("trade", "reconcile", "--json")
    budget = await omega("trade", "budget", "--json")

    assert seen.code == 0, seen.err
    assert "omega trade adopt BTC-USDT.P" in seen.out
    assert (refused.code, "with a stop" in refused.out) == (1, True), refused.err
    assert (unasked.code, "Go on?" in unasked.err) == (2, True), "what moves money asks first"
    assert (adopted.code, adopted.json[-1]["stage"]) == (0, "confirmed"), adopted.err
    [row] = after.json["symbols"]
    assert (row["books"], row["external"], row["residual"]) == ({"fib-btc": "0.02"}, "0", "0")
    assert [(plan.size, str(plan.trigger)) for plan in real.plans()] == [(Decimal("0.02"), level)]
    assert set(budget.json["groups"]) == {"orders", "reads", "market"}


async def test_bot_verbs_by_selector_reach_the_gate_of_every_bot(real: RealBench, omega: Omega) -> None:
    by_label = await omega("bot", "pause", "-l", "strategy=strategic_fibonacci", "--json")
    nobody = await omega("bot", "pause", "-l", "family=nobody")
    both = await omega("bot", "pause", "fib-btc", "--all")

    assert (by_label.code, [one["target"] for one in by_label.json]) == (0, ["fib-btc"]), by_label.err
    assert real.gateway.account.standing.of("fib-btc") == "paused"
    assert real.gateway.account.standing.of("ema-btc") == "trading"
    assert (nobody.code, both.code) == (2, 2)
    assert "strategy=strategic_fibonacci" in nobody.err


@pytest.mark.req("0.28")
async def test_kill_goes_past_a_dead_redis_and_leaves_the_halt_file_where_no_gateway_answers(
    real: RealBench, omega: Omega, tmp_path: Path
) -> None:
    real.redis.kill()
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "gateway__kill_key").write_text(KEY)
    (secrets / "gateway__kill_key").chmod(0o400)
    url = f"http://127.0.0.1:{real.gateway.health.port}"
    killed = await omega("trade", "kill", "--reason", "drill", "--url", url, OMEGA_SECRETS_DIR=str(secrets))
    assert (killed.code, "halted" in killed.out) == (0, True), killed.err
    assert "drill" in real.gateway.account.halt.reason

    nowhere = await omega("bot", "halt", "--kill", "--reason", "drill")
    assert (nowhere.code, "kill_url" in nowhere.err) == (2, True), nowhere.out
    (tmp_path / "var").mkdir()
    by_file = await omega("bot", "halt", "--kill", "--reason", "drill", "--json")
    assert by_file.code == 0, by_file.err
    assert "halt file" in json.loads(by_file.out)["done"][-1]
    assert "drill" in (tmp_path / "var" / "HALT").read_text()
