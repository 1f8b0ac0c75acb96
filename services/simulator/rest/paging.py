"""Cutting history into pages as the venue does: newest first, by time and by id. Called by the history endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from services.simulator.intake import Fields

MOST: Final = 500
_DEFAULT: Final = 100

T = TypeVar("T")


def page(items: Iterable[T], fields: Fields, key: Callable[[T], tuple[str, int]]) -> list[T]:
    """Return the page that startTime, endTime, idLessThan and limit ask for; `key` gives (id, time in ms)."""
    start, end = fields.whole("startTime", 0), fields.whole("endTime", 0)
    before = fields.text("idLessThan")
    limit = max(1, min(MOST, fields.whole("limit", _DEFAULT)))

    def wanted(item: T) -> bool:
        number, at = key(item)
        return at >= start and (not end or at <= end) and (not before or number < before)

    return sorted(filter(wanted, items), key=lambda item: key(item)[0], reverse=True)[:limit]
