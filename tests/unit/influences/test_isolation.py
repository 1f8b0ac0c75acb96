"""The isolation tests of the review that the farm began with, each by its name: one factor at a time, two, all, none.

Everything runs over the table of factors and the registry, so a factor that is added is covered without a line here.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from omega import plugins
from omega.backtest import Market, Result
from omega.backtest.influences import Influences, load_influences
from omega.backtest.presets import FACTORS, Preset
from omega.domain import Decision, FeedState, Reading
from omega.engine import Book, Context
from omega.engine.conditions import BY_TIME, LABELS, MOON, influence_of, quantity_of, time_conditions
from omega.engine.cosmic import INFLUENCES, Application, apply_cosmic_factors, calculate_cosmic_influence
from omega.engine.decision import Interceptor, Settings, identity, run_stages
from omega.engine.stages import CosmicStage
from omega.errors import ConfigError
from omega.plugins import strategies
from omega.storage.lake.read import read_market

ALL = tuple(sorted({*plugins.factors.discover(), *FACTORS}))
PAIRS = tuple(combinations(ALL, 2))
READ = tuple([factor for factor in ALL if factor not in BY_TIME])
CANDLES = Path(__file__).parents[3] / "data" / "candles"
HOUR_NS = 3_600_000_000_000
NOON = 1_750_075_200_000_000_000  # Monday, 2025-06-16 12:00 UTC: every factor of time and place has its say
FRAME_NS = 900_000_000_000
PLACE = (40.0, -74.0)
DRAFT = Decision(NOON - FRAME_NS, 100.0, 1, False, 1.0, 98.0, ((104.0, 1.0),), 3, 0.5, "r")


def quantities(factor: str) -> tuple[float, ...]:
    """Quantities that reach every band of a factor, whatever its unit."""
    return tuple(LABELS[factor].values()) if factor in LABELS else tuple(np.linspace(-1.0, 9.0, 21).tolist())


def reading(factor: str, quantity: float, **changes: Any) -> Reading:
    """A live reading whose table reads that quantity, for a factor by its value and for one by its raw figure."""
    value = quantity / 50.0 - 1.0 if factor == "global_sentiment" else quantity
    values: dict[str, Any] = {
        "factor": factor, "value": value, "raw": quantity, "unit": "", "label": "", "source": "test", "as_of_ns": NOON,
        "ttl_s": 3600, "confidence": 1.0, "state": FeedState.LIVE,
    }  # fmt: skip
    return Reading(**{**values, **changes})


def stage(weights: Mapping[str, float], *, live: bool = False, **config: Any) -> CosmicStage:
    factors = {name: {"enabled": True, "weight": weight} for name, weight in weights.items()}
    return CosmicStage.of({"enabled": True, **factors}, {"live": live, **config}, timeframe_ns=FRAME_NS)


def decided(made: Interceptor, readings: Iterable[Reading]) -> Decision:
    return made(DRAFT, Context(DRAFT.bar_ts_ns, DRAFT.price, Book.flat(1_000.0), tuple(readings)))


def extremes(but: str = "") -> list[Reading]:
    """Every factor that is read, at the far end of its table."""
    return [reading(factor, quantities(factor)[-1]) for factor in READ if factor != but]


def assert_moved(made: Decision, risk: float, confidence: float, *, live: bool) -> None:
    """Size and confidence are those of the domain's formulas, inside the clamps; nothing else has moved."""
    size = min(max(1.0 + risk, 0.5), 1.0 if live else 2.0)
    entry = min(max(1.0 - confidence, 1.0 if live else 0.7), 1.3)
    assert made.size == pytest.approx(size, abs=1e-12)
    assert made.confidence == pytest.approx(min(0.5 / entry, 1.0), abs=1e-12)
    assert (made.stop, made.targets, made.leverage, made.side) == (
        DRAFT.stop,
        DRAFT.targets,
        DRAFT.leverage,
        DRAFT.side,
    )


# ---- all cosmic factors disabled


@pytest.mark.req("0.47", "0.61")
@pytest.mark.parametrize(
    ("config", "application"),
    [
        ({"enabled": False, **{name: {"enabled": True, "weight": 1.0} for name in ALL}}, {}),
        ({"enabled": True, **{name: {"enabled": False, "weight": 1.0} for name in ALL}}, {}),
        ({"enabled": True, **{name: {"enabled": True, "weight": 0.0} for name in ALL}}, {}),
        ({"enabled": True, **{name: {"enabled": True, "weight": 1.0} for name in ALL}}, {"enabled": False}),
        ({}, {}),
    ],
    ids=["master switch off", "each switched off", "each at weight 0", "application off", "no configuration"],
)
def test_all_cosmic_factors_disabled_returns_the_very_decision(config: dict[str, Any], application: dict[str, Any]):
    made = CosmicStage.of(config, application | {"live": False}, timeframe_ns=FRAME_NS)

    assert decided(made, extremes()) is DRAFT
    context = Context(DRAFT.bar_ts_ns, DRAFT.price, Book.flat(1_000.0), tuple(extremes()))
    rules = (Settings(live=False, cosmic=made), Settings(live=False, cosmic=identity))
    assert run_stages(DRAFT, context, rules[0]) == run_stages(DRAFT, context, rules[1])
    influences = calculate_cosmic_influence(config, {one.factor: one for one in extremes()})
    assert set(influences) == set(INFLUENCES)
    assert application or not any(influences.values())
    assert apply_cosmic_factors(DRAFT, influences, application | {"live": False, "enabled": False}) is DRAFT


# ---- only one


@pytest.mark.req("0.48")
@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("phase", "influence"),
    [("new", 0.0), ("waxing_crescent", 0.2), ("first_quarter", 0.3), ("waxing_gibbous", 0.4), ("full", 0.5),
     ("waning_gibbous", 0.3), ("last_quarter", 0.2), ("waning_crescent", 0.1)],
)  # fmt: skip
def test_only_moon_phase(phase: str, influence: float, live: bool):
    made = stage({MOON: 1.0}, live=live)

    after = decided(made, [reading(MOON, LABELS[MOON][phase]), *extremes(but=MOON)])

    assert_moved(after, influence, influence, live=live)
    found = calculate_cosmic_influence({"enabled": True, MOON: {"enabled": True, "weight": 1.0}}, {MOON: phase})
    assert found["emotional_intensity"] == 2.0 * influence
    assert found["mistake_probability"] == (0.1 if phase == "full" else 0.0)
    assert found["insight_potential"] == (0.3 if phase == "new" else 0.0)


@pytest.mark.req("0.49")
@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("band", "influence"),
    [("very_low", -0.3), ("low", -0.1), ("baseline", 0.0), ("elevated", 0.2), ("high", 0.4), ("very_high", 0.6)],
)
def test_only_schumann_resonance(band: str, influence: float, live: bool):
    name = "schumann_resonance"
    made, quantity = stage({name: 1.0}, live=live), LABELS[name][band]

    after = decided(made, [reading(name, quantity), *extremes(but=name)])

    assert_moved(after, influence, 0.0, live=live)
    for state in set(FeedState) - {FeedState.LIVE, FeedState.CALCULATED}:
        assert decided(made, [reading(name, quantity, state=state)]) is DRAFT


@pytest.mark.req("0.50")
@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("state", "influence"), [("dry", -0.3), ("restricted", -0.1), ("normal", 0.0), ("flowing", 0.1), ("abundant", 0.2)]
)
def test_only_market_liquidity(state: str, influence: float, live: bool):
    name = "market_liquidity"
    made, quantity = stage({name: 1.0}, live=live), LABELS[name][state]

    after = decided(made, [reading(name, quantity), *extremes(but=name)])

    assert_moved(after, influence, 0.0, live=live)
    found = calculate_cosmic_influence({"enabled": True, name: {"enabled": True, "weight": 1.0}}, {name: state})
    assert {key for key, value in found.items() if value} <= {"risk_appetite"}
    assert decided(made, [reading(name, quantity, source="")]) is DRAFT
    assert decided(made, [reading(name, quantity, as_of_ns=NOON - 2 * HOUR_NS)]) is DRAFT


@pytest.mark.req("0.51")
@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("state", "influence"),
    [("despair", -0.5), ("pessimistic", -0.3), ("fearful", -0.3), ("cautious", -0.1), ("neutral", 0.0),
     ("optimistic", 0.2), ("euphoric", 0.4)],
)  # fmt: skip
def test_only_global_sentiment(state: str, influence: float, live: bool):
    name = "global_sentiment"
    made = stage({name: 1.0}, live=live)

    after = decided(made, [reading(name, LABELS[name][state]), *extremes(but=name)])

    assert_moved(after, influence, influence, live=live)
    found = calculate_cosmic_influence({"enabled": True, name: {"enabled": True, "weight": 1.0}}, {name: state})
    assert found["emotional_intensity"] == 0.5 * abs(influence)


@pytest.mark.req("0.70", "0.12")
@pytest.mark.parametrize("factor", ALL)
def test_only_one_factor_lets_no_other_in(factor: str):
    """Whatever the others read, the decision is the one that this factor makes alone."""
    made = stage({factor: 1.0})

    alone = [decided(made, [reading(factor, quantity)]) for quantity in quantities(factor)]
    among = [decided(made, [reading(factor, one), *extremes(but=factor)]) for one in quantities(factor)]

    assert among == alone


@pytest.mark.req("0.70")
@pytest.mark.parametrize("factor", READ)
def test_only_one_factor_that_nobody_reads_returns_the_very_decision(factor: str):
    made, quantity = stage({factor: 1.0}), quantities(factor)[-1]

    assert decided(made, extremes(but=factor)) is DRAFT
    assert decided(made, [reading(factor, quantity, state=FeedState.STALE)]) is DRAFT
    assert decided(made, [reading(factor, quantity, as_of_ns=NOON - 100 * HOUR_NS)]) is DRAFT
    assert decided(stage({factor: 0.0}), extremes()) is DRAFT


@pytest.mark.req("0.70", "0.71")
@pytest.mark.parametrize("factor", ALL)
def test_only_one_factor_counts_in_proportion_to_its_weight(factor: str):
    """Phasing out by the weight: half of it is half the influence, none of it none."""
    conditions = {**time_conditions(NOON, *PLACE)}
    for quantity in quantities(factor):
        full, half, none = (
            np.array(influence_of({factor: weight}, {factor: quantity} | conditions_of(factor, quantity, conditions)))
            for weight in (1.0, 0.5, 0.0)
        )
        np.testing.assert_allclose(half, 0.5 * full, atol=1e-15)
        assert not none.any()


def conditions_of(factor: str, quantity: float, conditions: Mapping[str, Any]) -> dict[str, Any]:
    return dict(conditions) if factor in BY_TIME else {**conditions, factor: quantity}


# ---- pairwise combinations


@pytest.mark.req("0.52", "0.70")
@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_pairwise_combination_is_the_sum_of_the_two(pair: tuple[str, str]):
    one, other = pair
    times = time_conditions(NOON, *PLACE)
    for first, second in zip(quantities(one) * 3, quantities(other) * 3, strict=False):
        both = conditions_of(other, second, conditions_of(one, first, times))
        sums = [np.array(influence_of(weights, both)) for weights in ({one: 0.7}, {other: 0.4}, {one: 0.7, other: 0.4})]

        np.testing.assert_allclose(sums[2], sums[0] + sums[1], atol=1e-12)


# ---- comparative performance


@dataclass(frozen=True)
class Field:
    """A recorded market, and what comes of it without any factor."""

    market: Market
    plain: Result

    def play(self, weights: Mapping[str, float], *, live: bool = False) -> Result:
        made = Preset(tuple(sorted(weights.items())), Application(live=live))
        given = load_influences(
            "off", made, self.market.bars.ts, timeframe_ns=self.market.timeframe_ns, readings=recorded, live=live
        )
        return run(self.market, given)


def recorded(factor: str, hours: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """A past for every factor: it wanders through all of its quantities."""
    row = hours // HOUR_NS * (7 + len(factor)) // 5
    return np.array(quantities(factor))[row % len(quantities(factor))]


def run(market: Market, given: Influences | None) -> Result:
    from omega.backtest.run import RULES, backtest

    strategies.discover()
    entry = strategies.get("ema_cross")
    return backtest(entry, entry.params(), market, rules=RULES, influences=given)


@pytest.fixture(scope="module")
def field() -> Field:
    pytest.importorskip("numba", reason="numba is absent: install the extra research")
    found = read_market(CANDLES / "BTCUSDT-1m.parquet", "BTCUSDT", "15m")
    market = Market("BTCUSDT", found.bars, FRAME_NS)
    return Field(market, run(market, None))


@pytest.mark.req("0.52", "0.70")
def test_comparative_performance_of_every_factor_and_every_pair(field: Field):
    """One table of all combinations: the same entries, other sizes; what moves no size is the plain run to the bit."""
    combos: list[tuple[str, ...]] = [(), *[(factor,) for factor in ALL], *PAIRS, ALL]
    rows = {combo: field.play(dict.fromkeys(combo, 1.0)) for combo in combos}

    plain = field.plain.trades
    assert plain.n > 40
    assert rows[()].equity.tobytes() == field.plain.equity.tobytes()
    moved = {combo for combo, made in rows.items() if made.final_equity != field.plain.final_equity}
    for combo, made in rows.items():
        assert np.array_equal(made.trades.entry_ts, plain.entry_ts), combo
        assert np.isfinite(list(made.seven.values())).all(), combo
        assert combo in moved or made.equity.tobytes() == field.plain.equity.tobytes()
    risky = {"moon_phase", "schumann_resonance", "market_liquidity", "global_sentiment", "geographic_influence"}
    assert {(factor,) for factor in risky} <= moved
    assert {("mercury_retrograde",), ("circadian_rhythm",), ()}.isdisjoint(moved)
    assert all(pair in moved for pair in PAIRS if risky & set(pair))


@pytest.mark.req("0.13", "0.52")
@pytest.mark.parametrize("factor", ALL)
def test_comparative_performance_live_never_enters_larger(factor: str, field: Field):
    """The first entry of each run stands on the same equity: there the sizes compare."""
    live, plain = field.play({factor: 1.0}, live=True).trades, field.plain.trades
    first = plain.entry_ts == plain.entry_ts[0]

    assert live.size[live.entry_ts == live.entry_ts[0]].sum() <= plain.size[first].sum()
    assert np.isin(live.entry_ts, plain.entry_ts).all()


# ---- speed and memory with and without


def calls(made: Interceptor, readings: list[Reading]) -> int:
    """How many functions one decision calls: a figure that no load of the machine moves."""
    found = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal found
        found += event in {"call", "c_call"}

    context = Context(DRAFT.bar_ts_ns, DRAFT.price, Book.flat(1_000.0), tuple(readings))
    rules = Settings(live=False, cosmic=made)
    run_stages(DRAFT, context, rules)
    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        run_stages(DRAFT, context, rules)
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.req("0.57")
def test_speed_of_a_decision_without_and_with_factors():
    """Switched off costs one call more than not there; a factor costs a bounded number of calls, not one per pair."""
    absent = calls(identity, extremes())
    off = calls(stage(dict.fromkeys(ALL, 0.0)), extremes())
    one = calls(stage({MOON: 1.0}), extremes())
    every = calls(stage(dict.fromkeys(ALL, 1.0)), extremes())

    assert off <= absent + 2
    assert absent < one < every
    assert every <= one + 40 * len(ALL)


@pytest.mark.req("0.58")
@pytest.mark.parametrize("weight", [0.0, 1.0], ids=["off", "on"])
def test_memory_of_a_thousand_decisions_without_and_with_factors(weight: float):
    """Neither keeps anything of a decision: what a thousand of them leave behind is what ten leave behind."""
    made, readings = stage(dict.fromkeys(ALL, weight)), extremes()

    def left(count: int) -> int:
        tracemalloc.start()
        try:
            for _ in range(count):
                decided(made, readings)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    left(10)

    assert left(1_000) - left(10) < 4_096


@pytest.mark.parametrize("unknown", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("factor", READ)
def test_reading_that_is_no_number_is_no_condition(factor: str, unknown: float):
    """What compares with nothing would end in the last band of every table."""
    broken = replace(reading(factor, 0.0), value=unknown, raw=unknown)

    assert quantity_of(factor, broken, NOON) is None
    assert decided(stage({factor: 1.0}), [broken]) is DRAFT


@pytest.mark.req("1.16")
@pytest.mark.parametrize("key", INFLUENCES[:3])
@pytest.mark.parametrize("decision", [DRAFT, {"position_size": 1.0, "entry_threshold": 0.5, "exit_impulse": 1.0}])
def test_influence_that_is_no_number_is_refused_and_passes_no_clamp(key: str, decision: Any):
    with pytest.raises(ConfigError, match=key):
        apply_cosmic_factors(decision, {key: float("nan")}, {})


@pytest.mark.parametrize("factor", READ)
def test_quantity_of_a_reading_is_what_the_table_reads(factor: str):
    """The readings of this file say what they mean to say."""
    for quantity in quantities(factor):
        assert quantity_of(factor, reading(factor, quantity), NOON) == pytest.approx(quantity)
