"""The conductor: two phases a bar, the gateway settled in between, no step made twice when somebody dies."""

from __future__ import annotations

from typing import Any

import pytest

from omega.cli.farm import conductor as module
from omega.cli.farm.conductor import Conductor
from omega.errors import EnvironmentFault, TransientError

MINUTE_MS = 60_000
MINUTE_NS = 60_000_000_000


class Exchange:
    """A simulator's admin port with so many minutes left, which may fail on the way."""

    def __init__(self, log: list[str], *, remaining: int, private: bool = False) -> None:
        self.log, self.remaining, self.private = log, remaining, private
        self.ts = 10 * MINUTE_MS
        self.failures: list[str] = []

    async def call(self, method: str, path: str) -> dict[str, Any]:
        self.log.append(f"{method} {path}")
        if self.failures and self.failures[0] in path:
            self.failures.pop(0)
            raise TransientError("connection refused")
        if path.startswith("/step?phase=orders"):
            self.ts += MINUTE_MS
            self.remaining -= 1
        published = not self.private or "phase=market" in path
        return {"ts": self.ts, "remaining": self.remaining, "private_seq": 7, "published": published}

    async def close(self) -> None:
        """Nothing to close."""


class Bots:
    """Bots that decide at once."""

    def __init__(self, log: list[str], *intents: str, silent: bool = False) -> None:
        self.log, self.intents, self.silent = log, intents, silent

    async def decided(self, bar_ts_ns: int, *, within_s: float) -> dict[str, tuple[str, ...]] | None:
        assert within_s > 0
        self.log.append(f"decided {bar_ts_ns // MINUTE_NS}")
        return None if self.silent else {"a": self.intents}

    def missing(self, bar_ts_ns: int) -> list[str]:
        assert bar_ts_ns
        return ["a"]


class Gateway:
    """The bus as far as the conductor uses it."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def ask(self, service: str, method: str, params: dict[str, Any], *, within_ns: int) -> object:
        assert within_ns > 0
        self.log.append(f"{service} {method} frames={params['frames']} intents={params['intents']}")
        return {}


def conduct(log: list[str], exchange: Exchange, bots: Bots) -> Conductor:
    async def recovered() -> None:
        log.append("recovered")

    return Conductor(
        Gateway(log),  # type: ignore[arg-type]
        bots,  # type: ignore[arg-type]
        exchange,  # type: ignore[arg-type]
        timeframe_ns=MINUTE_NS,
        recovered=recovered,
    )


async def test_conductor_quiet_bar_needs_one_phase() -> None:
    log: list[str] = []
    done: list[int] = []

    await conduct(log, Exchange(log, remaining=9), Bots(log)).run(1, done.append)

    assert log == ["GET /clock", f"POST /step?phase=orders&after={10 * MINUTE_MS}", "decided 10"]
    assert done == [1]


async def test_conductor_private_frames_and_intents_are_settled() -> None:
    """First what the orders phase did, then the market, then what the bots sent."""
    log: list[str] = []

    await conduct(log, Exchange(log, remaining=9, private=True), Bots(log, "i1", "i2")).run(1, lambda _: None)

    assert log == [
        "GET /clock",
        f"POST /step?phase=orders&after={10 * MINUTE_MS}",
        "gateway settle frames=7 intents=",
        f"POST /step?phase=market&after={10 * MINUTE_MS}",
        "decided 10",
        "gateway settle frames=0 intents=i1,i2",
    ]


async def test_conductor_market_that_ends_ends_the_run() -> None:
    log: list[str] = []
    one = conduct(log, Exchange(log, remaining=2), Bots(log))

    await one.run(100, lambda _: None)

    assert one.bars == 2


async def test_conductor_dead_simulator_is_asked_again_for_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """`after` names the instant before the step, so that one which was applied is not made twice."""
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    log: list[str] = []
    exchange = Exchange(log, remaining=9)
    exchange.failures = ["phase=orders", "phase=orders"]

    await conduct(log, exchange, Bots(log)).run(1, lambda _: None)

    step = f"POST /step?phase=orders&after={10 * MINUTE_MS}"
    assert log == ["GET /clock", step, "recovered", step, "recovered", step, "decided 10"]


async def test_conductor_patience_ends_and_names_who_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    log: list[str] = []
    exchange = Exchange(log, remaining=9)
    exchange.failures = ["/clock"] * 5

    with pytest.raises(EnvironmentFault, match=r"clock did not answer .*connection refused"):
        await conduct(log, exchange, Bots(log)).run(1, lambda _: None)


async def test_conductor_bot_that_never_decides_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    log: list[str] = []

    with pytest.raises(EnvironmentFault, match="no decision from a"):
        await conduct(log, Exchange(log, remaining=9), Bots(log, silent=True)).run(1, lambda _: None)
