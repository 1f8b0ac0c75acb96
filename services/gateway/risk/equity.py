"""Equity curves by scope: the peak, and the equity at 00:00 UTC, of equity with open profit. Pure; kept by the gate.

The equity of a scope is its base plus what its books have earned, open profit included: transfers to and from the
account are no gains and no losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from services.gateway.risk.scopes import Entity, Scope

ZERO: Final = Decimal(0)
DAY_NS: Final = 86_400 * 1_000_000_000


@dataclass(slots=True)
class Curve:
    """One equity curve. Units: quote currency; `day` counts days since 1970."""

    peak: Decimal
    now: Decimal
    day: int
    day_equity: Decimal

    @property
    def drawdown_pct(self) -> Decimal:
        """Loss from the peak to now, in % of the peak; all of it once the equity is gone."""
        return max((self.peak - self.now) / self.peak * 100, ZERO) if self.peak > 0 else ZERO

    @property
    def day_loss(self) -> Decimal:
        """Loss since 00:00 UTC, negative for a profit."""
        return self.day_equity - self.now

    @property
    def daily_loss_pct(self) -> Decimal:
        """Loss since 00:00 UTC in % of the equity then, 0 for a profit."""
        return max(self.day_loss / self.day_equity * 100, ZERO) if self.day_equity > 0 else ZERO


class Curves:
    """The curves of every scope that has equity."""

    def __init__(self) -> None:
        self._curves: dict[Entity, Curve] = {}
        self.dirty = False
        """Whether a peak or a day has begun since `dump`."""

    def mark(self, entity: Entity, equity: Decimal, ts_ns: int) -> None:
        """Take the equity of a scope at an instant of market time."""
        day = ts_ns // DAY_NS
        curve = self._curves.get(entity)
        if curve is None:
            self._curves[entity] = Curve(equity, equity, day, equity)
            self.dirty = True
            return
        curve.now = equity
        if equity > curve.peak:
            curve.peak, self.dirty = equity, True
        if day > curve.day:
            curve.day, curve.day_equity, self.dirty = day, equity, True

    def rebase(self, entity: Entity) -> None:
        """Count losses from now on: a person has released the halt that they brought about."""
        curve = self._curves.get(entity)
        if curve is not None:
            curve.peak = curve.day_equity = curve.now
            self.dirty = True

    def of(self, entity: Entity) -> Curve | None:
        """Return a scope's curve, None before its first mark."""
        return self._curves.get(entity)

    def dump(self) -> list[list[Any]]:
        """Return what must survive a restart."""
        self.dirty = False
        return [
            [entity.scope.value, entity.name, str(curve.peak), str(curve.now), curve.day, str(curve.day_equity)]
            for entity, curve in self._curves.items()
        ]

    def load(self, rows: list[list[Any]]) -> None:
        """Take back what was dumped."""
        for scope, name, peak, now, day, day_equity in rows:
            self._curves[Entity(Scope(scope), name)] = Curve(Decimal(peak), Decimal(now), int(day), Decimal(day_equity))
