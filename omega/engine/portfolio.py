"""One bot's own book, folded from its fills: position, earnings, equity and drawdown from the running peak.

The runner owns one and hands its snapshot, `Book`, to every decision; replaying the same fills gives the same book.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from omega.domain import Bar, Fill, Position
from omega.errors import CorruptData


@dataclass(frozen=True, slots=True)
class Book:
    """What a decision may know about the bot's own money.

    Units: side +1 long, -1 short, 0 flat; size in base units; entry and extreme in quote currency per unit, extreme the
        best price since entry; equity in quote currency at the last close; drawdown a fraction of the running peak.
    """

    side: int
    size: float
    entry: float
    equity: float
    bars_held: int = 0
    extreme: float = 0.0
    drawdown: float = 0.0

    @classmethod
    def flat(cls, equity: float) -> Book:
        """Return a book without a position."""
        return cls(side=0, size=0.0, entry=0.0, equity=equity)


class Portfolio:
    """The running book of one bot in one symbol; money stays Decimal until a snapshot is taken.

    Attributes:
        capital: what the bot began with, in quote currency.
        position: the position folded from fills and funding.
        peak: the highest equity at any close so far.
        equity: the equity at the last close.
        bars_held: closed bars since the position was opened.
        extreme: the best price since the position was opened, 0 when flat.
    """

    def __init__(self, capital: Decimal) -> None:
        self.capital = capital
        self.position = Position()
        self.equity = capital
        self.peak = capital
        self.bars_held = 0
        self.extreme = 0.0

    @property
    def side(self) -> int:
        """+1 long, -1 short, 0 flat."""
        return (self.position.size > 0) - (self.position.size < 0)

    def fill(self, fill: Fill) -> None:
        """Fold one execution; a position that opens or turns starts its holding time anew."""
        before = self.side
        self.position = self.position.apply(fill)
        if self.side != before:
            self.bars_held = 0
            self.extreme = float(fill.price) if self.side else 0.0

    def fund(self, amount: Decimal) -> None:
        """Fold one funding payment, positive when received."""
        self.position = self.position.funded(amount)

    def mark(self, bar: Bar) -> Book:
        """Value the book at the close of a bar and return the snapshot that a decision reads."""
        if self.side:
            self.bars_held += 1
            self.extreme = max(self.extreme, bar.high) if self.side > 0 else min(self.extreme, bar.low)
        close = Decimal(repr(bar.close))
        self.equity = self.capital + self.position.net + self.position.unrealised(close)
        self.peak = max(self.peak, self.equity)
        return self.book()

    def book(self) -> Book:
        """Return the snapshot as of the last mark."""
        return Book(
            side=self.side,
            size=abs(float(self.position.size)),
            entry=float(self.position.entry),
            equity=float(self.equity),
            bars_held=self.bars_held,
            extreme=self.extreme,
            drawdown=self.drawdown,
        )

    @property
    def drawdown(self) -> float:
        """How far the equity lies below its running peak, as a fraction of the peak."""
        return float((self.peak - self.equity) / self.peak) if self.peak > 0 else 0.0

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on after a restart, as JSON values."""
        position = {
            name: str(getattr(self.position, name))
            for name in ("size", "entry", "realised", "fees", "funding", "open_pnl")
        }
        counts = {"trades": self.position.trades, "wins": self.position.wins, "bars_held": self.bars_held}
        money = {name: str(getattr(self, name)) for name in ("capital", "equity", "peak")}
        return {**money, **counts, "extreme": self.extreme, "position": position}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Portfolio:
        """Rebuild a book from its state.

        Raises:
            CorruptData: the state lacks a field or holds something that is no number.
        """
        try:
            book = cls(Decimal(state["capital"]))
            book.equity, book.peak = Decimal(state["equity"]), Decimal(state["peak"])
            book.bars_held, book.extreme = int(state["bars_held"]), float(state["extreme"])
            parts = {name: Decimal(value) for name, value in state["position"].items()}
            book.position = Position(**parts, trades=int(state["trades"]), wins=int(state["wins"]))
        except (KeyError, ValueError, TypeError, ArithmeticError) as error:
            raise CorruptData(f"saved book is unsound ({error!r}); delete it to rebuild it from the fills") from error
        return book
