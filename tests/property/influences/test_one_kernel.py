"""The runner's stages and the functions that history calls lead to the same entry, to the last bit."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain import Decision, FeedState, Reading
from omega.engine import Book, Context, Settings
from omega.engine.conditions import influence_of, time_conditions
from omega.engine.decision import run_stages, terms_of
from omega.engine.influence import sway
from omega.engine.profile import Profile
from omega.engine.psychology import Emotion, moved_price, temper
from omega.engine.sizing import entry_size
from omega.engine.stages import CosmicStage, PsychologyStage

unit = st.floats(0.0, 1.0)


@pytest.mark.req("0.22", "0.69")
@settings(max_examples=800, deadline=None)
@given(
    side=st.sampled_from([1, -1]), price=st.floats(0.01, 100_000.0), part=st.floats(1e-4, 0.3), trust=unit,
    emotion=st.sampled_from(Emotion), risk=st.floats(0.1, 1.0), discipline=unit, strength=unit, threshold=unit,
    elongation=st.floats(0.0, 359.9), weight=unit, minute=st.integers(0, 10**6), live=st.booleans(),
)  # fmt: skip
def test_stages_of_the_runner_equal_the_functions_of_history(
    side: int, price: float, part: float, trust: float, emotion: Emotion, risk: float, discipline: float,
    strength: float, threshold: float, elongation: float, weight: float, minute: int, live: bool,
):  # fmt: skip
    ts_ns, frame_ns = minute * 60 * 10**9, 60 * 10**9
    profile = Profile(discipline=discipline, strength=strength, entry_threshold=threshold, base_leverage=2.0)
    mind: Any = (int(emotion), 0.5, risk, 0.3, 0.3, 0.1, 0, 0, 0)
    weights = {"moon_phase": weight, "time_cycle": weight} if weight else {}
    moon = Reading("moon_phase", 0.0, elongation, "", "", "test", ts_ns + frame_ns, 60, 1.0, FeedState.CALCULATED)
    stop, aim = price * (1 - side * part), price * (1 + side * part)
    draft = Decision(ts_ns, price, side, False, 1.0, stop, ((aim, 1.0),), 20, trust, "r")
    sky = CosmicStage.of(
        {"enabled": True, **{name: {"enabled": True, "weight": weight} for name in weights}},
        {"live": live}, timeframe_ns=frame_ns,
    )  # fmt: skip
    rules = Settings(
        live=live, max_leverage=20, min_confidence=0.2, psychology=PsychologyStage(profile.traits(), mind, live),
        cosmic=sky,
    )  # fmt: skip

    lived = run_stages(draft, Context(ts_ns, price, Book.flat(1000.0), (moon,)), rules)

    skip, share, belief, stop_x, target_x, most = temper(mind, profile.traits(), 1.0, trust, 20.0, ts_ns, live)
    shifts = influence_of(weights, {"moon_phase": elongation, **time_conditions(ts_ns + frame_ns, 40.0, -74.0)})
    share, belief = sway(share, belief, shifts[0], shifts[1], (1.0, 1.0, 1.0), live)
    at, away = moved_price(price, stop, stop_x), moved_price(price, aim, target_x)
    fault, size, leverage, _ = entry_size(terms_of(rules), side, price, at, share, belief, most, 1000.0)
    if skip or fault:
        assert lived.side == 0
    else:
        assert (lived.side, lived.size, lived.stop, lived.targets[0][0]) == (side, size, at, away)
        assert lived.leverage == int(leverage)
        assert lived.confidence == belief
