"""One bot as a pure fold: what it sees goes in, decisions and intents come out. No bus, no clock.

Called by the runner's service as things happen, and by the replay with what a session has recorded.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from omega.bus import DecisionMade, FundingPaid
from omega.domain import (
    Action,
    Bar,
    Decision,
    Fill,
    Instrument,
    Intent,
    Mode,
    OrderState,
    Reading,
    Side,
    intent_id,
    timeframe_ns,
)
from omega.engine import AccountBook, BarWindow, Book, decide
from omega.engine.adaptation import Adaptation, trait_moves
from omega.engine.profile import Mind, Profile
from omega.engine.regime import Regime, regime_now
from omega.engine.stages import PsychologyStage
from omega.errors import ConfigError, CorruptData, InvariantBroken
from omega.plugins import parse_params, strategies
from services.runner.account import account_book
from services.runner.charter import Charter
from services.runner.intents import intents_of
from services.runner.seen import (
    NOTHING,
    Again,
    Calmed,
    Changed,
    Closed,
    Done,
    Filled,
    Flattened,
    Funded,
    History,
    Ordered,
    Passed,
    Polled,
    Read,
    Seen,
    Stirred,
    Told,
)
from services.runner.sky import Hours, hour_of
from services.runner.state import BotState, Order

ZERO = Decimal(0)
_TAKEN = frozenset({OrderState.WORKING, OrderState.FILLED})
"""What the venue has taken counts as an order."""
_FIRST_BY_HAND = 1_000
"""Sequence numbers of intents that people asked for lie above those of decisions."""


class Bot:
    """One bot: its window, its book and what people told it. The same things seen in the same order give the same.

    Attributes:
        charter: what it is told to be.
        instrument: steps and rates of what it trades; None until the gateway has published them.
        state: its memory over restarts.
        window: the newest bars.
        account: the account of all bots, for reports.
        regime: of the newest bar, where the trader's traits follow it; mixed elsewhere.
        last: the newest decision.
    """

    def __init__(self, charter: Charter, instrument: Instrument | None = None, state: BotState | None = None) -> None:
        """Make a bot with an empty window.

        Raises:
            ConfigError: there is no such strategy, a parameter is wrong, or the window is too short for its warm-up.
        """
        strategies.discover()
        self.strategy = strategies.get(charter.strategy)
        self.instrument = instrument
        self.state = state or BotState.load(None, charter.capital)
        self.window = BarWindow(charter.window)
        self.account = AccountBook(balance=0.0)
        self.regime = Regime.MIXED
        self._noted = Regime.MIXED
        self._trader: tuple[Profile | None, tuple[Adaptation, ...]] = (None, ())
        self._hours = Hours()
        self.last: Decision | None = None
        self._newest: Bar | None = None
        self._take_charter(charter)
        need = self.strategy.warmup(self.params)
        if need >= charter.window:
            raise ConfigError(f"{charter.bot} needs {need} bars of warm-up; raise runner.window above {charter.window}")

    @property
    def position(self) -> Decimal:
        """The signed position in base units."""
        return self.state.portfolio.position.size

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The readings that a decision on the newest bar goes by, by name of the factor."""
        return self._hours.at(hour_of(self.window.last_ts_ns + self._bar_ns)) if self.charter.factors else ()

    @property
    def stage(self) -> PsychologyStage | None:
        """The trader's mind and traits as the stage of the pipeline, None where psychology is off."""
        stage = self.rules.psychology
        return stage if isinstance(stage, PsychologyStage) else None

    def check(self, bar: Bar) -> None:
        """Refuse a bar that cannot be folded.

        Raises:
            CorruptData: it is unsound, or no newer than the newest bar of the window.
        """
        bar.checked()
        if bar.ts_ns <= self.window.last_ts_ns:
            raise CorruptData(
                f"bar at {bar.ts_ns} is no newer than the one at {self.window.last_ts_ns}; it is not used"
            )

    def rehearse(self) -> None:
        """Ask the strategy once and forget its answer: what it loads at its first call must not delay a decision."""
        if len(self.window):
            self.strategy.signals(self.window.bars(), self.params)

    def take(self, seen: Seen) -> Done:  # noqa: C901, PLR0912 - one row a thing that can be seen
        """Fold one thing and return what is to be done about it.

        Raises:
            CorruptData: a bar is unsound or no newer than the window; nothing has changed.
        """
        match seen:
            case Closed(bar=bar, entries=entries):
                self._append(bar)
                return self._decide(entries=entries)
            case History(bar=bar):
                self._append(bar)
                self._mark(bar)
            case Again(entries=entries):
                return self._decide(entries=entries)
            case Filled(fill=fill, entry_id=entry_id):
                self._book(fill)
                self.state.read = entry_id
            case Funded(paid=paid, entry_id=entry_id):
                self._book(paid)
                self.state.read = entry_id
            case Ordered(event=event, entry_id=entry_id):
                self.state.read = entry_id
                if event.state in _TAKEN:
                    self.state.orders.add(event.client_id)
            case Passed(entry_id=entry_id):
                self.state.read = entry_id
            case Read(reading=reading):
                self._hours.take(reading)
            case Polled(status=status):
                self.account = account_book(status, self.account)
            case Told(order=order):
                self.state.order = order
            case Flattened():
                return self._flatten(seen)
            case Calmed():
                self._feel(lambda _: self.state.temper.first_mind)
            case Stirred(event=event):
                self._feel(lambda stage: stage.after_news(event).mind)
            case Changed(charter=charter):
                self._take_charter(charter)
        return NOTHING

    def _take_charter(self, charter: Charter) -> None:
        self.params: object = parse_params(self.strategy.params, dict(charter.params))
        if (charter.profile, charter.adapts) != self._trader:
            self._trader, self._noted = (charter.profile, charter.adapts), Regime.MIXED
        self.charter = charter
        self.seat = charter.seat
        self._bar_ns = timeframe_ns(charter.timeframe)
        self.state.temper.become(charter.psychology, charter.profile)
        self._traits = charter.traits
        self.rules = charter.rules(self.instrument, self.state.temper.mind)
        self._adapt()

    def _append(self, bar: Bar) -> None:
        self.window.append(bar)
        self._newest = bar
        self._adapt()

    def _adapt(self) -> None:
        """Let the trader's traits be those of the newest bar's regime."""
        stage = self.stage
        if stage is None:
            self.regime = self._noted = Regime.MIXED
            return
        self.regime = regime_now(self.window.bars()) if self.charter.adapts else Regime.MIXED
        if stage.traits != self._traits[self.regime]:
            self.rules = replace(self.rules, psychology=replace(stage, traits=self._traits[self.regime]))

    def _feel(self, change: Callable[[PsychologyStage], Mind]) -> None:
        """Change the trader's mind, where there is one."""
        stage = self.stage
        if stage is not None:
            self.state.temper.mind = change(stage)
            self.rules = replace(self.rules, psychology=replace(stage, mind=self.state.temper.mind))

    def _mark(self, bar: Bar) -> Book:
        """Value the book at a bar's close, once: holding time counts bars, not how often one was looked at."""
        if bar.ts_ns <= self.state.marked_ns:
            return self.state.portfolio.book()
        book = self.state.mark(bar)
        if self.state.trips.ended:
            self._react(book.drawdown)
        return book

    def _react(self, drawdown: float) -> None:
        """Let the trader's mind react to the round trips that have ended, before the decision of the bar."""
        stage = self.stage
        if stage is not None:
            for trip in self.state.trips.ended:
                stage = self.state.temper.react(stage, trip, drawdown=drawdown, bar_ns=self._bar_ns)
            self.rules = replace(self.rules, psychology=stage)
        self.state.trips.ended.clear()

    def _book(self, event: Fill | FundingPaid) -> None:
        if event.symbol != self.seat.symbol or not self.state.first(event):
            return
        if isinstance(event, Fill):
            self.state.fill(event)
        else:
            self.state.fund(event.amount)

    def _decide(self, *, entries: bool) -> Done:
        newest = self._newest
        if newest is None:
            raise InvariantBroken(f"{self.charter.bot} was asked to decide before it saw a bar")
        book, bars = self._mark(newest), self.window.bars()
        decision = self._with_moves(decide(self.strategy, self.params, bars, book, self.rules, self.readings))
        intents = self._intents(decision, entries=entries)
        report = dict(self.strategy.report(bars, self.account, self.params)) if self.strategy.report else {}
        self.last = decision
        made = DecisionMade(
            bot=self.charter.bot,
            strategy=self.strategy.name,
            mode=self.charter.mode,
            symbol=self.seat.symbol,
            timeframe=self.charter.timeframe,
            decision=decision,
            intents=tuple([intent.intent_id for intent in intents]),
            position=self.position,
            report=report,
        )
        return Done(intents, made)

    def _with_moves(self, decision: Decision) -> Decision:
        """Put what the regime has moved since the last decision before the decision's audit: the record of a move."""
        charter, before = self.charter, self._noted
        self._noted = self.regime
        if charter.profile is None or before is self.regime:
            return decision
        moves = trait_moves(charter.profile, charter.adapts, before, self.regime)
        return replace(decision, audit=(*moves, *decision.audit)) if moves else decision

    def _intents(self, decision: Decision, *, entries: bool) -> tuple[Intent, ...]:
        """Return what may be sent: exits always, entries only when nothing speaks against them."""
        shadow = self.charter.mode is Mode.SHADOW
        if self.strategy.read_only or shadow or not decision.acts or self.instrument is None:
            return ()
        formed = intents_of(decision, self.seat, self.instrument, self.position, guard=self.state.stop)
        if not entries or self.state.order is not Order.TRADE:
            formed = tuple(intent for intent in formed if intent.reduces)
        for intent in formed:
            self.state.stop = intent.stop or ZERO
        return formed

    def _flatten(self, wish: Flattened) -> Done:
        """Close the whole position with one intent; nothing is entered from now on."""
        self.state.order = Order.PAUSE
        if not self.position:
            return NOTHING
        bar_ts_ns, newest = self.window.last_ts_ns, self._newest
        sequence = _FIRST_BY_HAND + zlib.crc32(wish.command_id.encode())
        intent = Intent(
            intent_id=intent_id(self.seat.bot, bar_ts_ns, sequence),
            bot=self.seat.bot,
            venue=self.seat.venue,
            account=self.seat.account,
            symbol=self.seat.symbol,
            action=Action.FLATTEN,
            side=Side.SELL if self.position > 0 else Side.BUY,
            size=abs(self.position),
            bar_ts_ns=bar_ts_ns,
            ref_price=self.instrument.price(newest.close) if self.instrument and newest else ZERO,
            reason=f"flatten by {wish.actor}",
        )
        return Done((intent,))
