"""What a bot remembers over a restart: its book, its state of mind, how far it has read, and what people told it.

Kept on the bus by the runner.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from omega.bus import FundingPaid
from omega.domain import Bar, Fill
from omega.engine import Book, Portfolio
from omega.errors import CorruptData
from services.runner.mind import Temper, Trips

_KNOWN: Final = 1_000
"""More than the gateway ever sends again: it notes every 500 events, of all bots, what the bus has."""


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
        trips: its round trips, as the state of mind needs them.
        temper: whose state of mind it has, and the state.
        stop: the stop of its position as it has last asked for it, 0 for none.
        known: ids of the newest fills and payments in the book, oldest first.
    """

    portfolio: Portfolio
    read: str = ""
    marked_ns: int = 0
    order: Order = Order.TRADE
    fills: int = 0
    orders: set[str] = field(default_factory=set)
    trips: Trips = field(default_factory=Trips)
    temper: Temper = field(default_factory=Temper)
    stop: Decimal = Decimal(0)
    known: dict[str, None] = field(default_factory=dict)

    def first(self, event: Fill | FundingPaid) -> bool:
        """Tell whether a fill or payment comes for the first time, and remember it.

        A bus that has lost its memory lets the gateway's repeats through: only their own ids tell them.
        """
        name = f"fill:{event.trade_id}" if isinstance(event, Fill) else f"funding:{event.funding_id}"
        if name in self.known:
            return False
        self.known[name] = None
        while len(self.known) > _KNOWN:
            del self.known[next(iter(self.known))]
        return True

    def fill(self, fill: Fill) -> None:
        """Take a fill into the book."""
        side, worth = self.portfolio.side, self.portfolio.capital + self.portfolio.position.net
        self.portfolio.fill(fill)
        if not self.portfolio.side:
            self.stop = Decimal(0)
        self.trips.filled(side, worth, self.portfolio, fill.ts_ns)
        self.fills += 1

    def fund(self, amount: Decimal) -> None:
        """Take a funding payment into the book, positive when received."""
        self.portfolio.fund(amount)
        self.trips.funded(amount, self.portfolio)

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
                "trips": self.trips.state(),
                "temper": self.temper.state(),
                "stop": str(self.stop),
                "known": list(self.known),
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
                # A state that was saved before there were minds has neither.
                trips=Trips.restore(raw["trips"]) if "trips" in raw else Trips(),
                temper=Temper.restore(raw.get("temper")),
                stop=Decimal(raw.get("stop", "0")),
                known=dict.fromkeys(str(name) for name in raw.get("known", ())),
            )
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise CorruptData(
                f"the saved state of the bot is unsound ({error!r}); delete its key on the bus"
            ) from error
