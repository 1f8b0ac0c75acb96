"""Limits that the market breaks, not an intent: latch the scope's halt, or have its positions closed. Run by status.

The level `block` needs nobody: an entry is measured against it when it comes. `reduce_only` and `flatten` latch, and
stay until a person releases them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from omega.domain import EXTERNAL, Position
from services.gateway.halt import Halt, Level
from services.gateway.risk.gate import RiskGate
from services.gateway.risk.limits import Limit
from services.gateway.risk.scopes import Entity, Measure, Scope

Books = Iterable[tuple[tuple[str, str], Position]]
Closing = tuple[str, str, Decimal, str]
"""(bot, symbol, signed size, reason)"""

_SAID: Final = {Measure.DAILY_LOSS: "since 00:00 UTC", Measure.DRAWDOWN: "from its peak"}


class Monitor:
    """Looks at every limit that has a level for the market."""

    def __init__(self, gate: RiskGate, halt: Halt) -> None:
        self._gate = gate
        self._halt = halt

    def look(self, ts_ns: int) -> list[Entity]:
        """Halt the scopes whose use the market has taken beyond a level; return those that are new."""
        found = []
        for entity in self._gate.known():
            for limit in self._gate.limits.of(entity):
                if limit.reduce_only is None and limit.flatten is None:
                    continue
                level, bound = self._reached(limit)
                if level is not None and self._halt.set(
                    self._words(limit, bound), by=limit.rule, ts_ns=ts_ns, entity=entity, level=level
                ):
                    found.append(entity)
        return found

    def closings(self, books: Books) -> Iterator[Closing]:
        """Return the positions of scopes that are to be flat; bots' alone, a person's are a person's."""
        doomed = {latch.entity: latch for latch in self._halt.latches if latch.level is Level.FLATTEN}
        if not doomed:
            return
        for (bot, symbol), book in list(books):
            if book.size and bot != EXTERNAL:
                latch = next((doomed[e] for e in self._gate.scopes(bot, symbol) if e in doomed), None)
                if latch is not None:
                    yield bot, symbol, book.size, f"flatten {latch.entity}: {latch.by}"

    def blocks(self) -> list[tuple[Limit, Decimal, Decimal]]:
        """Return every limit whose use is at or beyond its first level, with use and bound."""
        found = []
        for limit, use, bound in self.uses():
            if limit.broken(use, bound):
                found.append((limit, use, bound))
        return found

    def uses(self) -> Iterator[tuple[Limit, Decimal, Decimal]]:
        """Iterate over every limit of every scope, with its use and what an entry may reach."""
        gate = self._gate
        for entity in gate.known():
            for limit in gate.limits.of(entity):
                share = gate.share(entity.name) if entity.scope is Scope.SYMBOL else gate.share("")
                yield limit, gate.uses.use(entity, limit.measure), gate.bound(limit, share)

    def _reached(self, limit: Limit) -> tuple[Level | None, Decimal]:
        use = self._gate.uses.use(limit.entity, limit.measure)
        if limit.flatten is not None and limit.broken(use, limit.flatten):
            return Level.FLATTEN, limit.flatten
        if limit.reduce_only is not None and limit.broken(use, limit.reduce_only):
            return Level.REDUCE_ONLY, limit.reduce_only
        return None, Decimal(0)

    def _words(self, limit: Limit, bound: Decimal) -> str:
        use, curve = self._gate.uses.use(limit.entity, limit.measure), self._gate.curves.of(limit.entity)
        if limit.measure in _SAID and curve is not None:
            lost = curve.day_loss if limit.measure is Measure.DAILY_LOSS else curve.peak - curve.now
            return (
                f"the {limit.entity} has lost {lost:.2f} ({use:.2f} %) {_SAID[limit.measure]}, "
                f"more than {bound:.2f} % ({limit.origin})"
            )
        under = "below" if limit.measure is Measure.LIQUIDATION else "above"
        return f"the {limit.entity}: {limit.measure} is {use:.2f}, {under} {bound:.2f} ({limit.origin})"
