import itertools
from dataclasses import replace
from typing import Any

import pytest

from omega.domain import Decision, FeedState, Reading, from_iso
from omega.engine import Book, Context, Settings
from omega.engine.conditions import LABELS, time_conditions
from omega.engine.cosmic import (
    INFLUENCES,
    Application,
    apply_cosmic_factors,
    calculate_cosmic_influence,
    factor_weights,
)
from omega.engine.decision import run_stages
from omega.engine.influence import moon_sector, schumann_influence
from omega.engine.profile import Profile
from omega.engine.psychology import Emotion
from omega.engine.stages import CosmicStage, PsychologyStage
from omega.errors import ConfigError

FULL = "full"
RESEARCH = {"live": False}
FACTORS = ("moon_phase", "schumann_resonance", "market_liquidity", "global_sentiment", "mercury_retrograde")
EXTREME: dict[str, Any] = {
    "moon_phase": FULL,
    "schumann_resonance": "very_high",
    "market_liquidity": "abundant",
    "global_sentiment": "euphoric",
    "mercury_retrograde": "retrograde",
    "geographic_influence": {"latitude": 40.0, "longitude": -74.0, "month": 6},
    "time_cycle": {"weekday": 4, "hour": 9},
    "circadian_rhythm": {"hour": 10},
}


def config(**weights: float) -> dict[str, Any]:
    return {"enabled": True, **{name: {"enabled": True, "weight": weight} for name, weight in weights.items()}}


def influence(conditions: dict[str, Any], **weights: float) -> dict[str, float]:
    return calculate_cosmic_influence(config(**weights), conditions)


def fed(made: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in made.items() if value != 0.0}


def reading(factor: str, value: float, *, raw: float = 0.0, at_ns: int = 0, **changes: Any) -> Reading:
    made = Reading(factor, value, raw, "", "", "test", at_ns, 3600, 1.0, FeedState.LIVE)
    return replace(made, **changes)


def entry(side: int = 1, confidence: float = 0.5) -> Decision:
    return Decision(0, 100.0, side, False, 1.0, 100.0 - 2.0 * side, (), 5, confidence, "r")


@pytest.mark.req("0.48")
@pytest.mark.parametrize(
    ("phase", "value"),
    [
        ("new", 0.0), ("waxing_crescent", 0.2), ("first_quarter", 0.3), ("waxing_gibbous", 0.4),
        ("full", 0.5), ("waning_gibbous", 0.3), ("last_quarter", 0.2), ("waning_crescent", 0.1),
    ],
)  # fmt: skip
def test_influence_of_the_moon_alone_follows_the_table(phase: str, value: float):
    extra = {"full": {"mistake_probability": 0.1}, "new": {"insight_potential": 0.3}}.get(phase, {})
    wanted = {"risk_appetite": value, "confidence": value, "emotional_intensity": 2 * value, **extra}

    assert fed(influence({**EXTREME, "moon_phase": phase}, moon_phase=1.0)) == pytest.approx(fed(wanted))


@pytest.mark.req("0.49")
@pytest.mark.parametrize(
    ("band", "value"),
    [("very_low", -0.3), ("low", -0.1), ("baseline", 0.0), ("elevated", 0.2), ("high", 0.4), ("very_high", 0.6)],
)
def test_influence_of_schumann_alone_follows_the_table(band: str, value: float):
    made = fed(influence({**EXTREME, "schumann_resonance": band}, schumann_resonance=1.0))

    assert made == fed({"risk_appetite": value, "emotional_intensity": value})


@pytest.mark.req("0.49")
@pytest.mark.parametrize(
    ("hertz", "value"),
    [
        (6.49, -0.3), (6.5, -0.1), (7.39, -0.1), (7.4, 0.0), (8.59, 0.0), (8.6, 0.2), (9.59, 0.2), (9.6, 0.4),
        (11.99, 0.4), (12.0, 0.6),
    ],
)  # fmt: skip
def test_influence_of_schumann_bands_are_half_open(hertz: float, value: float):
    assert schumann_influence(hertz) == value


@pytest.mark.req("0.49", "0.50", "0.67")
@pytest.mark.parametrize("state", [FeedState.STALE, FeedState.FROZEN, FeedState.IMPLAUSIBLE, FeedState.MODEL])
def test_influence_of_a_feed_that_is_not_live_is_zero(state: FeedState):
    broken = reading("schumann_resonance", 1.0, raw=13.0, state=state)

    assert fed(influence({"schumann_resonance": broken}, schumann_resonance=1.0)) == {}


@pytest.mark.req("0.50", "0.67")
@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"source": ""}, False),
        ({"as_of_ns": -3_601 * 10**9}, False),
        ({"as_of_ns": 30 * 10**9}, True),
        ({"as_of_ns": 90 * 10**9}, False),
        ({"raw": float("nan"), "value": float("nan")}, False),
    ],
)
def test_influence_of_a_reading_counts_with_source_and_age_alone(changes: dict[str, Any], counts: bool):
    made = influence(
        {"at_ns": 0, "market_liquidity": replace(reading("market_liquidity", 0.9), **changes)}, market_liquidity=1
    )

    assert fed(made) == ({"risk_appetite": 0.2} if counts else {})


@pytest.mark.req("0.50")
@pytest.mark.parametrize(
    ("state", "value"), [("dry", -0.3), ("restricted", -0.1), ("normal", 0.0), ("flowing", 0.1), ("abundant", 0.2)]
)
def test_influence_of_liquidity_alone_touches_only_risk(state: str, value: float):
    made = influence({**EXTREME, "market_liquidity": state}, market_liquidity=1.0)

    assert fed(made) == fed({"risk_appetite": value})


@pytest.mark.req("0.51")
@pytest.mark.parametrize(
    ("state", "value"),
    [
        ("despair", -0.5), ("pessimistic", -0.3), ("fearful", -0.3), ("cautious", -0.1), ("neutral", 0.0),
        ("optimistic", 0.2), ("euphoric", 0.4),
    ],
)  # fmt: skip
def test_influence_of_sentiment_alone_follows_the_table(state: str, value: float):
    made = fed(influence({**EXTREME, "global_sentiment": state}, global_sentiment=1.0))

    assert made == fed({"risk_appetite": value, "confidence": value, "emotional_intensity": 0.5 * abs(value)})


@pytest.mark.parametrize(
    ("index", "state"),
    [(0, "despair"), (25, "pessimistic"), (26, "fearful"), (46, "cautious"), (47, "neutral"), (54, "neutral"),
     (55, "optimistic"), (75, "optimistic"), (76, "euphoric"), (100, "euphoric")],
)  # fmt: skip
def test_influence_of_the_fear_and_greed_index_keeps_its_bands(index: float, state: str):
    by_index = influence({"global_sentiment": index}, global_sentiment=1.0)

    assert by_index == influence({"global_sentiment": state}, global_sentiment=1.0)


def test_influence_of_mercury_touches_mistakes_alone():
    assert fed(influence({"mercury_retrograde": True}, mercury_retrograde=0.5)) == {"mistake_probability": 0.1}
    assert fed(influence({"mercury_retrograde": "direct"}, mercury_retrograde=1.0)) == {}


@pytest.mark.parametrize(
    ("latitude", "month", "vitality", "risk"),
    [
        (40.0, 12, -0.2, -0.1), (40.0, 7, 0.3, 0.2), (40.0, 4, 0.0, 0.0), (-40.0, 12, 0.3, 0.2),
        (-40.0, 7, -0.2, -0.1), (5.0, 12, 0.1, 0.1),
    ],
)  # fmt: skip
def test_influence_of_the_place_follows_season_and_hemisphere(
    latitude: float, month: int, vitality: float, risk: float
):
    place = {"latitude": latitude, "longitude": -90.0, "month": month}

    made = influence({"geographic_influence": place}, geographic_influence=1.0)

    assert (made["vitality"], made["risk_appetite"]) == pytest.approx((vitality + 0.05, risk + 0.05))
    assert made["confidence"] == made["vitality"]


@pytest.mark.parametrize(
    ("weekday", "hour", "value"), [(0, 3, -0.15), (0, 9, -0.05), (2, 10, 0.1), (4, 16, 0.25), (2, 12, 0.0)]
)
def test_influence_of_weekday_and_hour_adds_up(weekday: int, hour: int, value: float):
    made = fed(influence({"time_cycle": {"weekday": weekday, "hour": hour}}, time_cycle=1.0))

    assert made == pytest.approx(fed({"confidence": value}))


@pytest.mark.parametrize(
    ("hours", "alertness", "discipline"),
    [
        ((1, 4), -0.3, -0.1), ((5, 9), 0.1, 0.0), ((10, 14), 0.3, 0.1), ((15, 17), 0.1, 0.0),
        ((18, 21), 0.2, -0.05), ((22, 0), -0.1, -0.1),
    ],
)  # fmt: skip
def test_influence_of_the_hour_follows_the_circadian_table(hours: tuple[int, int], alertness: float, discipline: float):
    for hour in hours:
        made = fed(influence({"circadian_rhythm": {"hour": hour}}, circadian_rhythm=1.0))

        assert made == fed({"alertness": alertness, "discipline": discipline})


@pytest.mark.parametrize(("kp", "value"), [(0.0, 0.0), (3.9, 0.0), (4.0, -0.1), (5.0, -0.2), (9.0, -0.2)])
def test_influence_of_a_storm_lowers_risk_alone(kp: float, value: float):
    assert fed(influence({"geomagnetic_activity": kp}, geomagnetic_activity=1.0)) == fed({"risk_appetite": value})


def test_influence_of_a_factor_without_a_table_feeds_risk_by_its_value():
    made = influence({"tea_leaves": reading("tea_leaves", -0.5)}, tea_leaves=0.5)

    assert fed(made) == pytest.approx({"risk_appetite": -0.05})


@pytest.mark.req("0.32")
@pytest.mark.parametrize("on", list(itertools.product([0.0, 1.0], repeat=len(EXTREME))))
def test_influence_of_every_combination_adds_up(on: tuple[float, ...]):
    weights = dict(zip(EXTREME, on, strict=True))

    made = influence(EXTREME, **weights)

    alone = [influence(EXTREME, **{name: weight}) for name, weight in weights.items()]
    for key in INFLUENCES:
        assert made[key] == pytest.approx(sum(one[key] for one in alone), abs=1e-12)
    assert any(on) or not fed(made)


@pytest.mark.req("0.61", "0.67")
@pytest.mark.parametrize(
    "factors", [{}, {"enabled": False, "moon_phase": {"enabled": True, "weight": 1.0}}, config(moon_phase=0.0)]
)
def test_influence_switched_off_has_every_key_at_zero(factors: dict[str, Any]):
    assert calculate_cosmic_influence(factors, EXTREME) == dict.fromkeys(INFLUENCES, 0.0)


@pytest.mark.req("0.62", "0.63", "0.64", "0.65", "0.66")
def test_influence_of_the_seeds_example_is_golden():
    factors = {
        "cosmic_factors": {
            "enabled": True,
            "moon_phase": {"enabled": True, "weight": 0.5},
            "schumann_resonance": {"enabled": False, "weight": 0.0},
            "market_liquidity": {"enabled": True, "weight": 0.8},
            "global_sentiment": {"enabled": True, "weight": 1.0},
            "mercury_retrograde": {"enabled": False, "weight": 0.0},
        }
    }

    made = calculate_cosmic_influence(factors, EXTREME)

    assert made == pytest.approx(
        {
            "risk_appetite": 0.25 + 0.4 + 0.16,
            "confidence": 0.4 + 0.25,
            "emotional_intensity": 0.5 + 0.2,
            "mistake_probability": 0.05,
            "insight_potential": 0.0,
            "vitality": 0.0,
            "alertness": 0.0,
            "discipline": 0.0,
        }
    )


@pytest.mark.req("0.20", "0.62")
@pytest.mark.parametrize(
    ("factors", "word"),
    [
        (config(moon_phase=1.1), "moon_phase.weight"),
        (config(moon_phase=-0.1), "moon_phase.weight"),
        ({"enabled": True, "moon_phase": {"enabled": True, "wieght": 0.5}}, "did you mean 'weight'"),
        ({"enabled": "yes"}, "neither true nor false"),
        ({"enabled": True, "moon_phase": 0.5}, "no mapping"),
        ({"enabled": True, "moon_phase": {"enabled": True, "weight": True}}, "moon_phase.weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused(factors: dict[str, Any], word: str):
    with pytest.raises(ConfigError, match=word):
        factor_weights(factors)


def test_influence_of_a_state_that_does_not_exist_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'full'"):
        influence({"moon_phase": "ful"}, moon_phase=1.0)
    with pytest.raises(ConfigError, match="no state, quantity or reading"):
        influence({"moon_phase": [1]}, moon_phase=1.0)


def test_labels_of_the_moon_lie_in_their_sectors():
    assert [moon_sector(angle) for angle in LABELS["moon_phase"].values()] == list(range(8))
    assert [moon_sector(angle) for angle in (337.5, 22.49, 22.5, 337.49)] == [0, 0, 1, 7]


def test_time_conditions_are_local_to_the_place():
    made = time_conditions(from_iso("2025-01-01T03:00:00Z"), 40.0, -74.0)

    assert made["time_cycle"] == {"weekday": 1, "hour": 22}
    assert made["circadian_rhythm"] == {"hour": 22}
    assert made["geographic_influence"]["month"] == 12
    assert time_conditions(from_iso("2025-02-28T23:30:00Z"), 0.0, 15.0)["geographic_influence"]["month"] == 3


@pytest.mark.req("0.68")
@pytest.mark.parametrize(("live", "size", "threshold", "leave"), [(False, 1.25, 0.75, 1.5), (True, 1.0, 1.0, 1.5)])
def test_apply_the_worked_example_of_a_full_moon(live: bool, size: float, threshold: float, leave: float):
    decision = {"position_size": 2.0, "entry_threshold": 0.6, "exit_impulse": 0.4, "leverage": 3, "stop": 98.0}
    before = dict(decision)

    made = apply_cosmic_factors(decision, influence({"moon_phase": FULL}, moon_phase=0.5), {"live": live})

    assert decision == before
    assert made["position_size"] == pytest.approx(2.0 * size)
    assert made["entry_threshold"] == pytest.approx(0.6 * threshold)
    assert made["exit_impulse"] == pytest.approx(0.4 * leave)
    assert (made["leverage"], made["stop"]) == (3, 98.0)
    changed = [field for field in before if made[field] != before[field]]
    assert [one["field"] for one in made["audit"]] == changed
    assert all({"stage", "before", "after", "why"} < one.keys() for one in made["audit"])


@pytest.mark.req("0.47", "0.61", "0.68")
@pytest.mark.parametrize("decision", [entry(), {"position_size": 2.0, "entry_threshold": 0.6, "exit_impulse": 0.4}])
@pytest.mark.parametrize(
    ("influences", "application"),
    [
        (influence(EXTREME, moon_phase=1.0), {"enabled": False, "live": False}),
        (influence(EXTREME), RESEARCH),
        ({}, RESEARCH),
        (
            influence(EXTREME, moon_phase=1.0),
            {"live": False, **{t: {"enabled": False} for t in ("position_size", "entry_threshold", "exit_impulse")}},
        ),
    ],
)
def test_apply_switched_off_returns_the_same_object(
    decision: Any, influences: dict[str, float], application: dict[str, Any]
):
    assert apply_cosmic_factors(decision, influences, application) is decision


@pytest.mark.req("0.20")
@pytest.mark.parametrize("target", ["position_size", "entry_threshold", "exit_impulse"])
def test_apply_each_target_has_its_own_switch_and_sensitivity(target: str):
    decision = {"position_size": 1.0, "entry_threshold": 1.0, "exit_impulse": 1.0}
    influences = {"risk_appetite": 0.2, "confidence": 0.2, "emotional_intensity": 0.2}
    others = {name: {"enabled": False} for name in decision if name != target}

    made = apply_cosmic_factors(decision, influences, {"live": False, **others, target: {"sensitivity": 0.5}})

    assert made[target] == pytest.approx(0.9 if target == "entry_threshold" else 1.1)
    assert all(made[name] == 1.0 for name in others)


@pytest.mark.parametrize(
    ("application", "word"),
    [
        ({"position_size": {"sensitivity": 1.5}}, "position_size.sensitivity"),
        ({"risk_appetite": {}}, "unknown key 'risk_appetite'"),
        ({"live": 1}, "neither true nor false"),
    ],
)
def test_application_that_does_not_fit_is_refused(application: dict[str, Any], word: str):
    with pytest.raises(ConfigError, match=word):
        Application.of(application)


def test_application_is_live_unless_it_is_said():
    assert Application.of({}) == Application(enabled=True, live=True, reach=(1.0, 1.0, 1.0))


@pytest.mark.parametrize(("risk", "size"), [(-5.0, 0.5), (5.0, 2.0)])
def test_apply_clamps_whatever_the_influence(risk: float, size: float):
    influences = {"risk_appetite": risk, "confidence": -risk, "emotional_intensity": risk}
    decision = {"position_size": 1.0, "entry_threshold": 1.0, "exit_impulse": 1.0}

    made = apply_cosmic_factors(decision, influences, RESEARCH)

    assert made["position_size"] == size
    assert made["entry_threshold"] == (0.7 if risk < 0 else 1.3)
    assert made["exit_impulse"] == (0.8 if risk < 0 else 1.5)


def test_apply_to_a_decision_changes_size_and_confidence_alone():
    decision = entry()

    made = apply_cosmic_factors(decision, influence({"moon_phase": FULL}, moon_phase=0.5), RESEARCH)

    assert made == replace(decision, size=1.25, confidence=0.5 / 0.75, audit=made.audit)
    assert [(one.field, one.before) for one in made.audit] == [("size", 1.0), ("confidence", 0.5)]
    assert apply_cosmic_factors(replace(decision, side=0), {"risk_appetite": 1.0}, RESEARCH).size == 1.0


@pytest.mark.req("0.21")
@pytest.mark.parametrize("factor", list(EXTREME))
def test_apply_only_one_factor_leaves_the_others_out(factor: str):
    alone = influence({factor: EXTREME[factor]}, **{factor: 1.0})

    assert influence(EXTREME, **{factor: 1.0}) == alone


def test_stage_reads_the_readings_of_its_context():
    stage = CosmicStage.of(config(moon_phase=0.5), RESEARCH, timeframe_ns=60 * 10**9)
    full = reading("moon_phase", 1.0, raw=180.0, at_ns=60 * 10**9, state=FeedState.CALCULATED)
    decision = entry()

    made = stage(decision, Context(0, 100.0, Book.flat(1000.0), (full,)))

    assert made.size == 1.25
    assert stage(decision, Context(0, 100.0, Book.flat(1000.0))) is decision
    assert stage(decision, Context(3_601 * 10**9, 100.0, Book.flat(1000.0), (full,))) is decision


@pytest.mark.req("0.22", "0.69")
def test_stages_run_in_the_fixed_order():
    psychology = PsychologyStage(Profile(discipline=0.0).traits(), (int(Emotion.GREEDY), *[0.5] * 5, 0, 0, 0), False)
    cosmic = CosmicStage.of(config(moon_phase=0.5), RESEARCH, timeframe_ns=0)
    full = reading("moon_phase", 1.0, raw=180.0)
    rules = Settings(live=False, psychology=psychology, cosmic=cosmic)

    made = run_stages(entry(), Context(0, 100.0, Book.flat(1000.0), (full,)), rules)

    stages = [one.stage for one in made.audit]
    assert stages == sorted(stages, key=["psychology", "cosmic", "sizing"].index)
    sizes = [(one.stage, one.before, one.after) for one in made.audit if one.field == "size"]
    assert sizes[:2] == [("psychology", 1.0, 1.3), ("cosmic", 1.3, 1.625)]
