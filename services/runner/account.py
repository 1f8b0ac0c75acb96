"""The account as a read-only bot sees it, from what the gateway publishes. Called by the runner."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from omega.bus import AccountStatus
from omega.engine import AccountBook, OpenPosition


def account_book(status: AccountStatus, previous: AccountBook) -> AccountBook:
    """Fold the books of all bots into one position a symbol, as the venue holds it.

    Returns:
        The book of this poll, which remembers the poll before.
    """
    sizes: dict[str, Decimal] = defaultdict(Decimal)
    costs: dict[str, Decimal] = defaultdict(Decimal)
    marks: dict[str, Decimal] = {}
    for line in status.books:
        sizes[line.symbol] += line.size
        costs[line.symbol] += line.size * line.entry
        marks[line.symbol] = line.mark
    positions = tuple(
        OpenPosition(
            account=status.account,
            symbol=symbol,
            side=1 if size > 0 else -1,
            size=float(abs(size)),
            entry=float(costs[symbol] / size),
            mark=float(marks[symbol]),
            unrealised=float(size * marks[symbol] - costs[symbol]),
        )
        for symbol, size in sorted(sizes.items())
        if size
    )
    open_profit = sum(position.unrealised for position in positions)
    return previous.polled(float(status.equity) - open_profit, positions)
