"""The ledger at size: records in, rebuild, and the queries that people ask, on SQLite and PostgreSQL.

A generated farm (bots that enter, leave, pay funding, move stops) is written through the real sink in batches of the
default size; making the records is not in the time. Queries are timed at the full size: the median of seven.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import text

from omega.bus.codec import decode, encode, format_of
from omega.bus.envelope import Envelope
from omega.bus.messages import DecisionMade, FundingPaid, Message, OrderEvent, StopEvent, StopState
from omega.bus.port import Received
from omega.bus.topics import Topics
from omega.domain import (
    MINUTE_NS,
    Action,
    AuditEntry,
    Decision,
    Fill,
    Intent,
    Mode,
    OrderState,
    Role,
    Side,
    client_id,
    intent_id,
)
from omega.storage import queries
from omega.storage.engine import Database
from omega.storage.ledger.balance import balances
from omega.storage.ledger.rebuild import rebuild
from omega.storage.ledger.sink import Sink
from omega.storage.ledger.verify import verify
from omega.storage.migrations import upgrade
from omega.testing.databases import postgres, postgres_bin

START_NS = 1_735_689_600_000_000_000
BOTS = 20
BATCH = 1_000
ROUNDS = 7
TOPICS = Topics("dev")
SYMBOLS = ("BTC-USDT.P", "ETH-USDT.P")


def farm(seed: int = 7) -> Iterator[tuple[int, Message, str]]:
    """Yield time, message and correlation of every record of a farm, for ever."""
    generator = Random(seed)  # noqa: S311 - a made-up market
    sizes = dict.fromkeys(range(BOTS), Decimal(0))
    trade = count(1)
    for bar in count():
        for number in range(BOTS):
            yield from _bar(f"bot-{number:02d}", number, bar, generator, sizes, trade)


def _bar(
    bot: str, number: int, bar: int, generator: Random, sizes: dict[int, Decimal], trade: Iterator[int]
) -> Iterator[tuple[int, Message, str]]:
    ts_ns = START_NS + bar * MINUTE_NS
    close_ns, symbol = ts_ns + MINUTE_NS, SYMBOLS[number % 2]
    price = round((60_000 if number % 2 == 0 else 3_000) * (1 + 0.02 * generator.uniform(-1, 1)), 1)
    acts = generator.random() < 0.12
    name = intent_id(bot, ts_ns, 0)
    corr = f"{bot}-{bar}"
    audit = (AuditEntry("sizing", "size", 0.0213, 0.02, "risk per trade"),) if acts else ()
    made = Decision(
        ts_ns, price, int(acts), False, 0.02, price * 0.98, ((price * 1.03, 1.0),), 2, 0.7, "crossed_up", audit
    )
    names = (name,) if acts else ()
    report = {"rsi": 55.5, "fast": price, "slow": price * 0.99}
    yield close_ns, DecisionMade(bot, "ema_cross", Mode.PAPER, symbol, "1m", made, names, sizes[number], report), corr
    if bar % 480 == 479:
        paid = Decimal(str(round(generator.uniform(-0.5, 0.5), 6)))
        yield close_ns, FundingPaid(bot, "bitget", "main", symbol, paid, f"f{bot}{bar}", close_ns), corr
    if acts:
        yield from _order(bot, number, symbol, Decimal(str(price)), name, ts_ns, corr, sizes, trade)


def _order(  # the records of one order, as the gateway sends them
    bot: str,
    number: int,
    symbol: str,
    price: Decimal,
    name: str,
    bar_ns: int,
    corr: str,
    sizes: dict[int, Decimal],
    trade: Iterator[int],
) -> Iterator[tuple[int, Message, str]]:
    entering = sizes[number] == 0
    size, side = Decimal("0.020"), Side.BUY if entering else Side.SELL
    at_ns, mine = bar_ns + MINUTE_NS + 2_000_000, client_id(name)
    role = Role.ENTRY if entering else Role.EXIT
    action = Action.ENTER if entering else Action.EXIT
    stop = price * Decimal("0.98")
    yield at_ns, Intent(
        intent_id=name, bot=bot, venue="bitget", account="main", symbol=symbol, action=action, side=side, size=size,
        stop=stop if entering else None, leverage=2, reason="crossed_up", bar_ts_ns=bar_ns,
        ref_price=price,
    ), corr  # fmt: skip
    ident = next(trade)
    states = ((OrderState.SENDING, 0), (OrderState.WORKING, 40), (OrderState.FILLED, 90))
    for state, ms in states:
        filled = size if state is OrderState.FILLED else Decimal(0)
        if state is OrderState.FILLED:
            for half in range(2):
                yield at_ns + 80_000_000, Fill(
                    trade_id=f"{ident}{half}", order_id=f"v{ident}", client_id=mine, bot=bot, venue="bitget",
                    account="main", symbol=symbol, side=side, price=price, size=size / 2,
                    fee=price * size / 2 * Decimal("0.0006"), fee_coin="USDT", role=role, ts_ns=at_ns + 80_000_000,
                ), corr  # fmt: skip
        yield at_ns + ms * 1_000_000, OrderEvent(
            bot, name, mine, "" if state is OrderState.SENDING else f"v{ident}", "bitget", "main", symbol, side, size,
            role, state, filled, "", "", at_ns + ms * 1_000_000, bar_ns, 1_500_000,
        ), corr  # fmt: skip
    state = StopState.PLACED if entering else StopState.REMOVED
    yield at_ns, StopEvent(bot, "bitget", "main", symbol, size, stop, state, f"s{ident}", f"p{ident}", at_ns), corr
    sizes[number] += size if entering else -size


def records(total: int) -> Iterator[list[Received]]:
    """Yield batches as the bus delivers them: decoded from the bytes that were published."""
    stream = islice(farm(), total)
    for number in count():
        batch = [_received(number * BATCH + index, *one) for index, one in enumerate(islice(stream, BATCH))]
        if not batch:
            return
        yield batch


def _received(number: int, ts_ns: int, message: Message, corr: str) -> Received:
    form = format_of(message)
    ident = f"01J{number:023d}"
    envelope = Envelope(
        ident, form.spec.name, form.spec.version, ts_ns, "bench/1", 1, number, corr, "", "bot", 0, "", message
    )
    raw = encode(envelope)
    return Received(TOPICS.of(message)[-1], f"{ts_ns // 1_000_000}-{number}", decode(raw), raw)


async def measure(url: str, total: int) -> dict[str, Any]:
    """Write, ask, prove and rebuild on one database."""
    database = Database(url)
    await upgrade(database)
    spent, size = 0.0, 0
    for batch in records(total):
        now_ns = batch[-1].envelope.ts_ns
        size += sum(len(one.raw) for one in batch)
        began = time.perf_counter()
        async with database.writing() as connection:
            await Sink(connection).write(batch, now_ns=now_ns)
        spent += time.perf_counter() - began
        _tell(f"{database.url}: {batch[-1].envelope.seq + 1:,} records in")
    if not database.embedded:
        async with database.writing() as connection:
            await connection.execute(text("ANALYZE"))
    found: dict[str, Any] = {
        "records": total,
        "bytes_per_record": round(size / total),
        "in_per_s": round(total / spent),
        "database_mb": await _size(database),
        "queries_ms": await _queries(database),
    }
    async with database.reading() as connection:
        began = time.perf_counter()
        verdict = await verify(connection, archive=Path())
        found["verify_per_s"] = round(verdict.records / (time.perf_counter() - began))
        assert not verdict.breaks
        began = time.perf_counter()
        faults = (await balances(connection, lambda _: Decimal(1000)))[-1].faults
        found["balance_s"] = round(time.perf_counter() - began, 3)
        assert not faults, faults
    done = await rebuild(database, archive=Path(), progress=lambda now, of: _tell(f"rebuild {now:,} of {of:,}"))
    found["rebuild_per_s"] = round(done.records / done.seconds)
    found["rebuild_equals_live"] = done.same
    await database.close()
    return found


async def _queries(database: Database) -> dict[str, float]:
    bot = "bot-03"

    async def positions(connection: Any) -> object:
        return await queries.position_rows(connection)

    async def by_day(connection: Any) -> object:
        return await queries.pnl_by_day(connection, bot=bot)

    async def page(connection: Any) -> object:
        return await queries.trade_rows(connection, limit=100)

    async def deep_page(connection: Any) -> object:
        middle = (await queries.trade_rows(connection, limit=400))[-1]
        return await queries.trade_rows(connection, after=queries.trade_cursor(middle), limit=100)

    async def summary(connection: Any) -> object:
        return await queries.summary_rows(connection)

    asked: dict[str, Callable[[Any], Awaitable[object]]] = {
        "positions": positions,
        "pnl_by_day": by_day,
        "trades_page": page,
        "trades_page_deep": deep_page,
        "summary": summary,
    }
    return {name: await _timed(database, ask) for name, ask in asked.items()}


async def _timed(database: Database, ask: Callable[[Any], Awaitable[object]]) -> float:
    times = []
    for _ in range(ROUNDS):
        async with database.reading() as connection:
            began = time.perf_counter()
            await ask(connection)
            times.append((time.perf_counter() - began) * 1_000)
    return round(statistics.median(times), 2)


async def _size(database: Database) -> float:
    if database.file is not None:
        return round(database.file.stat().st_size / 1e6, 1)
    async with database.reading() as connection:
        found = await connection.execute(text("SELECT pg_database_size(current_database())"))
        return round(found.scalar_one() / 1e6, 1)


def _tell(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{words:<70}", end="", file=sys.stderr, flush=True)


def run(total: int, engines: tuple[str, ...] = ("sqlite", "postgresql")) -> dict[str, Any]:
    """Measure every engine that is installed."""
    found: dict[str, Any] = {}
    if "sqlite" in engines:
        with tempfile.TemporaryDirectory() as folder:
            found["sqlite"] = asyncio.run(measure(f"sqlite:///{folder}/ledger.sqlite", total))
    if "postgresql" in engines:
        if postgres_bin() is None:
            found["postgresql"] = "not installed: apt-get install -y --no-install-recommends postgresql-15"
        else:
            with postgres(durable=True) as server:
                found["postgresql"] = asyncio.run(measure(server.create(), total))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="records (default 1,000,000)")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append", help="only this one")
    options = parser.parse_args()
    print(json.dumps(run(options.events, tuple(options.engine or ("sqlite", "postgresql"))), indent=2))


if __name__ == "__main__":
    main()
