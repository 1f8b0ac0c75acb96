"""One price out of many venues: median, outliers by their distance from it, quorum, staleness, spread. Pure.

Source of the scale: the median absolute deviation times 1.4826 estimates a standard deviation of normal errors
(Leys et al., 2013, "Detecting outliers"). Called by `agreement`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import Final

MAD_SCALE: Final = 1.4826


class Why(StrEnum):
    """Why a source does not count."""

    CORRUPT = "corrupt"
    STALE = "stale"
    WIDE = "wide"
    OUTLIER = "outlier"


@dataclass(frozen=True, slots=True)
class Source:
    """The prices of one venue. Ages in seconds; bid and ask 0 when they are not told."""

    venue: str
    price: float
    age_s: float
    bid: float = 0.0
    ask: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts.

    Attributes:
        quorum: sources that must be fresh and sound.
        stale_s: age beyond which a source does not count.
        spread: (ask - bid) / price beyond which a source does not count, a fraction.
        mads: scaled deviations from the median beyond which a source is an outlier.
        least: distance from the median that is always allowed, a fraction of it.
    """

    quorum: int = 3
    stale_s: float = 10.0
    spread: float = 0.01
    mads: float = 5.0
    least: float = 0.003


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the venues agree on.

    Attributes:
        price: the median of the sources that count, quote currency; 0 without a quorum.
        spread: (highest - lowest) / price among the members, a fraction.
        members: the venues that count and agree, sorted.
        rejected: venue -> why it does not.
        age_s: the age of the oldest member.
    """

    price: float
    spread: float
    members: tuple[str, ...]
    rejected: Mapping[str, Why]
    age_s: float

    @property
    def found(self) -> bool:
        """Tell whether there is a price."""
        return self.price > 0


def agree(sources: Iterable[Source], limits: Limits) -> Agreement:
    """Return what the venues agree on.

    The price is the median of every fresh and sound source, outliers too: of three or more, one that lies cannot move
    it beyond the honest ones. Without a quorum, or when less than half of the sources agree, there is none.
    """
    rejected: dict[str, Why] = {}
    sound: list[Source] = []
    for source in sources:
        why = _unsound(source, limits)
        if why is None:
            sound.append(source)
        else:
            rejected[source.venue] = why
    if len(sound) < max(limits.quorum, 1):
        return Agreement(0.0, 0.0, (), rejected, 0.0)
    middle = median(source.price for source in sound)
    deviation = median(abs(source.price - middle) for source in sound)
    allowed = max(limits.mads * MAD_SCALE * deviation, limits.least * middle)
    members = [source for source in sound if abs(source.price - middle) <= allowed]
    rejected.update((source.venue, Why.OUTLIER) for source in sound if source not in members)
    if 2 * len(members) <= len(sound):
        return Agreement(0.0, 0.0, (), rejected, 0.0)
    prices = [source.price for source in members]
    return Agreement(
        price=middle,
        spread=(max(prices) - min(prices)) / middle,
        members=tuple(sorted(source.venue for source in members)),
        rejected=rejected,
        age_s=max(source.age_s for source in members),
    )


def _unsound(source: Source, limits: Limits) -> Why | None:
    numbers = (source.price, source.age_s, source.bid, source.ask)
    if not all(math.isfinite(number) for number in numbers) or source.price <= 0 or source.bid < 0 or source.ask < 0:
        return Why.CORRUPT
    if source.bid and source.ask and source.bid > source.ask:
        return Why.CORRUPT
    if source.age_s > limits.stale_s:
        return Why.STALE
    if source.bid and source.ask and (source.ask - source.bid) / source.price > limits.spread:
        return Why.WIDE
    return None


@dataclass(frozen=True, slots=True)
class Drift:
    """How one venue has stood in the last looks: quarantined, and for how many looks in a row it was otherwise."""

    quarantined: bool = False
    streak: int = 0


def drifted(state: Drift, agreement: Agreement, venue: str, *, after: int, back: int) -> Drift:
    """Return the next state of a venue: `after` outlying looks in a row quarantine it, `back` agreeing ones release it.

    A look without a price, or in which the venue is only stale, says nothing about drift.
    """
    agrees, outlies = venue in agreement.members, agreement.rejected.get(venue) is Why.OUTLIER
    if not agreement.found or not (agrees or outlies):
        return state
    changes = agrees if state.quarantined else outlies
    streak = state.streak + 1 if changes else 0
    needed = back if state.quarantined else after
    if streak >= needed:
        return Drift(quarantined=not state.quarantined)
    return replace(state, streak=streak)
