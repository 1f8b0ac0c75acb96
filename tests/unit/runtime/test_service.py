"""BaseService: hooks, messages, configuration, endings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from omega.bus import MemoryBus
from omega.bus.envelope import Envelope
from omega.bus.messages import AuditNote, Command, ConfigChanged, Heartbeat, Verb
from omega.config import Environment, Monitoring, Settings
from omega.errors import ConfigError, EnvironmentFault, Fenced, InvariantBroken, TransientError
from omega.runtime import BaseService, OMEGAService, State, supervisor
from omega.testing.service_contract import ServiceContract, eventually, http


class Diary(BaseService):
    """Writes down which hook was called when."""

    name = "diary"

    def __init__(self, *, settings: Settings, bus: MemoryBus) -> None:
        super().__init__(settings=settings, bus=bus)
        self.calls: list[str] = []
        self.handled: list[str] = []
        self.is_ready = (True, "")
        self.metrics.gauge("database_up").set(1)  # a service without a metric of its own fails its contract
        self.handle(AuditNote, self.take)

    async def take(self, note: AuditNote, envelope: Envelope | None) -> None:
        if note.outcome == "bad":
            raise TransientError("not now")
        self.handled.append(note.subject)

    async def on_initialize(self) -> None:
        self.calls.append("initialize")

    async def on_start(self) -> None:
        self.calls.append("start")

    async def on_drain(self) -> None:
        self.calls.append("drain")

    async def on_stop(self) -> None:
        self.calls.append("stop")

    async def on_config(self, old: Settings, new: Settings) -> None:
        if new.trading.max_leverage == 13:
            raise ConfigError("thirteen is refused")
        self.calls.append("config")

    def readiness(self) -> tuple[bool, str]:
        return self.is_ready


def options(**monitoring: float) -> Settings:
    return Settings(
        environment=Environment(instance="d-0"),
        monitoring=Monitoring.model_validate({"drain_s": 1.0, "heartbeat_s": 0.05, **monitoring}),
    )


@pytest.fixture
def diary() -> Diary:
    return Diary(settings=options(), bus=MemoryBus(env="dev", source="diary/d-0"))


@pytest.fixture
async def running(diary: Diary) -> AsyncIterator[Diary]:
    await diary.initialize()
    await diary.start()
    yield diary
    await diary.shutdown()


@pytest.mark.req("1.47", "1.53", "2.65", "2.72")
class TestDiary(ServiceContract):
    def make(self, settings: Settings, bus: MemoryBus) -> BaseService:  # type: ignore[override]
        return Diary(settings=settings, bus=bus)


@pytest.mark.req("1.24", "2.78", "4.18", "1.48", "1.51")
async def test_service_hooks_are_called_once_each_in_order(diary: Diary) -> None:
    assert OMEGAService is BaseService
    assert diary.redis is None
    await diary.initialize()
    await diary.initialize()
    assert diary.redis is diary.bus
    await diary.start()
    await eventually(lambda: diary.phase is State.READY)
    await diary.shutdown()
    await diary.shutdown()

    assert diary.calls == ["initialize", "start", "drain", "stop"]
    with pytest.raises(InvariantBroken, match="cannot go from stopped to started"):
        await diary.start()


@pytest.mark.req("1.50", "2.68")
async def test_service_failed_initialize_closes_what_it_opened(diary: Diary) -> None:
    async def fails() -> None:
        raise TransientError("no venue")

    diary.on_initialize = fails  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        await diary.initialize()

    assert diary.phase is State.FAILED
    assert diary.calls == ["stop"]
    with pytest.raises(OSError, match="Connect"):
        await http(diary.health.port, "/healthz")


async def test_service_slow_initialize_is_bounded() -> None:
    diary = Diary(settings=options(start_s=0.05), bus=MemoryBus())

    async def hangs() -> None:
        await asyncio.Event().wait()

    diary.on_initialize = hangs  # type: ignore[method-assign]
    with pytest.raises(EnvironmentFault, match=r"was not initialised within 0\.05 s"):
        await diary.initialize()


@pytest.mark.req("1.54", "2.69", "4.17")
async def test_service_drain_that_hangs_is_cut_and_the_rest_still_happens(diary: Diary) -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    diary.on_drain = hangs  # type: ignore[method-assign]
    await diary.initialize()
    await diary.start()
    diary.spawn("endless", hangs)

    began = time.monotonic()
    async with asyncio.timeout(60):
        await diary.shutdown()

    assert time.monotonic() - began < 1.2
    assert diary.calls[-1] == "stop"
    assert diary.phase is State.STOPPED


async def test_service_stop_before_it_is_initialised_ends_quietly(diary: Diary) -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    diary.on_initialize = hangs  # type: ignore[method-assign]
    running = asyncio.ensure_future(diary.run())
    await eventually(lambda: diary.health.port > 0)
    diary.request_stop("SIGTERM")

    await asyncio.wait_for(running, 60)
    assert diary.phase is State.STOPPED


async def test_service_beginning_that_is_cancelled_again_while_it_is_undone_is_undone_whole(diary: Diary) -> None:
    """Whoever cancels does so again when nothing happens for some seconds: the port is closed all the same."""
    undoing, go_on = asyncio.Event(), asyncio.Event()

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def undoes() -> None:
        undoing.set()
        await go_on.wait()

    diary.on_initialize, diary.on_stop = hangs, undoes  # type: ignore[method-assign]
    beginning = asyncio.ensure_future(diary.initialize())
    await eventually(lambda: diary.health.port > 0)
    beginning.cancel()
    await undoing.wait()
    beginning.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await beginning

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", diary.health.port)


async def test_service_failed_start_ends_it_as_failed(diary: Diary) -> None:
    async def fails() -> None:
        raise TransientError("no market data")

    diary.on_start = fails  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        await asyncio.wait_for(diary.run(), 60)

    assert diary.phase is State.FAILED
    assert diary.calls == ["initialize", "stop"]


@pytest.mark.parametrize("error", [Fenced("lost"), InvariantBroken("sum is off")])
async def test_service_error_that_halts_ends_it_without_drain(diary: Diary, error: Exception) -> None:
    running = asyncio.ensure_future(diary.run())
    await eventually(lambda: diary.phase is State.READY)

    async def breaks() -> None:
        raise error

    diary.spawn("work", breaks)
    with pytest.raises(type(error)):
        await asyncio.wait_for(running, 60)

    assert diary.calls == ["initialize", "start", "stop"]
    assert diary.phase is State.FAILED


async def test_service_lost_lease_stops_it(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omega.runtime.leases.LOOK_EVERY_S", 0.01)
    running = asyncio.ensure_future(diary.run())
    await eventually(lambda: diary.phase is State.READY)
    lease = await diary.hold_lease("bot:fib-btc")
    assert diary.get_metrics()['omega_lease_held{name="bot:fib-btc",service="diary"}'] == 1

    await lease.release()

    with pytest.raises(Fenced, match="bot:fib-btc"):
        await asyncio.wait_for(running, 60)


@pytest.mark.req("2.116", "4.16", "2.132")
async def test_service_readiness_follows_the_service_and_its_tasks(
    running: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY_S", 5.0)
    await eventually(lambda: running.ready)
    running.is_ready = (False, "warming up")
    assert not running.ready
    status, body = await http(running.health.port, "/readyz")
    assert (status, b"warming up" in body) == (503, True)
    running.is_ready = (True, "")

    async def fails() -> None:
        raise TransientError("feed is gone")

    running.spawn("feed", fails)
    await eventually(lambda: not running.ready)
    assert b"feed is gone" in (await http(running.health.port, "/readyz"))[1]
    assert (await http(running.health.port, "/healthz"))[0] == 200


@pytest.mark.req("2.116")
async def test_service_bus_away_is_not_ready_yet_alive(diary: Diary) -> None:
    await diary.initialize()
    await diary.start()
    await eventually(lambda: diary.ready)
    assert isinstance(diary.bus, MemoryBus)

    diary.bus.hub.down()
    diary.bus.hub.down_since -= 60
    await eventually(lambda: not diary.ready)

    assert (await http(diary.health.port, "/healthz"))[0] == 200
    assert diary.get_metrics()['omega_bus_state{service="diary"}'] == 2
    diary.bus.hub.up()
    await eventually(lambda: diary.ready)
    await diary.shutdown()


@pytest.mark.req("1.51", "1.52", "1.49", "2.77")
async def test_service_message_is_handled_once_and_failures_may_come_again(running: Diary) -> None:
    def note(subject: str, outcome: str = "ok") -> AuditNote:
        return AuditNote("ana", "cli", "look", subject, outcome)

    def envelope(message: AuditNote, number: str) -> Envelope:
        return Envelope(number, "audit", 1, 0, "cli/1", 0, 1, "", "", "", 0, "", message)

    first, bad = note("first"), note("bad", "bad")
    assert running.can_handle(first)
    assert not running.can_handle(Command("c", Verb.PAUSE, "farm", "ana", ""))

    assert await running.process(first, envelope(first, "1"))
    assert not await running.process(first, envelope(first, "1"))
    assert not await running.process(bad, envelope(bad, "2"))
    assert await running.process(note("bad"), envelope(note("bad"), "2"))
    assert not await running.process(Command("c", Verb.PAUSE, "farm", "ana", ""))

    metrics = running.get_metrics()
    assert running.handled == ["first", "bad"]
    assert metrics['omega_messages_total{service="diary",type="AuditNote"}'] == 3
    assert metrics['omega_errors_total{class="TransientError",service="diary"}'] == 1
    assert 0.9 < running.metrics["quantum_coherence"] < 1.0
    assert running.metrics["consciousness_level"] == 10


@pytest.mark.req("2.71", "2.66", "1.46")
async def test_service_configure_applies_live_fields_and_names_the_rest(running: Diary) -> None:
    assert await running.configure({"monitoring.log_level": "debug", "redis.pool_size": 7}) == ("redis.pool_size",)

    assert running.settings.monitoring.log_level == "debug"
    assert running.config["monitoring.log_level"] == "debug"
    assert running.config["redis.pool_size"] == Settings().redis.pool_size
    assert dict(running.config).keys() == Settings.model_fields.keys()
    with pytest.raises(KeyError):
        running.config["trading.nothing"]
    with pytest.raises(ConfigError, match="thirteen"):
        await running.configure({"trading.max_leverage": 13})
    assert running.settings.trading.max_leverage == Settings().trading.max_leverage


async def test_service_applied_configuration_is_a_record(running: Diary) -> None:
    await running.configure({"trading.max_leverage": 2})

    records = await running.bus.history(running.bus.topics.config())
    assert records[-1].envelope.data == ConfigChanged("diary", 1, True, ("trading.max_leverage: 3 -> 2",), "")


async def test_service_heartbeats_carry_its_state(diary: Diary) -> None:
    assert isinstance(diary.bus, MemoryBus)
    async with diary.bus.peer("cli/1").signals(diary.bus.topics.heartbeat("diary", "d-0")) as signals:
        await diary.initialize()
        await diary.start()
        async with asyncio.timeout(60):
            async for received in signals:
                beat = received.envelope.data
                assert isinstance(beat, Heartbeat)
                if beat.state == "ready":
                    break
    await diary.shutdown()

    assert (beat.service, beat.instance) == ("diary", "d-0")


async def test_service_port_in_use_fails_with_the_next_step(running: Diary) -> None:
    other = Diary(settings=options(port=running.health.port), bus=MemoryBus())

    with pytest.raises(EnvironmentFault, match="set another"):
        await other.initialize()
    assert other.phase is State.FAILED
