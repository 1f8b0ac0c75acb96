"""A book of one bot in one symbol, folded from fills.

Used by the gateway, the runner and the ledger: one arithmetic for all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from omega.domain.fill import Fill

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Position:
    """A signed position with its average entry and what it has earned.

    Units: size in base units (positive long, negative short); entry in quote currency, 0 when flat; realised, fees and
    funding in quote currency (fees positive = paid, funding positive = received); trades counts round trips closed.
    """

    size: Decimal = ZERO
    entry: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    trades: int = 0
    wins: int = 0
    open_pnl: Decimal = ZERO
    """What the round trip that is still open has realised so far, fees included."""

    def apply(self, fill: Fill) -> Position:
        """Return the position after a fill; a fill beyond flat closes and opens the other side."""
        closing = min(abs(self.size), fill.size) if self.size * fill.signed < 0 else ZERO
        sign = 1 if self.size > 0 else -1
        gained = (fill.price - self.entry) * closing * sign
        after = self.size + fill.signed
        opening = fill.size - closing
        book = replace(
            self,
            size=after,
            entry=self._entry(after, fill.price, opening),
            realised=self.realised + gained,
            fees=self.fees + fill.fee,
            open_pnl=self.open_pnl + gained - fill.fee,
        )
        if closing and (after == 0 or opening):
            return replace(book, trades=book.trades + 1, wins=book.wins + (book.open_pnl > 0), open_pnl=ZERO)
        return book

    def funded(self, amount: Decimal) -> Position:
        """Return the position after a funding payment (positive = received)."""
        return replace(self, funding=self.funding + amount, open_pnl=self.open_pnl + amount)

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return the open profit at a mark price."""
        return (mark - self.entry) * self.size

    @property
    def net(self) -> Decimal:
        """Realised profit after fees and funding."""
        return self.realised - self.fees + self.funding

    def _entry(self, after: Decimal, price: Decimal, opening: Decimal) -> Decimal:
        if after == 0:
            return ZERO
        if self.size == 0 or self.size * after < 0:
            return price
        if not opening:
            return self.entry
        return (self.entry * abs(self.size) + price * opening) / abs(after)
