import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from omega import plugins
from omega.bus import BarClosed, MemoryBus
from omega.config import Cosmic, Environment, Factor, Monitoring, Settings
from omega.domain import MINUTE_NS, Bar, Reading, from_iso
from omega.errors import CorruptData, Denied
from services.cosmic import CosmicFactorService

REPLAY_NS = from_iso("2025-07-18T03:30:00Z")
STATION_NS = from_iso("2025-07-18T04:45:00Z")


def settings(**cosmic: object) -> Settings:
    return Settings(
        environment=Environment(instance="cosmic"),
        monitoring=Monitoring(drain_s=3.0, heartbeat_s=0.1),
        cosmic=Cosmic(table_hours=240, publish_s=0.1, **cosmic),
    )


@asynccontextmanager
async def living(bus: MemoryBus, **cosmic: object) -> AsyncIterator[CosmicFactorService]:
    service = CosmicFactorService(settings=settings(**cosmic), bus=bus.peer("cosmic"))
    await service.initialize()
    await service.start()
    try:
        yield service
    finally:
        await service.shutdown()


def bar(ts_ns: int) -> BarClosed:
    return BarClosed("bitget", "BTC-USDT.P", "1m", Bar(ts_ns, 1.0, 2.0, 0.5, 1.5, 10.0), ts_ns)


async def replay_until(bus: MemoryBus, stream: AsyncIterator, wanted: str, *, start_ns: int) -> list[Reading]:
    """Close bar after bar, ten minutes apart, until a reading with this label comes."""
    seen: list[Reading] = []
    async with asyncio.timeout(20):
        for step in range(40):
            await bus.send(bar(start_ns + step * 10 * MINUTE_NS))
            try:
                while True:
                    received = await asyncio.wait_for(anext(stream), 0.3)
                    assert isinstance(received.envelope.data, Reading)
                    seen.append(received.envelope.data)
                    if seen[-1].label == wanted:
                        return seen
            except TimeoutError:
                continue
    return seen


@pytest.mark.req("0.18", "1.71", "2.101")
async def test_cosmic_wall_clock_publishes_every_factor_again_and_again():
    bus = MemoryBus(source="test")
    await bus.start()
    count: dict[str, int] = {}

    topics = [bus.topics.reading(name) for name in ("moon_phase", "mercury_retrograde")]
    async with bus.follow(*topics) as stream, living(bus) as service, asyncio.timeout(20):
        async for received in stream:
            reading = received.envelope.data
            assert isinstance(reading, Reading)
            count[reading.factor] = count.get(reading.factor, 0) + 1
            if min(count.get(name, 0) for name in ("moon_phase", "mercury_retrograde")) >= 3:
                break
        factors = await service.get_current_factors()
        assert set(factors) == set(plugins.factors.names())
        assert 0 <= service.planetary_positions["sun"] < 360
        shown = service.get_metrics()['omega_cosmic_reading{factor="moon_phase"}']
        assert shown == pytest.approx(factors["moon_phase"].value, abs=1e-6)
    await bus.close()


async def test_cosmic_bars_clock_shows_the_sky_of_the_replay_and_tells_of_the_turn():
    """Mercury turns at 04:45 of the replayed day; nothing is published before the first bar."""
    bus = MemoryBus(source="test")
    await bus.start()

    async with bus.follow(bus.topics.reading("mercury_retrograde")) as stream, living(bus, clock="bars") as service:
        await asyncio.sleep(0.3)
        seen = await replay_until(bus, aiter(stream), "retrograde", start_ns=REPLAY_NS)
        assert await service.is_mercury_retrograde()
        assert (await service.get_moon_phase())["phase"] == "last_quarter"
        now = await service.answer("now", {})
    await bus.close()

    assert [reading.label for reading in seen[:-1]] == ["direct"] * (len(seen) - 1)
    assert len(seen) > 1
    assert REPLAY_NS < seen[0].as_of_ns < STATION_NS <= seen[-1].as_of_ns < STATION_NS + 70 * MINUTE_NS
    assert now["at"].startswith("2025-07-18")


async def test_cosmic_restarted_in_a_replay_goes_on_at_the_bar_before():
    bus = MemoryBus(source="test")
    await bus.start()
    await bus.send(bar(REPLAY_NS))

    async with living(bus, clock="bars") as service, asyncio.timeout(60):
        while not service.planetary_positions:  # noqa: ASYNC110 - waits for a fact of the service
            await asyncio.sleep(0.01)
        assert service.clock_ns() == REPLAY_NS + MINUTE_NS
    await bus.close()


async def test_cosmic_requests_over_the_bus_are_answered():
    bus = MemoryBus(source="test")
    await bus.start()

    async with living(bus, enabled=True, factors={"moon_phase": Factor(enabled=True, weight=0.5)}):
        at = await bus.ask("cosmic", "at", {"at": "2025-06-11T07:44:00Z"}, within_ns=60 * 10**9)
        same = await bus.ask("cosmic", "at", {"at": str(from_iso("2025-06-11T07:44:00Z"))}, within_ns=60 * 10**9)
        factors = await bus.ask("cosmic", "factors", within_ns=60 * 10**9)
        positions = await bus.ask("cosmic", "positions", {"at": "2025-03-20T09:01:00Z"}, within_ns=60 * 10**9)
        aspects = await bus.ask("cosmic", "aspects", {"at": "2025-06-15T14:36:00Z"}, within_ns=60 * 10**9)
    await bus.close()

    assert (at["moon"]["phase"], at["moon"]["next_phase"], at["mercury"]["retrograde"]) == (
        "full",
        "last_quarter",
        False,
    )
    assert at["evidence"] == "unproven"
    assert same["moon"] == at["moon"]
    shown = {row["name"]: (row["enabled"], row["weight"]) for row in factors}
    assert shown == dict.fromkeys(plugins.factors.names(), (False, 0.0)) | {"moon_phase": (True, 0.5)}
    assert min(positions["degrees"]["sun"], 360 - positions["degrees"]["sun"]) < 0.001
    assert ("jupiter", "saturn", "square") in [(one["a"], one["b"], one["name"]) for one in aspects["aspects"]]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("at", {"at": "soon"}),
        ("at", {"at": "1812-01-01"}),
        ("future", {}),
        ("at", {"at": "9" * 25}),
        ("aspects", {"square": "wide"}),
        ("aspects", {"square": "nan"}),
        ("aspects", {"trine": -1}),
    ],
)
async def test_cosmic_wrong_question_is_denied_with_words(method: str, params: dict[str, str]):
    bus = MemoryBus(source="test")
    service = CosmicFactorService(settings=settings(), bus=bus)

    with pytest.raises(Denied):
        await service.answer(method, params)
    await service.on_stop()


@pytest.mark.req("1.23", "1.69", "1.70", "2.46", "2.47", "2.48", "2.49", "2.51")
async def test_cosmic_service_has_every_name_of_the_seeds():
    """The union of three class boxes, each with its meaning."""
    bus = MemoryBus(source="test")
    await bus.start()
    async with living(bus) as service, asyncio.timeout(20):
        while not service.planetary_positions:  # noqa: ASYNC110 - waits for a fact of the service
            await asyncio.sleep(0.01)
        assert set(await service.get_current_factors()) == set(plugins.factors.names())
        assert service.aspects
    await bus.close()

    levels = service.generate_fibonacci_levels(50_000.0, 40_000.0)
    down = service.generate_fibonacci_levels(50_000.0, 40_000.0, "down")
    assert service.phi == 1.618033988749895
    assert service.fib_sequence[:5] == [1, 1, 2, 3, 5]
    assert service.schumann_resonance == 7.83
    assert service.schumann_source == ("daily curve of 2015-03-01", "model")
    assert service.harmonic_patterns["gartley"]["ad"].low == 0.786
    assert dict(levels.prices)[0.618] == pytest.approx(43_820)
    assert dict(down.prices)[0.618] == pytest.approx(46_180)
    assert service.calculate_harmony([1, 2, 3, 5, 8]) == pytest.approx(0.912445, abs=5e-7)
    assert service.identify_patterns([]) == ()
    flat = [100.0 + number % 2 for number in range(64)]
    assert 0.0 < service.calculate_resonance(flat).p_value <= 1.0
    assert 0.0 < service.predict_cycles(flat).p_value <= 1.0
    assert 0.0 < service.analyze_golden_ratio(flat).p_value <= 1.0


@pytest.mark.req("2.56", "2.61")
async def test_cosmic_analyses_are_answered_over_the_bus():
    bus = MemoryBus(source="test")
    await bus.start()
    values = ",".join(str(100 + number % 7) for number in range(70))

    async with living(bus):
        asked = {
            "levels": {"high": 50_000, "low": 40_000, "direction": "down"},
            "harmony": {"values": "1, 2, 3, 5, 8"},
            "resonance": {"hertz": 7.0},
            "cycles": {"values": values},
            "golden": {"values": values},
            "patterns": {"values": "100,110,103.82,107.6,102.14"},
        }
        told = {name: await bus.ask("cosmic", name, params, within_ns=60 * 10**9) for name, params in asked.items()}
        spectrum = await bus.ask("cosmic", "resonance", {"values": values}, within_ns=60 * 10**9)
        for wrong in ({"values": "1,x"}, {"values": ""}, {}):
            with pytest.raises(Denied):
                await bus.ask("cosmic", "harmony", wrong, within_ns=60 * 10**9)
        with pytest.raises(CorruptData):
            await bus.ask("cosmic", "cycles", {"values": "1,2,3"}, within_ns=60 * 10**9)
    await bus.close()

    assert [0.618, pytest.approx(46_180)] in told["levels"]["prices"]
    assert told["harmony"]["harmony"] == pytest.approx(0.912445, abs=5e-7)
    assert told["resonance"]["resonance"] == pytest.approx(0.893997, abs=5e-7)
    assert told["cycles"]["verdict"] in {"significant", "not significant"}
    assert told["golden"]["verdict"] in {"significant", "not significant"}
    assert [match["name"] for match in told["patterns"]] == ["gartley"]
    assert spectrum["p_value"] > 0
