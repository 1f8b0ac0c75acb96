"""The book of a whole exchange account as read-only bots see it: positions, balance, and the poll before.

Made by the runner from what the gateway publishes; read by reports, never by a strategy that trades.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """One open position of an account.

    Units: side +1 long, -1 short; size in base units, above zero; prices in quote currency, liquidation 0.0 when none
        does; unrealised in quote currency.
    """

    account: str
    symbol: str
    side: int
    size: float
    entry: float
    mark: float
    liquidation: float = 0.0
    leverage: float = 1.0
    unrealised: float = 0.0

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells positions apart: a long and a short of one symbol are two."""
        return self.account, self.symbol, self.side

    @property
    def notional(self) -> float:
        """Its value at the mark price, in quote currency."""
        return self.size * self.mark


@dataclass(frozen=True, slots=True)
class AccountBook:
    """All positions of an account at one poll, and those of the poll before (None at the first).

    Units: balance in quote currency, without unrealised profit; peak is the highest equity of the polls before.
    """

    balance: float
    positions: tuple[OpenPosition, ...] = ()
    previous: tuple[OpenPosition, ...] | None = None
    peak: float = 0.0

    def polled(self, balance: float, positions: tuple[OpenPosition, ...]) -> AccountBook:
        """Return the book of the next poll, which remembers this one, an empty one too."""
        peak = max(self.peak, self.equity)
        return replace(self, balance=balance, positions=positions, previous=self.positions, peak=peak)

    @property
    def equity(self) -> float:
        """Balance and unrealised profit, in quote currency."""
        return self.balance + sum(position.unrealised for position in self.positions)

    @property
    def long_notional(self) -> float:
        """Value of the long positions, in quote currency."""
        return sum(p.notional for p in self.positions if p.side > 0)

    @property
    def short_notional(self) -> float:
        """Value of the short positions, in quote currency."""
        return sum(p.notional for p in self.positions if p.side < 0)

    @property
    def drawdown(self) -> float:
        """How far the equity lies below its running peak, as a fraction of the peak."""
        peak = max(self.peak, self.equity)
        return (peak - self.equity) / peak if peak > 0.0 else 0.0


class ChangeKind(StrEnum):
    """What became of a position between two polls."""

    NEW = "new"
    CLOSED = "closed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One position that is not what it was at the poll before.

    Units: size_change and pnl_change as fractions of the value before, 0.0 where there is none.
    """

    kind: ChangeKind
    position: OpenPosition
    size_change: float = 0.0
    pnl_change: float = 0.0


class RiskLevel(StrEnum):
    """How near liquidation is: above 10 % low, 5 to 10 % medium, below 5 % high."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


_FAR, _NEAR = 0.10, 0.05


def changes(book: AccountBook, *, size: float = 0.05, pnl: float = 0.10) -> tuple[Change, ...]:
    """Compare a book with its poll before; the first poll has no changes.

    Units: size and pnl are fractions of the value before, beyond which a position counts as changed.
    """
    if book.previous is None:
        return ()
    before = {position.key: position for position in book.previous}
    now = {position.key: position for position in book.positions}
    found = [Change(ChangeKind.NEW, p) for key, p in now.items() if key not in before]
    found += [Change(ChangeKind.CLOSED, p) for key, p in before.items() if key not in now]
    both = (_moved(before[key], position) for key, position in now.items() if key in before)
    found += [c for c in both if abs(c.size_change) > size or abs(c.pnl_change) > pnl]
    return tuple(found)


def liquidation_distance(position: OpenPosition) -> float | None:
    """Return how far the mark price is from liquidation, as a fraction of the liquidation price; None without one."""
    if position.liquidation <= 0.0:
        return None
    return abs(position.mark - position.liquidation) / position.liquidation


def liquidation_risk(position: OpenPosition) -> RiskLevel:
    """Return the level of the distance; a position that cannot be liquidated is low."""
    distance = liquidation_distance(position)
    if distance is None or distance > _FAR:
        return RiskLevel.LOW
    return RiskLevel.MEDIUM if distance >= _NEAR else RiskLevel.HIGH


def _moved(before: OpenPosition, now: OpenPosition) -> Change:
    size = (now.size - before.size) / before.size
    pnl = (now.unrealised - before.unrealised) / abs(before.unrealised) if before.unrealised else 0.0
    return Change(ChangeKind.CHANGED, now, size, pnl)
