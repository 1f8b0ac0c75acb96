"""What the market charged beyond the price that was decided on: by bot and for the account. Fed by the account."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from omega.domain import Fill, Role

ZERO = Decimal(0)
DECIDED = frozenset({Role.ENTRY, Role.EXIT})
"""Fills that follow a decision at once; a stop or a target waits for its own price, and slips from that."""


class Slippage:
    """Sums since the start, in quote currency; a better price than the decision's counts against a worse one."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Decimal, Decimal]] = {}

    def heard(self, fill: Fill, decided: Decimal) -> None:
        """Take a fill of an order that was decided on at a price; 0 where nobody knows the price any more."""
        if fill.role not in DECIDED or decided <= 0:
            return
        cost, traded = self._sums.get(fill.bot, (ZERO, ZERO))
        self._sums[fill.bot] = (
            cost + (fill.price - decided) * fill.size * fill.side.sign,
            traded + decided * fill.size,
        )

    def by_bot(self) -> Iterator[tuple[str, float]]:
        """Iterate over the bots that have traded, with the share of the value traded that was lost to the price."""
        for bot, (cost, traded) in self._sums.items():
            yield bot, float(cost / traded)

    def whole(self) -> float | None:
        """Return the account's share, None before the first fill."""
        traded = sum((traded for _, traded in self._sums.values()), ZERO)
        return float(sum((cost for cost, _ in self._sums.values()), ZERO) / traded) if traded else None
