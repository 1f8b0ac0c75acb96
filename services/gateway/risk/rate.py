"""How many orders were admitted in the last minute, by scope, in market time. Pure; kept by the gate."""

from __future__ import annotations

from collections import deque
from typing import Final

from services.gateway.risk.scopes import Entity

WINDOW_NS: Final = 60 * 1_000_000_000


class OrderRate:
    """A sliding window for each scope."""

    def __init__(self) -> None:
        self._stamps: dict[Entity, deque[int]] = {}
        self._now = 0

    def add(self, entities: tuple[Entity, ...], ts_ns: int) -> None:
        """Count one order that was admitted."""
        self.advance(ts_ns)
        for entity in entities:
            self.count(entity)  # also of a scope that no limit asks about: it keeps a minute, not a life
            self._stamps.setdefault(entity, deque()).append(self._now)

    def advance(self, ts_ns: int) -> None:
        """Let market time pass; it never goes back."""
        self._now = max(self._now, ts_ns)

    def count(self, entity: Entity) -> int:
        """Return the orders of a scope in the last minute."""
        stamps = self._stamps.get(entity)
        if stamps is None:
            return 0
        while stamps and stamps[0] <= self._now - WINDOW_NS:
            stamps.popleft()
        return len(stamps)
