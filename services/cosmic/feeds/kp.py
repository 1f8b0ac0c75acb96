"""The planetary geomagnetic index Kp: one value for every three hours, known after their end. Off by default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from omega.config import KpFeed
from omega.cosmic.feeds import Rule, Sample
from omega.domain import SECOND_NS, from_iso
from omega.errors import ConfigError, CorruptData
from services.cosmic.feeds.http import get_json, host_of

NAME: Final = "kp"
RULE: Final = Rule(low=0.0, high=9.0, stale_s=32_400.0, frozen_after=32)
"""Nine hours old is stale. In fifteen years the longest run of equal values, all 0, were 21: four days are frozen."""
SPAN_NS: Final = 3 * 3_600 * SECOND_NS


def parse(answer: Any, source: str, now_ns: int) -> Sample:
    """Read rows of time_tag and Kp, as a table with a header or as objects; return the newest span that has ended.

    Raises:
        CorruptData: it has another shape, or no span has ended.
    """
    try:
        ended = [(at_ns, kp) for at_ns, kp in _rows(answer) if at_ns + SPAN_NS <= now_ns]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, ConfigError) as error:
        raise CorruptData(f"{source} answers in another shape ({error!r}); check the feed's address") from error
    if not ended:
        raise CorruptData(f"{source} knows no span of three hours that has ended; check the feed's address")
    at_ns, kp = max(ended)
    return Sample(kp, at_ns, source)


async def fetch(feed: KpFeed, now_ns: int) -> Sample:
    """Ask for the newest value."""
    return parse(await get_json(feed.url, timeout_s=feed.timeout_s), f"Kp ({host_of(feed.url)})", now_ns)


def _rows(answer: Any) -> Iterator[tuple[int, float]]:
    if answer and isinstance(answer[0], list):
        head, *rows = answer
        answer = [dict(zip(head, row, strict=True)) for row in rows]
    for row in answer:
        if row["Kp"] not in {None, ""}:
            yield from_iso(str(row["time_tag"])), float(row["Kp"])
