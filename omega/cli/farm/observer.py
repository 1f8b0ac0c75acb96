"""Reads the bus as a stranger would and keeps the facts that the table, the result and the conductor need."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from decimal import Decimal

from omega.bus import (
    AccountStatus,
    BotStatus,
    Bus,
    DecisionMade,
    Fill,
    FundingPaid,
    OrderEvent,
    Received,
)
from omega.domain import OrderState, Position

SENT = frozenset({OrderState.WORKING, OrderState.FILLED, OrderState.CANCELED})


@dataclass(slots=True)
class BotTally:
    """What one bot has done so far, counted from the records themselves."""

    decisions: int = 0
    intents: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    denied: int = 0
    rejected: int = 0
    fills: int = 0
    books: dict[str, Position] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)

    @property
    def pnl(self) -> Decimal:
        """Realised and open profit after fees and funding, in quote currency."""
        return sum((book.net + book.unrealised(self._mark(symbol)) for symbol, book in self.books.items()), Decimal(0))

    @property
    def position(self) -> Decimal:
        """The signed size of the book (a bot trades one symbol)."""
        return sum((book.size for book in self.books.values()), Decimal(0))

    def _mark(self, symbol: str) -> Decimal:
        price = self.marks.get(symbol)
        return self.books[symbol].entry if price is None else Decimal(repr(price))


class Observer:
    """Follows decisions and ledger events completely, statuses as signals."""

    def __init__(self, bus: Bus, bots: tuple[str, ...]) -> None:
        self.bus = bus
        self.bots: dict[str, BotTally] = {name: BotTally() for name in bots}
        self.statuses: dict[str, BotStatus] = {}
        self.last: dict[str, DecisionMade] = {}
        self.account: AccountStatus | None = None
        self.fill_log: list[Fill] = []
        self.first_fill_s: float | None = None
        self.latencies_ns: list[int] = []
        self.started_s = time.monotonic()
        self._seen: set[str] = set()
        self._decided: dict[int, dict[str, tuple[str, ...]]] = {}
        self._complete = asyncio.Event()

    async def follow_records(self, ready: asyncio.Event) -> None:
        """Count every record until cancelled; `ready` is set when nothing can be missed any more."""
        topics = self.bus.topics
        async with self.bus.follow(topics.decisions(), topics.ledger()) as stream:
            ready.set()
            async for received in stream:
                self._take(received)

    async def follow_signals(self) -> None:
        """Keep the latest status of everything until cancelled."""
        topics = self.bus.topics
        async with self.bus.signals(topics.bot_status("*"), topics.account_status("*", "*")) as stream:
            async for received in stream:
                match received.envelope.data:
                    case BotStatus() as status:
                        self.statuses[status.bot] = status
                    case AccountStatus() as account:
                        self.account = account

    async def decided(self, bar_ts_ns: int, *, within_s: float) -> dict[str, tuple[str, ...]] | None:
        """Wait until every bot has decided on a bar.

        Return their intents by bot, None when some bot has not in time.
        """
        deadline = time.monotonic() + within_s
        while len(self._decided.get(bar_ts_ns, {})) < len(self.bots):
            self._complete.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._complete.wait()
            except TimeoutError:
                return None
        for old in [ts for ts in self._decided if ts < bar_ts_ns]:
            del self._decided[old]
        return self._decided[bar_ts_ns]

    def missing(self, bar_ts_ns: int) -> list[str]:
        """Return the bots that have not decided on a bar yet."""
        return sorted(set(self.bots) - set(self._decided.get(bar_ts_ns, {})))

    def _take(self, received: Received) -> None:
        envelope = received.envelope
        if envelope.id in self._seen:
            return
        match envelope.data:
            case DecisionMade() as made if made.bot in self.bots:
                self._decide(made)
            case OrderEvent() as event if event.bot in self.bots:
                self._seen.add(envelope.id)
                self._order(event)
            case Fill() as fill if fill.bot in self.bots:
                self._seen.add(envelope.id)
                self._fill(fill)
            case FundingPaid() as paid if paid.bot in self.bots:
                self._seen.add(envelope.id)
                tally = self.bots[paid.bot]
                tally.books[paid.symbol] = tally.books.get(paid.symbol, Position()).funded(paid.amount)

    def _decide(self, made: DecisionMade) -> None:
        tally = self.bots[made.bot]
        ts = made.decision.bar_ts_ns
        previous = self.last.get(made.bot)
        if previous is None or ts > previous.decision.bar_ts_ns:
            tally.decisions += 1
            self.last[made.bot] = made
        tally.intents.update(made.intents)
        tally.marks[made.symbol] = made.decision.price
        decided = self._decided.setdefault(ts, {})
        decided[made.bot] = made.intents
        if len(decided) >= len(self.bots):
            self._complete.set()

    def _order(self, event: OrderEvent) -> None:
        tally = self.bots[event.bot]
        if event.latency_ns and event.client_id not in tally.orders:
            self.latencies_ns.append(event.latency_ns)
        if event.state in SENT:
            tally.orders.add(event.client_id)
        tally.denied += event.state is OrderState.DENIED
        tally.rejected += event.state is OrderState.REJECTED

    def _fill(self, fill: Fill) -> None:
        tally = self.bots[fill.bot]
        tally.fills += 1
        tally.books[fill.symbol] = tally.books.get(fill.symbol, Position()).apply(fill)
        self.fill_log.append(fill)
        if self.first_fill_s is None:
            self.first_fill_s = time.monotonic() - self.started_s
