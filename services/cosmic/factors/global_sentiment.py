"""The market from 0 (despair, -1) to 100 (euphoria, +1): fear and greed, funding, 24-hour change. From feeds."""

from __future__ import annotations

from typing import Final

from omega.cosmic.readings import Heard, fetched
from omega.cosmic.sentiment import state_of
from omega.domain import Reading
from omega.plugins import factor

MIDDLE: Final = 50.0


@factor(
    "global_sentiment",
    kind="fetched",
    feed="sentiment",
    ttl_s=86_400,
    source="feed sentiment",
    unit="index",
    span=(0.0, 2.0 * MIDDLE),
)
def global_sentiment(at_ns: int, heard: Heard | None) -> Reading:
    """Read the mood: the index as the raw number, its distance from the middle as the value, its state as label."""
    return fetched("global_sentiment", at_ns, heard, value=lambda index: (index - MIDDLE) / MIDDLE, label=state_of)
