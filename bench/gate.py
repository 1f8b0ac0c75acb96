"""The gateway's order path with 50 bots on one account and 5 symbols: time an intent, a burst, a day's memory.

The whole service runs (gate, journal with its fsync, stops, outbox) over a venue in memory and a Redis server of its
own. 2,880 bars are 48 simulated hours: some rules remember a day, so memory is judged over the second one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import tempfile
import time
from array import array
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from omega.bus import Bus, Envelope, connect
from omega.config import Settings
from omega.domain import Action, Bar, Instrument, Intent, Kind, OrderState, Side, client_id, intent_id
from omega.plugins import venue
from omega.testing.servers import valkey_server
from services.gateway.memory_venue import MemoryVenue
from services.gateway.service import GatewayService
from services.gateway.venue import VenueOptions

COINS = {"BTC": 100_000, "ETH": 4_000, "SOL": 200, "XRP": 2, "ADA": 1}
SYMBOLS = tuple(f"{coin}-USDT.P" for coin in COINS)
BOTS = {f"bot-{n:02d}": SYMBOLS[n % 5] for n in range(50)}
MINUTE_NS = 60_000_000_000
BURST = 40
WARM = 60
NOTIONAL = 500
STEPS = {
    symbol: Instrument(
        symbol, "memory", symbol, coin, "USDT", Kind.SWAP, *map(Decimal, ("0.0001", "0.0001", "0.0001", "5")), 50,
        Decimal("0.0002"), Decimal("0.0006"),
    )  # type: ignore[arg-type]
    for symbol, coin in zip(SYMBOLS, COINS, strict=True)
}  # fmt: skip


@venue("memory")
class Bench(MemoryVenue):
    """The venue in memory with five symbols."""

    def __init__(self, _: VenueOptions) -> None:
        prices = {symbol: Decimal(price) for symbol, price in zip(SYMBOLS, COINS.values(), strict=True)}
        super().__init__(STEPS, prices, money=Decimal(10_000_000))
        for minute in range(WARM):
            for symbol, price in prices.items():
                self.bar(symbol, "1m", _bar(minute, float(price)))


def _bar(minute: int, price: float) -> Bar:
    return Bar(minute * MINUTE_NS, price, price, price, price, 1.0)


def settings(folder: Path) -> Settings:
    """Return limits in every scope: the gate has all of its work to do."""
    fast = {"orders_per_s": 100_000, "reads_per_s": 100_000, "market_per_s": 100_000, "burst": 100_000}
    both = {"gross_notional": 200_000, "net_notional": 150_000}
    return Settings.model_validate(
        {
            "trading": {"venue": "memory", "capital": "20000", "max_notional": "5000000"},
            "monitoring": {"port": 0},
            "runner": {"window": 60},
            "bots": {name: {"strategy": "ema_cross", "symbol": symbol} for name, symbol in BOTS.items()},
            "risk": {
                "limits": {
                    "fleet": both,
                    "venue": both,
                    "account": {**both, "leverage": 3, "concentration_pct": 50, "correlated_notional": 150_000,
                                "drawdown_pct": 50, "liquidation_distance_pct": 5, "orders_per_minute": 5_000},
                    "family": {"*": both},
                    "bot": {"*": {**both, "drawdown_pct": 50, "orders_per_minute": 100}},
                    "symbol": {"*": both},
                },
                "protections": {"*": {"stoploss_guard": {}, "low_profit": {"required_pct": -99}, "max_drawdown": {}}},
            },
            "gateway": {
                "api_key": "k", "api_secret": "s", "passphrase": "p", "symbols": list(SYMBOLS), "lanes": fast,
                "journal": str(folder / "journal.sqlite"), "halt_file": str(folder / "HALT"), "reconcile_s": 10,
            },
        }
    )  # fmt: skip


class Day:
    """The bots of one account through a day."""

    def __init__(self, service: GatewayService, bus: Bus) -> None:
        self.service, self.bus = service, bus
        self.venue: Any = service.account.venue
        self.minute, self.number = WARM, 0
        self.times = array("d")  # eight bytes each: the bench must not be what grows
        self.work = array("d")

    def intents(self, count: int) -> list[Intent]:
        """Form one intent each of the next bots in turn: an exit of those that hold, an entry of the others."""
        names, found = list(BOTS), []
        for _ in range(count):
            bot = names[self.number % len(names)]
            self.number += 1
            found.append(self.intent(bot))
        return found

    def intent(self, bot: str) -> Intent:
        """Form the next intent of a bot."""
        symbol, held = BOTS[bot], self.service.account.books.book(bot, BOTS[bot]).size
        price = self.venue.prices[symbol]
        side = (Side.SELL if held > 0 else Side.BUY) if held else Side.BUY if int(bot[-2:]) % 2 else Side.SELL
        size = abs(held) or STEPS[symbol].size(NOTIONAL / price)
        return Intent(
            intent_id(bot, self.minute, self.number), bot, "memory", "main", symbol,
            Action.EXIT if held else Action.ENTER, side, size, (self.minute - 1) * MINUTE_NS, price,
            stop=None if held else STEPS[symbol].price(price * (1 - Decimal("0.05") * side.sign)),
        )  # type: ignore[arg-type]  # fmt: skip

    async def bar(self) -> None:
        """Close a bar in every symbol; prices wander a little."""
        for symbol, price in zip(SYMBOLS, COINS.values(), strict=True):
            self.venue.bar(symbol, "1m", _bar(self.minute, price * (1 + 0.01 * ((self.minute * 7919) % 101 - 50) / 50)))
        self.minute += 1
        await asyncio.sleep(0)

    async def settle(self) -> None:
        """Let what was sent arrive, fill it, and wait until nothing is in hand."""
        await self.service.path.drain()
        self.venue.fill()
        await self.bus.ask("gateway", "settle", {"frames": self.venue._frames}, within_ns=60_000_000_000)  # noqa: SLF001

    async def one_by_one(self, intents: list[Intent]) -> None:
        """Judge and journal each intent alone, and time it: one gate, one transaction, one fsync."""
        for intent in intents:
            envelope = Envelope("b", "intent", 1, 0, "bench", 0, 1, "", "", intent.bot, 0, "", intent)
            began, worked = time.perf_counter(), time.process_time()
            self.service.path.accept([(envelope, intent)])
            self.times.append(time.perf_counter() - began)
            self.work.append(time.process_time() - worked)
            await asyncio.sleep(0)

    async def burst(self) -> float:
        """Send 40 intents over the bus at once; return the seconds until each has an outcome at the venue."""
        intents = self.intents(BURST)
        journal = self.service.account.journal
        began = time.perf_counter()
        await self.bus.send_many(intents)
        waiting = {client_id(intent.intent_id) for intent in intents}
        early = {None, OrderState.INTENT, OrderState.SENDING}
        while waiting:
            await asyncio.sleep(0.001)
            waiting = {n for n in waiting if (o := journal.order(n)) is None or o.state in early}
        taken = time.perf_counter() - began
        await self.settle()
        return taken


def spread(seconds: Iterable[float]) -> dict[str, float]:
    """Return median, 99th percentile and most, in milliseconds."""
    times = sorted(value * 1e3 for value in seconds)
    rows = {"p50": statistics.median(times), "p99": times[int(len(times) * 0.99)], "max": times[-1]}
    return {name: round(value, 3) for name, value in rows.items()}


def rss_mb() -> float:
    """Return the memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def run(url: str, *, bars: int, intents: int) -> dict[str, Any]:
    """Run the day and return the figures."""
    with tempfile.TemporaryDirectory(prefix="omega-gate-") as folder:
        own = connect(url, env="dev", source="gateway/bench")
        bus = connect(url, env="dev", source="bench/1")
        await bus.start()
        service = GatewayService(settings=settings(Path(folder)), bus=own)
        await service.initialize()
        await service.start()
        day = Day(service, bus)
        memory, bursts = list[float](), list[float]()
        began = time.perf_counter()
        for number in range(bars):
            await day.bar()
            if number % max(bars // 20, 2) == 1:
                bursts.append(await day.burst())
            else:
                await day.one_by_one(day.intents(intents))
                await day.settle()
            if number in {bars // 10, bars // 2, bars - 1}:
                memory.append(rss_mb())
        elapsed = time.perf_counter() - began
        counts = service.account.journal.counts()
        size = (Path(folder) / "journal.sqlite").stat().st_size / 1e6
        latches = [latch.reason for latch in service.account.halt.latches]
        await service.shutdown()
        await bus.close()
    return {
        "bots": len(BOTS),
        "symbols": len(SYMBOLS),
        "bars": bars,
        "intents": day.number,
        "orders_by_state": counts,
        "risk_and_journal_ms": spread(day.times),
        "of_it_processor_ms": spread(day.work),
        "burst_of_40_s": {"p50": round(statistics.median(bursts), 3), "max": round(max(bursts), 3)},
        "rss_mb": dict(zip(("after a tenth", "after half", "end"), (round(value, 1) for value in memory), strict=True)),
        "journal_mb": round(size, 1),
        "halts": latches,
        "load": [round(value, 1) for value in os.getloadavg()],
        "elapsed_s": round(elapsed, 1),
    }


def main() -> None:
    """Start a server, run a day, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    parser.add_argument("--bars", type=int, default=2_880, help="simulated minutes (default 2880: two days)")
    parser.add_argument("--intents", type=int, default=10, help="intents a bar (default 10)")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with valkey_server({"appendonly": "no"}) as server:
        print(json.dumps(asyncio.run(run(server.url, bars=arguments.bars, intents=arguments.intents)), indent=2))


if __name__ == "__main__":
    main()
