"""The mood of the market as one index from 0 to 100: fear and greed, funding and the change over 24 hours.

Called by the factor and by the sentiment feed. What is missing is left out, never guessed, and lowers the confidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from omega.cosmic.readings import Heard
from omega.domain import SECOND_NS, FeedState

PARTS: Final[Mapping[str, float]] = {"fear_greed": 0.5, "funding": 0.25, "change": 0.25}
"""Shares of the parts; they add to 1."""
FUNDING_FULL: Final = 0.0005
"""Funding rate of one interval at which the funding part reaches its end: five times the usual 0.01 %."""
CHANGE_FULL: Final = 0.10
"""Change over 24 hours at which the change part reaches its end."""
_MIDDLE: Final = 50.0
_STATES: Final = (
    (12.0, "despair"),
    (25.0, "pessimistic"),
    (36.0, "fearful"),
    (46.0, "cautious"),
    (54.0, "neutral"),
    (75.0, "optimistic"),
)


def state_of(index: float) -> str:
    """Return the state of an index by the bands of the table of influences; 25 is still pessimistic."""
    return next((name for last, name in _STATES if index <= last), "euphoric")


def of_funding(rate: float) -> float:
    """Return the index of a funding rate: 50 at none, 0 and 100 at five times the usual one."""
    return _MIDDLE + _MIDDLE * max(-1.0, min(1.0, rate / FUNDING_FULL))


def of_change(change: float) -> float:
    """Return the index of a change over 24 hours (a fraction): 50 at none, 0 and 100 at ten per cent."""
    return _MIDDLE + _MIDDLE * max(-1.0, min(1.0, change / CHANGE_FULL))


def blended(parts: Mapping[str, Heard | None]) -> Heard | None:
    """Return the index of what is live among the parts; None without anything heard.

    It is as old as its oldest part, and may be used until the first of them may not.

    With nothing live the best of the others comes back with its own state, so that one sees why.
    """
    heard = {name: one for name, one in parts.items() if one is not None}
    live = {name: one for name, one in heard.items() if one.state is FeedState.LIVE}
    if not live:
        return next((heard[name] for name in PARTS if name in heard), None)
    weight = sum(PARTS[name] for name in live)
    as_of_ns = min(one.as_of_ns for one in live.values())
    ends = [one.as_of_ns + one.ttl_s * SECOND_NS for one in live.values() if one.ttl_s is not None]
    return Heard(
        raw=sum(PARTS[name] * one.raw for name, one in live.items()) / weight,
        as_of_ns=as_of_ns,
        source=" + ".join(one.source for one in live.values()),
        state=FeedState.LIVE,
        confidence=sum(PARTS[name] * one.confidence for name, one in live.items()),
        ttl_s=(min(ends) - as_of_ns) // SECOND_NS if ends else None,
    )
