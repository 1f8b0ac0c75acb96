"""In live mode no mood and no sky ever adds risk; switched off, both leave the very decision, bit for bit."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import Decision, FeedState, Reading
from omega.engine import Book, Context, Settings, Sizing
from omega.engine.cosmic import INFLUENCES, apply_cosmic_factors
from omega.engine.decision import identity, run_stages
from omega.engine.influence import sway, target_factors
from omega.engine.profile import Profile
from omega.engine.psychology import Emotion, react, temper
from omega.engine.stages import CosmicStage, PsychologyStage

CASES = 500
unit = st.floats(0.0, 1.0)
profiles = st.builds(
    Profile, seed=st.integers(0, 10**6), strength=unit, discipline=unit, fear_skip=unit, entry_threshold=unit,
    base_leverage=st.floats(1.0, 10.0), most_leverage=st.floats(1.0, 50.0), impulse=unit, revenge_chance=unit,
    streak_euphoria=st.booleans(), easy_euphoria=st.booleans(), easy_fear=st.booleans(),
    revenge_from=st.integers(0, 4), resilience=unit,
)  # fmt: skip
minds = st.tuples(
    st.integers(0, len(Emotion) - 1), unit, st.floats(0.1, 1.0), unit, unit, unit,
    st.integers(0, 9), st.integers(0, 9), st.integers(0, 99),
)  # fmt: skip
readings = st.builds(
    Reading,
    factor=st.sampled_from(["moon_phase", "schumann_resonance", "market_liquidity", "global_sentiment", "tea_leaves"]),
    value=st.floats(-1.0, 1.0), raw=st.floats(-1e3, 1e3), unit=st.just(""), label=st.just(""), source=st.just("test"),
    as_of_ns=st.just(0), ttl_s=st.just(3600), confidence=unit,
    state=st.sampled_from([FeedState.LIVE, FeedState.CALCULATED]),
)  # fmt: skip
weights = st.dictionaries(
    st.sampled_from(
        ["moon_phase", "schumann_resonance", "market_liquidity", "global_sentiment", "tea_leaves", "time_cycle",
         "geographic_influence", "circadian_rhythm", "mercury_retrograde"]
    ), unit,
)  # fmt: skip
drafts = st.builds(
    lambda side, price, part, share, trust, leverage, away: Decision(
        bar_ts_ns=0, price=price, side=side, exit=False, size=share, stop=price * (1 - side * part),
        targets=((price * (1 + side * away), 1.0),), leverage=leverage, confidence=trust, reason="r",
    ),
    st.sampled_from([1, -1]), st.floats(0.001, 200_000.0), st.floats(1e-4, 0.5), st.floats(0.01, 1.0), unit,
    st.integers(1, 125), st.floats(1e-4, 0.9),
)  # fmt: skip


def distance(decision: Decision) -> float:
    return abs(decision.price - decision.stop)


@pytest.mark.req("0.13")
@settings(max_examples=CASES, deadline=None)
@given(draft=drafts, profile=profiles, mind=minds, ts_ns=st.integers(0, 2 * 10**18))
def test_psychology_live_only_shrinks(draft: Decision, profile: Profile, mind: Any, ts_ns: int):
    skip, share, trust, stop_x, target_x, most = temper(
        mind, profile.traits(), draft.size, draft.confidence, float(draft.leverage), ts_ns, True
    )

    assert skip in {True, False}
    assert 0.0 < share <= draft.size
    assert 0.0 <= trust <= draft.confidence
    assert stop_x == 1.0
    assert 0.5 <= target_x <= 1.0
    assert 1.0 <= most <= draft.leverage


@pytest.mark.req("2.62")
@settings(max_examples=CASES, deadline=None)
@given(
    draft=drafts,
    shifts=st.tuples(*[st.floats(-10.0, 10.0)] * 3),
    reach=st.tuples(unit, unit, unit),
)
def test_cosmic_live_only_shrinks(draft: Decision, shifts: tuple[float, ...], reach: tuple[float, float, float]):
    share, trust = sway(draft.size, draft.confidence, shifts[0], shifts[1], reach, True)
    size_x, entry_x, exit_x = target_factors(*shifts, reach, True)

    assert 0.5 * draft.size <= share <= draft.size
    assert trust <= draft.confidence
    assert 0.5 <= size_x <= 1.0
    assert 1.0 <= entry_x <= 1.3
    assert 1.0 <= exit_x <= 1.5


@pytest.mark.req("0.13")
@settings(max_examples=800, deadline=None)
@given(
    draft=drafts, profile=profiles, mind=minds, weighted=weights, seen=st.lists(readings, max_size=5),
    sizing=st.sampled_from([Sizing.RISK, Sizing.FULL]), threshold=unit,
)  # fmt: skip
def test_pipeline_live_never_ends_with_more_risk_than_without(
    draft: Decision, profile: Profile, mind: Any, weighted: Any, seen: Any, sizing: Sizing, threshold: float
):
    factors = {"enabled": True, **{name: {"enabled": True, "weight": weight} for name, weight in weighted.items()}}
    context = Context(0, draft.price, Book.flat(1000.0), tuple(seen))
    bare = Settings(sizing=sizing, min_confidence=threshold, max_leverage=125)
    felt = Settings(
        sizing=sizing, min_confidence=threshold, max_leverage=125,
        psychology=PsychologyStage(profile.traits(), mind, True),
        cosmic=CosmicStage.of(factors, {}, timeframe_ns=0),
    )  # fmt: skip

    without, made = run_stages(draft, context, bare), run_stages(draft, context, felt)

    assert made.side in {0, without.side}
    if made.side:
        assert made.size <= without.size
        assert made.leverage <= without.leverage
        assert distance(made) <= distance(without)
        assert made.confidence <= without.confidence


@pytest.mark.req("0.47", "0.61")
@settings(max_examples=500, deadline=None)
@given(draft=drafts, profile=profiles, mind=minds, weighted=weights, seen=st.lists(readings, max_size=5))
def test_pipeline_at_weight_zero_equals_the_pipeline_without(
    draft: Decision, profile: Profile, mind: Any, weighted: Any, seen: Any
):
    off = {"enabled": True, **{name: {"enabled": True, "weight": 0.0} for name in weighted}}
    context = Context(0, draft.price, Book.flat(1000.0), tuple(seen))
    calm = PsychologyStage(
        (profile.traits()[0], profile.traits()[1], (0.0, *profile.traits()[2][1:])), mind, live=False
    )
    sky = CosmicStage.of(off, {"live": False}, timeframe_ns=0)

    felt = run_stages(draft, context, Settings(live=False, psychology=calm, cosmic=sky))

    assert felt == run_stages(draft, context, Settings(live=False, psychology=identity, cosmic=identity))
    assert sky(calm(draft, context), context) is draft
    assert apply_cosmic_factors(draft, dict.fromkeys(INFLUENCES, 0.0), {"live": False}) is draft


@settings(max_examples=500, deadline=None)
@given(
    profile=profiles,
    mind=minds,
    results=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=10),
    drawdown=unit,
    held=st.floats(0.0, 1e6),
)
def test_reaction_keeps_every_metric_in_its_bounds_and_repeats_itself(
    profile: Profile, mind: Any, results: list[float], drawdown: float, held: float
):
    def walk() -> list[Any]:
        now, path = mind, []
        for step, result in enumerate(results):
            now = react(now, profile.traits(), result, held, drawdown, step * 10**9)
            path.append(now)
        return path

    path = walk()

    assert path == walk()
    for emotion, confidence, risk, stress, intuition, connection, *streaks in path:
        Emotion(emotion)
        assert 0.1 <= risk <= 1.0
        assert all(0.0 <= metric <= 1.0 for metric in (confidence, stress, intuition, connection))
        assert min(streaks) >= 0
