"""`omega risk` against a farm of real processes: look, ask, change, halt, release; a killed gateway forgets nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omega.cli.farm import Farm
from omega.config.loader import load
from omega.testing.farm import farm_options

Omega = Callable[..., subprocess.CompletedProcess[str]]
FINE, FINDING, USAGE, ENVIRONMENT = 0, 1, 2, 3


@pytest.mark.req("4.68", "4.69")
async def test_risk_from_the_command_line_over_a_killed_gateway(omega: Omega, tmp_path: Path) -> None:
    calm = {"OMEGA_GATEWAY__STALE_S": "3600"}  # a replay that stands still while we look is not stale
    options = farm_options(tmp_path / "home", bots=("fib-btc",), extra_env=calm)
    async with Farm(load().settings, options) as farm:
        assert farm.conductor is not None
        await asyncio.wait_for(farm.conductor.run(5, lambda _done: None), 120)

        async def call(*words: str) -> tuple[int, Any]:
            done = await asyncio.to_thread(omega, "risk", *words, "--json", OMEGA_REDIS_URL=farm.redis_url)
            return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr

        async def what_if(size: str) -> tuple[int, list[str]]:
            code, found = await call("what-if", "fib-btc", "--size", size)
            return code, [finding["rule"] for finding in found["findings"]]

        limit = ("limit", "gross_notional", "500", "--scope", "bot", "--name", "fib-btc", "--reason", "drill")
        code, found = await call(*limit, "--until", "1h")
        assert (code, found["results"][0]["stage"]) == (FINE, "confirmed")
        assert (await call("halt", "--scope", "bot", "--name", "fib-btc", "--reason", "drill"))[0] == FINE

        child = farm.processes.children["gateway"]
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.wait_for(farm.conductor.run(3, lambda _done: None), 120)
        await farm.until_ready({"gateway"})

        assert await what_if("0.01") == (FINDING, ["halt", "gross_notional"])
        code, shown = await call("show")
        assert code == FINE
        assert [(h["scope"], h["name"], h["level"]) for h in shown["halts"]] == [("bot", "fib-btc", "reduce_only")]
        assert [(c["measure"], c["levels"], c["reason"]) for c in shown["changes"]] == [
            ("gross_notional", "block 500", "drill")
        ]
        release = ("release", "--scope", "bot", "--name", "fib-btc")
        assert (await call(*release, "--reason", "looked"))[0] == FINE
        code, room = await call("headroom", "--bot", "fib-btc")
        assert code == FINE, room
        assert 400 < float(room["notional"]) <= 500
        assert "drill" in room["bounded_by"]


def test_risk_without_a_farm_and_with_wrong_words_says_so(omega: Omega) -> None:
    wrong = omega("risk", "halt", "--scope", "moon", "--reason", "x")
    free = omega("risk", "release")
    past = omega("risk", "limit", "leverage", "2", "--reason", "x", "--until", "2020-01-01")
    away = omega("risk", "show", OMEGA_REDIS_URL="redis://127.0.0.1:1/0")

    codes = [done.returncode for done in (wrong, free, past, away)]
    assert codes == [USAGE, USAGE, USAGE, ENVIRONMENT]
    assert "--reason" in free.stderr
    assert "fleet, venue, account" in wrong.stderr
    assert "has passed already" in past.stderr
