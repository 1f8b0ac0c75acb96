"""The farm on its own clock: it trades, obeys, and gets over the death of the gateway and of the Redis server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omega.cli.farm import Farm
from omega.cli.farm.composition import KILL_KEY_FILE, KILL_URL_FILE
from omega.cli.farm.result import result
from omega.config.loader import load
from omega.domain import Intent
from omega.testing.farm import BOTS, farm_options

SPEED = "600"
"""Ten bars a second: fast enough to trade within the test, slow enough that nobody waits for anybody."""
BOT = "ema-btc"


async def until(condition: Callable[[], Any], what: str, *, within_s: float = 30.0) -> None:
    """Wait for something of the farm."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"{what} did not come within {within_s:.0f} s"
        await asyncio.sleep(0.05)


async def killed(farm: Farm, name: str) -> None:
    """Kill a process as a power cut would and wait until it is back and ready."""
    child = farm.processes.children[name]
    before, pid = child.restarts, child.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: child.restarts > before and child.pid not in (0, pid), f"the new {name}")
    await farm.until_ready(set(farm.processes.children) - {"redis"}, within_s=40)


async def command(farm: Farm, verb: str) -> tuple[int, str]:
    """Call `omega bot VERB` as a person does, on the farm's Redis server."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omega.cli", "bot", verb, BOT),
        env={**os.environ, "OMEGA_REDIS_URL": farm.redis_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def kill_switch_past_a_frozen_redis(farm: Farm) -> None:
    """Halt as a person does whom the bus does not answer, with what the run's folder says."""
    home, redis = farm.options.home, farm.processes.children["redis"]
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "omega.cli", "trade", "kill", "--reason", "drill"),
            *("--url", (home / KILL_URL_FILE).read_text().strip()),
            env={**os.environ, "OMEGA_SECRETS_DIR": str((home / KILL_KEY_FILE).parent)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    assert (process.returncode, "confirmed: entries are halted" in said.decode()) == (0, True), said.decode()
    assert (home / "HALT").exists()


async def entries(farm: Farm) -> set[str]:
    """Return the entries that the bot has asked for."""
    trading = farm.settings.trading
    lane = farm.bus.topics.intents(trading.venue, trading.account, high=False)
    sent = [received.envelope.data for received in await farm.bus.history(lane, count=10_000)]
    return {intent.intent_id for intent in sent if isinstance(intent, Intent) and intent.bot == BOT}


async def sound(farm: Farm) -> dict[str, Any]:
    """Ask until the books equal the venue: with a clock that runs, a fill may be on its way at the first question."""
    end = time.monotonic() + 60
    while True:
        told = await farm.ask_gateway("invariants")
        if told["books_equal_venue"] and told["every_position_has_stop"]:
            return told
        assert time.monotonic() < end, told
        await asyncio.sleep(0.2)


@pytest.mark.req("2.122")
@pytest.mark.slow
async def test_running_farm_trades_obeys_and_survives(tmp_path: Path) -> None:
    """One story: trade, pause, resume, kill the gateway, kill Redis, and the books are right."""
    async with Farm(load().settings, farm_options(tmp_path, speed=SPEED)) as farm:
        observer = farm.observer
        assert farm.conductor is None
        await until(lambda: observer.fill_log, "the first fill")

        paused = await command(farm, "pause")
        assert paused[0] == 0, paused[1]
        assert "applied" in paused[1]
        await until(lambda: observer.statuses[BOT].state == "paused", "the paused status")
        before, decided = await entries(farm), observer.bots[BOT].decisions
        await until(lambda: observer.bots[BOT].decisions > decided + 30, "decisions while paused")
        assert await entries(farm) == before
        resumed = await command(farm, "resume")
        assert resumed[0] == 0, resumed[1]
        await until(lambda: observer.statuses[BOT].state == "trading", "the resumed status")

        for name in ("gateway", "redis"):
            await killed(farm, name)
            decided, filled = observer.bots[BOT].decisions, len(observer.fill_log)
            await until(lambda n=decided: observer.bots[BOT].decisions > n + 5, f"decisions after the death of {name}")
            await until(lambda n=filled: len(observer.fill_log) > n, f"a fill after the death of {name}")

        told = await sound(farm)
        outcome = await result(farm)
        await kill_switch_past_a_frozen_redis(farm)

    assert told["duplicate_client_ids"] == 0
    assert told["residuals"] == {}
    fills = Counter((fill.symbol, fill.trade_id) for fill in observer.fill_log)
    assert max(fills.values()) == 1
    assert set(outcome["bots"]) == set(BOTS)
    assert outcome["bots"]["positions"]["intents"] == 0
