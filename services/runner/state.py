"""What a bot remembers over a restart: its book, how far it has read, and what people told it.

Kept on the bus by the runner.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from omega.domain import Bar, Fill
from omega.engine import Book, Portfolio
from omega.errors import CorruptData


class Order(StrEnum):
    """The standing order of a person to a bot."""

    TRADE = "trading"
    PAUSE = "paused"
    DRAIN = "draining"


@dataclass(slots=True)
class BotState:
    """The memory of one bot.

    Attributes:
        portfolio: its book.
        read: entry id of the last event that is in the book.
        marked_ns: open time of the last bar the book was valued at.
        order: what a person wants of it.
        orders: client ids that the venue has taken, counted.
    """

    portfolio: Portfolio
    read: str = ""
    marked_ns: int = 0
    order: Order = Order.TRADE
    fills: int = 0
    orders: set[str] = field(default_factory=set)

    def fill(self, fill: Fill) -> None:
        """Take a fill into the book."""
        self.portfolio.fill(fill)
        self.fills += 1

    def mark(self, bar: Bar) -> Book:
        """Value the book at a bar's close."""
        self.marked_ns = bar.ts_ns
        return self.portfolio.mark(bar)

    def dump(self) -> str:
        """Return the state as a JSON text; order ids are a counter's business and do not travel."""
        return json.dumps(
            {
                "portfolio": self.portfolio.state(),
                "read": self.read,
                "marked_ns": self.marked_ns,
                "order": self.order.value,
                "fills": self.fills,
            }
        )

    @classmethod
    def load(cls, text: str | None, capital: Decimal) -> BotState:
        """Rebuild a state from its text, or begin with a fresh book.

        Raises:
            CorruptData: the text is no saved state.
        """
        if text is None:
            return cls(Portfolio(capital))
        try:
            raw = json.loads(text)
            return cls(
                Portfolio.restore(raw["portfolio"]),
                read=raw["read"],
                marked_ns=int(raw["marked_ns"]),
                order=Order(raw["order"]),
                fills=int(raw["fills"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptData(
                f"the saved state of the bot is unsound ({error!r}); delete its key on the bus"
            ) from error
