"""A year of minutes: weight 0 is disabled is absent, to the last byte of decisions and trades, for every factor.

And 100,000 cases of anything at all: in live mode nothing raises size, leverage or the distance of the stop.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from omega import plugins
from omega.backtest import Market, Result
from omega.backtest.influences import Influences, load_influences
from omega.backtest.presets import FACTORS, Preset
from omega.domain import MINUTE_NS, Decision, FeedState, Reading
from omega.engine import Bars, Book, Context
from omega.engine.adaptation import Adaptation
from omega.engine.conditions import BY_TIME
from omega.engine.cosmic import Application
from omega.engine.decision import Settings, run_stages
from omega.engine.influence import sway
from omega.engine.moods import Emotion
from omega.engine.profile import Profile, Traits
from omega.engine.psychology import moved_price, react, stir, temper
from omega.engine.sizing import entry_size
from omega.engine.stages import CosmicStage, PsychologyStage
from omega.plugins import strategies

pytest.importorskip("numba", reason="numba is absent: install the extra research")

ALL = tuple(sorted({*plugins.factors.discover(), *FACTORS}))
YEAR = 365 * 24 * 60
START = 1_735_689_600_000_000_000  # 2025-01-01
CASES = 100_000
SEED = 20_251_128
HOUR_NS = 3_600_000_000_000
ADAPTS = (Adaptation("discipline", 0.1, 0.9, trending=-0.3, ranging=0.2, volatile=0.3),)
COLUMNS = ("side", "size", "entry_price", "exit_price", "fee", "pnl", "entry_ts", "exit_ts", "exit_kind")


@pytest.fixture(scope="module")
def year() -> Market:
    rng = np.random.default_rng(SEED)
    drift = np.repeat(rng.normal(0.0, 1e-4, YEAR // 240), 240)
    close = 60_000.0 * np.exp(np.cumsum(drift + rng.normal(0.0, 6e-4, YEAR)))
    open_ = np.concatenate((close[:1], close[:-1]))
    wick = close * np.abs(rng.normal(0.0, 3e-4, (2, YEAR)))
    high, low = np.maximum(open_, close) + wick[0], np.minimum(open_, close) - wick[1]
    ts = np.arange(YEAR, dtype=np.int64) * MINUTE_NS + START
    return Market("BTC-USDT.P", Bars.of(ts, open_, high, low, close, rng.uniform(1.0, 9.0, YEAR)), MINUTE_NS)


def wandering(factor: str, hours: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """A past for every factor, in any unit: hour by hour from -1 to 13, and from 0 to 350."""
    small = (hours // HOUR_NS * 37 % 1_400) / 100.0 - 1.0 + len(factor) % 3
    return np.where(hours // HOUR_NS % 2, small, (small + 1.0) * 20.0)


def play(market: Market, given: Influences | None) -> Result:
    from omega.backtest.run import RULES, backtest

    strategies.discover()
    entry = strategies.get("ema_cross")
    params = entry.params(fast=40, slow=120, stop_pct=0.01)
    return backtest(entry, params, market, rules=RULES, influences=given)


def same(one: Result, other: Result) -> bool:
    trades = all(getattr(one.trades, name).tobytes() == getattr(other.trades, name).tobytes() for name in COLUMNS)
    return trades and one.equity.tobytes() == other.equity.tobytes() and one.seven == other.seven


@pytest.fixture(scope="module")
def bare(year: Market) -> Result:
    return play(year, None)


def sky(weights: dict[str, float], market: Market, application: Application, profile: Profile | str = "off") -> Any:
    preset = Preset(tuple(sorted(weights.items())), application)
    bars = market.bars
    return load_influences(profile, preset, bars.ts, timeframe_ns=MINUTE_NS, readings=wandering, adapts=ADAPTS)


@pytest.mark.req("0.47", "0.61", "0.70")
@pytest.mark.parametrize("factor", [*ALL, "all"])
def test_a_year_at_weight_zero_is_a_year_without(factor: str, year: Market, bare: Result):
    """Through the same machine code: every stage runs, on nothing but zeros, beside a trader whose strength is 0."""
    names = ALL if factor == "all" else (factor,)
    off, shut = Application(live=False), Application(live=False, reach=(0.0, 0.0, 0.0))
    calm = Profile(strength=0.0, impulse=1.0, revenge_chance=1.0)

    for weights, application, profile in (
        (dict.fromkeys(names, 0.0), off, "off"),
        (dict.fromkeys(names, 0.0), off, calm),
        (dict.fromkeys(names, 1.0), shut, "off"),
        (dict.fromkeys(names, 1.0), shut, calm),
        (dict.fromkeys(names, 0.0), Application(live=True), calm),
    ):
        given = sky(weights, year, application, profile)
        assert given.cosmic is not None
        assert same(play(year, given), bare), (weights, application)
    assert bare.trades.n > 1_000


def test_a_year_at_full_weight_is_another_one(year: Market, bare: Result):
    """The comparison can fail: with a weight, or a temper, the very same run differs."""
    assert not same(play(year, sky({"moon_phase": 1.0}, year, Application(live=False))), bare)
    assert not same(play(year, load_influences("strategic", "off", year.bars.ts)), bare)


@pytest.mark.req("0.47", "0.61")
def test_decisions_of_a_year_at_weight_zero_are_the_very_objects(year: Market):
    """On every 200th bar of the year and either side, as the runner decides: off returns what it was given."""
    draft = Decision(0, 1.0, 1, False, 1.0, 0.98, ((1.04, 1.0),), 3, 0.5, "r")
    sky_off = CosmicStage.of(
        {"enabled": True, **{name: {"enabled": True, "weight": 0.0} for name in ALL}}, {"live": False},
        timeframe_ns=MINUTE_NS,
    )  # fmt: skip
    panic = (int(Emotion.PANIC), 0.1, 1.0, 1.0, 1.0, 1.0, 0, 9, 0)
    mind_off = PsychologyStage(Profile(strength=0.0).traits(), panic, live=False)
    without, with_off = Settings(live=False), Settings(live=False, psychology=mind_off, cosmic=sky_off)
    for row in range(0, YEAR, 200):
        price, ts_ns = float(year.bars.close[row]), int(year.bars.ts[row])
        readings = tuple(
            Reading(name, 1.0, 180.0, "", "", "test", ts_ns, 3600, 1.0, FeedState.LIVE) for name in ALL[: row % 4]
        )
        context = Context(ts_ns, price, Book.flat(1_000.0), readings)
        for side in (1, -1):
            one = replace(
                draft, bar_ts_ns=ts_ns, price=price, side=side, stop=price * (1 - side * 0.02),
                targets=((price * (1 + side * 0.04), 1.0),),
            )  # fmt: skip
            assert sky_off(mind_off(one, context), context) is one
            assert run_stages(one, context, with_off) == run_stages(one, context, without)


# ---- anything at all, in live mode


def edged(rng: np.random.Generator, low: float, high: float, edges: tuple[float, ...] = ()) -> list[float]:
    """Numbers of a range, every fourth of them its ends or another special value."""
    made = rng.uniform(low, high, CASES)
    special = rng.choice(np.array([low, high, *edges]), CASES)
    found: list[float] = np.where(rng.random(CASES) < 0.25, special, made).tolist()
    return found


def raised(count: int, *, live: bool) -> int:
    """Count the entries that end with more risk than their plain twins: any trader, mind, news, sky and magnitude."""
    rng = np.random.default_rng(SEED)
    unit, stops = [edged(rng, 0.0, 1.0) for _ in range(17)], edged(rng, 1e-6, 0.9)
    price, equity = np.exp(rng.uniform(-9.0, 12.0, CASES)).tolist(), np.exp(rng.uniform(0.0, 18.0, CASES)).tolist()
    leverage, stamps = rng.integers(1, 126, CASES).tolist(), rng.integers(0, 2 * 10**18, CASES).tolist()
    risk, belief = (edged(rng, -10.0, 10.0, (0.0, 1e300, -1e300)) for _ in range(2))
    results, whole = edged(rng, -1.0, 1.0, (0.0,)), rng.integers(0, 28, (CASES, 5)).tolist()
    found = 0
    for n in range(count):
        one, most = [column[n] for column in unit], float(leverage[n])
        traits, mind = someone(one, whole[n], stamps[n])
        mind = stir(react(mind, traits, results[n], 60.0 * one[1], one[2], stamps[n]), traits, whole[n][3] % 6)
        trust, side = one[9], whole[n][4] % 2 * 2 - 1
        stop = price[n] * (1.0 - side * stops[n])

        skip, share, felt, stop_x, _, ease = temper(mind, traits, 1.0, trust, most, stamps[n], live)
        share, felt = sway(share, felt, risk[n], belief[n], (one[10], one[11], one[12]), live)

        moved = moved_price(price[n], stop, stop_x)
        terms = (int(one[8] > 0.5), 0.01, 125.0, 0.0, 0.02, 0.5, 0.004, 0.0006, 0.3 * one[2], True)
        plain = entry_size(terms, side, price[n], stop, 1.0, trust, most, equity[n])
        made = entry_size(terms, side, price[n], moved, share, felt, ease, equity[n])
        fine = skip or made[0] or (not plain[0] and made[1] <= plain[1] and made[2] <= plain[2])
        bound = 0.0 <= felt <= trust and 0.0 < share <= 1.0 and 1.0 <= ease <= most and moved == stop
        found += not (fine and bound)
    return found


def someone(one: list[float], whole: list[int], stamp: int) -> tuple[Traits, Any]:
    """Return the traits and the mind of a trader out of numbers in [0, 1] and some whole ones."""
    emotion, wins, losses, _, _ = whole
    flags = [float(round(number)) for number in one[8:11]]
    nature = (*one[:7], float(losses % 5), one[7], *flags, one[11] + 1e-4, 2 * one[12])
    habit = (one[13], one[0], one[14], 0.0, 1.0 + 9.0 * one[15], 1.0 + 49.0 * one[16])
    mind = (emotion, one[3], max(one[4], 0.1), one[5], one[6], one[7], wins, losses, wins)
    return (float(stamp % 67_108_859), nature, habit), mind


@pytest.mark.req("0.13")
def test_live_nothing_raises_size_leverage_or_stop_distance():
    """100,000 entries of any kind; the same ones in research show that the count can be something else than 0."""
    assert raised(CASES, live=True) == 0
    assert raised(2_000, live=False) > 500


@pytest.mark.req("0.13")
def test_live_no_reading_of_any_factor_raises_a_decision():
    """Whole decisions under random weights and readings, raw figures of any size among them."""
    rng = np.random.default_rng(SEED)
    draft = Decision(0, 100.0, 1, False, 1.0, 98.0, ((104.0, 1.0),), 3, 0.5, "r")
    context = Context(0, 100.0, Book.flat(1_000.0))
    plain = run_stages(draft, context, Settings())
    values, raws = rng.uniform(-1.0, 1.0, (2_000, len(ALL))), rng.normal(0.0, 1.0, (2_000, len(ALL)))
    weights = rng.choice([0.0, 1e-9, 0.3, 1.0], (2_000, len(ALL)))
    for row, scale in product(range(2_000), (1.0, 1e6)):
        weighted = dict(zip(ALL, weights[row].tolist(), strict=True))
        readings = tuple(
            Reading(name, value, raw * scale, "", "", "test", 0, 3600, 1.0, FeedState.LIVE)
            for name, value, raw in zip(ALL, values[row].tolist(), raws[row].tolist(), strict=True)
            if name not in BY_TIME
        )
        stage = CosmicStage(weighted, Application(live=True), row * HOUR_NS % (365 * 24 * HOUR_NS))
        made = run_stages(draft, replace(context, readings=readings), Settings(cosmic=stage))
        assert made.side == 0 or (made.size <= plain.size and made.leverage <= plain.leverage)
        assert made.side == 0 or (made.stop == plain.stop and made.confidence <= plain.confidence)
