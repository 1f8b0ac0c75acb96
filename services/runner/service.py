"""One bot's container: the bus and the clock around the fold. Bars and events in, decisions and intents out.

Its state survives a restart; its lease makes it the only writer.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from omega.bus import (
    AccountStatus,
    BarClosed,
    Bus,
    BusState,
    Command,
    DecisionMade,
    Envelope,
    FundingPaid,
    Lease,
    OrderEvent,
    Received,
)
from omega.bus.codec import prepare
from omega.bus.instruments import read_instrument
from omega.bus.standing import read_standing
from omega.config import Settings
from omega.domain import Bar, Decision, Fill, Instrument, Intent, Reading, timeframe_ns
from omega.engine import AccountBook, BarWindow
from omega.errors import CorruptData, Fenced
from omega.runtime import BaseService
from omega.telemetry import bind_contextvars, get_logger
from services.runner.asking import AT_BAR_S, AT_START_S, SkyQuestions
from services.runner.bot import Bot
from services.runner.charter import Charter
from services.runner.commands import Commands
from services.runner.seen import (
    Again,
    Changed,
    Closed,
    Done,
    Filled,
    Funded,
    History,
    Ordered,
    Passed,
    Polled,
    Read,
    Seen,
    Told,
)
from services.runner.sending import Sender
from services.runner.session import Session, code_of
from services.runner.state import BotState, Order
from services.runner.status import bot_status, set_gauges

SAVE_EVERY_BARS = 60
LOG = get_logger("services.runner")


class RunnerService(BaseService):
    """The host of one bot (settings.runner.bot).

    Attributes:
        bot: the fold that decides.
        last: the newest decision, also over a new start of the fold.
    """

    name: ClassVar[str] = "runner"
    applies_at_bar: ClassVar[bool] = True

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        super().__init__(settings=settings, bus=bus)
        self.bot = Bot(Charter.of(settings))
        self.counts = {"decisions": 0, "intents": 0}
        self.last: Decision | None = None
        self.warm = False
        self._record = Path(settings.runner.record) if settings.runner.record else None
        self._session: Session | None = None
        self._lease: Lease | None = None
        seat = self.bot.seat
        self._bar_topic = self.bus.topics.bar(seat.venue, seat.symbol, self.bot.charter.timeframe)
        self._events_topic = self.bus.topics.bot_events(seat.bot)
        self._state_key = self.bus.topics.state("runner", seat.bot)
        self._sender = Sender(bus, self.metrics, seat.bot)
        self._commands = Commands(
            bus,
            bot=seat.bot,
            instance=self.instance,
            fold=self._fold,
            act=self._act,
            stop=self.request_stop,
        )
        self._sky = SkyQuestions(bus, self._fold)
        self._status_s = 0.0
        self._received_ns = 0
        # What every bar counts: looked up once.
        self._bars_total = self.metrics.counter("bars_total").labels(
            venue=seat.venue, symbol=seat.symbol, timeframe=self.bot.charter.timeframe
        )
        self._decision_seconds = self.metrics.histogram("decision_seconds").labels(bot=seat.bot)

    # what is known of the bot ---------------------------------------------------------------------------------------

    @property
    def state(self) -> BotState:
        """The bot's memory."""
        return self.bot.state

    @property
    def window(self) -> BarWindow:
        """The newest bars."""
        return self.bot.window

    @property
    def instrument(self) -> Instrument | None:
        """Steps and rates of what the bot trades; None until the gateway has published them."""
        return self.bot.instrument

    @property
    def account(self) -> AccountBook:
        """The account of all bots as it was last published."""
        return self.bot.account

    @property
    def params(self) -> object:
        """The strategy's parameters in force."""
        return self.bot.params

    @property
    def capital(self) -> Decimal:
        """What the bot began with, in quote currency."""
        return self.bot.charter.capital

    @property
    def position(self) -> Decimal:
        """The bot's signed position in base units."""
        return self.bot.position

    # life -----------------------------------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Start the loop that is the bot."""
        bind_contextvars(bot=self.bot.seat.bot, venue=self.bot.seat.venue)
        self.spawn("bars", self._live)
        self.spawn("status", self._tell)

    async def on_stop(self) -> None:
        """Save the state; the position stays with its stop at the venue."""
        try:
            if self._lease and self._lease.held:
                await self._save()
        finally:
            if self._session is not None:
                self._session.close()
                self._session = None

    async def on_config(self, old: Settings, new: Settings) -> None:
        """Take over parameters and rules between two bars."""
        del old
        self._fold(Changed(Charter.of(new)))

    def readiness(self) -> tuple[bool, str]:
        """Ready means: the lease is held, steps are known, the window is filled."""
        if self._lease is None or not self._lease.held:
            return False, "the lease of the bot is not held"
        if self.instrument is None:
            return False, f"the gateway has not published {self.bot.seat.symbol} yet"
        return self.warm, "" if self.warm else "waiting for bars"

    async def _live(self) -> None:
        if self._lease is None:
            self._lease = await self.hold_lease(f"bot:{self.bot.seat.bot}")
        prepare(BarClosed, DecisionMade, Intent, OrderEvent, Fill)
        await self.bus.announce(*self._written())
        since = await self._restore(await self._wait_for_instrument())
        self.bot.rehearse()
        await self._ask_sky(self.window.last_ts_ns, within_s=AT_START_S)
        for topic in self._command_topics():  # from here on nothing is lost between two follows
            newest = await self.bus.history(topic, count=1)
            since[topic] = newest[-1].entry_id if newest else "0-0"
        while True:
            await self._follow(since)

    async def _follow(self, since: dict[str, str]) -> None:
        """Take what arrives, in order, until other cosmic factors are to be followed; `since` moves along."""
        factors = self.bot.charter.factors
        async with self.bus.follow(*self._topics(factors), since=since) as stream:
            self.warm = True
            await self._decide_if_new()
            await self._status()
            async for received in stream:
                if received.entry_id:
                    since[received.topic] = received.entry_id
                await self._take(received)
                if self.bot.charter.factors != factors:
                    return

    def _command_topics(self) -> tuple[str, str]:
        return self.bus.topics.control(self.bot.seat.bot), self.bus.topics.control("farm")

    def _written(self) -> list[str]:
        """Return the streams that the bot writes, announced before it is ready: its first order waits for no reader."""
        topics, seat = self.bus.topics, self.bot.seat
        lanes = [topics.intents(seat.venue, seat.account, high=high, bot=seat.bot) for high in (True, False)]
        return [topics.decisions(seat.bot), *([] if self.bot.strategy.read_only else lanes)]

    def _topics(self, factors: tuple[str, ...]) -> list[str]:
        topics, seat = self.bus.topics, self.bot.seat
        wanted = [self._bar_topic, self._events_topic, *self._command_topics()]
        wanted += [topics.reading(factor) for factor in factors]
        if self.bot.strategy.book:
            wanted.append(topics.account_status(seat.venue, seat.account))
        return wanted

    async def _tell(self) -> None:
        """Tell the status also between two bars: who has just begun to listen must not wait for the next one."""
        while True:
            every = self.settings.runner.status_s
            await asyncio.sleep(every)
            if self.warm and time.monotonic() - self._status_s >= every:
                await self._status()

    async def _wait_for_instrument(self) -> Instrument:
        while True:
            found = await read_instrument(self.bus, self.bot.seat.venue, self.bot.seat.symbol)
            if found is not None:
                return found
            await asyncio.sleep(0.1)

    # a new start ----------------------------------------------------------------------------------------------------

    async def _restore(self, instrument: Instrument) -> dict[str, str]:
        """Fill the window and the book from what the bus kept; return where reading goes on."""
        self._begin(instrument, await self.bus.get(self._state_key))
        standing = await read_standing(self.bus, self.bot.seat.bot)
        if standing and standing != self.state.order:  # said while this bot was dead, or the bus has lost its state
            self._fold(Told(Order(standing)))
        bars = await self.bus.history(self._bar_topic, count=self.settings.runner.window)
        events = await self.bus.history(self._events_topic, count=100_000, after=self.state.read or "-")
        pending = [event for event in events if isinstance(event.envelope.data, Fill | FundingPaid)]
        length = timeframe_ns(self.bot.charter.timeframe)
        since: dict[str, str] = {self._events_topic: self.state.read or "0-0"}
        for received in bars:
            closed = received.envelope.data
            assert isinstance(closed, BarClosed)
            since[self._bar_topic] = received.entry_id
            if closed.bar.ts_ns <= self.window.last_ts_ns:
                continue
            while pending and _instant(pending[0]) < closed.bar.ts_ns + length:
                self._event(pending.pop(0))
            self._fold(History(closed.bar))
            self._received_ns = closed.received_ns
        for event in pending:
            self._event(event)
        if events:
            since[self._events_topic] = events[-1].entry_id
            self._fold(Passed(events[-1].entry_id))
        LOG.info("bot.restored", bars=len(self.window), fills=self.state.fills, position=str(self.position))
        return since

    def _begin(self, instrument: Instrument, saved: str | None) -> None:
        """Make the fold anew from settings, instrument and saved state, and note that in the session."""
        charter = Charter.of(self.settings)
        self.bot = Bot(charter, instrument)  # what it trades is known also when its state cannot be read
        self.bot = Bot(charter, instrument, BotState.load(saved, charter.capital))
        self._sky = SkyQuestions(self.bus, self._fold)
        if self._record is not None:
            self._session = self._session or Session(self._record, charter.bot)
            self._session.begin(charter, instrument, saved or "", code_of(self.bot.strategy.signals))

    async def _decide_if_new(self) -> None:
        """Decide on the newest bar of the history, unless the process that died before has done so."""
        if not len(self.window):
            return
        made = await self.bus.history(self.bus.topics.decisions(self.bot.seat.bot), count=2_000)
        done = {
            entry.envelope.data.decision.bar_ts_ns for entry in made if isinstance(entry.envelope.data, DecisionMade)
        }
        if done and self.window.last_ts_ns not in done:
            await self._decide(received_ns=self._received_ns, cause="", corr="")

    # what arrives ---------------------------------------------------------------------------------------------------

    def _fold(self, seen: Seen) -> Done:
        """Let the bot see something; what it does is on record before any of it leaves."""
        done = self.bot.take(seen)
        if self._session is not None:
            self._session.note(seen, done)
        return done

    async def _take(self, received: Received) -> None:
        envelope = received.envelope
        match envelope.data:
            case BarClosed() as closed:
                await self._bar(closed, envelope)
            case Fill() | FundingPaid():
                self._event(received)
                await self._save()
                await self._status()
            case OrderEvent() as event:
                self._fold(Ordered(event, received.entry_id))
            case Reading() as reading:
                self._fold(Read(reading))
            case AccountStatus() as status:
                self._fold(Polled(status))
            case Command() as command:
                minds = self.bot.stage is not None
                if await self._commands.take(command, envelope, holds=bool(self.position), minds=minds):
                    await self._status()

    def _event(self, received: Received) -> None:
        match received.envelope.data:
            case Fill() as fill:
                self._fold(Filled(fill, received.entry_id))
                if fill.symbol == self.bot.seat.symbol:
                    self.metrics.counter("fills_total").labels(bot=fill.bot, role=fill.role.value).inc()
                    LOG.info("fill.booked", role=fill.role, side=fill.side, size=str(fill.size), price=str(fill.price))
            case FundingPaid() as paid:
                self._fold(Funded(paid, received.entry_id))

    async def _bar(self, closed: BarClosed, envelope: Envelope) -> None:
        try:
            self.bot.check(closed.bar)
        except CorruptData as error:
            LOG.warning("bar.refused", error=str(error))
            return
        self._bars_total.inc()
        if not closed.received_ns:  # history that came late: it belongs into the window and is not decided on
            self._fold(History(closed.bar))
            return
        await self.at_bar()
        await self._ask_sky(closed.bar.ts_ns, within_s=AT_BAR_S)
        corr = envelope.corr or envelope.id
        await self._decide(closed.bar, received_ns=closed.received_ns, cause=envelope.id, corr=corr)

    async def _ask_sky(self, bar_ts_ns: int, *, within_s: float) -> None:
        """Know the sky of a bar's hour before it is decided on, where cosmic factors are on."""
        factors = self.bot.charter.factors
        if factors and bar_ts_ns:
            close_ns = bar_ts_ns + timeframe_ns(self.bot.charter.timeframe)
            await self._sky.ask(factors, close_ns, within_s=within_s)

    # what is decided ------------------------------------------------------------------------------------------------

    async def _decide(self, bar: Bar | None = None, *, received_ns: int, cause: str, corr: str) -> None:
        """Decide on a bar that has closed, or again on the newest one of the window."""
        if self._lease is None or not self._lease.held:
            raise Fenced(f"the lease of {self.bot.seat.bot} is not held; the bot takes it again before it goes on")
        started = time.perf_counter()
        entries = self._entries_allowed(received_ns)
        done = self._fold(Again(entries) if bar is None else Closed(bar, entries))
        self._decision_seconds.observe(time.perf_counter() - started)
        assert done.made is not None
        ttl_ns = int(self.settings.runner.intent_ttl_s * 1e9)
        await self._sender.decision(done.made, done.intents, self._lease, ttl_ns=ttl_ns, cause=cause, corr=corr)
        self.last = self.bot.last
        self.counts["decisions"] += 1
        self.counts["intents"] += len(done.intents)
        if self.counts["decisions"] % SAVE_EVERY_BARS == 0:
            await self._save()
        if time.monotonic() - self._status_s >= self.settings.runner.status_s:
            await self._status()
        if self.state.order is Order.DRAIN and not self.position:
            self.request_stop("drained: no position is left")

    def _entries_allowed(self, received_ns: int) -> bool:
        """Tell whether the bus and the age of the bar allow an entry."""
        if self.bus.state() is not BusState.CONNECTED:
            return False
        limit = self.settings.trading.stale_bars * timeframe_ns(self.bot.charter.timeframe)
        return time.time_ns() - received_ns <= limit

    # what is kept and told ------------------------------------------------------------------------------------------

    async def _act(self, done: Done, cause: str) -> None:
        """Keep what a command has changed, and send what it has brought about."""
        await self._save()
        await self._sender.by_hand(done, self._lease, cause=cause)

    async def _save(self) -> None:
        await self.bus.put(self._state_key, self.state.dump())

    async def _status(self) -> None:
        self._status_s = time.monotonic()
        set_gauges(self.metrics, self.bot, self.last)
        await self.bus.send(bot_status(self.bot, self.last, self.counts))


def _instant(received: Received) -> int:
    data = received.envelope.data
    assert isinstance(data, Fill | FundingPaid)
    return data.ts_ns
