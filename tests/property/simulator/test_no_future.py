"""Nothing that the simulator shows depends on candles that its clock has not passed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.simulator import quotes
from services.simulator.candles import MINUTE_MS, Candles, candles
from services.simulator.channels import Arg, Stream
from services.simulator.exchange import Exchange
from services.simulator.instruments import Product
from services.simulator.intake import Fields
from services.simulator.options import SimulatorOptions
from services.simulator.rest import market
from services.simulator.state import Venue

START = 1_746_403_200_000
ROWS, WARMUP = 400, 200


def world(seed: int, shared: int) -> Candles:
    """A random walk whose first rows are the same for every seed."""
    past, future = np.random.default_rng(1), np.random.default_rng(seed)
    moves = np.concatenate([past.normal(0, 30, shared), future.normal(0, 3_000, ROWS - shared)])
    close = np.round(np.maximum(100_000 + np.cumsum(moves), 1_000), 1)
    open_ = np.concatenate([[100_000.0], close[:-1]])
    wick = np.concatenate([past.uniform(0, 20, shared), future.uniform(0, 900, ROWS - shared)])
    columns = {
        "ts": (START + np.arange(ROWS) * MINUTE_MS).astype(np.float64),
        "open": open_,
        "high": np.round(np.maximum(open_, close) + wick, 1),
        "low": np.round(np.maximum(np.minimum(open_, close) - wick, 1.0), 1),
        "close": close,
        "volume": np.concatenate([past.uniform(1, 9, shared), future.uniform(1, 900, ROWS - shared)]),
    }
    return candles("BTCUSDT", columns)


def shown(venue: Venue) -> str:
    """Everything public at this instant, as text."""
    ask: dict[str, Any] = {"symbol": "BTCUSDT", "productType": "USDT-FUTURES"}
    seen: list[Any] = [market.tickers(venue, Fields(ask)), market.spot_tickers(venue, Fields(ask))]
    far = str(venue.replay.end_ms)
    for handler in (market.candles, market.spot_candles):
        for length in ("1m", "5m", "15m", "1H", "4H", "1Dutc", "1Wutc", "1Mutc"):
            seen.append(handler(venue, Fields({**ask, "granularity": length, "limit": "50"})))
            seen.append(handler(venue, Fields({**ask, "granularity": length, "endTime": far, "limit": "1000"})))
            seen.append(handler(venue, Fields({**ask, "granularity": length, "startTime": str(venue.now_ms)})))
    for limit, end in (("500", ""), ("20", far)):
        seen.append(market.trades(venue, Fields({**ask, "limit": limit, "endTime": end})))
    seen.append(market.depth(venue, Fields(ask)))
    seen.append(market.funding_rate(venue, Fields(ask)))
    seen.append(market.funding_rates(venue, Fields(ask)))
    seen.append(market.symbol_price(venue, Fields(ask)))
    for channel in ("ticker", "trade", "books", "books5", "candle1m", "candle1H"):
        stream = Stream(venue.catalogue.swap["BTCUSDT"], Arg("USDT-FUTURES", channel, "BTCUSDT"))
        seen.append([stream.first(venue), stream.next(venue)])
    return json.dumps(seen)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.integers(1, 40), one=st.integers(2, 10**6), other=st.integers(2, 10**6))
def test_lockstep_shows_the_same_whatever_comes_next(steps: int, one: int, other: int) -> None:
    venues = []
    for seed in (one, other):
        exchange = Exchange(SimulatorOptions(speed=0, warmup=WARMUP), {"BTCUSDT": world(seed, WARMUP + steps)})
        for _ in range(steps):
            exchange.work_minute()
        venues.append(exchange.venue)

    assert shown(venues[0]) == shown(venues[1])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(minutes=st.integers(1, 8), extra=st.integers(0, 11), one=st.integers(2, 10**6))
def test_running_clock_shows_the_same_whatever_comes_after_the_open_minute(minutes: int, extra: int, one: int) -> None:
    """The open minute is shared (its path runs towards its own extremes); everything after it differs."""
    venues = []
    for seed in (one, one + 1):
        exchange = Exchange(SimulatorOptions(speed=60, warmup=WARMUP), {"BTCUSDT": world(seed, WARMUP + minutes + 1)})
        for _ in range(minutes * exchange.parts + extra):
            exchange.work_stretch()
        venues.append(exchange.venue)

    assert shown(venues[0]) == shown(venues[1])


@settings(max_examples=25, deadline=None)
@given(extra=st.integers(0, 11), seed=st.integers(2, 10**6))
def test_open_minute_is_cut_to_what_the_clock_has_shown(extra: int, seed: int) -> None:
    exchange = Exchange(SimulatorOptions(speed=60, warmup=WARMUP), {"BTCUSDT": world(seed, WARMUP)})
    venue = exchange.venue
    parts = [*venue.replay.path("BTCUSDT", exchange.parts)]
    for _ in range(extra):
        exchange.work_stretch()

    rows = market.candles(venue, Fields({"symbol": "BTCUSDT", "granularity": "1m"}))
    trades = market.trades(venue, Fields({"symbol": "BTCUSDT", "limit": "10"}))

    assert all(int(row["ts"]) <= venue.now_ms for row in trades)
    if extra == 0:
        assert int(rows[-1][0]) == venue.now_ms - MINUTE_MS
        assert all(int(row["ts"]) < venue.now_ms for row in trades)
    else:
        assert float(rows[-1][2]) == pytest.approx(max(part.high for part in parts[:extra]), abs=0.06)
        assert float(rows[-1][3]) == pytest.approx(min(part.low for part in parts[:extra]), abs=0.06)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(1, 10**6), steps=st.integers(0, 30), depth=st.integers(1, 60))
def test_book_is_never_crossed_and_differences_rebuild_it(seed: int, steps: int, depth: int) -> None:
    exchange = Exchange(SimulatorOptions(speed=60, warmup=WARMUP, seed=seed), {"BTCUSDT": world(seed + 1, WARMUP)})
    before = quotes.book(exchange.venue, Product.SWAP, "BTCUSDT", depth)
    for _ in range(steps):
        exchange.work_stretch()

    after = quotes.book(exchange.venue, Product.SWAP, "BTCUSDT", depth)
    change = quotes.difference(before, after)

    assert float(after.bids[0][0]) < float(after.asks[0][0])
    assert [float(price) for price, _ in after.bids] == sorted((float(p) for p, _ in after.bids), reverse=True)
    for old, new, changes in ((before.bids, after.bids, change.bids), (before.asks, after.asks, change.asks)):
        rebuilt = dict(old) | dict(changes)
        assert {price: size for price, size in rebuilt.items() if size != "0"} == dict(new)
