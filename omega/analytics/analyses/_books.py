"""The account's book as the analyses read it: one position a symbol and side, with an estimate of its liquidation."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from omega.analytics.context import Books, Context

if TYPE_CHECKING:
    from omega.engine.account import AccountBook
    from omega.engine.bars import Bars

MAINTENANCE: Final = 0.004
TAKER: Final = 0.0006
ESTIMATED: Final = (
    f"Liquidation prices are estimated: the whole equity behind each position, as if nothing else moved, at "
    f"{MAINTENANCE:.1%} maintenance margin."
)
Key = tuple[str, str, int]


def account_book(books: Books) -> tuple[AccountBook, dict[Key, float], dict[Key, float]]:
    """Fold the books of all bots into positions of the account; return them with stops and bare parts by position key.

    Bots on the same side of a symbol are one position at the mean entry; its stop is the farthest of theirs. What a bot
    holds without a stop is the bare part, in quote currency: the stop of another bot does not protect it.
    """
    from omega.engine.account import AccountBook, OpenPosition
    from omega.engine.margin import cross_liquidation

    sides = defaultdict(list)
    for one in books.held:
        sides[one.account, one.symbol, 1 if one.size > 0 else -1].append(one)
    positions, stops, bare = [], {}, {}
    for (account, symbol, side), held in sorted(sides.items()):
        size = sum(abs(one.size) for one in held)
        entry = sum(abs(one.size) * one.entry for one in held) / size
        mark = held[-1].mark or entry
        known = [one.stop for one in held if one.stop > 0.0]
        if known:
            stops[account, symbol, side] = min(known) if side > 0 else max(known)
        if len(known) < len(held):
            bare[account, symbol, side] = sum(abs(one.size) * mark for one in held if one.stop <= 0.0)
        positions.append(
            OpenPosition(
                account=account,
                symbol=symbol,
                side=side,
                size=size,
                entry=entry,
                mark=mark,
                liquidation=cross_liquidation(side, size, mark, books.equity, MAINTENANCE, TAKER),
                unrealised=side * size * (mark - entry),
            )
        )
    open_profit = sum(one.unrealised for one in positions)
    return AccountBook(balance=books.equity - open_profit, positions=tuple(positions)), stops, bare


def markets(context: Context) -> dict[str, Bars]:
    """Return the bars at hand by symbol."""
    own = {context.symbol: context.market} if context.market is not None else {}
    return {**context.peers, **own}
