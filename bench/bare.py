"""The bare farm: the processes of `latency` and `replay` with nothing in them, as the limit beside both.

A hub publishes a bar, each bot reads it and appends a decision and, now and then, an intent; the hub reads the intents,
appends each to a file, syncs it and posts it to an HTTP server. The next bar goes out when all of that is done. So many
processes, messages, syncs and requests are what the farm makes at least; there is no check, no state, no second reader,
no venue and no ccxt behind them. redis.asyncio, json, aiohttp, uvloop. `bench/bare.py --bots 10 --bars 600 --json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from redis.asyncio import Redis  # noqa: TID251 - the bare client is what we are compared with

from omega.testing.servers import valkey_server

BARS, INTENTS, DECISIONS = "bare:bars", "bare:intents", "bare:decisions"
ONE_IN = 15
"""A bot of the latency bench sends an order on about one bar in so many."""
WARM = 30


async def bot(url: str, number: int) -> None:
    """Decide on every bar."""
    redis = Redis.from_url(url)
    pubsub = redis.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe(BARS)
    await redis.publish(DECISIONS, b"{}")
    async for message in pubsub.listen():
        bar = json.loads(message["data"])
        pipe = redis.pipeline(transaction=False)
        if (bar["n"] * 7 + number * 13) % ONE_IN == 0:
            intent = {"bar": bar["n"], "bot": number, "side": "buy", "size": "0.001", "received": bar["received"]}
            pipe.xadd(INTENTS, {"m": json.dumps(intent)})
        decision = json.dumps({"bar": bar["n"], "bot": number, "price": bar["close"], "why": "nothing"})
        pipe.xadd("bare:record", {"m": decision}, maxlen=10_000, approximate=True)
        pipe.publish(DECISIONS, decision)
        await pipe.execute()


async def venue(listening: int) -> None:
    """Answer every order."""

    async def answer(request: web.Request) -> web.Response:
        await request.json()
        return web.json_response({"code": "00000", "data": {"orderId": "1"}})

    app = web.Application()
    app.router.add_post("/order", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    os.write(listening, f"{port}\n".encode())
    await asyncio.Event().wait()


class Hub:
    """The bare gateway and conductor in one."""

    def __init__(self, redis: Redis, order_url: str, journal: Path, bots: int) -> None:
        self._redis = redis
        self._url = order_url
        self._bots = bots
        self._log = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._decided = 0
        self._open = 0
        self._all = asyncio.Event()
        self.latencies_ms: list[float] = []

    async def run(self, bars: int) -> float:
        """Pass so many bars; return the seconds that they took."""
        await self._redis.xgroup_create(INTENTS, "hub", id="0", mkstream=True)
        pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe(DECISIONS)
        async with aiohttp.ClientSession() as session:
            tasks = [asyncio.create_task(self._count(pubsub)), asyncio.create_task(self._orders(session))]
            while self._decided < self._bots:  # noqa: ASYNC110 - once, until every bot listens
                await asyncio.sleep(0.02)
            began = 0.0
            for number in range(bars + WARM):
                if number == WARM:
                    began = time.perf_counter()
                    self.latencies_ms.clear()
                self._decided = 0
                self._all.clear()
                self._open = sum((number * 7 + other * 13) % ONE_IN == 0 for other in range(self._bots))
                bar = {"n": number, "received": time.time_ns(), "open": 1.0, "high": 2.0, "low": 1.0, "close": 1.5}
                await self._redis.publish(BARS, json.dumps(bar))
                await self._all.wait()
            taken = time.perf_counter() - began
            for task in tasks:
                task.cancel()
        return taken

    def _look(self) -> None:
        if self._decided >= self._bots and self._open <= 0:
            self._all.set()

    async def _count(self, pubsub: Any) -> None:
        async for _ in pubsub.listen():
            self._decided += 1
            self._look()

    async def _orders(self, session: aiohttp.ClientSession) -> None:
        while True:
            reply = await self._redis.xreadgroup("hub", "1", {INTENTS: ">"}, count=64, block=1_000)
            for _, entries in reply or ():
                rows = [json.loads(fields[b"m"]) for _, fields in entries]
                for row in rows:
                    os.write(self._log, json.dumps(row).encode())
                os.fsync(self._log)
                await asyncio.gather(*(self._post(session, row) for row in rows))
                await self._redis.xack(INTENTS, "hub", *(entry_id for entry_id, _ in entries))

    async def _post(self, session: aiohttp.ClientSession, row: dict[str, Any]) -> None:
        self.latencies_ms.append((time.time_ns() - row["received"]) / 1e6)
        async with session.post(self._url, json=row) as answer:
            await answer.json()
        self._open -= 1
        self._look()


def measure(bots: int, bars: int) -> dict[str, Any]:
    """Run the bare farm with so many bots."""
    with valkey_server() as server, tempfile.TemporaryDirectory() as folder:
        me, url = [sys.executable, __file__], server.url
        reading, listening = os.pipe()
        children = [subprocess.Popen([*me, "--role", "venue", "--fd", str(listening)], pass_fds=[listening])]
        os.close(listening)
        try:
            with os.fdopen(reading) as said:
                port = int(said.readline())
            children += [
                subprocess.Popen([*me, "--role", "bot", "--url", url, "--number", str(number)])
                for number in range(bots)
            ]

            async def passed() -> tuple[float, list[float]]:
                hub = Hub(Redis.from_url(url), f"http://127.0.0.1:{port}/order", Path(folder) / "journal", bots)
                return await hub.run(bars), hub.latencies_ms

            taken, latencies = uvloop.run(passed())
        finally:
            for child in children:
                child.kill()
            for child in children:
                child.wait()
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "bots": bots,
        "bars_per_s": round(bars / taken, 1),
        "orders": len(latencies),
        "p50": round(cuts[49], 3),
        "p99": round(cuts[98], 3),
    }


def main() -> None:
    """Measure, or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bots", type=int, default=10, help="processes that decide (default 10)")
    parser.add_argument("--bars", type=int, default=600, help="bars (default 600)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for hidden in ("--role", "--url"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    for hidden in ("--number", "--fd"):
        parser.add_argument(hidden, type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "bot":
        uvloop.run(bot(options.url, options.number))
    elif options.role == "venue":
        uvloop.run(venue(options.fd))
    else:
        found = measure(options.bots, options.bars)
        print(json.dumps(found) if options.json else "\n".join(f"{name:10} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
