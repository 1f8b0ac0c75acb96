"""Whose is what: the bots' virtual positions from fills, the EXTERNAL book, and what the venue says differently.

The sum of the books equals the venue's position; fills are the truth, the venue's positions are the check. Used by
the account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_DOWN, Decimal

from omega.domain import EXTERNAL, Fill, Position
from services.gateway.rows import JournalOrder

Key = tuple[str, str]
"""(bot, symbol)"""

ZERO = Decimal(0)


class Books:
    """Every book of the account, folded from fills and funding."""

    def __init__(self) -> None:
        self._books: dict[Key, Position] = {}
        self._before: dict[Key, Position | None] | None = None

    def load(
        self,
        fills: Iterable[tuple[int, Fill]],
        funding: Iterable[tuple[int, str, str, Decimal]],
        *,
        heard: Callable[[Fill, Position, Position], None] = lambda _fill, _before, _after: None,
    ) -> None:
        """Fold the journal: every fill, and each funding payment after the fill that it followed.

        `heard` is told each fill with its book before and after.
        """
        self._books.clear()
        payments = list(funding)
        at = 0
        for seq, fill in fills:
            while at < len(payments) and payments[at][0] < seq:
                self._pay(payments[at])
                at += 1
            before = self.book(fill.bot, fill.symbol)
            heard(fill, before, self.apply(fill))
        for payment in payments[at:]:
            self._pay(payment)

    def apply(self, fill: Fill) -> Position:
        """Take a fill into its book and return the book."""
        key = (str(fill.bot), str(fill.symbol))
        return self._change(key, self._books.get(key, Position()).apply(fill))

    def pay(self, bot: str, symbol: str, amount: Decimal) -> None:
        """Take a funding payment into a book."""
        self._change((bot, symbol), self._books.get((bot, symbol), Position()).funded(amount))

    def book(self, bot: str, symbol: str) -> Position:
        """Return one book."""
        return self._books.get((bot, symbol), Position())

    def items(self) -> Iterable[tuple[Key, Position]]:
        """Iterate over every book."""
        return self._books.items()

    def open(self, symbol: str) -> dict[str, Decimal]:
        """Return the open sizes of one symbol by bot, the EXTERNAL book among them."""
        return {bot: book.size for (bot, held), book in self._books.items() if held == symbol and book.size}

    def net(self, symbol: str) -> Decimal:
        """Return the sum of the books of one symbol."""
        return sum((book.size for (_, held), book in self._books.items() if held == symbol), ZERO)

    def symbols(self) -> set[str]:
        """Return every symbol with a book."""
        return {symbol for _, symbol in self._books}

    def residuals(self, venue: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return, for each symbol where they differ, the venue's position minus the sum of the books."""
        names = self.symbols() | set(venue)
        found = {symbol: venue.get(symbol, ZERO) - self.net(symbol) for symbol in names}
        return {symbol: value for symbol, value in found.items() if value}

    def notional(self, price: Callable[[str], Decimal], *, bot: str = "") -> Decimal:
        """Return the sum of the open notionals, of one bot or of the account."""
        books = ((held, book) for (name, held), book in self._books.items() if book.size and bot in {"", name})
        return sum((abs(book.size) * price(held) for held, book in books), ZERO)

    # a transaction of the journal -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Remember what changes from here on."""
        self._before = {}

    def note(self, order: JournalOrder) -> None:
        """Nothing: orders are no books."""

    def commit(self) -> None:
        """Keep it."""
        self._before = None

    def roll_back(self) -> None:
        """Undo it: the disk has refused, and what is not written will be told again."""
        before, self._before = self._before or {}, None
        for key, book in before.items():
            if book is None:
                self._books.pop(key, None)
            else:
                self._books[key] = book

    def _change(self, key: Key, book: Position) -> Position:
        if self._before is not None:
            self._before.setdefault(key, self._books.get(key))
        self._books[key] = book
        return book

    def _pay(self, payment: tuple[int, str, str, Decimal]) -> None:
        _, bot, symbol, amount = payment
        self.pay(bot, symbol, amount)


def share(amount: Decimal, sizes: Mapping[str, Decimal], step: Decimal) -> dict[str, Decimal]:
    """Split an amount by the weight of signed sizes, in steps; the biggest takes what does not divide.

    Used for funding: weights keep their sign, a short receives what a long pays.
    """
    net = sum(sizes.values(), ZERO)
    if not sizes or not net:
        return {str(EXTERNAL): amount} if amount else {}
    parts = {bot: _cut(amount * size / net, step) for bot, size in sizes.items()}
    biggest = max(sizes, key=lambda bot: (abs(sizes[bot]), bot))
    parts[biggest] += amount - sum(parts.values(), ZERO)
    return {bot: part for bot, part in parts.items() if part}


def closings(amount: Decimal, held: Mapping[str, Decimal], step: Decimal) -> dict[str, Decimal]:
    """Split an execution that closes positions by their sizes, in steps: nobody closes more than it holds.

    Args:
        amount: what was closed, above zero.
        held: the sizes on the side that it closes, without sign.
        step: the venue's; what does not divide goes to the greatest remainders.

    Returns:
        The parts above zero; what is beyond all that is held is EXTERNAL.
    """
    whole = sum(held.values(), ZERO)
    left = closed = min(amount, whole)
    parts = {bot: _cut(closed * size / whole, step) for bot, size in held.items()} if whole else {}
    left -= sum(parts.values(), ZERO)
    by_rest = sorted(parts, key=lambda bot: (parts[bot] - closed * held[bot] / whole, bot))
    for most in (step, amount):  # a step for each, then what is smaller than one
        for bot in by_rest:
            more = min(left, most, held[bot] - parts[bot])
            parts[bot] += more
            left -= more
    if amount > closed:
        parts[str(EXTERNAL)] = parts.get(str(EXTERNAL), ZERO) + amount - closed
    return {bot: part for bot, part in parts.items() if part}


def _cut(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).quantize(Decimal(1), rounding=ROUND_DOWN) * step
