"""One bot: bars → decision → intents, once a bar. Its state survives a restart; its lease makes it the only writer."""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

from omega.bus import (
    RISK_REDUCING,
    AccountStatus,
    BarClosed,
    BotStatus,
    Bus,
    BusState,
    Command,
    CommandResult,
    DecisionMade,
    Envelope,
    FundingPaid,
    Lease,
    OrderEvent,
    Received,
    Verb,
)
from omega.bus.instruments import read_instrument
from omega.config import Settings
from omega.domain import (
    AccountName,
    Action,
    Bar,
    BotName,
    Decision,
    Fill,
    Instrument,
    Intent,
    Mode,
    OrderState,
    Side,
    Symbol,
    VenueName,
    intent_id,
    iso,
    timeframe_ns,
)
from omega.engine import AccountBook, BarWindow, decide
from omega.engine import Settings as Rules
from omega.errors import ConfigError, CorruptData, Denied, Fenced
from omega.plugins import parse_params, strategies
from omega.runtime import BaseService
from omega.telemetry import bind_contextvars, get_logger
from services.runner.account import account_book
from services.runner.intents import Seat, intents_of
from services.runner.state import BotState, Order

SAVE_EVERY_BARS = 60
ZERO = Decimal(0)
LOG = get_logger("services.runner")


class RunnerService(BaseService):
    """The host of one bot (settings.runner.bot)."""

    name: ClassVar[str] = "runner"
    applies_at_bar: ClassVar[bool] = True

    def __init__(self, *, settings: Settings, bus: Bus) -> None:
        super().__init__(settings=settings, bus=bus)
        self.bot = settings.runner.bot
        if self.bot not in settings.bots:
            known = ", ".join(sorted(settings.bots)) or "none"
            raise ConfigError(
                f"runner.bot is {self.bot!r}, which is no configured bot (known: {known}); set OMEGA_RUNNER__BOT"
            )
        self.plan = settings.bots[self.bot]
        strategies.discover()
        self.strategy = strategies.get(self.plan.strategy)
        self.params: object = parse_params(self.strategy.params, self.plan.params)
        trading = settings.trading
        self.mode = self.plan.mode or trading.mode
        self.timeframe = self.plan.timeframe or trading.timeframe
        self.capital = self.plan.capital or trading.capital
        self.seat = Seat(
            BotName(self.bot), VenueName(trading.venue), AccountName(trading.account), Symbol(self.plan.symbol)
        )
        need = self.strategy.warmup(self.params)
        if need >= settings.runner.window:
            raise ConfigError(
                f"{self.bot} needs {need} bars of warm-up; raise runner.window above {settings.runner.window}"
            )
        self.window = BarWindow(settings.runner.window)
        self.instrument: Instrument | None = None
        self.rules = self._rules(settings)
        self.state = BotState.load(None, self.capital)
        self.account = AccountBook(balance=0.0)
        self.counts = {"decisions": 0, "intents": 0}
        self.last: Decision | None = None
        self.warm = False
        self._lease: Lease | None = None
        self._bar_topic = self.bus.topics.bar(self.seat.venue, self.seat.symbol, self.timeframe)
        self._events_topic = self.bus.topics.bot_events(self.bot)
        self._state_key = self.bus.topics.state("runner", self.bot)
        self._status_s = 0.0
        self._received_ns = 0
        # What every bar counts: looked up once.
        self._bars_total = self.metrics.counter("bars_total").labels(
            venue=self.seat.venue, symbol=self.seat.symbol, timeframe=self.timeframe
        )
        self._decisions_total = self.metrics.counter("decisions_total").labels(bot=self.bot)
        self._decision_seconds = self.metrics.histogram("decision_seconds").labels(bot=self.bot)

    async def on_start(self) -> None:
        """Start the loop that is the bot."""
        bind_contextvars(bot=self.bot, venue=self.seat.venue)
        self.spawn("bars", self._live)
        self.spawn("status", self._tell)

    async def on_stop(self) -> None:
        """Save the state; the position stays with its stop at the venue."""
        if self._lease and self._lease.held:
            await self._save()

    async def on_config(self, old: Settings, new: Settings) -> None:
        """Take over parameters and rules between two bars."""
        del old
        self.plan = new.bots[self.bot]
        self.params = parse_params(self.strategy.params, self.plan.params)
        self.rules = self._rules(new)

    def readiness(self) -> tuple[bool, str]:
        """Ready means: the lease is held, steps are known, the window is filled."""
        if self._lease is None or not self._lease.held:
            return False, "the lease of the bot is not held"
        if self.instrument is None:
            return False, f"the gateway has not published {self.seat.symbol} yet"
        return self.warm, "" if self.warm else "waiting for bars"

    async def _live(self) -> None:
        if self._lease is None:
            self._lease = await self.hold_lease(f"bot:{self.bot}")
        self.instrument = await self._wait_for_instrument()
        self.rules = self._rules(self.settings)
        since = await self._restore()
        topics = self.bus.topics
        wanted = [self._bar_topic, self._events_topic, topics.control(self.bot), topics.control("farm")]
        if self.strategy.book:
            wanted.append(topics.account_status(self.seat.venue, self.seat.account))
        async with self.bus.follow(*wanted, since=since) as stream:
            self.warm = True
            await self._decide_if_new()
            await self._status()
            async for received in stream:
                await self._take(received)

    async def _tell(self) -> None:
        """Tell the status also between two bars: who has just begun to listen must not wait for the next one."""
        while True:
            every = self.settings.runner.status_s
            await asyncio.sleep(every)
            if self.warm and time.monotonic() - self._status_s >= every:
                await self._status()

    async def _wait_for_instrument(self) -> Instrument:
        while True:
            found = await read_instrument(self.bus, self.seat.venue, self.seat.symbol)
            if found is not None:
                return found
            await asyncio.sleep(0.1)

    async def _restore(self) -> dict[str, str]:
        """Fill the window and the book from what the bus kept; return where reading goes on."""
        self.state = BotState.load(await self.bus.get(self._state_key), self.capital)
        self.window = BarWindow(self.settings.runner.window)
        bars = await self.bus.history(self._bar_topic, count=self.settings.runner.window)
        events = await self.bus.history(self._events_topic, count=100_000, after=self.state.read or "-")
        pending = [event for event in events if isinstance(event.envelope.data, Fill | FundingPaid)]
        length = timeframe_ns(self.timeframe)
        since: dict[str, str] = {self._events_topic: self.state.read or "0-0"}
        for received in bars:
            bar = received.envelope.data
            assert isinstance(bar, BarClosed)
            since[self._bar_topic] = received.entry_id
            if bar.bar.ts_ns <= self.window.last_ts_ns:
                continue
            while pending and _instant(pending[0]) < bar.bar.ts_ns + length:
                self._book(pending.pop(0).envelope)
            self.window.append(bar.bar)
            self._received_ns = bar.received_ns
            if bar.bar.ts_ns > self.state.marked_ns:
                self.state.mark(bar.bar)
        for event in pending:
            self._book(event.envelope)
        if events:
            self.state.read = since[self._events_topic] = events[-1].entry_id
        LOG.info("bot.restored", bars=len(self.window), fills=self.state.fills, position=str(self.position))
        return since

    async def _decide_if_new(self) -> None:
        """Decide on the newest bar of the history, unless the process that died before has done so."""
        if not len(self.window):
            return
        made = await self.bus.history(self.bus.topics.decisions(), count=2_000)
        done = {
            entry.envelope.data.decision.bar_ts_ns
            for entry in made
            if isinstance(entry.envelope.data, DecisionMade) and entry.envelope.data.bot == self.bot
        }
        if done and self.window.last_ts_ns not in done:
            await self._decide(received_ns=self._received_ns, cause="", corr="")

    async def _take(self, received: Received) -> None:
        envelope = received.envelope
        match envelope.data:
            case BarClosed() as closed:
                await self._bar(closed, envelope)
            case Fill() | FundingPaid():
                self._book(envelope)
                self.state.read = received.entry_id
                await self._save()
                await self._status()
            case OrderEvent() as event:
                self.state.read = received.entry_id
                if event.state in {OrderState.WORKING, OrderState.FILLED}:
                    self.state.orders.add(event.client_id)
            case AccountStatus() as status:
                self.account = account_book(status, self.account)
            case Command() as command:
                await self._command(command, envelope)

    def _book(self, envelope: Envelope) -> None:
        match envelope.data:
            case Fill() as fill if fill.symbol == self.seat.symbol:
                self.state.fill(fill)
                self.metrics.counter("fills_total").labels(bot=self.bot, role=fill.role.value).inc()
                LOG.info("fill.booked", role=fill.role, side=fill.side, size=str(fill.size), price=str(fill.price))
            case FundingPaid() as paid if paid.symbol == self.seat.symbol:
                self.state.portfolio.fund(paid.amount)

    async def _bar(self, closed: BarClosed, envelope: Envelope) -> None:
        try:
            self.window.append(closed.bar)
        except CorruptData as error:
            LOG.warning("bar.refused", error=str(error))
            return
        self._bars_total.inc()
        if not closed.received_ns:  # history that came late: it belongs into the window and is not decided on
            self.state.mark(closed.bar)
            return
        await self.at_bar()
        await self._decide(received_ns=closed.received_ns, cause=envelope.id, corr=envelope.corr or envelope.id)

    async def _decide(self, *, received_ns: int, cause: str, corr: str) -> None:
        if self._lease is None or not self._lease.held:
            raise Fenced(f"the lease of {self.bot} is not held; the bot takes it again before it goes on")
        started = time.perf_counter()
        bars = self.window.bars()
        book = self.state.mark(self._newest())
        decision = decide(self.strategy, self.params, bars, book, self.rules)
        intents = self._intents(decision, received_ns)
        report = dict(self.strategy.report(bars, self.account, self.params)) if self.strategy.report else {}
        made = DecisionMade(
            bot=self.bot,
            strategy=self.strategy.name,
            mode=self.mode,
            symbol=self.seat.symbol,
            timeframe=self.timeframe,
            decision=decision,
            intents=tuple(intent.intent_id for intent in intents),
            position=self.position,
            report=report,
        )
        self._decision_seconds.observe(time.perf_counter() - started)
        await self._send(intents, made, cause=cause, corr=corr)
        self.last = decision
        self.counts["decisions"] += 1
        self.counts["intents"] += len(intents)
        if self.counts["decisions"] % SAVE_EVERY_BARS == 0:
            await self._save()
        if time.monotonic() - self._status_s >= self.settings.runner.status_s:
            await self._status()
        if self.state.order is Order.DRAIN and not self.position:
            self.request_stop("drained: no position is left")

    async def _send(self, intents: tuple[Intent, ...], made: DecisionMade, *, cause: str, corr: str) -> None:
        """Send the intents first, the decision that names them after; repeats are duplicates by id."""
        ttl = int(self.settings.runner.intent_ttl_s * 1e9)
        # Each send writes before it waits: gathered, they leave in this order without a round trip in between.
        sends = [
            self.bus.send(
                intent,
                corr=corr,
                cause=cause,
                deadline_ns=0 if intent.reduces else time.time_ns() + ttl,
                lease=self._lease,
                message_id=f"intent:{intent.intent_id}",
            )
            for intent in intents
        ]
        decided = self.bus.send(
            made,
            corr=corr,
            cause=cause,
            lease=self._lease,
            message_id=f"decision:{self.bot}:{made.decision.bar_ts_ns}",
        )
        if sends:
            await asyncio.gather(*sends, decided)
        else:
            await decided
        for intent in intents:
            self.metrics.counter("intents_total").labels(bot=self.bot, action=intent.action.value).inc()
            LOG.info(
                "intent.sent", intent=intent.intent_id, action=intent.action, side=intent.side, size=str(intent.size)
            )
        self._decisions_total.inc()

    def _intents(self, decision: Decision, received_ns: int) -> tuple[Intent, ...]:
        """Return what may be sent: exits always, entries only when nothing speaks against them."""
        if self.strategy.read_only or self.mode is Mode.SHADOW or not decision.acts or self.instrument is None:
            return ()
        formed = intents_of(decision, self.seat, self.instrument, self.position)
        if self._entries_allowed(received_ns):
            return formed
        return tuple(intent for intent in formed if intent.reduces)

    def _entries_allowed(self, received_ns: int) -> bool:
        if self.state.order is not Order.TRADE or self.bus.state() is not BusState.CONNECTED:
            return False
        limit = self.settings.trading.stale_bars * timeframe_ns(self.timeframe)
        return time.time_ns() - received_ns <= limit

    def _newest(self) -> Bar:
        bars = self.window.bars()
        return Bar(
            self.window.last_ts_ns,
            bars.open[-1].item(),
            bars.high[-1].item(),
            bars.low[-1].item(),
            bars.close[-1].item(),
            bars.volume[-1].item(),
        )

    async def _command(self, command: Command, envelope: Envelope) -> None:
        if envelope.deadline_ns and time.time_ns() > envelope.deadline_ns and command.verb not in RISK_REDUCING:
            await self._answer(command, "refused", "the command came too late")
            return
        if command.verb is Verb.RELEASE:  # the gateway's business
            return
        match command.verb:
            case Verb.PAUSE | Verb.HALT:
                detail = await self._order(Order.PAUSE, "no entries; exits and stops go on")
            case Verb.RESUME:
                detail = await self._order(Order.TRADE, "entries are allowed again")
            case Verb.DRAIN:
                detail = await self._order(Order.DRAIN, "no entries; ends when the strategy has left its position")
            case Verb.FLATTEN:
                detail = await self._flatten(command)
            case _:
                detail = await self._stop()
        LOG.info("command.applied", verb=command.verb, actor=command.actor, reason=command.reason)
        await self._answer(command, "applied", detail)
        await self._status()

    async def _order(self, order: Order, detail: str) -> str:
        self.state.order = order
        await self._save()
        return detail

    async def _flatten(self, command: Command) -> str:
        await self._order(Order.PAUSE, "")
        if not self.position or command.target == "farm":
            return "paused" if not self.position else "paused; the gateway closes the account's positions"
        intent = Intent(
            intent_id=intent_id(self.bot, self.window.last_ts_ns, 1_000 + zlib.crc32(command.command_id.encode())),
            bot=self.seat.bot,
            venue=self.seat.venue,
            account=self.seat.account,
            symbol=self.seat.symbol,
            action=Action.FLATTEN,
            side=Side.SELL if self.position > 0 else Side.BUY,
            size=abs(self.position),
            bar_ts_ns=self.window.last_ts_ns,
            ref_price=self.instrument.price(self._newest().close) if self.instrument else ZERO,
            reason=f"flatten by {command.actor}",
        )
        await self.bus.send(
            intent, cause=command.command_id, lease=self._lease, message_id=f"intent:{intent.intent_id}"
        )
        return "paused; closing the position"

    async def _stop(self) -> str:
        self.request_stop("a person's command")
        return "the process ends; stops stay at the venue"

    async def _answer(self, command: Command, stage: str, detail: str) -> None:
        try:
            await self.bus.send(
                CommandResult(command.command_id, self.instance, self.bot, stage, detail), cause=command.command_id
            )
        except Denied as error:
            LOG.warning("command.unanswered", error=str(error))

    @property
    def position(self) -> Decimal:
        """The bot's signed position in base units."""
        return self.state.portfolio.position.size

    async def _save(self) -> None:
        await self.bus.put(self._state_key, self.state.dump())

    async def _status(self) -> None:
        self._status_s = time.monotonic()
        book = self.state.portfolio.position
        price = self.last.price if self.last else 0.0
        mark = Decimal(repr(price)) if price else book.entry
        self.metrics.gauge("bot_equity").labels(bot=self.bot).set(float(self.state.portfolio.equity))
        self.metrics.gauge("position_size").labels(bot=self.bot, symbol=self.seat.symbol).set(float(book.size))
        self.metrics.gauge("bot_fees").labels(bot=self.bot).set(float(book.fees))
        self.metrics.gauge("bot_drawdown").labels(bot=self.bot).set(self.state.portfolio.drawdown)
        self.metrics.gauge("bot_paused").labels(bot=self.bot).set(self.state.order is not Order.TRADE)
        self.metrics.gauge("bot_pnl").labels(bot=self.bot).set(float(book.net + book.unrealised(mark)))
        await self.bus.send(
            BotStatus(
                bot=self.bot,
                strategy=self.strategy.name,
                mode=self.mode,
                venue=self.seat.venue,
                account=self.seat.account,
                symbol=self.seat.symbol,
                timeframe=self.timeframe,
                state=self.state.order.value,
                read_only=self.strategy.read_only,
                bar_ts_ns=self.window.last_ts_ns,
                price=price,
                position=book.size,
                entry=book.entry,
                realised=book.realised,
                unrealised=book.unrealised(mark),
                fees=book.fees,
                equity=self.state.portfolio.equity,
                decisions=self.counts["decisions"],
                intents=self.counts["intents"],
                orders=len(self.state.orders),
                fills=self.state.fills,
                last_action=iso(self.last.bar_ts_ns) if self.last else "",
                reason=self.last.reason if self.last else "",
            )
        )

    def _rules(self, settings: Settings) -> Rules:
        trading, steps = settings.trading, self.instrument
        rules = Rules(
            risk=settings.runner.risk_pct / 100,
            max_leverage=trading.max_leverage,
            max_notional=float(trading.max_order_notional),
            live=self.mode is Mode.LIVE,
        )
        if steps is None:
            return rules
        return replace(rules, maintenance=float(steps.maintenance), taker=float(steps.taker_fee))


def _instant(received: Received) -> int:
    data = received.envelope.data
    assert isinstance(data, Fill | FundingPaid)
    return data.ts_ns
