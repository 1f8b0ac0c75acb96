"""The Crypto Fear & Greed index: one whole number from 0 to 100 a day. Off by default."""

from __future__ import annotations

from typing import Any, Final

from omega.config import FearGreedFeed
from omega.cosmic.feeds import Rule, Sample
from omega.domain import SECOND_NS
from omega.errors import CorruptData
from services.cosmic.feeds.http import get_json, host_of

NAME: Final = "fear_greed"
RULE: Final = Rule(low=0.0, high=100.0, stale_s=90_000.0, frozen_after=7, neutral=50.0)
"""A day and an hour old is stale. In seven years no value stood for more than four days."""


def parse(answer: Any, source: str) -> Sample:
    """Read `{"data": [{"value": "40", "timestamp": "1717200000"}]}`, the newest row first.

    Raises:
        CorruptData: it has another shape.
    """
    try:
        row = answer["data"][0]
        return Sample(float(row["value"]), int(row["timestamp"]) * SECOND_NS, source)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise CorruptData(f"{source} answers in another shape ({error!r}); check the feed's address") from error


async def fetch(feed: FearGreedFeed) -> Sample:
    """Ask for the newest value."""
    return parse(await get_json(feed.url, timeout_s=feed.timeout_s), f"fear and greed ({host_of(feed.url)})")
