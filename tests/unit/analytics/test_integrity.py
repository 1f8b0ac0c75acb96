"""Each detector fires on a case made for it, keeps quiet on its innocent twin, and its rate on a recorded market."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omega.analytics.integrity import (
    Integrity,
    LayerRules,
    PumpRules,
    SpoofRules,
    WashRules,
    integrity,
    layering,
    pumps,
    spoofing,
    wash,
)
from omega.analytics.orderbook import Difference, Message, Print, Rebuilt, Snapshot, read_messages, rebuild
from omega.engine import Bars
from omega.errors import ConfigError

TICKS = Path(os.environ.get("OMEGA_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data") / "ticks"
MS = 1_000_000
MINUTE_NS = 60_000 * MS
Step = tuple[int, tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]


def market(steps: list[Step], prints: tuple[Print, ...] = ()) -> Rebuilt:
    """A market of 20 even levels a side, one unit each, on which steps of (ms, bids, asks) are played."""
    bids = tuple((100.0 - 0.01 * k, 1.0) for k in range(1, 21))
    asks = tuple((100.0 + 0.01 * k, 1.0) for k in range(1, 21))
    messages: list[Message] = [Snapshot(1, bids, asks), *prints]
    calm: Step = (0, ((99.99, 1.1),), ())
    for number, (ms, bid, ask) in enumerate([calm, *steps], start=2):
        messages.append(Difference(ms * MS, number, number, None, bid, ask))
    return rebuild(messages)


def bought(ms: int, size: float, price: float = 100.01, aggressor: int = 1, trade: int = 1) -> Print:
    return Print(ms * MS, trade, price, size, aggressor)


BIG: list[Step] = [(1_000, ((99.95, 81.0),), ()), (2_500, ((99.95, 1.0),), ()), (9_000, ((99.99, 1.0),), ())]


def test_spoofing_a_large_order_that_vanishes_untraded_is_found() -> None:
    found = spoofing(market(BIG), SpoofRules())

    assert [(f.kind, f.side, f.price, f.size) for f in found] == [("spoofing", "bid", 99.95, 80.0)]
    assert (found[0].from_ns, found[0].to_ns) == (1_000 * MS, 2_500 * MS)
    assert 0.0 < found[0].score < 1.0
    assert "withdrawn after 1.50 s with 0% traded" in found[0].text


@pytest.mark.parametrize(
    ("steps", "prints"),
    [
        pytest.param([(1_000, ((99.95, 41.0),), ()), (2_500, ((99.95, 1.0),), ())], (), id="not large enough"),
        pytest.param([(1_000, ((99.95, 81.0),), ()), (6_000, ((99.95, 1.0),), ())], (), id="it stayed"),
        pytest.param([(1_000, ((99.8, 81.0),), ()), (2_500, ((99.8, 1.0),), ())], (), id="far from the touch"),
        pytest.param(BIG, (bought(2_000, 30.0, 99.95, -1),), id="it traded"),
        pytest.param([(1_000, ((99.95, 81.0),), ()), (2_500, ((99.95, 1.0), (99.94, 81.0)), ())], (), id="it moved"),
    ],
)
def test_spoofing_innocent_twins_are_left_alone(steps: list[Step], prints: tuple[Print, ...]) -> None:
    assert spoofing(market(steps, prints), SpoofRules()) == ()


def layers(levels: int, *, together: bool = True) -> list[Step]:
    prices = [100.05 + 0.01 * k for k in range(levels)]
    sizes = [9.0 + 2.0 * k for k in range(levels)]
    came: list[Step] = [(1_000 + 20 * k, (), ((p, s),)) for k, (p, s) in enumerate(zip(prices, sizes, strict=True))]
    gap = 20 if together else 400
    went: list[Step] = [(1_600 + gap * k, (), ((p, 1.0),)) for k, p in enumerate(prices)]
    return sorted([*came, *went, (9_000, ((99.99, 1.0),), ())])


def test_layering_orders_that_come_and_go_together_are_found() -> None:
    found = layering(market(layers(5)), LayerRules())

    assert [(f.kind, f.side) for f in found] == [("layering", "ask")]
    assert found[0].text.startswith("5 asks from 100.05 to 100.09")
    assert found[0].score == pytest.approx(1.0 - 3.0 / 5.0)


@pytest.mark.parametrize(("levels", "together"), [(3, True), (5, False)])
def test_layering_too_few_or_not_together_is_left_alone(levels: int, together: bool) -> None:
    assert layering(market(layers(levels, together=together)), LayerRules()) == ()


def honest(count: int = 400) -> list[Print]:
    """Trades of ever new sizes, a second apart."""
    rng = np.random.default_rng(5)
    return [
        bought(1_000 * k, round(float(rng.uniform(0.1, 9.0)), 4), 100.0, int(rng.choice((-1, 1))), k)
        for k in range(count)
    ]


def test_wash_one_size_bought_and_sold_again_and_again_is_found() -> None:
    pairs = [bought(100_000 + 2_000 * k + 400 * s, 7.7777, 100.0, 1 - 2 * s, 900) for k in range(5) for s in (0, 1)]

    made = wash([*honest(), *pairs], WashRules(rare=0.05), np.random.default_rng(0))

    assert [(f.kind, f.size) for f in made.findings] == [("wash", pytest.approx(10 * 7.7777))]
    assert made.share > made.expected
    assert made.p_value == pytest.approx(0.01)


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([(400 * s, 7.7777, 1) for s in range(10)], id="one side alone"),
        pytest.param([(5_000 * s, 7.7777, 1 - 2 * (s % 2)) for s in range(10)], id="far apart"),
        pytest.param([(400 * s, 1.0 + s / 100, 1 - 2 * (s % 2)) for s in range(10)], id="different sizes"),
    ],
)
def test_wash_ordinary_trades_are_left_alone(pairs: list[tuple[int, float, int]]) -> None:
    prints = [*honest(), *(bought(100_000 + ms, size, 100.0, way, 900) for ms, size, way in pairs)]

    made = wash(prints, WashRules(rare=0.05), np.random.default_rng(0))

    assert made.findings == ()
    assert made.p_value > 0.05


def minutes(*, rise: float, volume: float, fall: float) -> Bars:
    """Quiet minutes, then 15 that rise on volume, then 20 that fall."""
    rng = np.random.default_rng(2)
    quiet = rng.normal(0.0, 0.0005, 1_600)
    moves = np.concatenate([quiet, np.full(15, np.log1p(rise) / 15), np.full(20, np.log1p(fall) / 20)])
    close = 100.0 * np.exp(np.cumsum(moves))
    traded = np.concatenate([np.full(1_600, 10.0), np.full(15, volume), np.full(20, volume)])
    open_ = np.concatenate(([100.0], close[:-1]))
    ts = np.arange(len(close)) * MINUTE_NS + MINUTE_NS
    return Bars.of(ts, open_, np.maximum(open_, close), np.minimum(open_, close), close, traded)


def test_pump_a_rise_on_volume_is_found_with_its_dump() -> None:
    bars = minutes(rise=0.08, volume=200.0, fall=-0.06)

    found = pumps(bars)

    assert [f.kind for f in found] == ["pump"]
    assert "50% of it was lost" in found[0].text
    assert bars.ts[1_600] < found[0].to_ns <= bars.ts[-1]


@pytest.mark.parametrize(("rise", "volume"), [(0.08, 20.0), (0.005, 200.0)])
def test_pump_a_rise_without_volume_or_volume_without_a_rise_is_left_alone(rise: float, volume: float) -> None:
    assert pumps(minutes(rise=rise, volume=volume, fall=-0.01)) == ()


def test_pump_is_known_at_its_bar_whatever_follows() -> None:
    """Cutting the future off takes the dump away, never the pump."""
    bars = minutes(rise=0.08, volume=200.0, fall=-0.06)
    whole = pumps(bars)[0]
    at = int(np.searchsorted(bars.ts, whole.from_ns)) + PumpRules().window

    cut = pumps(bars.prefix(at + 1))

    assert [(f.from_ns, f.price, f.score) for f in cut] == [(whole.from_ns, whole.price, whole.score)]
    assert pumps(bars.prefix(at)) == ()


@pytest.mark.parametrize(
    ("rules", "run"),
    [
        (SpoofRules(size=0.0), lambda r: spoofing(market(BIG), r)),
        (SpoofRules(executed=1.0), lambda r: spoofing(market(BIG), r)),
        (LayerRules(levels=1), lambda r: layering(market(BIG), r)),
        (WashRules(rare=0.0), lambda r: wash(honest(), r, np.random.default_rng(0))),
        (PumpRules(base=5), lambda r: pumps(minutes(rise=0.1, volume=10.0, fall=-0.1), r)),
    ],
)
def test_rules_that_can_never_hold_are_refused(rules: object, run: object) -> None:
    with pytest.raises(ConfigError, match=r"can never hold|need two prices"):
        run(rules)  # type: ignore[operator]


def test_integrity_of_a_recorded_market_raises_few_alarms() -> None:
    """Six minutes of an ordinary perpetual: a handful of likenesses, and no more paired trades than by chance."""
    raw = TICKS / "BTCUSDT-binance-20240808-raw.jsonl.gz"
    if not raw.is_file():
        pytest.skip(f"recorded ticks are absent: {raw} (set OMEGA_SHARED_DATA to the folder that holds ticks/)")
    with gzip.open(raw, "rt", encoding="utf-8") as file:
        found = integrity(rebuild(read_messages(file)))

    assert {kind: found.rate(kind) for kind in ("spoofing", "wash")} == {"spoofing": 0.0, "wash": 0.0}
    assert found.rate("layering") < 15.0
    assert found.wash is not None
    assert found.wash.p_value > 0.05


def test_integrity_rate_is_findings_an_hour() -> None:
    quiet = integrity(market(BIG))

    assert isinstance(quiet, Integrity)
    assert quiet.rate("spoofing") == pytest.approx(1.0 / (9.0 / 3600.0))
    assert replace(quiet, hours=0.0).rate("spoofing") == 0.0
