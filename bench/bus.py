"""Messages a second through the bus beside a bare redis.asyncio loop: one server, codec and run. `bench/bus.py --json`.

Jobs, on a server of its own without persistence: publish a quote one by one; in pipelines of 100; consume quotes that
wait; the same for a record (bare XADD; ours also fences, deduplicates and publishes); from publish to decoded; ask and
answer; the codec alone; the bus in memory. Bare and ours take turns, the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

import structlog
from redis.asyncio import Redis  # noqa: TID251 - the bare client is what we are compared with

from omega.bus import DecisionMade, Envelope, MemoryBus, Quote, RedisBus, connect, decode, encode
from omega.domain import Decision, Mode
from omega.testing.servers import valkey_server

Job = Callable[[int], Awaitable[float]]

QUOTE = Quote("bitget", "BTC-USDT.P", 100_000.1, 100_000.2, 100_000.1, 100_000.15, 1_747_699_200_000_000_000)
MADE = Decision(1_747_699_200_000_000_000, 100.0, 1, False, 0.1, 95.0, ((110.0, 1.0),), 2, 0.7, "crossed_up")
RECORD = DecisionMade("xyko", "golden-cross", Mode.PAPER, "BTC-USDT.P", "1m", MADE, ("xyko:1:0",), Decimal("0.01"))
TOPIC = "dev:md:quote:bitget:btc-usdt.p"
BATCH = 100


def envelope(data: Quote | DecisionMade, kind: str) -> Envelope:
    """Wrap a message as the bare loop sends it: the same bytes as ours."""
    ident = "01JVNS4P00A1B2C3D4E5F6G7H8"
    return Envelope(ident, kind, 1, time.time_ns(), "bench/1", 0, 1, ident, "", "bitget/BTC-USDT.P", 0, "", data)


class Bare:
    """What a service would write with redis.asyncio alone, with the farm's codec."""

    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(url)

    async def publish(self, count: int) -> float:
        """Publish signals one by one."""
        began = time.perf_counter()
        for _ in range(count):
            await self.redis.publish(TOPIC, encode(envelope(QUOTE, "md.quote")))
        return count / (time.perf_counter() - began)

    async def publish_pipelined(self, count: int) -> float:
        """Publish signals in batches."""
        began = time.perf_counter()
        for _ in range(count // BATCH):
            pipe = self.redis.pipeline(transaction=False)
            for _ in range(BATCH):
                pipe.publish(TOPIC, encode(envelope(QUOTE, "md.quote")))
            await pipe.execute()
        return count / (time.perf_counter() - began)

    async def append(self, count: int) -> float:
        """Write records one by one."""
        began = time.perf_counter()
        for _ in range(count):
            raw = encode(envelope(RECORD, "decision"))
            await self.redis.xadd("bare", {"m": raw}, maxlen=10_000, approximate=True)
        return count / (time.perf_counter() - began)

    async def append_pipelined(self, count: int) -> float:
        """Write records in batches."""
        began = time.perf_counter()
        for _ in range(count // BATCH):
            pipe = self.redis.pipeline(transaction=False)
            for _ in range(BATCH):
                pipe.xadd("bare", {"m": encode(envelope(RECORD, "decision"))}, maxlen=10_000, approximate=True)
            await pipe.execute()
        return count / (time.perf_counter() - began)

    async def consume(self, count: int) -> float:
        """Read signals that wait already."""
        pubsub = self.redis.pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe("bench:consume")
        await pubsub.get_message(timeout=1)
        await _flood(self.redis, "bench:consume", encode(envelope(QUOTE, "md.quote")), count)
        began = time.perf_counter()
        left = count
        while left:
            message = await pubsub.get_message(timeout=1)
            if message is not None:
                decode(message["data"])
                left -= 1
        taken = time.perf_counter() - began
        await pubsub.aclose()
        return count / taken

    async def latency(self, count: int) -> float:
        """Return the median time from publish to decoded, in microseconds."""
        pubsub = self.redis.pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe("bench:latency")
        await pubsub.get_message(timeout=1)
        times = []
        for _ in range(count):
            began = time.perf_counter()
            await self.redis.publish("bench:latency", encode(envelope(QUOTE, "md.quote")))
            while (message := await pubsub.get_message(timeout=1)) is None:
                pass
            decode(message["data"])
            times.append(time.perf_counter() - began)
        await pubsub.aclose()
        return statistics.median(times) * 1e6


class Ours:
    """The same jobs through the bus."""

    def __init__(self, bus: RedisBus) -> None:
        self.bus = bus

    async def publish(self, count: int) -> float:
        """Publish signals one by one."""
        began = time.perf_counter()
        for _ in range(count):
            await self.bus.send(QUOTE)
        return count / (time.perf_counter() - began)

    async def publish_pipelined(self, count: int) -> float:
        """Publish signals in batches."""
        batch = [QUOTE] * BATCH
        began = time.perf_counter()
        for _ in range(count // BATCH):
            await self.bus.send_many(batch)
        return count / (time.perf_counter() - began)

    async def append(self, count: int) -> float:
        """Write records one by one."""
        began = time.perf_counter()
        for _ in range(count):
            await self.bus.send(RECORD)
        return count / (time.perf_counter() - began)

    async def append_pipelined(self, count: int) -> float:
        """Write records in batches."""
        batch = [RECORD] * BATCH
        began = time.perf_counter()
        for _ in range(count // BATCH):
            await self.bus.send_many(batch)
        return count / (time.perf_counter() - began)

    async def consume(self, count: int) -> float:
        """Read signals that wait already."""
        async with self.bus.follow("bench:consume") as feed:
            await _flood(self.bus.redis, "bench:consume", encode(envelope(QUOTE, "md.quote")), count)
            began = time.perf_counter()
            for _ in range(count):
                await anext(feed)
            return count / (time.perf_counter() - began)

    async def latency(self, count: int) -> float:
        """Return the median time from send to decoded, in microseconds."""
        times = []
        async with self.bus.follow(self.bus.topics.of(QUOTE)[0]) as feed:
            for _ in range(count):
                began = time.perf_counter()
                await self.bus.send(QUOTE)
                await anext(feed)
                times.append(time.perf_counter() - began)
        return statistics.median(times) * 1e6

    async def ask(self, count: int) -> float:
        """Ask and be answered, one by one."""
        serving = asyncio.ensure_future(self.bus.serve("bench", _answer))
        began = time.perf_counter()
        for _ in range(count):
            await self.bus.ask("bench", "echo", within_ns=1_000_000_000)
        taken = time.perf_counter() - began
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return count / taken


async def memory(count: int) -> float:
    """Send and read one by one through the bus in memory."""
    bus = MemoryBus()
    async with bus.follow(TOPIC) as feed:
        began = time.perf_counter()
        for _ in range(count):
            await bus.send(QUOTE)
            await anext(feed)
        return count / (time.perf_counter() - began)


def codec(count: int) -> dict[str, float]:
    """Return microseconds to write and to read an envelope."""
    wrapped = envelope(QUOTE, "md.quote")
    raw = encode(wrapped)
    began = time.perf_counter()
    for _ in range(count):
        encode(wrapped)
    middle = time.perf_counter()
    for _ in range(count):
        decode(raw)
    ended = time.perf_counter()
    return {"encode_us": (middle - began) / count * 1e6, "decode_us": (ended - middle) / count * 1e6, "bytes": len(raw)}


async def run(url: str, *, count: int, rounds: int) -> dict[str, object]:
    """Run every job in turns and return medians and ratios; a ratio above 1 is in our favour, also for the latency."""
    bus = connect(url, env="dev", source="bench/1")
    await bus.start()
    bare, ours = Bare(url), Ours(bus)
    results: dict[str, dict[str, float]] = {}
    for name in ("publish", "publish_pipelined", "consume", "append", "append_pipelined", "latency"):
        taken: dict[str, list[float]] = {"bare": [], "ours": []}
        for _ in range(rounds):
            taken["bare"].append(await getattr(bare, name)(count))
            taken["ours"].append(await getattr(ours, name)(count))
        row = {side: statistics.median(values) for side, values in taken.items()}
        row["ratio"] = row["bare"] / row["ours"] if name == "latency" else row["ours"] / row["bare"]
        results[name] = row
    asked = await ours.ask(max(200, count // 10))
    await bus.close()
    await bare.redis.aclose()
    return {
        "python": platform.python_version(),
        "count": count,
        "rounds": rounds,
        "per_second": results,
        "ask_per_second": asked,
        "memory_per_second": await memory(count),
        "codec": codec(count),
    }


async def _answer(method: str, _: object) -> object:
    return method


async def _flood(redis: Redis, topic: str, raw: bytes, count: int) -> None:
    for start in range(0, count, 1_000):
        pipe = redis.pipeline(transaction=False)
        for _ in range(min(1_000, count - start)):
            pipe.publish(topic, raw)
        await pipe.execute()


def main() -> None:
    """Start a server, measure, print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with valkey_server({"appendonly": "no"}) as server:
        result = asyncio.run(run(server.url, count=arguments.count, rounds=arguments.rounds))
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'job':20}{'bare':>12}{'ours':>12}{'ratio':>8}")
    for name, row in result["per_second"].items():  # type: ignore[attr-defined]
        unit = " us" if name == "latency" else "/s"
        print(f"{name:20}{row['bare']:>10,.0f}{unit}{row['ours']:>10,.0f}{unit}{row['ratio']:>8.2f}")
    print(
        f"ask {result['ask_per_second']:,.0f}/s; memory {result['memory_per_second']:,.0f}/s; codec {result['codec']}"
    )


if __name__ == "__main__":
    main()
