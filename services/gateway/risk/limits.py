"""The limits in force: settings, the fixed caps of `trading`, and what a person has changed at run time. Pure.

A person's change replaces what the settings say of one scope and measure, until it ends or is taken back; the caps of
`trading` are limits of their own and stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from omega.config import Levels, ScopeLimits, Settings
from services.gateway.risk.scopes import Entity, Measure, Scope

EACH: Final = "*"


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound on one measure of one scope.

    Units: block, reduce_only and flatten in the measure's unit; a distance to the liquidation is a least value, all
        others are most values. `rule` is what a denial is called, `origin` says where the limit was written.
    """

    entity: Entity
    measure: Measure
    rule: str
    block: Decimal | None
    origin: str
    reduce_only: Decimal | None = None
    flatten: Decimal | None = None

    @property
    def first(self) -> Decimal:
        """The first level that is given: what an entry may reach."""
        if self.block is not None:
            return self.block
        if self.reduce_only is not None:
            return self.reduce_only
        return self.flatten if self.flatten is not None else Decimal(0)

    def broken(self, use: Decimal, bound: Decimal) -> bool:
        """Tell whether a use is on the wrong side of a bound."""
        return use < bound if self.measure is Measure.LIQUIDATION else use > bound


@dataclass(frozen=True, slots=True)
class Override:
    """A limit that a person has set at run time; `levels` None takes the limit away. until_ns 0 is without end."""

    entity: Entity
    measure: Measure
    levels: Levels | None
    by: str
    reason: str
    ts_ns: int
    until_ns: int = 0


class Limits:
    """Finds the limits of an intent and of a scope; remembers what it found until something changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._overrides: dict[tuple[Entity, Measure], Override] = {}
        self._found: dict[Entity, tuple[Limit, ...]] = {}
        self._ends_ns = 0

    def configure(self, settings: Settings) -> None:
        """Take changed settings."""
        self._settings = settings
        self._found.clear()

    # people's changes -----------------------------------------------------------------------------------------------

    def override(self, change: Override) -> None:
        """Put a person's change into force."""
        self._overrides[change.entity, change.measure] = change
        self._renew()

    def restore(self, entity: Entity, measure: Measure) -> bool:
        """Take a person's change back; False when there is none."""
        gone = self._overrides.pop((entity, measure), None)
        self._renew()
        return gone is not None

    def expire(self, now_ns: int) -> list[Override]:
        """Drop the changes whose time is over and return them."""
        if not self._ends_ns or now_ns < self._ends_ns:
            return []
        over = [change for change in self._overrides.values() if 0 < change.until_ns <= now_ns]
        for change in over:
            del self._overrides[change.entity, change.measure]
        self._renew()
        return over

    @property
    def overrides(self) -> list[Override]:
        """The changes in force."""
        return list(self._overrides.values())

    def _renew(self) -> None:
        self._ends_ns = min((change.until_ns for change in self._overrides.values() if change.until_ns), default=0)
        self._found.clear()

    # what is in force -----------------------------------------------------------------------------------------------

    def of(self, entity: Entity) -> tuple[Limit, ...]:
        """Return every limit of one scope."""
        found = self._found.get(entity)
        if found is None:
            found = self._found[entity] = (*self._written(entity), *self._caps(entity))
        return found

    def changed(self, entity: Entity, measure: Measure) -> Override | None:
        """Return a person's change of one limit, of the scope itself before that of `*`."""
        return self._overrides.get((entity, measure)) or self._overrides.get((Entity(entity.scope, EACH), measure))

    def section(self, entity: Entity) -> ScopeLimits | None:
        """Return what the settings say of a scope."""
        limits = self._settings.risk.limits
        match entity.scope:
            case Scope.FLEET:
                return limits.fleet
            case Scope.VENUE:
                return limits.venue
            case Scope.ACCOUNT:
                return limits.account
        named = {Scope.FAMILY: limits.family, Scope.BOT: limits.bot, Scope.SYMBOL: limits.symbol}[entity.scope]
        return named.get(entity.name) or named.get(EACH)

    def _written(self, entity: Entity) -> Iterator[Limit]:
        section = self.section(entity)
        for measure in Measure:
            levels: Levels | None = None if section is None else getattr(section, measure.value)
            origin = f"risk.limits.{entity.scope}.{measure}"
            change = self.changed(entity, measure)
            if change is not None:
                levels, origin = change.levels, f"{change.by}: {change.reason}"
            if levels is not None:
                yield Limit(entity, measure, measure.value, levels.block, origin, levels.reduce_only, levels.flatten)

    def _caps(self, entity: Entity) -> Iterator[Limit]:
        trading = self._settings.trading
        if entity.scope is Scope.ACCOUNT:
            yield Limit(entity, Measure.GROSS, "notional", trading.max_notional, "trading.max_notional")
            loss = Decimal(repr(trading.max_daily_loss_pct))
            yield Limit(entity, Measure.DAILY_LOSS, "daily-loss", None, "trading.max_daily_loss_pct", loss)
