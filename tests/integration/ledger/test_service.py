import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import AuditNote, BusState, MemoryBus, Patience, connect
from omega.config import Database, Environment, Ledger, Monitoring, Settings
from omega.domain import Side
from omega.errors import DamagedStore, Denied, EnvironmentFault, OmegaError
from omega.storage import queries
from omega.storage.engine import Database as Opened
from omega.testing.databases import PostgresServer
from omega.testing.servers import ValkeyServer, valkey_server
from services.ledger import LedgerService

from . import farm

PATIENCE = Patience(retry_s=0.01, claim_s=0.2, claim_idle_s=5.0)


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    try:
        with valkey_server() as server:
            yield server
    except EnvironmentFault as error:
        pytest.skip(str(error))


def settings(url: str) -> Settings:
    return Settings(
        environment=Environment(instance="ledger"),
        monitoring=Monitoring(drain_s=3.0, heartbeat_s=0.1),
        database=Database(url=url),
        ledger=Ledger(batch=64, flush_ms=5),
    )


@asynccontextmanager
async def living(bus: MemoryBus, url: str) -> AsyncIterator[LedgerService]:
    peer = MemoryBus(env="dev", source="ledger/ledger", hub=bus.hub, patience=PATIENCE)
    service = LedgerService(settings=settings(url), bus=peer)
    await service.initialize()
    await service.start()
    try:
        yield service
    finally:
        await service.shutdown()


@asynccontextmanager
async def started() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus(source="test", patience=PATIENCE)
    await bus.start()
    yield bus
    await bus.close()


async def ask(bus: Any, method: str, **params: Any) -> Any:
    return await bus.ask("ledger", method, params, within_ns=60 * 10**9)


async def settled(bus: Any) -> dict[str, Any]:
    await ask(bus, "settle")
    return await ask(bus, "summary")


async def eventually(condition: Callable[[], bool], *, within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - waits for a fact of the service
            await asyncio.sleep(0.01)


@pytest.mark.req("2.23", "0.27")
async def test_ledger_records_of_a_farm_become_positions_and_answers(url: str):
    async with started() as bus, living(bus, url):
        for bot in ("fib", "trend"):
            for message in farm.session(bot):
                await bus.send(message)
        for message in farm.words():
            await bus.send(message)

        summary = await settled(bus)
        (position,) = await ask(bus, "positions", bot="fib")
        trades = await ask(bus, "trades", limit=500)

    assert summary["totals"] | {"decisions": 80, "intents": 20, "orders": 20, "fills": 20} == summary["totals"]
    assert Decimal(position["funding"]) == Decimal("-0.123456789")
    assert len(trades["trades"]) == 10


@pytest.mark.req("4.49", "3.33")
async def test_ledger_pool_and_streams_are_metrics(url: str):
    async with started() as bus, living(bus, url) as service:
        await bus.send(AuditNote("ana", "test", "look", "x", "ok"))
        await ask(bus, "settle")
        length = f'omega_stream_length{{topic="{bus.topics.audit()}"}}'
        await eventually(lambda: service.metrics.samples().get(length, 0) >= 1)
        read = service.get_metrics()

    assert read['omega_database_connections{service="ledger",state="allowed"}'] == 10
    assert read['omega_database_transactions_total{outcome="served",service="ledger"}'] >= 2
    assert read['omega_database_transactions_total{outcome="refused",service="ledger"}'] == 0


async def test_ledger_wrong_questions_are_denied(url: str):
    async with started() as bus, living(bus, url):
        with pytest.raises(Denied, match="settle"):
            await ask(bus, "everything")
        with pytest.raises(Denied, match="name it"):
            await ask(bus, "equity")


@pytest.mark.req("4.19", "2.111")
async def test_ledger_crash_between_commit_and_acknowledgement_doubles_nothing(url: str):
    """The first life writes and never acknowledges; the second gets everything again."""
    messages = list(farm.session("fib"))
    async with started() as bus:
        for message in messages:
            await bus.send(message)
        async with living(bus, url) as service:
            service._keep = service._store  # type: ignore[method-assign]
            await eventually(lambda: len(service._written) >= 2)
            first = await settled(bus)

        async with living(bus, url) as service:
            await eventually(lambda: _written(service) == len(messages))
            second = await settled(bus)

    assert first["totals"]["fills"] == 10
    assert second == first


def _written(service: LedgerService) -> float:
    return sum(v for name, v in service.get_metrics().items() if name.startswith("omega_ledger_records_total"))


async def test_ledger_record_that_cannot_be_stored_ends_in_the_dead_letters(url: str):
    """One bad fill among good ones: they are written, it is set aside after five tries."""
    bad = farm.fill("fib", 1, Side.BUY, "0", "60000", trade="bad")
    async with started() as bus, living(bus, url) as service:
        await bus.send(farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="good-1"))
        await bus.send(bad)
        await bus.send(farm.fill("fib", 2, Side.BUY, "0.010", "60000", trade="good-2"))

        dead = bus.topics.dead_letters(bus.topics.ledger())
        async with asyncio.timeout(20):
            while not bus.hub.server.streams.get(dead):  # noqa: ASYNC110 - waits for a fact of the bus
                await asyncio.sleep(0.02)
        (position,) = await ask(bus, "positions")
        assert service.ready
        assert service.get_metrics()['omega_errors_total{class="CorruptData",service="ledger"}'] >= 5

    assert position["size"] == "0.02"


async def test_ledger_on_a_damaged_database_ends_and_buries_no_record(tmp_path: Path):
    """Not each record is bad but the file: it ends with what to do, and what came waits in its streams."""
    file = tmp_path / "farm.db"
    async with started() as bus:
        async with living(bus, f"sqlite:///{file}") as service:
            await bus.send(farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="good-1"))
            await eventually(lambda: _written(service) == 1)
        size = file.stat().st_size
        with file.open("r+b") as raw:
            raw.seek(4096)
            raw.write(b"\xa5" * (size - 4096))
        await bus.send(farm.fill("fib", 2, Side.BUY, "0.010", "60000", trade="good-2"))
        async with living(bus, f"sqlite:///{file}") as service:
            await eventually(lambda: service.stopping)
        dead = bus.hub.server.streams.get(bus.topics.dead_letters(bus.topics.ledger()))

    assert isinstance(service.error, DamagedStore)
    assert "omega dr restore" in str(service.error)
    assert not dead


@pytest.mark.req("4.52")
async def test_ledger_database_down_waits_and_loses_nothing(server: PostgresServer):
    """PostgreSQL dies under it: not ready, records wait, and all of them are there when it is back."""
    url = server.create()
    messages = list(farm.session("fib"))
    async with started() as bus, living(bus, url) as service:
        for message in messages[:50]:
            await bus.send(message)
        await settled(bus)
        await eventually(lambda: service.ready)

        server.stop(mode="immediate")
        for message in messages[50:]:
            await bus.send(message)
        await eventually(lambda: not service.ready)
        with pytest.raises(OmegaError):
            await ask(bus, "summary")
        assert service.get_metrics()["omega_database_up"] == 0
        server.start()

        await eventually(lambda: service.ready)
        summary = await settled(bus)
        assert service.get_metrics()["omega_database_up"] == 1

    assert summary["totals"] | {"decisions": 40, "fills": 10} == summary["totals"]


async def test_ledger_database_absent_at_the_start_is_awaited(server: PostgresServer):
    url = server.create()
    server.stop()
    async with started() as bus, living(bus, url) as service:
        await bus.send(AuditNote("alice", "cli", "pause", "fib", "accepted"))
        away = ("does not answer", "not reachable")
        await eventually(lambda: any(words in service.readiness()[1] for words in away))
        assert not service.ready

        server.start()

        await eventually(lambda: service.ready)
        await settled(bus)


async def test_ledger_stop_while_the_database_is_down_is_quick_and_keeps_the_records(server: PostgresServer):
    url = server.create()
    async with started() as bus:
        async with living(bus, url) as service:
            await eventually(lambda: service.ready)
            server.stop(mode="immediate")
            await bus.send(farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="t1"))
            await eventually(lambda: not service.ready)
        server.start()

        async with living(bus, url):
            summary = await settled(bus)

    assert summary["totals"]["fills"] == 1


async def test_ledger_bus_away_for_a_while_catches_up(url: str):
    messages = list(farm.session("fib"))
    async with started() as bus, living(bus, url) as service:
        for message in messages[:40]:
            await bus.send(message)
        await settled(bus)
        bus.hub.down()
        for message in messages[40:]:
            await bus.send(message)
        bus.hub.up()

        await eventually(lambda: service.bus.state() is BusState.CONNECTED)
        summary = await settled(bus)

    assert summary["totals"] | {"decisions": 40, "fills": 10} == summary["totals"]


@pytest.mark.req("4.19", "4.21", "2.122")
@pytest.mark.kills
async def test_ledger_process_killed_again_and_again_writes_everything_once(valkey: ValkeyServer, tmp_path: Path):
    """A real process over a real server is killed (SIGKILL) in the middle of its work, twice."""
    url = f"sqlite:///{tmp_path}/farm.sqlite"
    bus = connect(valkey.url, env="dev", source="test/1")
    await bus.start()
    bots = [f"bot{n}" for n in range(6)]
    try:
        for life, pause in enumerate((0.0, 0.1)):
            process = _spawn(valkey.url, url, tmp_path)
            await _feed(bus, bots[life * 2 : life * 2 + 2])
            await _until_it_writes(url, process)
            await asyncio.sleep(pause)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        process = _spawn(valkey.url, url, tmp_path)
        try:
            await _feed(bus, bots[4:])
            summary = await _ask_patiently(bus)
        finally:
            process.terminate()
            assert process.wait(20) == 0
    finally:
        await bus.close()

    assert summary["totals"] | {"decisions": 6 * 120, "orders": 6 * 30, "fills": 6 * 30} == summary["totals"]
    assert summary["duplicate_client_ids"] == []
    alone = await _alone(tmp_path, bots)
    for bot in bots:
        assert summary["bots"][bot] == alone["bots"][bot]


async def _feed(bus: Any, bots: list[str]) -> None:
    for bot in bots:
        messages = list(farm.session(bot, bars=120))
        for start in range(0, len(messages), 40):
            await bus.send_many(messages[start : start + 40])


async def _alone(folder: Path, bots: list[str]) -> dict[str, Any]:
    """What an undisturbed ledger makes of the same records."""
    async with started() as bus, living(bus, f"sqlite:///{folder}/alone.sqlite"):
        for bot in bots:
            await bus.send_many(list(farm.session(bot, bars=120)))
        summary: dict[str, Any] = await settled(bus)
        return summary


async def _ask_patiently(bus: Any) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            try:
                await bus.ask("ledger", "settle", {}, within_ns=5 * 10**9)
                answer: dict[str, Any] = await bus.ask("ledger", "summary", {}, within_ns=5 * 10**9)
            except OmegaError:
                continue
            return answer


async def _until_it_writes(url: str, process: subprocess.Popen[bytes]) -> None:
    before = await _records(url)
    async with asyncio.timeout(60):
        while await _records(url) <= before:
            assert process.poll() is None, "the ledger ended by itself"
            await asyncio.sleep(0.02)


async def _records(url: str) -> int:
    database = Opened(url)
    try:
        async with database.reading() as connection:
            return sum(row["decisions"] + row["fills"] for row in await queries.summary_rows(connection))
    except OmegaError:
        return 0
    finally:
        await database.close()


def _spawn(redis_url: str, url: str, folder: Path) -> subprocess.Popen[bytes]:
    env = {
        **os.environ,
        "OMEGA_ENV": "dev",
        "OMEGA_REDIS_URL": redis_url,
        "OMEGA_DATABASE__URL": url,
        "OMEGA_ENVIRONMENT__INSTANCE": "ledger",
    }
    with (folder / "ledger.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "services.ledger"], env=env, stdout=log, stderr=log)


async def test_ledger_lag_is_counted_by_the_server_and_reads_no_record(tmp_path: Path):
    """The gauge shows what waits while nothing is written; the streams are not read for it."""
    async with started() as bus:
        for message in farm.session("fib"):
            await bus.send(message)
        peer = MemoryBus(env="dev", source="ledger/ledger", hub=bus.hub, patience=PATIENCE)
        service = LedgerService(settings=settings(f"sqlite:///{tmp_path}/farm.sqlite"), bus=peer)
        read: list[str] = []
        peer.history = lambda topic, **_: read.append(topic)  # type: ignore[method-assign,assign,misc,return-value]
        watching = asyncio.create_task(service._watch_lag())
        key = f'omega_ledger_lag{{stream="{bus.topics.decisions()}"}}'
        await eventually(lambda: service.get_metrics().get(key, 0) == 40)
        watching.cancel()

    assert read == []


async def test_ledger_gathers_no_longer_when_somebody_settles(url: str):
    """Records wait for company, a transaction costs what a hundred of them do; whoever settles ends the wait."""
    async with started() as bus, living(bus, url) as service, asyncio.timeout(20):
        gathering = asyncio.create_task(service._gather(3_600))
        await asyncio.sleep(0)

        await ask(bus, "settle")
        await gathering
