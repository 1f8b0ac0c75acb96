"""From intent to one order at the venue: fence, gate, journal, then the network, once. Consumes the two intent streams.

A batch of intents is one fsync; what happens after it is recovered from the journal whatever process dies. A send
ends confirmed, rejected with proof, denied by us, or unresolved; nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, Final

from omega.bus.envelope import Envelope
from omega.bus.messages import RiskVerdict
from omega.bus.port import Bus, BusState, Delivery
from omega.domain import Action, Intent, OrderState, Role, Side, client_id
from omega.errors import Denied, EnvironmentFault, Fenced, Rejected, TransientError, Unresolved
from omega.resilience import Lane
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.classify import RefusalKind, denied
from services.gateway.lookup import LookUps
from services.gateway.risk.rules import Asked, ask_again, judge
from services.gateway.rows import JournalOrder
from services.gateway.venue import OrderRequest

ZERO: Final = Decimal(0)
_GROUP: Final = "gateway"
_DISK_S: Final = 0.25
_PATIENCE_S: Final = 5.0
"""How long an entry waits for lease, bus and private session before the gate judges it as things are."""
_LOOK_S: Final = 0.02
_FATAL: Final = frozenset({RefusalKind.AUTH, RefusalKind.BUG})

_log = get_logger(__name__)


class OrderPath:
    """The one way to the venue for intents."""

    def __init__(self, account: Account, bus: Bus, look_ups: LookUps, *, leased: Callable[[], bool]) -> None:
        self._account = account
        self._bus = bus
        self._look_ups = look_ups
        self._leased = leased
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_tightened: Callable[[str], None] = lambda _why: None
        """Hears that a stop shall stand elsewhere."""
        self.on_refusal: Callable[[RefusalKind, JournalOrder], None] = lambda _kind, _order: None
        """Hears why the venue refused, to reload markets, measure the clock, slow a lane."""
        self.note_refusal: Callable[[RefusalKind, JournalOrder], None] = lambda _kind, _order: None
        """Writes down, inside the transaction of a refusal, what is still to be done about it."""

    async def run(self) -> None:
        """Consume the intents of the account, exits before entries, until cancelled."""
        topics = self._bus.topics
        venue, name = self._account.venue_name, self._account.name
        lanes = (topics.intents(venue, name, high=True), topics.intents(venue, name, high=False))
        async with self._bus.records(*lanes, group=_GROUP) as batches:
            async for batch in batches:
                await self.handle(batch)

    async def handle(self, batch: Sequence[Delivery]) -> None:
        """Admit a batch; entries that cannot pass just now stand aside for a moment, so that exits overtake them."""
        if self._may_enter():
            await self._take(batch)
            return
        entries = [delivery for delivery in batch if _enters(delivery)]
        if len(entries) < len(batch):
            await self._take([delivery for delivery in batch if not _enters(delivery)])
        if entries:
            self._track(self._take_later(entries), "entries")

    def _may_enter(self) -> bool:
        """Tell whether lease, bus and private session stand, which after an outage come back by themselves."""
        return self._leased() and self._bus.state() is BusState.CONNECTED and self._account.venue.connected()

    async def _take_later(self, entries: Sequence[Delivery]) -> None:
        """Take entries when what they lack has come back, or when the patience is over: then the gate says why not."""
        with self._account.activity.doing("batch"):
            until = time.monotonic() + _PATIENCE_S
            while not self._may_enter() and time.monotonic() < until:  # noqa: ASYNC110 - three states, no one event
                await asyncio.sleep(_LOOK_S)
            await self._take(entries)

    async def _take(self, batch: Sequence[Delivery]) -> None:
        """Admit deliveries in one transaction, start their sends, then acknowledge: from here the journal remembers."""
        with self._account.activity.doing("batch"):
            intents = [
                (delivery.received.envelope, delivery.received.envelope.data)
                for delivery in batch
                if isinstance(delivery.received.envelope.data, Intent) and self._in_its_lane(delivery)
            ]
            await self._insist(lambda: self.accept(intents))
            await asyncio.sleep(0)  # the orders leave before the acknowledgements do
            for delivery in batch:
                async with delivery:
                    if not self._in_its_lane(delivery):
                        raise Denied("an intent stands in another bot's lane; find who wrote it", rule="lane")

    def _in_its_lane(self, delivery: Delivery) -> bool:
        """Tell whether a message came the way that the server lets its bot write to and no other."""
        received = delivery.received
        return received.topic in self._bus.topics.of(received.envelope.data)

    def accept(self, intents: Iterable[tuple[Envelope, Intent]]) -> list[JournalOrder]:
        """Judge and journal intents, exits first, and start the sends of those that pass; return those.

        Raises:
            EnvironmentFault: the journal cannot be written; nothing was sent.
        """
        account = self._account
        passed: list[tuple[JournalOrder, Envelope, Intent]] = []
        tightened = False
        with account.journal.transaction():
            for envelope, intent in sorted(intents, key=lambda pair: not pair[1].reduces):
                if intent.action is Action.TIGHTEN:
                    tightened |= self._tighten(envelope, intent)
                    continue
                order = self._admit(envelope, intent)
                if order is not None:
                    passed.append((order, envelope, intent))
        for order, envelope, intent in passed:
            self._start(order, partial(self._ask_again, envelope, intent))
        if tightened:
            self.on_tightened("a bot's stop has moved")
        account.activity.changed()
        return [order for order, _, _ in passed]

    async def _insist(self, write: Callable[[], object]) -> None:
        """Write to the journal, again and again while the disk refuses: halted, with nothing half done."""
        while True:
            try:
                write()
            except EnvironmentFault as error:
                self._account.halt_in_memory(str(error))
                await asyncio.sleep(_DISK_S)
            else:
                return

    async def close_out(self, intent: Intent, *, corr: str = "") -> None:
        """Carry out an intent of the gateway itself (flatten, a guard that fired), past the bus.

        It carries the bot's newest epoch: the fence keeps away runners that have lost their lease, not the gateway.
        """
        epoch = self._account.journal.epoch(intent.bot)
        envelope = Envelope("", "intent", 1, self._account.clock(), _GROUP, epoch, 0, corr, "", "", 0, "", intent)
        for order in self.accept([(envelope, intent)]):
            _log.info("exit.sent", bot=order.bot, symbol=order.symbol, size=str(order.size), reason=order.reason)
        await asyncio.sleep(0)

    async def drain(self) -> None:
        """Wait for the sends that are in hand."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def asked(self, intent: Intent) -> Asked:
        """Return a hypothetical intent with the state of bus and lease just now."""
        return Asked(intent, 0, self._account.clock(), self._bus.state(), self._leased())

    # one intent -----------------------------------------------------------------------------------------------------

    def _admit(self, envelope: Envelope, intent: Intent) -> JournalOrder | None:
        """Journal one intent as SENDING or DENIED, in one write; None when there is nothing to send."""
        account = self._account
        order = _order_of(envelope, intent, account.clock())
        judged, verdict = self._judged(order, envelope, intent)
        try:
            if not account.journal.admit(judged):
                return None
        except Fenced as error:
            judged = _denied(order, "fence", str(error), epoch=account.journal.epoch(intent.bot))
            verdict = RiskVerdict(allowed=False, rule="fence")
            account.journal.admit(judged)
        account.tell(judged, verdict)
        if judged.state is OrderState.SENDING:
            account.risk.admitted(judged.bot, judged.symbol, account.market_ns())
            account.on_admit()
            return judged
        account.metrics.counter("intents_denied_total").labels(judged.bot, judged.code).inc()
        _log.info("intent.denied", bot=judged.bot, rule=judged.code, why=judged.reason)
        return None

    def _tighten(self, envelope: Envelope, intent: Intent) -> bool:
        """Journal where a stop shall stand from now on; True when that is nearer than before."""
        account = self._account
        if account.journal.stop_move(intent.intent_id):
            return False
        rule = words = ""
        try:
            check_tighten(intent, account)
            account.journal.fence(intent.bot, envelope.epoch)
        except Denied as error:
            rule, words = error.rule, str(error)
        except Fenced as error:
            rule, words = "fence", str(error)
        if rule:
            account.metrics.counter("intents_denied_total").labels(intent.bot, rule).inc()
            _log.info("intent.denied", bot=intent.bot, rule=rule, why=words)
        return account.journal.tighten(intent, epoch=envelope.epoch, outcome=rule)

    def _judged(self, order: JournalOrder, envelope: Envelope, intent: Intent) -> tuple[JournalOrder, RiskVerdict]:
        """Ask the gate; it has no say over an intent that the journal knows already, and changes nothing."""
        judgement = judge(self._question(envelope, intent, order.created_ns), self._account)
        verdict = judgement.verdict
        if not verdict.allowed:
            return _denied(order, verdict.rule, judgement.words, epoch=order.epoch), verdict
        reduces = _reduces(order, self._account, judgement.size)
        return replace(order, size=judgement.size, reduce_only=reduces, state=OrderState.SENDING), verdict

    def _question(self, envelope: Envelope, intent: Intent, now_ns: int) -> Asked:
        leased = self._leased() or not envelope.id
        return Asked(intent, envelope.deadline_ns, now_ns, self._bus.state(), leased)

    def _ask_again(self, envelope: Envelope, intent: Intent) -> None:
        """Ask the gate about an entry whose turn has come, maybe long after it was admitted; exits always go.

        Raises:
            Denied: it must not be sent any more.
        """
        if not intent.reduces:
            ask_again(self._question(envelope, intent, self._account.clock()), self._account)

    def _start(self, order: JournalOrder, still: Callable[[], None]) -> None:
        self._track(self._send(order, still), f"send:{order.client_id}", order)

    def _track(self, work: Coroutine[Any, Any, None], name: str, order: JournalOrder | None = None) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(partial(self._finish, order))

    def _finish(self, order: JournalOrder | None, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return  # only a process that ends cancels a send: the next one looks the order up
        words = f"a send broke: {type(error).__name__}: {error}"
        _log.error("send.broken", task=task.get_name(), error=words)
        self._account.halt_entries(words)
        if order is not None:
            self._track(self._doubt(order, words), f"doubt:{order.client_id}")

    async def _doubt(self, order: JournalOrder, words: str) -> None:
        """Look an order up whose send broke: it may be at the venue, and as long as it may no other exit passes."""
        await self._outcome(order, OrderState.UNRESOLVED, reason=words)
        self._look_ups.begin(order.client_id)

    async def _send(self, order: JournalOrder, still: Callable[[], None]) -> None:
        """Send once, if it still may go when its turn comes, and write down what came of it."""
        account = self._account
        with account.activity.doing("sends"):
            try:
                ack = await self._place(order, still)
            except Rejected as error:
                kind = RefusalKind(error.kind or RefusalKind.UNKNOWN)
                note = partial(self.note_refusal, kind, order)
                await self._outcome(order, OrderState.REJECTED, code=error.code, reason=str(error), note=note)
                self._refused(error, kind, order)
            except (TransientError, Denied) as error:
                await self._outcome(order, OrderState.REJECTED, code="not_sent", reason=str(error))
                _log.info("order.not_sent", client_id=order.client_id, bot=order.bot, why=str(error))
            except Unresolved as error:
                await self._outcome(order, OrderState.UNRESOLVED, code=error.code, reason=str(error))
                _log.warning("order.unresolved", client_id=order.client_id, bot=order.bot, why=str(error))
                self._look_ups.begin(order.client_id)
            else:
                await self._outcome(order, OrderState.WORKING, order_id=ack)

    async def _outcome(
        self,
        order: JournalOrder,
        state: OrderState,
        *,
        code: str = "",
        reason: str = "",
        order_id: str = "",
        note: Callable[[], None] = lambda: None,
    ) -> None:
        """Write down what came of a send; the venue can tell it again, so that no other order waits for the disk."""

        def step() -> None:
            with self._account.journal.news():
                self._account.step(order.client_id, state, code=code, reason=reason, order_id=order_id)
                note()

        await self._insist(step)

    async def _place(self, order: JournalOrder, still: Callable[[], None]) -> str:
        account = self._account
        request = OrderRequest(
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            size=order.size,
            reduce_only=order.reduce_only,
            stop=order.stop if order.role is Role.ENTRY and _grows(order, account) else None,
            target=order.target if order.role is Role.ENTRY and _grows(order, account) else None,
            handed=account.handed(order),
        )
        lane = Lane.ENTRY if order.role is Role.ENTRY else Lane.EXIT
        async with account.turns.order(lane, bot=order.bot, still=still):
            return (await account.venue.place(request)).order_id

    def _refused(self, error: Rejected, kind: RefusalKind, order: JournalOrder) -> None:
        _log.warning("order.rejected", client_id=order.client_id, bot=order.bot, kind=kind.value, why=str(error))
        if kind in _FATAL:
            self._account.halt_entries(f"the venue refuses our requests: {error}")
        if kind is RefusalKind.SYMBOL:
            self._account.closed.add(order.symbol)
        self.on_refusal(kind, order)


def _enters(delivery: Delivery) -> bool:
    data = delivery.received.envelope.data
    return isinstance(data, Intent) and not data.reduces


def _order_of(envelope: Envelope, intent: Intent, now: int) -> JournalOrder:
    return JournalOrder(
        client_id=client_id(intent.intent_id),
        intent_id=intent.intent_id,
        bot=intent.bot,
        symbol=intent.symbol,
        side=intent.side,
        size=_finite(intent.size),
        role=Role.ENTRY if intent.action is Action.ENTER else Role.EXIT,
        reduce_only=False,
        stop=None if intent.stop is None else _finite(intent.stop),
        target=None if intent.target is None else _finite(intent.target),
        ref_price=_finite(intent.ref_price),
        bar_ts_ns=intent.bar_ts_ns,
        epoch=envelope.epoch,
        corr=envelope.corr,
        created_ns=now,
        reason=intent.reason,
    )


def _denied(order: JournalOrder, rule: str, words: str, *, epoch: int) -> JournalOrder:
    return replace(order, epoch=epoch, state=OrderState.DENIED, code=rule, reason=words)


def check_tighten(intent: Intent, account: Account) -> None:
    """Refuse a stop that no venue could carry; whether it is nearer than the one that stands, the journal knows.

    Raises:
        Denied: it is no price of the symbol, or it is for another account.
    """
    instrument, stop = account.instrument(intent.symbol), intent.stop
    if intent.venue != account.venue_name or intent.account != account.name or instrument is None:
        raise denied("account", f"{intent.intent_id} is for {intent.venue}/{intent.account} {intent.symbol}")
    if stop is None or not stop.is_finite() or stop <= 0 or instrument.price(stop) != stop:
        raise denied("rules", f"{intent.intent_id}: the stop {stop} is no multiple of {instrument.price_step}")


def _finite(value: Decimal) -> Decimal:
    """Return a number that the journal can keep; the gate has the original and denies it."""
    return value if value.is_finite() else ZERO


def _reduces(order: JournalOrder, account: Account, size: Decimal) -> bool:
    """An exit is reduce-only where it shrinks the venue's net position; one that uncovers another bot's may not be.

    What is under way on its side counts too: a venue refuses the second of two that the net position has no room for.
    """
    if order.role is Role.ENTRY:
        return False
    net, cell = account.books.net(order.symbol), account.risk.reservations.cells(account.entity).get(order.symbol)
    under_way = ZERO if cell is None else cell.buys if order.side is Side.BUY else cell.sells
    return net * order.side.sign < 0 and size + under_way <= abs(net)


def _grows(order: JournalOrder, account: Account) -> bool:
    """Tell whether an entry leaves the venue on its own side, so that a stop may ride on it."""
    others = sum((o.signed for o in account.reserved(order.symbol) if o.client_id != order.client_id), ZERO)
    net = account.books.net(order.symbol) + others
    return (net + order.signed) * order.side.sign > 0
