"""The trend follower treats both sides alike, and each part of its score is felt."""

import numpy as np
import pytest

from bots import ccxt_trend
from bots.ccxt_trend import Params, signals
from omega.domain import MINUTE_NS
from omega.engine import Bars
from omega.engine.coarse import coarsen


def mirrored(bars: Bars) -> Bars:
    axis = 2.0 * float(bars.high.max())
    return Bars.of(bars.ts, axis - bars.open, axis - bars.low, axis - bars.high, axis - bars.close, bars.volume)


def path(closes: np.ndarray) -> Bars:
    opens = np.concatenate((closes[:1], closes[:-1]))
    ts = (np.arange(closes.shape[0]) + 30_000_000) * MINUTE_NS
    return Bars.of(
        ts, opens, np.maximum(opens, closes) + 1, np.minimum(opens, closes) - 1, closes, np.ones_like(closes)
    )


@pytest.mark.req("1.11")
def test_trend_mirrored_prices_give_mirrored_sides(market: Bars):
    made, mirror = signals(market, Params()), signals(mirrored(market), Params())

    assert made.side.any()
    assert np.array_equal(made.side, -mirror.side)
    assert np.array_equal(made.exit, mirror.exit)
    assert np.allclose(made.confidence, mirror.confidence)


def test_trend_steady_rise_enters_long_and_fall_short():
    rise = path(10_000.0 + 5.0 * np.arange(1500.0))

    assert set(signals(rise, Params()).side.tolist()) == {0, 1}
    assert set(signals(mirrored(rise), Params()).side.tolist()) == {0, -1}


def test_trend_turned_raises_the_exit_once():
    up = 10_000.0 + 5.0 * np.arange(1500.0)
    bars = path(np.concatenate((up, up[-1] - 5.0 * np.arange(1.0, 1001.0))))

    rows = np.flatnonzero(signals(bars, Params()).exit)

    assert len(rows) == 1
    assert 1500 < rows[0] < 1500 + 15 * 20


def test_trend_flat_market_never_enters():
    assert not signals(path(np.full(1500, 10_000.0)), Params()).side.any()


@pytest.mark.parametrize("part", ["_structure", "_pullback"])
def test_trend_higher_threshold_demands_every_part(market: Bars, part: str, monkeypatch: pytest.MonkeyPatch):
    strict = Params(threshold=0.95)
    assert signals(market, strict).side.any()

    nothing = {
        "_structure": lambda bars: np.zeros(bars.n),
        "_pullback": lambda bars, *_: np.zeros(bars.n, dtype=np.bool_),
    }
    monkeypatch.setattr(ccxt_trend, part, nothing[part])

    assert not signals(market, strict).side.any()


def test_trend_without_confirmation_of_the_slower_timeframe_never_enters(market: Bars, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ccxt_trend, "spread", lambda values, closed, empty: np.zeros(closed.shape[0]))

    assert not signals(market, Params()).side.any()


def test_coarsen_bucket_is_known_only_from_the_bar_after_it(market: Bars):
    slower, closed = coarsen(market, 15 * MINUTE_NS)

    for row in (0, 100, 1234, 9_999):
        seen = int(closed[row])
        ends = slower.ts[:seen] + 15 * MINUTE_NS
        assert (ends <= market.ts[row]).all()
        if seen:
            inside = (market.ts >= slower.ts[seen - 1]) & (market.ts < ends[-1])
            assert slower.high[seen - 1] == market.high[inside].max()
            assert slower.low[seen - 1] == market.low[inside].min()
            assert slower.close[seen - 1] == market.close[inside][-1]


def test_coarsen_gap_in_the_market_closes_the_bucket_late_not_wrong():
    bars = path(10_000.0 + np.arange(40.0))
    keep = np.r_[0:13, 20:40]
    gapped = Bars.of(*(getattr(bars, c)[keep] for c in ("ts", "open", "high", "low", "close", "volume")))

    slower, closed = coarsen(gapped, 15 * MINUTE_NS)

    assert slower.close[0] == gapped.close[12]
    assert closed[12] == 0
    assert closed[13] == 1
