import statistics
from types import FunctionType

import pytest

from omega.domain import Decision
from omega.engine import Book, Context
from omega.engine.chance import draw
from omega.engine.decision import Settings, run_stages
from omega.engine.psychology import (
    EVENTS,
    NEUTRAL,
    NEUTRAL_MIND,
    Emotion,
    Mind,
    Profile,
    moved_price,
    react,
    stir,
    temper,
)
from omega.engine.scalar import root
from omega.engine.stages import PsychologyStage
from omega.errors import ConfigError, CorruptData

HOUR = 3_600_000_000_000
START = 1_735_689_600_000_000_000
PLAIN = Profile()


def mind(emotion: Emotion = Emotion.NEUTRAL, *, risk: float = 0.5, wins: int = 0, losses: int = 0) -> Mind:
    return (int(emotion), 0.5, risk, 0.3, 0.3, 0.1, wins, losses, 0)


def entry(side: int = 1, *, confidence: float = 0.8) -> Decision:
    return Decision(
        bar_ts_ns=START, price=100.0, side=side, exit=False, size=1.0, stop=100.0 - 2.0 * side,
        targets=((100.0 + 4.0 * side, 0.5), (100.0 + 8.0 * side, 0.5)), leverage=10, confidence=confidence, reason="r",
    )  # fmt: skip


def context(price: float = 100.0) -> Context:
    return Context(START, price, Book.flat(1000.0))


def feel(profile: Profile, results: list[float], *, begin: Mind | None = None) -> list[Emotion]:
    felt, now = [], begin or profile.first_mind()
    for step, result in enumerate(results):
        now = react(now, profile.traits(), result, 60.0, 0.0, START + step * HOUR)
        felt.append(Emotion(now[0]))
    return felt


def test_emotions_are_twenty_eight():
    assert [int(emotion) for emotion in Emotion] == list(range(28))
    assert NEUTRAL_MIND[0] == Emotion.NEUTRAL


@pytest.mark.parametrize(
    ("profile", "results", "expected"),
    [
        (PLAIN, [0.001] * 3, Emotion.CONFIDENT),
        (PLAIN, [-0.001] * 5, Emotion.FEARFUL),
        (PLAIN, [-0.001] * 4, Emotion.ANXIOUS),
        (Profile(discipline=0.4), [-0.001] * 4, Emotion.REVENGE),
        (Profile(revenge_from=2), [-0.001] * 2, Emotion.REVENGE),
        (Profile(revenge_from=2), [-0.001] * 5, Emotion.FEARFUL),
        (Profile(streak_euphoria=True), [0.001] * 4, Emotion.EUPHORIC),
        (Profile(streak_euphoria=True, discipline=0.8), [0.001] * 4, Emotion.NEUTRAL),
        (Profile(easy_euphoria=True), [0.02], Emotion.EUPHORIC),
        (PLAIN, [0.021], Emotion.CONFIDENT),
        (Profile(easy_fear=True), [-0.02], Emotion.FEARFUL),
        (Profile(discipline=0.4), [-0.02], Emotion.ANXIOUS),
        (PLAIN, [-0.02], Emotion.MINDFUL),
        (Profile(revenge_chance=1.0), [-0.02], Emotion.REVENGE),
        (Profile(stress=0.9, exhaustion=0.7), [0.001], Emotion.EXHAUSTED),
        (Profile(stress=0.1, discipline=0.8), [0.001], Emotion.ZEN),
        (Profile(connection=0.9, insight=0.8), [0.001], Emotion.ENLIGHTENED),
        (Profile(intuition=0.9), [0.001], Emotion.INTUITIVE),
        (Profile(risk=0.8), [0.001], Emotion.GREEDY),
        (Profile(confidence=0.95, risk=0.9), [0.001], Emotion.EUPHORIC),
        (Profile(confidence=0.1, stress=0.9), [-0.001], Emotion.PANIC),
        (Profile(stress=1.0), [0.001], Emotion.FROZEN),
    ],
)
def test_reaction_follows_the_table(profile: Profile, results: list[float], expected: Emotion):
    assert feel(profile, results)[-1] is expected


def test_reaction_one_transition_per_result_keeps_the_second_loss():
    assert feel(Profile(revenge_from=2), [-0.001, -0.001, 0.001]) == [
        Emotion.NEUTRAL,
        Emotion.REVENGE,
        Emotion.GREEDY,
    ]


def test_reaction_moves_the_metrics_by_the_formulas():
    profile = Profile(discipline=0.4, resilience=0.2)

    won = react(profile.first_mind(), profile.traits(), 0.005, 5.0, 0.0, START)
    lost = react(profile.first_mind(), profile.traits(), -0.005, 5.0, 0.5, START)

    assert won[1] == pytest.approx(0.5 + 0.05 * 0.6)
    assert won[4] == pytest.approx(0.35)
    assert won[5] == pytest.approx(0.1 + 0.05)
    assert (won[6], won[7], won[8]) == (1, 0, 1)
    assert lost[1] == pytest.approx(0.5 - 0.1 * 0.8)
    assert lost[3] == pytest.approx(0.5 * (0.3 + 0.3 + 0.5 * (1 - 0.7 * 0.2)))
    assert (lost[6], lost[7], lost[8]) == (0, 1, 0)


def test_reaction_to_nothing_leaves_the_streaks():
    before = mind(wins=2)

    after = react(before, PLAIN.traits(), 0.0, 60.0, 0.0, START)

    assert after[6:] == before[6:]


def test_reaction_revenge_sets_the_risk_and_five_losses_lower_it():
    profile = Profile(revenge_from=2)
    now = profile.first_mind()
    risks = []
    for step in range(5):
        now = react(now, profile.traits(), -0.001, 60.0, 0.0, START + step * HOUR)
        risks.append(now[2])

    assert risks == pytest.approx([0.5, 0.8, 0.8, 0.8, 0.65])


@pytest.mark.parametrize(
    ("event", "stress", "confidence", "risk"),
    [
        ("major_rate_decision", 0.2, -0.1, -0.15),
        ("crypto_hack", 0.4, -0.3, -0.3),
        ("celebrity_post", 0.1, 0.0, 0.2),
        ("regulatory_news", 0.25, -0.15, -0.2),
        ("black_swan_event", 0.6, -0.4, -0.4),
    ],
)
def test_news_changes_the_metrics_by_its_row(event: str, stress: float, confidence: float, risk: float):
    profile = Profile(resilience=0.5, news_factor=1.3, connection=0.1)
    force = (1 - 0.7 * 0.5) * 1.3 * (1 - 0.5 * 0.1)

    after = stir(profile.first_mind(), profile.traits(), EVENTS.index(event))

    assert after[3] == pytest.approx(min(0.3 + stress * force, 1.0))
    assert after[1] == pytest.approx(0.5 + confidence * force)
    assert after[2] == pytest.approx(max(0.5 + risk * force, 0.1))


def test_news_that_nobody_knows_changes_nothing():
    assert stir(mind(Emotion.GREEDY), PLAIN.traits(), len(EVENTS)) == mind(Emotion.GREEDY)
    with pytest.raises(ConfigError, match="did you mean 'crypto_hack'"):
        PsychologyStage.of(PLAIN, live=False).after_news("crypto_hak")


@pytest.mark.parametrize(
    ("emotion", "threshold", "size", "stop", "target"),
    [
        (Emotion.FEARFUL, 0.3, -0.3, -0.2, -0.2),
        (Emotion.GREEDY, -0.2, 0.3, 0.3, 0.3),
        (Emotion.EUPHORIC, -0.4, 0.5, 0.5, 0.4),
        (Emotion.PANIC, 0.5, -0.5, -0.4, -0.4),
        (Emotion.REVENGE, -0.3, 0.4, 0.4, -0.2),
        (Emotion.ZEN, 0.1, 0.0, 0.0, 0.0),
        (Emotion.ENLIGHTENED, 0.2, 0.0, 0.0, 0.0),
        (Emotion.CURIOUS, 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_temper_applies_the_modifiers_damped_by_discipline(
    emotion: Emotion, threshold: float, size: float, stop: float, target: float
):
    profile = Profile(discipline=0.6, fear_skip=0.0)

    skip, share, trust, stop_x, target_x, _ = temper(mind(emotion), profile.traits(), 1.0, 0.5, 10.0, START, False)

    assert not skip
    assert share == pytest.approx(1 + 0.7 * size)
    assert trust == pytest.approx(0.5 - 0.7 * threshold)
    assert stop_x == pytest.approx(1 + 0.7 * stop)
    assert target_x == pytest.approx(1 + 0.7 * target)


@pytest.mark.parametrize(
    ("emotion", "risk", "expected"),
    [
        (Emotion.NEUTRAL, 0.5, 2.2),
        (Emotion.FEARFUL, 0.5, 1.1),
        (Emotion.REVENGE, 0.5, 5.0),
        (Emotion.ANXIOUS, 0.1, 1.0),
    ],
)
def test_temper_lowers_the_leverage_to_the_preferred_one(emotion: Emotion, risk: float, expected: float):
    profile = Profile(base_leverage=2.0, most_leverage=5.0)

    most = temper(mind(emotion, risk=risk), profile.traits(), 1.0, 1.0, 20.0, START, False)[5]

    assert most == pytest.approx(expected)
    assert temper(mind(emotion, risk=risk), profile.traits(), 1.0, 1.0, 1.0, START, False)[5] == 1.0


def test_temper_fear_skips_its_share_of_entries():
    traits = Profile(discipline=0.0, fear_skip=0.7).traits()

    skipped = [
        temper(mind(Emotion.FEARFUL), traits, 1.0, 1.0, 3.0, START + step * 60 * 10**9, False)[0]
        for step in range(20_000)
    ]

    assert statistics.fmean(skipped) == pytest.approx(0.7, abs=0.012)


def test_temper_below_the_threshold_of_the_profile_skips():
    traits = Profile(entry_threshold=0.6).traits()

    assert temper(mind(), traits, 1.0, 0.59, 3.0, START, False)[0]
    assert not temper(mind(), traits, 1.0, 0.6, 3.0, START, False)[0]


@pytest.mark.req("0.09", "0.13", "0.22")
@pytest.mark.parametrize("emotion", list(Emotion))
@pytest.mark.parametrize("live", [True, False])
def test_temper_at_strength_zero_hands_back_the_very_bits(emotion: Emotion, live: bool):
    off = Profile(strength=0.0, entry_threshold=0.9, base_leverage=1.0).traits()

    for traits in (off, NEUTRAL):
        made = temper(mind(emotion), traits, 0.1 + 0.2, 1 / 3, 7.0, START, live)

        assert made == (False, 0.1 + 0.2, 1 / 3, 1.0, 1.0, 7.0)


def test_stage_at_strength_zero_returns_the_same_object():
    stage = PsychologyStage.of(Profile(strength=0.0), live=False)
    decision = entry()

    assert stage(decision, context()) is decision
    assert PsychologyStage()(decision, context()) is decision


def test_stage_that_is_no_entry_passes():
    stage = PsychologyStage(PLAIN.traits(), mind(Emotion.PANIC), live=False)
    leaving = Decision(START, 100.0, 0, True, 0.0, 0.0, (), 1, 0.5, "signal")

    assert stage(leaving, context()) is leaving


@pytest.mark.req("0.13", "0.69")
@pytest.mark.parametrize("side", [1, -1])
def test_stage_amends_with_an_audit_of_every_field(side: int):
    stage = PsychologyStage(Profile(discipline=0.0).traits(), mind(Emotion.EUPHORIC), live=False)

    made = stage(entry(side), context())

    assert (made.size, made.stop) == pytest.approx((1.5, 100.0 - 3.0 * side))
    assert [at for at, _ in made.targets] == pytest.approx([100.0 + 5.6 * side, 100.0 + 11.2 * side])
    assert made.confidence == 1.0
    assert [(one.stage, one.field, one.why) for one in made.audit] == [
        ("psychology", field, "euphoric") for field in ("size", "confidence", "leverage", "stop", "targets")
    ]
    assert (made.audit[0].before, made.audit[0].after) == (1.0, 1.5)


def test_stage_that_skips_keeps_the_exit_of_a_turn():
    frightened = PsychologyStage(Profile(fear_skip=1.0, discipline=0.0).traits(), mind(Emotion.PANIC), live=True)
    turn = Decision(START, 100.0, 1, True, 1.0, 98.0, (), 5, 1.0, "turn")

    made = run_stages(turn, Context(START, 100.0, Book(-1, 1.0, 100.0, 1000.0)), Settings(psychology=frightened))

    assert (made.side, made.exit) == (0, True)
    assert made.audit[0].why == "panic: lets the entry go"


def test_stage_state_survives_a_restart():
    stage = PsychologyStage.of(Profile(revenge_from=2), live=False)
    for step in range(3):
        stage = stage.after_trade(-0.004, held_min=30.0, drawdown=0.01 * step, ts_ns=START + step * HOUR)

    again = PsychologyStage.of(Profile(revenge_from=2), live=False).restored(stage.state())

    assert stage.emotion is Emotion.REVENGE
    assert again == stage


@pytest.mark.parametrize("change", [{"emotion": "hangry"}, {"risk": 2.0}, {"wins": -1}, {"stress": "much"}])
def test_stage_state_that_is_unsound_is_refused(change: dict[str, object]):
    stage = PsychologyStage.of(PLAIN, live=False)

    with pytest.raises(CorruptData, match="state of mind"):
        stage.restored({**stage.state(), **change})


def test_stage_of_a_simulation_profile_is_refused_live():
    with pytest.raises(ConfigError, match="simulation alone"):
        PsychologyStage.of(Profile(simulation_only=True), live=True)


def test_draw_is_deterministic_uniform_and_free_of_patterns():
    lane = [draw(7.0, START + step * 60 * 10**9, 1.0) for step in range(50_000)]
    other_lane = [draw(7.0, START + step * 60 * 10**9, 2.0) for step in range(50_000)]
    other_seed = [draw(8.0, START + step * 60 * 10**9, 1.0) for step in range(50_000)]

    assert lane[:5] == [draw(7.0, START + step * 60 * 10**9, 1.0) for step in range(5)]
    assert all(0.0 <= value < 1.0 for value in lane)
    tenths = [sum(1 for value in lane if int(value * 10) == tenth) for tenth in range(10)]
    assert sum((count - 5_000) ** 2 / 5_000 for count in tenths) < 27.9  # chi square, 9 degrees, p = 0.001
    for one, two in ((lane[1:], lane[:-1]), (lane[60:], lane[:-60]), (lane, other_lane), (lane, other_seed)):
        assert abs(statistics.correlation(one, two)) < 0.015


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0, 3.0, 100.0, 10_000.0])
def test_root_of_a_count_is_its_square_root(value: float):
    assert root(value) == pytest.approx(value**0.5, rel=1e-15)


def test_moved_price_at_factor_one_is_the_very_level():
    assert moved_price(100.0, 99.3, 1.0) == 99.3
    assert moved_price(100.0, 0.0, 1.5) == 0.0
    assert moved_price(100.0, 98.0, 1.5) == 97.0
    assert moved_price(100.0, 104.0, 0.5) == 102.0
    assert moved_price(1.0, 0.2, 1.5) == 0.0


@pytest.mark.req("0.17")
def test_profile_every_metric_declares_range_and_meaning():
    for spec in Profile.__params__:  # type: ignore[attr-defined]
        assert spec.doc, spec.name
        if spec.type in {int, float}:
            assert spec.low is not None, spec.name
            assert spec.high is not None, spec.name


@pytest.mark.parametrize("field", ["discipline", "strength", "risk", "impulse", "base_leverage", "seed"])
def test_profile_out_of_bounds_is_refused(field: str):
    with pytest.raises(ConfigError, match=field):
        Profile(**{field: -1})


def test_profile_values_arrive_whole_in_the_first_mind():
    profile = Profile(confidence=0.61, risk=0.52, stress=0.23, intuition=0.34, connection=0.15)

    assert profile.first_mind() == (int(Emotion.NEUTRAL), 0.61, 0.52, 0.23, 0.34, 0.15, 0, 0, 0)
    with pytest.raises(ConfigError, match="seed"):
        profile.traits(seed=2**26)


def test_compiled_functions_give_the_same_bits():
    compile_module = pytest.importorskip("omega.backtest.compile", reason="numba is absent: install the extra research")
    fast_react, fast_temper = (compile_module.compiled(f) for f in (react, temper) if isinstance(f, FunctionType))
    profile = Profile(impulse=0.3, revenge_chance=0.6, easy_fear=True, streak_euphoria=True, fear_skip=0.8)
    traits, plain, fast = profile.traits(), profile.first_mind(), profile.first_mind()

    for step in range(3_000):
        ts_ns = START + step * 60 * 10**9
        result = (draw(1.0, ts_ns, 9.0) - 0.5) * 0.05
        drawdown, trust = draw(2.0, ts_ns, 9.0) * 0.4, draw(3.0, ts_ns, 9.0)
        plain = react(plain, traits, result, 30.0, drawdown, ts_ns)
        fast = fast_react(fast, traits, result, 30.0, drawdown, ts_ns)

        assert fast == plain
        assert fast_temper(fast, traits, 1.0, trust, 3.0, ts_ns, False) == temper(
            plain, traits, 1.0, trust, 3.0, ts_ns, False
        )
