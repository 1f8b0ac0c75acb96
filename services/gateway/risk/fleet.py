"""What the other accounts of the fleet use, as they last said on the bus, and whether that is still news. Pure.

Every gateway tells its use in its account status. What another admits within the time that a status takes cannot be
known, so each account also has its own share of every limit that several count together: shares that sum to one keep
the whole whatever interleaves (docs/adr/0019).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from omega.bus.messages import AccountStatus, SymbolUse
from services.gateway.risk.scopes import Entity, Scope

ZERO: Final = Decimal(0)
WHOLE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class _Heard:
    status: AccountStatus
    at_s: float


class Fleet:
    """The other accounts: those that are configured, and what each has said."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._others: tuple[str, ...] = ()
        self._shares: dict[str, Decimal] = {}
        self._heard: dict[str, _Heard] = {}

    def configure(self, accounts: list[str], shares: Mapping[str, Decimal]) -> None:
        """Take the names (venue/account) of every account of the fleet, and the parts of the limits that are given."""
        self._others = tuple(sorted(set(accounts) - {self._own}))
        names = {self._own, *self._others}
        plain = names - set(shares)
        rest = max(WHOLE - sum((shares[name] for name in names - plain), ZERO), ZERO)
        self._shares = {name: shares[name] if name in shares else rest / len(plain) for name in names}

    def share(self, entity: Entity) -> Decimal:
        """Return the part of a scope's limits that this account may use, in [0, 1]; 1 where it is the only one.

        A venue's limits are divided among its accounts alone, in the proportion of their parts.
        """
        others = [self._shares[name] for name in self._names(entity)]
        own = self._shares[self._own]
        if not others:
            return WHOLE
        if entity.scope is Scope.FLEET or not own:
            return own
        return own / (own + sum(others, ZERO))

    @property
    def others(self) -> tuple[str, ...]:
        """The other accounts."""
        return self._others

    def hear(self, status: AccountStatus, now_s: float) -> None:
        """Take what an account says of itself."""
        name = f"{status.venue}/{status.account}"
        if name in self._others:
            self._heard[name] = _Heard(status, now_s)

    def stale(self, entity: Entity, now_s: float, limit_s: float) -> list[str]:
        """Return the accounts of a scope that have said nothing for too long."""
        return [
            name
            for name in self._names(entity)
            if (heard := self._heard.get(name)) is None or now_s - heard.at_s > limit_s
        ]

    def complete(self, entity: Entity) -> bool:
        """Tell whether every other account of a scope has said something since the start."""
        return all(name in self._heard for name in self._names(entity))

    def uses(self, entity: Entity) -> Iterator[SymbolUse]:
        """Iterate over what the others have at stake, symbol by symbol."""
        for status in self._statuses(entity):
            yield from status.uses

    def equity(self, entity: Entity) -> Decimal:
        """Return the sum of the others' equities."""
        return sum((status.equity for status in self._statuses(entity)), ZERO)

    def orders(self, entity: Entity) -> int:
        """Return the sum of the others' orders in the last minute."""
        return sum(status.orders_per_minute for status in self._statuses(entity))

    def day(self, entity: Entity) -> tuple[Decimal, Decimal]:
        """Return the sums of the others' losses of the day and of their equities at its begin."""
        statuses = list(self._statuses(entity))
        return sum((s.day_loss for s in statuses), ZERO), sum((s.day_equity for s in statuses), ZERO)

    def _names(self, entity: Entity) -> Iterator[str]:
        for name in self._others:
            if entity.scope is Scope.FLEET or (entity.scope is Scope.VENUE and name.partition("/")[0] == entity.name):
                yield name

    def _statuses(self, entity: Entity) -> Iterator[AccountStatus]:
        for name in self._names(entity):
            heard = self._heard.get(name)
            if heard is not None:
                yield heard.status
