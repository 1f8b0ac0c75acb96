"""Run whole farms in tests: the same composition that `omega up` uses, with processes killed on the way."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from omega.cli.farm import Farm, FarmOptions
from omega.cli.farm.result import result
from omega.config.loader import load

BOTS = ("fib-btc", "trend-eth", "ema-btc", "positions")


def farm_options(home: Path, **changes: Any) -> FarmOptions:
    """Return options for a lock-step farm in `home`, with changes by field name."""
    base: dict[str, Any] = {
        "bots": BOTS,
        "speed": "lockstep",
        "bars": 0,
        "home": home,
        "seed": 7,
        "start": "",
        "data": "",
        "redis_url": "",
        "extra_env": {},
    }
    return FarmOptions(**{**base, **changes})


async def replay(home: Path, bars: int, disturb: dict[int, str] | None = None, **changes: Any) -> dict[str, Any]:
    """Run a farm for so many bars; `disturb` kills the named process with SIGKILL when that many bars are through."""
    farm = Farm(load().settings, farm_options(home, **changes))
    async with farm:
        assert farm.conductor is not None

        def progress(done: int) -> None:
            name = (disturb or {}).get(done)
            pid = farm.processes.children[name].pid if name else 0
            if pid:  # never 0: that would be the process group of the test itself
                os.kill(pid, signal.SIGKILL)

        await asyncio.wait_for(farm.conductor.run(bars, progress), 240)
        await farm.until_ready(set(farm.processes.children))
        return await result(farm)


def essence(outcome: dict[str, Any]) -> list[tuple[str, ...]]:
    """What two runs must have in common: every fill, by what matters about it."""
    keys = ("bot", "symbol", "client_id", "side", "role", "price", "size", "fee", "ts_ns")
    return sorted(tuple(str(fill[key]) for key in keys) for fill in outcome["fills"])
