"""The trader's state of mind as a seeded state machine: it reacts to results and news and tempers entries.

Scalar kernel functions over small tuples: history runs them compiled, the runner's stage runs them plain. The model has
no empirical standing; it is off by default, and in live mode it can only make a decision smaller.
"""
# ruff: noqa: PLR2004, PLR0911 - the domain's tables of rules stand here row by row, as they are written

from __future__ import annotations

from typing import Final

from omega.engine.chance import draw
from omega.engine.kernel import kernel
from omega.engine.moods import (
    ANXIOUS,
    CONFIDENT,
    EUPHORIC,
    EVENTS,
    EXHAUSTED,
    FEARFUL,
    FOMO,
    FROZEN,
    MINDFUL,
    PANIC,
    REVENGE,
    Emotion,
    leverage_mood,
    modifiers,
    mood_of,
    news_of,
)
from omega.engine.profile import NEUTRAL, NEUTRAL_MIND, Mind, Profile, Traits
from omega.engine.scalar import root, within

__all__ = [
    "EVENTS",
    "NEUTRAL",
    "NEUTRAL_MIND",
    "Emotion",
    "Mind",
    "Profile",
    "Traits",
    "draw",
    "moved_price",
    "react",
    "stir",
    "temper",
]


_SKIP_LANE: Final = 1.0
_REVENGE_LANE: Final = 2.0
_IMPULSE_LANE: Final = 3.0
_KIND_LANE: Final = 4.0


@kernel
def mood_after_win(traits: Traits, discipline: float, result: float, big: float, wins: int) -> int:
    """Emotion that a win calls for by itself, -1 for none."""
    _, nature, _ = traits
    _, _, _, _, _, _, _, _, _, streak_euphoria, easy_euphoria, _, _, _ = nature
    if wins > 3 and discipline < 0.7 and streak_euphoria > 0.0:
        return EUPHORIC
    if result > big and easy_euphoria > 0.0:
        return EUPHORIC
    if result > 2.0 * big or wins == 3:
        return CONFIDENT
    return -1


@kernel
def mood_after_loss(traits: Traits, discipline: float, result: float, big: float, losses: int, ts_ns: int) -> int:
    """Emotion that a loss calls for by itself, -1 for none; five in a row frighten everybody."""
    seed, nature, _ = traits
    _, _, _, _, _, _, _, revenge_from, revenge_chance, _, _, easy_fear, _, _ = nature
    if losses >= 5:
        return FEARFUL
    if result < -big:
        if draw(seed, ts_ns, _REVENGE_LANE) < revenge_chance:
            return REVENGE
        if easy_fear > 0.0:
            return FEARFUL
    if revenge_from > 0.0 and losses >= revenge_from:
        return REVENGE
    if losses >= 4:
        return REVENGE if discipline < 0.5 else ANXIOUS
    if result < -big:
        return ANXIOUS if discipline < 0.5 else MINDFUL
    return -1


@kernel
def mood_by_nature(traits: Traits, stress: float, ts_ns: int) -> int:
    """Emotion that the character adds after any trade: an impulse or exhaustion, -1 for none."""
    seed, nature, _ = traits
    _, _, _, _, _, impulse, exhaustion, _, _, _, _, _, _, _ = nature
    if draw(seed, ts_ns, _IMPULSE_LANE) < impulse:
        return FOMO if draw(seed, ts_ns, _KIND_LANE) < 0.5 else EUPHORIC
    return EXHAUSTED if stress > exhaustion else -1


@kernel
def react(mind: Mind, traits: Traits, result: float, held_min: float, drawdown: float, ts_ns: int) -> Mind:
    """State of mind after a round trip has closed: one transition a result.

    Units: result the net profit as a fraction of the equity before the entry, 0.0 leaves every streak as it is;
        held_min in minutes; drawdown a fraction below the running peak; ts_ns the open time of the bar it closed in.
    Source: the domain's psychology, after a trade. Stress goes half the way to its rest plus the drawdown, less what
        resilience takes away: the farm's own rule, for the model names no way back from stress.
    """
    _, confidence, risk, stress, intuition, connection, wins, losses, balanced = mind
    _, nature, _ = traits
    discipline, resilience, rest, insight, gain, _, _, revenge_from, _, _, _, _, big, _ = nature
    called = -1
    if result > 0.0:
        wins, losses = wins + 1, 0
        confidence = within(confidence + 0.05 * (1.0 - discipline), 0.0, 1.0)
        risk = within(risk + 0.1, 0.1, 1.0) if wins > 3 and discipline < 0.7 else risk
        intuition = within(intuition + 0.05, 0.0, 1.0) if held_min < 10.0 else intuition
        balanced = balanced + 1 if result <= big else 0
        lift = 0.05 * root(balanced) * gain
        connection = within(connection + lift, 0.0, 1.0)
        called = mood_after_win(traits, discipline, result, big, wins)
    if result < 0.0:
        wins, losses, balanced = 0, losses + 1, 0
        confidence = within(confidence - 0.1 * (1.0 - resilience), 0.0, 1.0)
        provoked = revenge_from > 0.0 and losses >= revenge_from and losses < 5
        risk = 0.8 if provoked else risk
        risk = within(risk - 0.15, 0.1, 1.0) if losses >= 3 and not provoked else risk
        called = mood_after_loss(traits, discipline, result, big, losses, ts_ns)
    aim = rest + drawdown * (1.0 - 0.7 * resilience)
    stress = within(0.5 * (stress + aim), 0.0, 1.0)
    emotion = called if called >= 0 else mood_by_nature(traits, stress, ts_ns)
    if emotion < 0:
        emotion = mood_of(confidence, risk, stress, intuition, connection, insight, discipline, losses)
    return emotion, confidence, risk, stress, intuition, connection, wins, losses, balanced


@kernel
def stir(mind: Mind, traits: Traits, event: int) -> Mind:
    """State of mind after a market event; a number that EVENTS does not have changes nothing.

    Source: the domain's table of events, each change times (1 - 0.7 resilience), the character's factor and
        (1 - 0.5 connection).
    """
    emotion, confidence, risk, stress, intuition, connection, wins, losses, balanced = mind
    _, nature, _ = traits
    discipline, resilience, _, insight, _, _, _, _, _, _, _, _, _, factor = nature
    on_stress, on_confidence, on_risk = news_of(event)
    if on_stress == 0.0:
        return emotion, confidence, risk, stress, intuition, connection, wins, losses, balanced
    force = (1.0 - 0.7 * resilience) * factor * (1.0 - 0.5 * connection)
    stress = within(stress + on_stress * force, 0.0, 1.0)
    confidence = within(confidence + on_confidence * force, 0.0, 1.0)
    risk = within(risk + on_risk * force, 0.1, 1.0)
    emotion = mood_of(confidence, risk, stress, intuition, connection, insight, discipline, losses)
    return emotion, confidence, risk, stress, intuition, connection, wins, losses, balanced


@kernel
def passes_by(emotion: int, traits: Traits, damp: float, ts_ns: int) -> bool:
    """Whether a frightened trader lets this entry go; never without fear."""
    seed, _, habit = traits
    _, _, fear_skip, _, _, _ = habit
    if emotion == FEARFUL or emotion == PANIC or emotion == FROZEN:  # noqa: PLR1714, SIM109 - see leverage_mood
        return draw(seed, ts_ns, _SKIP_LANE) < fear_skip * damp
    return False


@kernel
def temper(
    mind: Mind,
    traits: Traits,
    size_share: float,
    confidence: float,
    leverage: float,
    ts_ns: int,
    live: bool,  # noqa: FBT001 - the kernel passes by position
) -> tuple[bool, float, float, float, float, float]:
    """Pass one entry through a state of mind.

    A raised entry threshold is a lowered confidence, so that one number meets every threshold that follows.

    Returns:
        (skip, size_share, confidence, stop factor, target factor, leverage); strength 0 hands all of it back.

    Units: size_share of the full size; confidence in [0, 1]; factors of the distances, in [0.5, 1.5]; leverage a
        multiple, only ever lowered. In live mode size, confidence and targets only shrink and the stop stays where it
        is: a tighter one would buy more size for the same risk.
    Source: the domain's decision modifiers, each times (1 - 0.5 discipline), and its live clamps.
    """
    emotion, _, risk, _, _, _, _, _, _ = mind
    _, _, habit = traits
    strength, discipline, _, threshold, base_leverage, most_leverage = habit
    damp = strength * (1.0 - 0.5 * discipline)
    on_threshold, on_size, on_stop, on_target = modifiers(emotion)
    trust = within(confidence - damp * on_threshold, 0.0, 1.0)
    trust = min(trust, confidence) if live else trust
    skip = passes_by(emotion, traits, damp, ts_ns) or trust < strength * threshold
    most = 1.0 if live else 2.0
    share = size_share * within(1.0 + damp * on_size, 0.25, most)
    stop_x = 1.0 if live else within(1.0 + damp * on_stop, 0.5, 1.5)
    target_x = within(1.0 + damp * on_target, 0.5, 1.0 if live else 1.5)
    if strength > 0.0:
        preferred = min(base_leverage * (0.2 + 1.8 * risk) * leverage_mood(emotion), most_leverage)
        leverage = min(leverage, max(preferred, 1.0))
    return skip, share, trust, stop_x, target_x, leverage


@kernel
def moved_price(price: float, level: float, factor: float) -> float:
    """A stop or target at a factor of its distance from the price; factor 1.0 gives the level back bit for bit.

    Units: prices in quote currency, a level of 0.0 is none; never below zero.
    """
    if level <= 0.0 or factor == 1.0:
        return level
    return max(price + (level - price) * factor, 0.0)
