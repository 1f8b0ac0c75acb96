"""Feeds over a real HTTP server: good answers, bad ones, silence, a restart, and the circuit between."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from omega.bus import BarClosed, MemoryBus, Quote
from omega.config import Cosmic, Environment, FearGreedFeed, Feeds, KpFeed, Monitoring, SchumannFeed, Settings, Trading
from omega.cosmic.feeds import Track
from omega.domain import MINUTE_NS, Bar, FeedState, from_iso, iso
from omega.errors import ConfigError, CorruptData, TransientError
from omega.telemetry import Metrics
from services.cosmic import CosmicFactorService
from services.cosmic.feeds import fear_greed, kp, schumann
from services.cosmic.feeds.coordinator import Coordinator
from services.cosmic.feeds.http import LARGEST, get_json
from services.cosmic.feeds.market import Market
from services.cosmic.feeds.sources import Sources

NOW_NS = from_iso("2025-06-11T07:44:00Z")
HOUR_NS = 60 * MINUTE_NS
SYMBOL = "BTC-USDT.P"


class Server:
    """A local server whose next answers are set by the test; it counts what it was asked."""

    def __init__(self) -> None:
        self.body: object = {}
        self.status = 200
        self.asked = 0
        self.silent = False
        self._let_go = asyncio.Event()

    async def handle(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.silent:
            await self._let_go.wait()
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return web.Response(text=text, status=self.status, content_type="application/json")

    def let_go(self) -> None:
        self._let_go.set()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    made = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield made, f"http://127.0.0.1:{port}/feed"
    made.let_go()
    await runner.cleanup()


def greed(value: int, at_ns: int = NOW_NS) -> dict[str, object]:
    return {"data": [{"value": str(value), "timestamp": str(at_ns // 10**9)}]}


async def test_fear_and_greed_is_read_from_its_address(server: tuple[Server, str]):
    made, url = server
    made.body = greed(25)

    sample = await fear_greed.fetch(FearGreedFeed(url=url))

    assert (sample.raw, sample.as_of_ns, sample.source) == (25.0, NOW_NS, "fear and greed (127.0.0.1)")


@pytest.mark.parametrize("form", ["table", "objects"])
async def test_kp_is_the_newest_span_that_has_ended(server: tuple[Server, str], form: str):
    made, url = server
    rows = [["2025-06-11 00:00:00.000", "2.33", "9"], ["2025-06-11 03:00:00.000", "4.67", "39"],
            ["2025-06-11 06:00:00.000", "8.00", "207"]]  # fmt: skip
    head = ["time_tag", "Kp", "a_running"]
    made.body = [head, *rows] if form == "table" else [dict(zip(head, row, strict=True)) for row in rows]

    sample = await kp.fetch(KpFeed(url=url), NOW_NS)

    assert (sample.raw, iso(sample.as_of_ns)) == (4.67, "2025-06-11T03:00:00.000Z")


async def test_schumann_is_read_from_an_address_of_ones_own(server: tuple[Server, str]):
    made, url = server
    made.body = {"hz": 7.91, "time": iso(NOW_NS)}

    sample = await schumann.fetch(SchumannFeed(provider="http", url=url))

    assert (sample.raw, sample.as_of_ns) == (7.91, NOW_NS)


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"data": []}, {"data": [{"value": "high", "timestamp": "1"}]}, 7, None,
        '{"data": [{"value": "40", "timestamp": 1e999}]}', '{"hz": 1' + "0" * 400 + ', "time": "2025-06-11"}',
        '[{"time_tag": "2025-06-11", "Kp": 1' + "0" * 400 + "}]", "[" * 200_000,
    ],
)  # fmt: skip
async def test_answer_in_another_shape_is_corrupt(server: tuple[Server, str], body: object):
    made, url = server
    made.body = body

    for fetch in (
        lambda: fear_greed.fetch(FearGreedFeed(url=url)),
        lambda: kp.fetch(KpFeed(url=url), NOW_NS),
        lambda: schumann.fetch(SchumannFeed(provider="http", url=url)),
    ):
        with pytest.raises(CorruptData):
            await fetch()


async def test_get_has_an_end_in_time_size_and_status(server: tuple[Server, str]):
    made, url = server
    made.body = "x" * (LARGEST + 1)
    with pytest.raises(CorruptData, match="more than"):
        await get_json(url, timeout_s=5)
    made.body = "no json"
    with pytest.raises(CorruptData, match="no JSON"):
        await get_json(url, timeout_s=5)
    made.status = 503
    with pytest.raises(TransientError, match="503"):
        await get_json(url, timeout_s=5)
    made.silent = True
    with pytest.raises(TransientError, match="did not answer"):
        await get_json(url, timeout_s=0.1)
    with pytest.raises(ConfigError, match="no address"):
        Sources(_settings(FearGreedFeed(enabled=True, url="file:///etc/passwd")), MemoryBus(source="t"), Metrics())


def _coordinator(bus: MemoryBus, url: str, *, timeout_s: float = 5.0) -> Coordinator:
    feed = FearGreedFeed(enabled=True, url=url, timeout_s=timeout_s)

    async def fetch() -> object:
        return await fear_greed.fetch(feed)

    fetcher: Callable[[], Awaitable[object]] = fetch
    return Coordinator("fear_greed", Track(fear_greed.RULE), fetcher, every_s=0.01, bus=bus, metrics=Metrics())  # type: ignore[arg-type]


async def test_coordinator_keeps_the_last_good_value_and_its_age_over_a_restart(server: tuple[Server, str]):
    made, url = server
    bus = MemoryBus(source="cosmic")
    await bus.start()
    made.body = greed(25)
    assert await _coordinator(bus, url).poll() is FeedState.LIVE

    made.status = 500
    again = _coordinator(bus, url)
    await again.restore()
    assert await again.poll() is None
    fresh, old = (again.track.at(NOW_NS + hours * HOUR_NS) for hours in (1, 30))
    await bus.close()

    assert fresh is not None
    assert old is not None
    assert (fresh.raw, fresh.state) == (25.0, FeedState.LIVE)
    assert (old.raw, old.state, old.confidence) == (25.0, FeedState.STALE, 0.0)


@pytest.mark.parametrize("hours", [2, 24 * 365 * 1_000])
async def test_coordinator_a_value_of_the_future_does_not_hide_those_that_follow(
    server: tuple[Server, str], hours: int
):
    """One wrong stamp, seconds taken for milliseconds, would silence the feed for ever: also after a restart."""
    made, url = server
    bus = MemoryBus(source="cosmic")
    await bus.start()
    now_ns = time.time_ns()
    feed = _coordinator(bus, url)
    made.body = greed(25, now_ns + hours * HOUR_NS)

    assert await feed.poll() is None
    assert await bus.get(bus.topics.state("feed", "fear_greed")) is None
    made.body = greed(30, now_ns)
    assert await feed.poll() is FeedState.LIVE
    heard = feed.track.at(now_ns)
    await bus.close()

    assert heard is not None
    assert (heard.raw, heard.state) == (30.0, FeedState.LIVE)


async def test_coordinator_spares_a_source_that_keeps_failing_and_counts(server: tuple[Server, str]):
    made, url = server
    bus = MemoryBus(source="cosmic")
    await bus.start()
    feed = FearGreedFeed(enabled=True, url=url)
    metrics = Metrics()
    slow = Coordinator(
        "fear_greed", Track(fear_greed.RULE), lambda: fear_greed.fetch(feed), every_s=1_000, bus=bus, metrics=metrics
    )
    made.status = 500
    for _ in range(10):
        assert await slow.poll() is None
    slow.update_metrics(NOW_NS)
    await bus.close()

    assert made.asked == 3
    samples = metrics.samples()
    assert samples['omega_cosmic_feed_fetches_total{feed="fear_greed",outcome="failed"}'] == 10
    assert samples['omega_cosmic_feed_circuit{feed="fear_greed"}'] == 2


async def test_coordinator_shows_an_implausible_value_in_the_state_not_in_the_reading(server: tuple[Server, str]):
    made, url = server
    bus = MemoryBus(source="cosmic")
    await bus.start()
    poller = _coordinator(bus, url)
    made.body = greed(40)
    await poller.poll()
    made.body = greed(4_000, NOW_NS + HOUR_NS)

    state = await poller.poll()

    heard = poller.track.at(NOW_NS + HOUR_NS)
    await bus.close()
    assert state is FeedState.IMPLAUSIBLE
    assert heard is not None
    assert (heard.raw, heard.state) == (40.0, FeedState.IMPLAUSIBLE)
    assert poller.track.rejected == 4_000.0


def _settings(greedy: FearGreedFeed | None = None, **cosmic: object) -> Settings:
    feeds = {"feeds": Feeds(fear_greed=greedy or FearGreedFeed())} | cosmic
    return Settings(
        environment=Environment(instance="cosmic"),
        monitoring=Monitoring(drain_s=3.0, heartbeat_s=0.1),
        cosmic=Cosmic(table_hours=240, publish_s=0.05, **feeds),
        trading=Trading(venue="bitget"),
    )


@asynccontextmanager
async def living(bus: MemoryBus, settings: Settings) -> AsyncIterator[CosmicFactorService]:
    service = CosmicFactorService(settings=settings, bus=bus.peer("cosmic"))
    await service.initialize()
    await service.start()
    try:
        yield service
    finally:
        await service.shutdown()


async def test_service_publishes_what_a_feed_says_and_how_old_it_is(server: tuple[Server, str]):
    """From the HTTP answer to the reading on the bus, its state in the metrics, and the feeds on request."""
    import time

    made, url = server
    made.body = greed(10, time.time_ns() - HOUR_NS)
    bus = MemoryBus(source="test")
    await bus.start()

    feed = FearGreedFeed(enabled=True, url=url, every_s=0.05)
    async with (
        bus.follow(bus.topics.reading("global_sentiment")) as stream,
        living(bus, _settings(feed)) as service,
        asyncio.timeout(20),
    ):
        async for received in stream:
            reading = received.envelope.data
            if reading.state is FeedState.LIVE:  # type: ignore[union-attr]
                break
        told = await bus.ask("cosmic", "feeds", within_ns=60 * 10**9)
        metrics = service.get_metrics()
    await bus.close()

    assert (reading.raw, reading.label, reading.confidence) == (10.0, "despair", 0.5)  # type: ignore[union-attr]
    assert told["fear_greed"]["state"] == "live"  # type: ignore[index,call-overload]
    assert 3_600 <= told["fear_greed"]["age_s"] < 3_700  # type: ignore[index,call-overload]
    assert metrics['omega_cosmic_reading_state{factor="global_sentiment",state="live"}'] == 1
    assert metrics['omega_cosmic_feed_age_seconds{feed="fear_greed"}'] > 3_500


async def test_service_in_a_replay_asks_nobody(server: tuple[Server, str]):
    made, url = server
    made.body = greed(10)
    bus = MemoryBus(source="test")
    await bus.start()
    settings = _settings(FearGreedFeed(enabled=True, url=url, every_s=0.01), clock="bars")

    async with living(bus, settings) as service, asyncio.timeout(60):
        bar = BarClosed("bitget", SYMBOL, "1m", Bar(NOW_NS, 1.0, 2.0, 0.5, 1.5, 10.0), NOW_NS)
        await bus.send(bar)
        while not service.planetary_positions:  # noqa: ASYNC110 - waits for a fact of the service
            await asyncio.sleep(0.01)
        readings = await service.get_current_factors()
    await bus.close()

    assert made.asked == 0
    assert not service.sources.coordinators
    assert readings["global_sentiment"].source == "none"


async def test_sources_in_a_replay_read_recorded_feeds(tmp_path):  # type: ignore[no-untyped-def] # noqa: ANN001
    (tmp_path / "fear-greed-1d.csv").write_text("ts,value\n1749600000000,72\n", encoding="utf-8")
    settings = _settings(clock="bars", feeds=Feeds(recorded=str(tmp_path)))

    sources = Sources(settings, MemoryBus(source="t"), Metrics())

    heard = sources.hear("sentiment", from_iso("2025-06-11T12:00:00Z"))
    assert heard is not None
    assert (heard.raw, heard.state, iso(heard.as_of_ns)) == (72.0, FeedState.LIVE, "2025-06-11T00:00:00.000Z")
    assert sources.hear("sentiment", from_iso("2025-06-12T00:00:00Z")) is None
    assert sources.hear("kp", NOW_NS) is None


async def test_sources_of_the_resonance_are_the_model_the_simulator_or_nothing_invented():
    metrics, bus = Metrics(), MemoryBus(source="t")
    none = Sources(_settings(), bus, metrics).hear("schumann", NOW_NS)
    play = Sources(_settings(feeds=Feeds(schumann=SchumannFeed(provider="simulated"))), bus, metrics)
    played = play.hear("schumann", NOW_NS)

    assert none is not None
    assert played is not None
    assert (none.state, none.confidence) == (FeedState.MODEL, 0.0)
    assert played.source.startswith("simulated (seed 7")
    assert played == play.hear("schumann", NOW_NS)


def _quote(minute: int, *, bid: float = 100.0, ask: float = 100.1, **more: float | None) -> Quote:
    return Quote("bitget", SYMBOL, bid, ask, bid, bid, NOW_NS + minute * MINUTE_NS, **more)


async def test_market_turns_quotes_and_bars_into_liquidity_and_mood():
    clock = iter(range(NOW_NS, NOW_NS + 10_000 * MINUTE_NS, MINUTE_NS))
    market = Market(MemoryBus(source="t"), "bitget", [SYMBOL], lambda: next(clock))
    for minute in range(70):
        market.take(_quote(minute, bid_size=5.0 + minute % 3, ask_size=5.0, funding=0.00025, change_24h=-0.05))
        market.take(BarClosed("bitget", SYMBOL, "1m", Bar(NOW_NS, 1.0, 1.0, 1.0, 1.0, 10.0 + minute % 4), NOW_NS))
        market.close_minute()
    calm = market.liquidity.newest

    market.take(_quote(71, ask=120.0, bid_size=0.01, ask_size=0.01))
    market.take(BarClosed("bitget", SYMBOL, "1m", Bar(NOW_NS, 1.0, 1.0, 1.0, 1.0, 0.1), NOW_NS))
    market.close_minute()
    dry = market.liquidity.newest
    market.close_minute()

    assert calm is not None
    assert dry is not None
    assert -0.5 < calm.raw < 0.8
    assert dry.raw < -0.9
    assert market.liquidity.newest == dry, "a minute without a word is no value"
    assert market.funding.newest is not None
    assert market.change.newest is not None
    assert (market.funding.newest.raw, market.change.newest.raw) == (75.0, 25.0)


@pytest.mark.parametrize(
    "quote",
    [_quote(0, bid=float("nan")), _quote(0, bid=0.0, ask=0.0), _quote(0, bid=2.0, ask=1.0),
     _quote(0, funding=float("nan"), change_24h=float("inf"))],
)  # fmt: skip
async def test_market_unsound_quote_is_no_value(quote: Quote):
    market = Market(MemoryBus(source="t"), "bitget", [SYMBOL], lambda: NOW_NS)

    market.take(quote)
    market.close_minute()

    assert (market.liquidity.newest, market.funding.newest, market.change.newest) == (None, None, None)
