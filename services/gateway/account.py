"""One exchange account as the gateway holds it: journal, books, venue, halt, and what every part does with an order.

The order path, the private stream, look-ups, stops and recovery share one `Account`; each changes orders through it
alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

from omega.bus.messages import FundingPaid, OrderEvent, RiskVerdict
from omega.config import Settings
from omega.domain import (
    EXTERNAL,
    SECOND_NS,
    TERMINAL,
    Bar,
    Fill,
    Instrument,
    Intent,
    OrderState,
    Position,
    Role,
    Side,
    may_step,
)
from omega.domain import ids as _ids
from omega.errors import EnvironmentFault, InvariantBroken
from omega.telemetry import Metrics, get_logger
from services.gateway.activity import Activity
from services.gateway.books import Books
from services.gateway.halt import Halt
from services.gateway.journal import Journal
from services.gateway.risk.gate import RiskGate
from services.gateway.risk.scopes import Entity, Scope
from services.gateway.rows import Guard, JournalOrder
from services.gateway.slippage import Slippage
from services.gateway.standing import Standing
from services.gateway.turns import Turns
from services.gateway.venue import Balance, FundingBill, Status, Trade, Venue, VenueOrder

_log = get_logger(__name__)
_STATES = {
    Status.LIVE: OrderState.WORKING,
    Status.FILLED: OrderState.FILLED,
    Status.CANCELED: OrderState.CANCELED,
    Status.REJECTED: OrderState.REJECTED,
}
_LATENCIES = 1_000
_ROUNDED = Decimal("1.001")
"""A size that a venue has rounded is no more than this of what was ordered."""
_OVERLAP_NS = 60 * SECOND_NS
"""How far behind the newest known fill the executions are read again."""
ABSENT = "absent"
"""The code of an order that was proven to be in no list of the venue."""


class Account:
    """The state that the parts of the gateway share. Everything runs in one event loop; nothing here awaits."""

    def __init__(
        self,
        *,
        settings: Settings,
        journal: Journal,
        venue: Venue,
        metrics: Metrics,
        turns: Turns,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        trading = settings.trading
        self.settings = settings
        self.journal = journal
        self.venue = venue
        self.metrics = metrics
        self.turns = turns
        self.clock = clock
        self.books = Books()
        self.activity = Activity()
        self.slippage = Slippage()
        self.standing = Standing(journal)
        self.halt = Halt(journal, settings.gateway.halt_file, venue=trading.venue, account=trading.account)
        self.risk = RiskGate(settings, self)
        self.halt.on_release = self.risk.curves.rebase
        journal.watch(self.risk.reservations, self.books)
        self.positions: dict[str, Decimal] = {}
        self.balance = Balance(Decimal(0), Decimal(0))
        self.last: dict[str, Decimal] = {}
        self.newest_bar_ns: dict[tuple[str, str], int] = {}
        self.closed: set[str] = set()
        """Symbols that the venue has taken out of trading."""
        self.vetoes: list[Callable[[Intent], tuple[str, str]]] = [self.standing.veto]
        """What else may speak against an entry: each returns (rule, words), empty for nothing."""
        self.on_fill: Callable[[Fill], None] = lambda _fill: None
        self.on_bar: Callable[[str, str, Bar], None] = lambda _symbol, _timeframe, _bar: None
        """Hears of every closed bar before it goes out."""
        self.on_bars: Callable[[], None] = lambda: None
        """Hears that bars go out now: those of one push together."""
        self.on_step: Callable[[OrderState, JournalOrder], None] = lambda _before, _order: None
        """Hears, inside its transaction, that an order has gone from a state to another."""
        self.on_admit: Callable[[], None] = lambda: None
        """Hears that an order was admitted."""
        self._received: dict[tuple[str, int], int] = {}
        self._latency: dict[str, int] = {}
        self._ahead: dict[str, Decimal] = {}

    @property
    def name(self) -> str:
        """The account's name."""
        return self.settings.trading.account

    @property
    def venue_name(self) -> str:
        """The venue's name."""
        return self.settings.trading.venue

    @property
    def labels(self) -> tuple[str, str]:
        """The values of the metric labels venue and account."""
        return self.venue_name, self.name

    def load(self) -> None:
        """Fold the books from the journal and read the halt."""
        live = {order.client_id: order for order in self.journal.live()}
        booked: dict[str, Decimal] = {}

        def hear(fill: Fill, before: Position, after: Position) -> None:
            self.risk.protections.filled(fill, before, after, old=True)
            if fill.client_id in live:
                booked[fill.client_id] = booked.get(fill.client_id, Decimal(0)) + fill.size

        self.books.load(self.journal.fills(), self.journal.funding(), heard=hear)
        self.halt.load()
        self.standing.load()
        self.risk.load(self.journal)
        self.risk.reservations.load(self.open_sizes(), live.values(), booked)

    def open_sizes(self) -> Iterator[tuple[tuple[str, str], Decimal]]:
        """Iterate over the open books: bot, symbol and signed size."""
        return ((key, book.size) for key, book in self.books.items() if book.size)

    # what the risk gate asks ----------------------------------------------------------------------------------------

    @property
    def entity(self) -> Entity:
        """The account as a bearer of limits."""
        return Entity(Scope.ACCOUNT, self.name)

    @property
    def venue_entity(self) -> Entity:
        """Its venue."""
        return Entity(Scope.VENUE, self.venue_name)

    def mark(self, symbol: str) -> Decimal:
        """Return the last price of a symbol; before the first, the highest entry of an open book."""
        found = self.last.get(symbol)
        if found is None:
            found = max((book.entry for (_, held), book in self.books.items() if held == symbol), default=Decimal(0))
        return found

    def money(self, entity: Entity) -> Decimal:
        """Return the venue's equity for the account and its symbols, capital and profit for a bot or a family."""
        if entity.scope in {Scope.BOT, Scope.FAMILY}:
            return self.risk.money(entity)
        return self.balance.equity

    def market_ns(self) -> int:
        """Return the venue's time, the clock's before its first push."""
        return self.venue.venue_ns() or self.clock()

    def instrument(self, symbol: str) -> Instrument | None:
        """Return the rules of a symbol."""
        return self.venue.instruments.get(symbol)

    def price(self, symbol: str) -> Decimal:
        """Return the last price that was seen, 0 before the first."""
        return self.last.get(symbol, Decimal(0))

    # latency --------------------------------------------------------------------------------------------------------

    def bar_received(self, symbol: str, bar_ts_ns: int, received_ns: int) -> None:
        """Remember when a bar was in hand: the start of an order's latency."""
        self._received[symbol, bar_ts_ns] = received_ns
        while len(self._received) > _LATENCIES:
            self._received.pop(next(iter(self._received)))

    def handed(self, order: JournalOrder) -> Callable[[int], None]:
        """Return what hears the instant at which an order's request leaves."""

        def hear(sent_ns: int) -> None:
            received = self._received.get((order.symbol, order.bar_ts_ns), 0)
            if received:
                self._latency[order.client_id] = latency = max(sent_ns - received, 1)
                self.metrics.histogram("order_latency_seconds").labels(self.venue_name).observe(latency / 1e9)

        return hear

    # orders ---------------------------------------------------------------------------------------------------------

    def step(
        self,
        client_id: str,
        state: OrderState,
        *,
        order_id: str = "",
        filled: Decimal | None = None,
        code: str = "",
        reason: str = "",
    ) -> JournalOrder | None:
        """Move an order as far as it may go and write its event; old news and strangers change nothing."""
        old = self.journal.order(client_id)
        if old is None or (state is not old.state and not may_step(old.state, state)):
            return None
        with self.journal.transaction():
            new = self.journal.step(
                client_id,
                state,
                order_id=order_id,
                filled=filled,
                code=code,
                reason=reason,
                latency_ns=self._latency.get(client_id, 0),
            )
            if new.state is not old.state:
                self.tell(new)
                self.on_step(old.state, new)
        if new.state in TERMINAL:
            self._latency.pop(client_id, None)
        self.activity.changed()
        return new

    def tell(self, order: JournalOrder, verdict: RiskVerdict | None = None) -> None:
        """Write the event of an order's present state; its first one carries the gate's verdict."""
        self.metrics.counter("orders_total").labels(order.state.value).inc()
        event = OrderEvent(
            bot=order.bot,
            intent_id=order.intent_id,
            client_id=order.client_id,
            order_id=order.order_id,
            venue=self.venue_name,
            account=self.name,
            symbol=order.symbol,
            side=order.side,
            size=order.size,
            role=order.role,
            state=order.state,
            filled=order.filled,
            reason=order.reason,
            code=order.code,
            ts_ns=self.clock(),
            bar_ts_ns=order.bar_ts_ns,
            latency_ns=order.latency_ns,
            verdict=verdict,
        )
        self.journal.emit(f"order:{order.client_id}:{order.state.value}", event, corr=order.corr)

    def learn(self, found: VenueOrder) -> JournalOrder | None:
        """Take what the venue says of an order of ours; None for a stranger's or for nothing new."""
        known = self.journal.order(found.client_id) if found.client_id else None
        if known is None:
            return None
        ours = known.state is OrderState.REJECTED or known.code == ABSENT
        if ours and (found.status is Status.LIVE or found.filled > known.filled):
            self.halt_entries(f"order {found.client_id} was proven absent and is at the venue after all")
        filled = min(found.filled, known.size)
        if found.filled > known.size * _ROUNDED:
            self.halt_entries(
                f"order {found.client_id} is told filled {found.filled}, more than was ordered: {known.size}"
            )
        new = self.step(found.client_id, _STATES[found.status], order_id=found.order_id, filled=filled)
        if filled:
            self._measure_ahead(found.client_id, filled)
        return new

    def read_from_ns(self, symbol: str) -> int:
        """Return the venue time to read executions of a symbol from: a while before the newest that is known.

        A stamp of the future, as in a wrong unit, must not hide all that come after it.
        """
        return max(min(self.journal.last_fill_ns(symbol), self.market_ns()) - _OVERLAP_NS, 0)

    def ahead(self, *, bot: str = "") -> list[tuple[JournalOrder, Decimal]]:
        """Return the orders whose fills are told and not booked yet, with the size that the books still lack.

        The news of an order may overtake its executions; in between it is neither live nor in the books.
        """
        found = [(self.journal.order(client_id), size) for client_id, size in self._ahead.items()]
        return [(order, size) for order, size in found if order is not None and bot in {"", order.bot}]

    def _measure_ahead(self, client_id: str, filled: Decimal) -> None:
        missing = filled - self.journal.booked(client_id)
        if missing > 0:
            self._ahead[client_id] = missing
        else:
            self._ahead.pop(client_id, None)

    def reserved(self, symbol: str = "", *, bot: str = "") -> list[JournalOrder]:
        """Return the live orders, of one symbol and one bot."""
        live = self.journal.live()
        return [order for order in live if symbol in {"", order.symbol} and bot in {"", order.bot}]

    # fills ----------------------------------------------------------------------------------------------------------

    def take(self, trade: Trade, *, bot: str, role: Role, suffix: str = "", size: Decimal | None = None) -> bool:
        """Book one execution (or one bot's share of it) and write its event; False when it is known."""
        part = trade.size if size is None else size
        fill = Fill(
            trade_id=_ids.TradeId(trade.trade_id + suffix),
            order_id=_ids.OrderId(trade.order_id),
            client_id=_ids.ClientId(trade.client_id),
            bot=_ids.BotName(bot),
            venue=_ids.VenueName(self.venue_name),
            account=_ids.AccountName(self.name),
            symbol=_ids.Symbol(trade.symbol),
            side=trade.side,
            price=trade.price,
            size=part,
            fee=trade.fee * part / trade.size,
            fee_coin=trade.fee_coin,
            role=role,
            ts_ns=trade.ts_ns,
            maker=trade.maker,
        )
        order = self.journal.order(trade.client_id)
        with self.journal.transaction():
            if not self.journal.add_fill(fill):
                return False
            before = self.books.book(bot, trade.symbol)
            book = self.books.apply(fill)
            self.risk.filled(fill, before, book)
            self._guard(fill, order, before, book)
            self.journal.emit(f"fill:{fill.trade_id}", fill, corr=order.corr if order else "")
        if order is not None and trade.client_id in self._ahead:
            self._measure_ahead(trade.client_id, order.filled)
        self.metrics.counter("fills_total").labels(bot, role.value).inc()
        if order is not None:
            self.slippage.heard(fill, order.ref_price)
        self.on_fill(fill)
        return True

    def adopt(self, bot: str, symbol: str, size: Decimal, *, stop: Decimal, target: Decimal | None, key: str) -> None:
        """Move a signed part of the EXTERNAL book to a bot, at that book's entry price; the sum of the books stays.

        What opens or adds gets its guard; what offsets the bot's own position is taken off it.
        """
        external = self.books.book(EXTERNAL, symbol)
        book_before = self.books.book(bot, symbol)
        held = book_before.size
        leg = f"adopt:{key}"
        with self.journal.transaction():
            for owner, part in ((str(EXTERNAL), -size), (bot, size)):
                fill = Fill(
                    trade_id=_ids.TradeId(f"{leg}:{owner}"),
                    order_id=_ids.OrderId(""),
                    client_id=_ids.ClientId(leg),
                    bot=_ids.BotName(owner),
                    venue=_ids.VenueName(self.venue_name),
                    account=_ids.AccountName(self.name),
                    symbol=_ids.Symbol(symbol),
                    side=Side.BUY if part > 0 else Side.SELL,
                    price=external.entry,
                    size=abs(part),
                    fee=Decimal(0),
                    fee_coin=self.require_instrument(symbol).quote,
                    role=Role.EXTERNAL,
                    ts_ns=self.venue.venue_ns() or self.clock(),
                )
                if not self.journal.add_fill(fill):
                    return
                book = self.books.apply(fill)
                self.risk.reservations.hold(owner, symbol, book.size)
                if owner == bot and held * size < 0:
                    self._guard(fill, None, book_before, book)
                self.journal.emit(f"fill:{fill.trade_id}", fill)
                self.on_fill(fill)
            if held * size >= 0:
                self.journal.put_guard(Guard(bot, symbol, leg, 1 if size > 0 else -1, abs(size), stop, target))

    def pay(self, bill: FundingBill, bot: str, amount: Decimal) -> None:
        """Book a bot's share of a funding payment and write its event."""
        if not self.journal.add_funding(bill.funding_id, bot, bill.symbol, amount, bill.ts_ns):
            return
        self.books.pay(bot, bill.symbol, amount)
        event = FundingPaid(bot, self.venue_name, self.name, bill.symbol, amount, bill.funding_id, bill.ts_ns)
        self.journal.emit(f"funding:{bill.funding_id}:{bot}", event)

    def _guard(self, fill: Fill, order: JournalOrder | None, before: Position, after: Position) -> None:
        """Open a leg with an entry's stop and target, or take a closing fill off the legs: the stop's own first.

        What an entry closes, because news of its exit have overtaken it, is no part of a leg.
        """
        if fill.bot == EXTERNAL:
            return
        legs = self.journal.guards(fill.symbol, fill.bot)
        if order is not None and order.role is Role.ENTRY:
            sign, none = fill.side.sign, Decimal(0)
            old = next((leg.size for leg in legs if leg.leg == order.client_id), none)
            size = old + max(after.size * sign, none) - max(before.size * sign, none)
            self.journal.put_guard(
                Guard(fill.bot, fill.symbol, order.client_id, fill.side.sign, size, order.stop, order.target)
            )
            return
        plan = self.journal.plan(fill.client_id, fill.order_id)
        own = plan.leg if plan is not None else ""
        left = fill.size if after.size else sum((leg.size for leg in legs), Decimal(0))
        for leg in sorted(legs, key=lambda leg: leg.leg != own):
            cut = min(leg.size, left)
            left -= cut
            if cut:
                self.journal.put_guard(replace(leg, size=leg.size - cut))

    # halts ----------------------------------------------------------------------------------------------------------

    def halt_entries(self, reason: str, *, by: str = "gateway") -> None:
        """Halt entries; said once."""
        try:
            self.halt.set(reason, by=by, ts_ns=self.clock())
        except EnvironmentFault:
            self.halt.latch(reason)

    def halt_in_memory(self, reason: str) -> None:
        """Halt entries when the journal itself is what fails."""
        self.halt.latch(reason)

    def require_instrument(self, symbol: str) -> Instrument:
        """Return the rules of a symbol that is known to exist.

        Raises:
            InvariantBroken: it does not.
        """
        instrument = self.instrument(symbol)
        if instrument is None:
            raise InvariantBroken(f"{symbol} has a position or an order and is no instrument of {self.venue_name}")
        return instrument
