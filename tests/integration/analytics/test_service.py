"""The service answers over the bus with its real worker process, remembers, publishes, and survives its worker."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from omega.bus import AnalysisMade, BarClosed, MemoryBus
from omega.config import Environment, Monitoring, Settings
from omega.config.outer import Analytics
from omega.domain import MINUTE_NS, Bar, from_iso
from omega.errors import ConfigError, Denied, Stale, TransientError
from omega.testing.service_contract import eventually
from services.analytics import AnalyticsService

WITHIN_NS = 60_000_000_000
SYMBOL = "BTC-USDT.P"
BEGIN_NS = from_iso("2025-05-20T00:00:00Z")


def bar(k: int) -> Bar:
    """A wave with a drift: it has swings to measure, and no chance in it."""
    close = 100.0 + 5.0 * math.sin(k / 9.0) + 2.0 * math.sin(k / 23.0) + 0.002 * k
    before = 100.0 + 5.0 * math.sin((k - 1) / 9.0) + 2.0 * math.sin((k - 1) / 23.0) + 0.002 * (k - 1)
    high, low = max(close, before) + 0.2, min(close, before) - 0.2
    return Bar(BEGIN_NS + k * MINUTE_NS, before, high, low, close, 10.0)


async def publish(bus: MemoryBus, first: int, last: int, *, symbol: str = SYMBOL) -> None:
    await bus.send_many([BarClosed("bitget", symbol, "1m", bar(k), 1) for k in range(first, last)])


def settings(**analytics: object) -> Settings:
    return Settings(
        environment=Environment(instance="analytics"),
        monitoring=Monitoring(drain_s=5.0, heartbeat_s=0.5),
        analytics=Analytics.model_validate(analytics),
    )


@asynccontextmanager
async def living(bus: MemoryBus, name: str = "analytics", **analytics: object) -> AsyncIterator[AnalyticsService]:
    service = AnalyticsService(settings=settings(**analytics), bus=bus.peer(name))
    await service.initialize()
    await service.start()
    try:
        yield service
    finally:
        await service.shutdown()


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    made = MemoryBus(source="test/1")
    await made.start()
    await publish(made, 0, 400)
    yield made
    await made.close()


async def ask(bus: MemoryBus, analysis: str = "fib", method: str = "analyze", **params: Any) -> dict[str, Any]:
    answer = await bus.ask("analytics", method, {"analysis": analysis, "symbol": SYMBOL, **params}, within_ns=WITHIN_NS)
    assert isinstance(answer, dict)
    return answer


async def records(bus: MemoryBus) -> list[tuple[str, AnalysisMade]]:
    found = await bus.history(bus.topics.analysis())
    return [(one.envelope.corr, one.envelope.data) for one in found if isinstance(one.envelope.data, AnalysisMade)]


@pytest.mark.req("1.02", "1.83", "1.84", "1.39", "2.61")
async def test_service_answer_is_a_record_under_the_correlation_id_of_its_request(bus: MemoryBus) -> None:
    """The asker's request, the answer and the kept record carry one correlation id; inputs tell their ages."""
    async with living(bus):
        answer = await ask(bus)

    [(corr, record)] = await records(bus)
    [one] = answer["analyses"]
    [request] = await bus.history(bus.topics.request("analytics"))
    assert corr == answer["corr"] == request.envelope.corr
    assert json.loads(record.result) == one
    assert (record.analysis, record.symbol, record.timeframe) == ("fib", SYMBOL, "1m")
    assert record.as_of_ns == one["as_of_ns"] == BEGIN_NS + 400 * MINUTE_NS
    assert one["bars"] == 400
    assert all(row["age_s"] >= 0.0 and row["source"] for row in one["inputs"])
    assert len(one["inputs"]) == 2
    assert one["findings"][0]["name"] == "swing"


@pytest.mark.req("1.86")
async def test_service_same_question_on_the_same_bars_is_answered_from_memory(bus: MemoryBus) -> None:
    async with living(bus) as service:
        first = await ask(bus)
        again = await ask(bus)
        latest = await ask(bus, method="latest")
        await publish(bus, 400, 401)
        newer = await ask(bus)
        counts = service.get_metrics()

    assert again["corr"] == latest["corr"] == first["corr"]
    assert again["age_s"] >= first["age_s"] == 0.0
    assert again["analyses"] == first["analyses"]
    assert newer["corr"] != first["corr"]
    assert newer["analyses"][0]["as_of_ns"] == first["analyses"][0]["as_of_ns"] + MINUTE_NS
    assert len(await records(bus)) == 2
    assert counts['omega_analytics_answers_total{analysis="fib",outcome="known"}'] == 1
    assert counts['omega_analytics_answers_total{analysis="fib",outcome="made"}'] == 2


async def test_service_askers_of_the_same_at_once_share_one_piece_of_work(bus: MemoryBus) -> None:
    async with living(bus):
        answers = await asyncio.gather(*(ask(bus) for _ in range(5)))

    assert len({answer["corr"] for answer in answers}) == 1
    assert len(await records(bus)) == 1


async def test_service_picture_comes_with_the_answer(bus: MemoryBus) -> None:
    async with living(bus):
        answer = await ask(bus, chart="light")

    png = base64.b64decode(answer["png"])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(png[16:20]) == 800


async def test_service_longer_bars_are_made_of_the_published_ones(bus: MemoryBus) -> None:
    """Five-minute bars of a farm that publishes minutes: only whole ones, and none later than the newest minute."""
    await publish(bus, 400, 1203)
    async with living(bus):
        answer = await ask(bus, timeframe="5m")

    assert answer["analyses"][0]["bars"] == 240
    assert answer["analyses"][0]["as_of_ns"] == BEGIN_NS + 1203 * MINUTE_NS


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"analysis": "magic"}, ConfigError, "there is no 'magic'"),
        ({"symbol": "DOGE-USDT.P"}, Denied, "publishes no bars of 'DOGE-USDT.P'"),
        ({"timeframe": "90s"}, ConfigError, "is no timeframe"),
        ({"timeframe": "1d"}, Denied, "there are no whole 1d bars"),
        ({"chart": "pink"}, Denied, "write dark or light"),
        ({"multiple": "-1"}, ConfigError, "lies outside"),
        ({"horizon": "3"}, ConfigError, "unknown parameter 'horizon'"),
        ({"symbol": "ETH-USDT.P"}, Denied, "no whole 1m bars of ETH-USDT.P"),
    ],
)
async def test_service_wrong_question_gets_an_error_that_says_what_to_do(
    bus: MemoryBus, params: dict[str, Any], error: type[Exception], words: str
) -> None:
    async with living(bus):
        with pytest.raises(error, match=words):
            await bus.ask("analytics", "analyze", {"analysis": "fib", "symbol": SYMBOL} | params, within_ns=WITHIN_NS)


async def test_service_unknown_method_is_refused(bus: MemoryBus) -> None:
    async with living(bus):
        with pytest.raises(Denied, match="ask one of analyze"):
            await bus.ask("analytics", "guess", {}, within_ns=WITHIN_NS)


@pytest.mark.req("1.85")
async def test_service_asker_that_gives_up_gets_a_time_out_and_the_next_one_the_answer(bus: MemoryBus) -> None:
    async with living(bus):
        with pytest.raises(Stale, match="did not answer"):
            await bus.ask("analytics", "analyze", {"analysis": "fib", "symbol": SYMBOL}, within_ns=1_000_000)
        answer = await ask(bus)

    assert answer["analyses"]


async def test_service_work_that_nobody_waits_for_any_more_is_not_begun(bus: MemoryBus) -> None:
    async with living(bus) as service:
        async with service._turn:
            gone = asyncio.create_task(service.answer("analyze", {"analysis": "fib", "symbol": SYMBOL}))
            await eventually(lambda: bool(service._askers))
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        await eventually(lambda: not service._making)

        assert (service._worker.pid, dict(service._askers)) == (0, {})
        assert (await ask(bus))["analyses"]


async def test_service_refuses_more_questions_than_it_can_hold(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.analytics.service._AT_ONCE", 1)
    async with living(bus) as service:
        async with service._turn:
            first = asyncio.ensure_future(ask(bus))
            await eventually(lambda: bool(service._making))
            with pytest.raises(TransientError, match="ask again"):
                await ask(bus, "levels")
        assert (await first)["analyses"]


async def test_service_that_stops_does_not_wait_for_what_nobody_will_read(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it asks may be a service that is gone."""
    async with living(bus) as service:
        monkeypatch.setattr(service._gatherer, "job", lambda *_: asyncio.Event().wait())
        asking = asyncio.create_task(service.answer("analyze", {"analysis": "fib", "symbol": SYMBOL}))
        await eventually(lambda: bool(service._making))
        await service.on_stop()
        await asyncio.gather(asking, return_exceptions=True)

        assert service._making == {}


async def test_service_loop_answers_while_the_worker_works(bus: MemoryBus) -> None:
    """A listing is answered before an analysis that was asked for earlier: the arithmetic is in another process."""
    async with living(bus):
        slow = asyncio.ensure_future(ask(bus))
        names = await bus.ask("analytics", "names", {}, within_ns=WITHIN_NS)
        assert not slow.done()
        await slow

    assert isinstance(names, list)
    assert {"fib", "trend"} <= {row["name"] for row in names}


async def test_service_survives_its_worker(bus: MemoryBus) -> None:
    """A worker that is killed over a job costs that job alone."""
    async with living(bus) as service:
        await ask(bus)
        await publish(bus, 400, 401)
        os.kill(service._worker.pid, signal.SIGSTOP)
        dying = asyncio.ensure_future(ask(bus))
        async with asyncio.timeout(60):
            while not service._worker._turn.locked():  # noqa: ASYNC110 - it has the job when its turn is taken
                await asyncio.sleep(0.01)
        await asyncio.wait({dying}, timeout=0.1)
        os.kill(service._worker.pid, signal.SIGKILL)
        with pytest.raises(TransientError, match="worker process died"):
            await dying
        answer = await ask(bus)

    assert answer["analyses"][0]["bars"] == 401


async def test_service_worker_that_takes_too_long_is_ended(bus: MemoryBus) -> None:
    async with living(bus, within_s=0.01) as service:
        with pytest.raises(Stale, match="took longer than"):
            await ask(bus)
        assert service._worker.pid == 0
        assert service.get_metrics()['omega_analytics_worker_ended_total{why="late"}'] == 1


async def test_service_idle_worker_gives_its_memory_back(bus: MemoryBus) -> None:
    async with living(bus, idle_s=0.05) as service:
        assert service._worker.pid == 0
        await ask(bus)
        await eventually(lambda: service._worker.pid == 0)
        assert service.get_metrics()["omega_analytics_worker_up"] == 0


@pytest.mark.req("1.02", "2.111")
async def test_service_timers_publish_once_however_many_replicas_run(bus: MemoryBus) -> None:
    """Three replicas, one timer: one result a period, made by the one with the lease; requests go to any of them."""
    timer = {"analysis": "fib", "symbol": SYMBOL, "timeframe": "1m", "every_s": 3600.0}
    async with (
        bus.follow(bus.topics.analysis(SYMBOL)) as stream,
        living(bus, "analytics/1", timers=[timer]),
        living(bus, "analytics/2", timers=[timer]),
        living(bus, "analytics/3", timers=[timer]),
    ):
        async with asyncio.timeout(90):
            await anext(aiter(stream))
        for _ in range(4):
            await bus.ask("analytics", "names", {}, within_ns=WITHIN_NS)
        assert len(await records(bus)) == 1


async def test_service_timer_without_an_analysis_refuses_the_start(bus: MemoryBus) -> None:
    with pytest.raises(ConfigError, match="there is no analysis 'magic'"):
        async with living(bus, timers=[{"analysis": "magic", "symbol": SYMBOL}]):
            pass
