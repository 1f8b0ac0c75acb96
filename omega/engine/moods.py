"""The 28 emotions and the tables that go with them: when one arises, what it does to an entry, what news does.

Scalar kernel functions, called by omega.engine.psychology; compiled over history, plain in the runner.
"""
# ruff: noqa: PLR2004, PLR0911, C901 - the domain's tables stand here row by row, as they are written

from __future__ import annotations

from enum import IntEnum
from typing import Final

from omega.engine.kernel import kernel
from omega.engine.profile import NEUTRAL_EMOTION


class Emotion(IntEnum):
    """The 28 states: eight positive, five neutral, fifteen negative."""

    CONFIDENT = 0
    CALM = 1
    FOCUSED = 2
    ZEN = 3
    MINDFUL = 4
    INSPIRED = 5
    INTUITIVE = 6
    ENLIGHTENED = 7
    NEUTRAL = NEUTRAL_EMOTION
    OBSERVANT = 9
    CALCULATING = 10
    WAITING = 11
    CURIOUS = 12
    ANXIOUS = 13
    FEARFUL = 14
    GREEDY = 15
    REGRETFUL = 16
    IMPATIENT = 17
    REVENGE = 18
    FOMO = 19
    EUPHORIC = 20
    INSTINCTIVE = 21
    FROZEN = 22
    PANIC = 23
    STRESSED = 24
    EXHAUSTED = 25
    SKEPTICAL = 26
    MANIC = 27


EVENTS: Final = ("major_rate_decision", "crypto_hack", "celebrity_post", "regulatory_news", "black_swan_event")
"""The market events that `stir` knows, by number."""

# The kernel reads plain numbers: an enum member would give its compiled twin a second type.
CONFIDENT: Final = int(Emotion.CONFIDENT)
ZEN: Final = int(Emotion.ZEN)
MINDFUL: Final = int(Emotion.MINDFUL)
INTUITIVE: Final = int(Emotion.INTUITIVE)
ENLIGHTENED: Final = int(Emotion.ENLIGHTENED)
ANXIOUS: Final = int(Emotion.ANXIOUS)
FEARFUL: Final = int(Emotion.FEARFUL)
GREEDY: Final = int(Emotion.GREEDY)
REVENGE: Final = int(Emotion.REVENGE)
FOMO: Final = int(Emotion.FOMO)
EUPHORIC: Final = int(Emotion.EUPHORIC)
FROZEN: Final = int(Emotion.FROZEN)
PANIC: Final = int(Emotion.PANIC)
EXHAUSTED: Final = int(Emotion.EXHAUSTED)
MANIC: Final = int(Emotion.MANIC)


@kernel
def mood_of(
    confidence: float,
    risk: float,
    stress: float,
    intuition: float,
    connection: float,
    insight: float,
    discipline: float,
    losses: int,
) -> int:
    """Emotion by the first rule that holds.

    Source: the table of states of the domain's psychology (28 states, first rule wins).
    """
    if losses >= 5:
        return FEARFUL
    if confidence > 0.9 and risk > 0.8:
        return EUPHORIC
    if confidence < 0.2 and stress > 0.8:
        return PANIC
    if losses >= 2 and risk > 0.7:
        return REVENGE
    if stress > 0.9:
        return FROZEN
    if connection > 0.8 and insight > 0.7:
        return ENLIGHTENED
    if confidence > 0.6:
        return CONFIDENT
    if confidence < 0.4:
        return FEARFUL
    if risk > 0.7:
        return GREEDY
    if stress < 0.2 and discipline > 0.7:
        return ZEN
    return INTUITIVE if intuition > 0.8 else NEUTRAL_EMOTION


@kernel
def modifiers(emotion: int) -> tuple[float, float, float, float]:
    """What an emotion adds to entry threshold, size, stop distance and target distance of an undisciplined trader.

    Source: the domain's table of decision modifiers. Its exit impulse and patience have nothing to act on here: an
        exit signal is given or not, and waiting is the strategy's own rule.
    """
    if emotion == FEARFUL:
        return 0.3, -0.3, -0.2, -0.2
    if emotion == GREEDY:
        return -0.2, 0.3, 0.3, 0.3
    if emotion == EUPHORIC:
        return -0.4, 0.5, 0.5, 0.4
    if emotion == PANIC:
        return 0.5, -0.5, -0.4, -0.4
    if emotion == REVENGE:
        return -0.3, 0.4, 0.4, -0.2
    if emotion == ZEN:
        return 0.1, 0.0, 0.0, 0.0
    if emotion == ENLIGHTENED:
        return 0.2, 0.0, 0.0, 0.0
    return 0.0, 0.0, 0.0, 0.0


@kernel
def leverage_mood(emotion: int) -> float:
    """Factor of an emotion on the preferred leverage.

    Source: the domain's formula of the preferred leverage.
    """
    if emotion == FEARFUL:
        return 0.5
    if emotion == ANXIOUS or emotion == ZEN:  # noqa: PLR1714, SIM109 - the kernel knows no membership test
        return 0.7
    if emotion == CONFIDENT:
        return 1.2
    if emotion == EUPHORIC:
        return 1.5
    if emotion == FOMO:
        return 2.0
    if emotion == MANIC:
        return 2.5
    if emotion == REVENGE:
        return 3.0
    if emotion == MINDFUL:
        return 0.8
    return 0.6 if emotion == ENLIGHTENED else 1.0


@kernel
def news_of(event: int) -> tuple[float, float, float]:
    """What a market event adds to stress, confidence and risk appetite; the number indexes EVENTS."""
    if event == 0:
        return 0.2, -0.1, -0.15
    if event == 1:
        return 0.4, -0.3, -0.3
    if event == 2:
        return 0.1, 0.0, 0.2
    if event == 3:
        return 0.25, -0.15, -0.2
    if event == 4:
        return 0.6, -0.4, -0.4
    return 0.0, 0.0, 0.0
