"""What the sky and the crowd would do to a decision, in numbers: one table a factor, their weighted sum, their clamps.

Scalar kernel functions over physical quantities, called by omega.engine.cosmic, by the interceptor and by history. None
of it is proven; with every weight at 0 a decision keeps its very bits.
"""
# ruff: noqa: PLR2004, PLR0911 - the domain's tables of influences stand here row by row, as they are written

from __future__ import annotations

from omega.engine.kernel import kernel
from omega.engine.scalar import within

Reach = tuple[float, float, float]
"""Sensitivities of position size, entry threshold and exit impulse, each in [0, 1]; 0.0 turns the target off."""
Influence = tuple[float, float, float, float, float, float, float, float]
"""(risk appetite, confidence, emotional intensity, mistakes, insight, vitality, alertness, discipline)."""


@kernel
def moon_sector(elongation: float) -> int:
    """Number of the moon's phase from new (0) over full (4) to waning crescent (7), 45 degrees each, centred.

    Units: elongation in degrees, [0, 360).
    """
    if elongation < 22.5 or elongation >= 337.5:
        return 0
    if elongation < 67.5:
        return 1
    if elongation < 112.5:
        return 2
    if elongation < 157.5:
        return 3
    if elongation < 202.5:
        return 4
    if elongation < 247.5:
        return 5
    return 6 if elongation < 292.5 else 7


@kernel
def moon_influence(sector: int) -> float:
    """Influence of a moon phase by its number, never below zero.

    Source: the domain's table of cosmic factors.
    """
    if sector == 0:
        return 0.0
    if sector == 4:
        return 0.5
    if sector == 3:
        return 0.4
    if sector == 2 or sector == 5:  # noqa: PLR1714 - the kernel knows no membership test
        return 0.3
    return 0.1 if sector == 7 else 0.2


@kernel
def schumann_influence(hertz: float) -> float:
    """Influence of the first Schumann mode by half-open bands: 6.5, 7.4, 8.6, 9.6 and 12 Hz.

    Source: the domain's bands; between 7.4 and 8.6 Hz, where the real mode lives, it is 0.
    """
    if hertz < 6.5:
        return -0.3
    if hertz < 7.4:
        return -0.1
    if hertz < 8.6:
        return 0.0
    if hertz < 9.6:
        return 0.2
    return 0.4 if hertz < 12.0 else 0.6


@kernel
def liquidity_influence(level: float) -> float:
    """Influence of market liquidity, a level in [-1, 1]: dry, restricted, normal, flowing, abundant by fifths.

    Source: the domain's table of cosmic factors; the five bands are equally wide.
    """
    if level < -0.6:
        return -0.3
    if level < -0.2:
        return -0.1
    if level <= 0.2:
        return 0.0
    return 0.1 if level <= 0.6 else 0.2


@kernel
def sentiment_influence(index: float) -> float:
    """Influence of the fear and greed index, [0, 100].

    Source: the domain's seven states in the bands of the index (25, 46, 54, 75); despair and fearful are the lower
        halves of their bands, pessimistic and cautious the upper ones.
    """
    if index <= 12.0:
        return -0.5
    if index <= 36.0:
        return -0.3
    if index <= 46.0:
        return -0.1
    if index <= 54.0:
        return 0.0
    return 0.2 if index <= 75.0 else 0.4


@kernel
def mercury_influence(retrograde: float) -> float:
    """Influence of Mercury on mistakes: 1.0 is retrograde, 0.0 direct.

    Source: the domain's table of cosmic factors.
    """
    return 0.2 if retrograde > 0.0 else 0.0


@kernel
def storm_influence(kp: float) -> float:
    """Influence of the geomagnetic index Kp, [0, 9]: active from 4, storm from 5.

    Source: the sign of the old stock-market studies (storms below quiet days), registered before any test here.
    """
    if kp < 4.0:
        return 0.0
    return -0.1 if kp < 5.0 else -0.2


@kernel
def aspects_influence(balance: float) -> float:
    """Influence of the balance of planetary aspects, [-1, 1]: beyond a third either way, the same size both ways.

    Source: the lore's own sign (tense days below harmonious ones), registered before any test here; no study bears it.
    """
    if balance < -0.33:
        return -0.1
    return 0.1 if balance > 0.33 else 0.0


@kernel
def place_influence(latitude: float, longitude: float, month: int) -> tuple[float, float]:
    """Influence of place and season on (vitality, risk).

    Units: degrees, north and east positive; month 1 to 12.
    Source: the domain's geographic table: winter and summer by hemisphere, the tropics, a part of the longitude.
    """
    east = max(longitude, -longitude) / 180.0 * 0.1
    vitality, risk = east, east
    if max(latitude, -latitude) < 10.0:
        return vitality + 0.1, risk + 0.1
    cold = month >= 11 or month <= 2
    warm = month >= 5 and month <= 8
    if (cold and latitude > 0.0) or (warm and latitude < 0.0):
        return vitality - 0.2, risk - 0.1
    if cold or warm:
        return vitality + 0.3, risk + 0.2
    return vitality, risk


@kernel
def time_influence(weekday: int, hour: int) -> float:
    """Influence of weekday and hour on confidence, summed.

    Units: weekday 0 (Monday) to 6; hour 0 to 23 of the place.
    Source: the domain's time cycle: Monday, Friday, hours 9 to 10 and 15 to 16.
    """
    day = -0.15 if weekday == 0 else 0.0
    day = 0.1 if weekday == 4 else day
    if hour >= 9 and hour <= 10:
        return day + 0.1
    return day + 0.15 if hour >= 15 and hour <= 16 else day


@kernel
def circadian_influence(hour: int) -> tuple[float, float]:
    """Influence of the hour on (alertness, discipline).

    Units: hour 0 to 23 of the place.
    Source: the domain's circadian table.
    """
    if hour >= 22 or hour < 1:
        return -0.1, -0.1
    if hour < 5:
        return -0.3, -0.1
    if hour < 10:
        return 0.1, 0.0
    if hour < 15:
        return 0.3, 0.1
    return (0.1, 0.0) if hour < 18 else (0.2, -0.05)


@kernel
def combined(
    sector: int,
    moon_weight: float,
    schumann: float,
    liquidity: float,
    sentiment: float,
    retrograde: float,
    vitality: float,
    place_risk: float,
    time: float,
    alertness: float,
    discipline: float,
    others: float,
) -> Influence:
    """Sum of all factors, each already multiplied by its weight, the moon apart because it feeds five targets.

    Units: sector -1 for an unknown moon; others is what feeds risk appetite alone, storms among them.
    Source: the domain's combination of cosmic factors.
    """
    moon = moon_influence(sector) * moon_weight if sector >= 0 else 0.0
    risk = moon + schumann + place_risk + sentiment + liquidity + others
    confidence = sentiment + time + moon + vitality
    emotion = 2.0 * moon + schumann + 0.5 * max(sentiment, -sentiment)
    mistakes = retrograde + (0.1 * moon_weight if sector == 4 else 0.0)
    insight = 0.3 * moon_weight if sector == 0 else 0.0
    return risk, confidence, emotion, mistakes, insight, vitality, alertness, discipline


@kernel
def target_factors(
    risk: float,
    confidence: float,
    emotion: float,
    reach: Reach,
    live: bool,  # noqa: FBT001 - the kernel passes by position
) -> tuple[float, float, float]:
    """Factors on position size, entry threshold and exit impulse.

    Source: the domain's application and clamps; in live mode size only falls, threshold and exit impulse only rise.
    """
    on_size, on_entry, on_exit = reach
    size = within(1.0 + on_size * risk, 0.5, 1.0 if live else 2.0)
    entry = within(1.0 - on_entry * confidence, 1.0 if live else 0.7, 1.3)
    leave = within(1.0 + on_exit * emotion, 1.0 if live else 0.8, 1.5)
    return size, entry, leave


@kernel
def sway(
    size_share: float,
    confidence: float,
    risk_shift: float,
    confidence_shift: float,
    reach: Reach,
    live: bool,  # noqa: FBT001 - see target_factors
) -> tuple[float, float]:
    """Pass one entry through the cosmic influences: (size share, confidence).

    A threshold times t is a confidence divided by t, so that one number meets every threshold that follows. Leverage
    and stop are never touched. An exit signal is given or not, no factor on its impulse changes that.
    """
    size, entry, _ = target_factors(risk_shift, confidence_shift, 0.0, reach, live)
    return size_share * size, min(confidence / entry, 1.0)
