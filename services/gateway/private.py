"""What the private stream and the private reads tell: orders, executions, positions, money.

Duplicates and disorder are harmless. Fills come from executions alone, keyed by trade id; orders only move states. A
batch of pushes is one transaction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Final

from omega.domain import EXTERNAL, Role
from omega.errors import EnvironmentFault
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.books import Books, closings, share
from services.gateway.risk.equity import DAY_NS
from services.gateway.stops import StopKeeper
from services.gateway.venue import ROLE_OF_PLAN, FundingBill, PlanKind, PrivateFrame, Trade

ZERO: Final = Decimal(0)
_CENT: Final = Decimal("0.00000001")
_FUTURE_NS: Final = 366 * DAY_NS
"""How far ahead a stamp may lie: a replay may run ahead of what it has pushed, a wrong unit is centuries away."""

_log = get_logger(__name__)


class PrivateSide:
    """Takes private pushes and executions into the account."""

    def __init__(self, account: Account, keeper: StopKeeper) -> None:
        self._account = account
        self._keeper = keeper
        self._frames: deque[PrivateFrame] = deque()
        self._scheduled = False
        self.schedule: Callable[[Callable[[], None]], None] = lambda call: call()
        """Runs a callable soon; set to the loop's call_soon so that pushes that came together are one commit."""
        self.on_worked: Callable[[], None] = lambda: None
        """Called after every batch, before `settle` may count it."""

    def hear(self, frame: PrivateFrame) -> None:
        """Take a push; it is processed at the end of the loop's turn together with its neighbours."""
        self._frames.append(frame)
        if not self._scheduled:
            self._scheduled = True
            self.schedule(self.work)

    def work(self) -> None:
        """Process the pushes that wait, in order, in one commit."""
        self._scheduled = False
        frames, self._frames = list(self._frames), deque()
        account = self._account
        try:
            with self._writing():
                for frame in frames:
                    for plan in frame.plans:
                        self._keeper.note(plan)
                for frame in frames:
                    self._take(frame)
                for frame in frames:
                    for plan in frame.plans:
                        self._keeper.hear(plan)
        except EnvironmentFault as error:
            _log.error("journal.refused", error=str(error))
            self._keeper.request("journal")
        if frames:
            self.on_worked()
            account.activity.frames = max((f.count for f in frames), default=0) or account.activity.frames
            account.activity.changed()

    def forget(self) -> None:
        """Begin to count anew: the private socket was opened anew."""
        self._frames.clear()
        self._account.activity.frames = 0

    def take_trades(self, trades: Iterable[Trade]) -> int:
        """Book executions, each once; return how many were new.

        Raises:
            EnvironmentFault: the journal cannot be written; none of them is booked, and entries are halted.
        """
        account, new = self._account, 0
        with self._writing():
            for trade in trades:
                known = account.instrument(trade.symbol) is not None
                if known and trade.size and not account.journal.has_trade(trade.trade_id) and self._can_be(trade):
                    new += self._book(self._dated(trade))
        account.activity.changed()
        return new

    def take_funding(self, bills: Iterable[FundingBill]) -> None:
        """Share out funding payments to the books by their size.

        Raises:
            EnvironmentFault: the journal cannot be written; none of them is booked, and entries are halted.
        """
        with self._writing():
            for bill in bills:
                if not self._account.journal.has_funding(bill.funding_id):
                    self._pay(bill)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Make one commit of what is inside; a journal that refuses halts entries, for they would go by old books."""
        try:
            with self._account.journal.news():
                yield
        except EnvironmentFault as error:
            self._account.halt_in_memory(f"the journal cannot be written: {error}")
            raise

    def _can_be(self, trade: Trade) -> bool:
        """Keep an execution out that no market makes; a person has to see what the venue means by it."""
        if trade.size > 0 and trade.price > 0:
            return True
        words = f"the venue tells an execution that cannot be: {trade.trade_id}, {trade.size} {trade.symbol}"
        self._account.halt_entries(f"{words} at {trade.price}")
        return False

    def _dated(self, trade: Trade) -> Trade:
        """Give an execution of the far future the present: its stamp would move days, locks and what is read next."""
        now_ns = self._account.market_ns()
        if trade.ts_ns <= now_ns + _FUTURE_NS:
            return trade
        _log.warning("fill.of_the_future", trade_id=trade.trade_id, ts_ns=trade.ts_ns, now_ns=now_ns)
        return replace(trade, ts_ns=now_ns)

    # one push -------------------------------------------------------------------------------------------------------

    def _take(self, frame: PrivateFrame) -> None:
        account = self._account
        for order in frame.orders:
            account.learn(order)
        self.take_trades(frame.trades)
        if frame.positions is not None:
            account.positions = {position.symbol: position.size for position in frame.positions if position.size}
        if frame.balance is not None:
            account.balance = frame.balance

    def _book(self, trade: Trade) -> int:
        account = self._account
        trade = self._named(trade)
        bot, role = self._owner(trade)
        if role is Role.LIQUIDATION:
            return self._share_out(trade)
        if bot == EXTERNAL:
            return self._by_hand(trade)
        return int(account.take(trade, bot=bot, role=role))

    def _named(self, trade: Trade) -> Trade:
        """Give an execution the client id of its order where the venue tells only its own: guards and sums go by it."""
        journal = self._account.journal
        if trade.client_id and journal.order(trade.client_id) is not None:
            return trade
        mine = journal.by_order_id(trade.order_id)
        return trade if mine is None else replace(trade, client_id=mine.client_id)

    def _owner(self, trade: Trade) -> tuple[str, Role]:
        """Tell whose execution it is: by client id, by order id, by the plan that fired."""
        journal = self._account.journal
        order = journal.order(trade.client_id) if trade.client_id else None
        if order is not None:
            return order.bot, order.role
        plan = journal.plan(trade.client_id, trade.order_id)
        if plan is not None:
            return plan.bot, ROLE_OF_PLAN.get(PlanKind(plan.kind), Role.STOP)
        if trade.forced:
            return str(EXTERNAL), Role.LIQUIDATION
        fired = self._keeper.fired_for(trade)
        return fired if fired is not None else (str(EXTERNAL), Role.EXTERNAL)

    def _by_hand(self, trade: Trade) -> int:
        """Book an execution of nobody's order: what it closes is taken off the books it closes, the rest is EXTERNAL.

        A person who closes a position at the venue closes the bots' positions, whose exits would open one otherwise.
        """
        account, sign = self._account, trade.side.sign
        sizes = {name: size for name, size in account.books.open(trade.symbol).items() if size * sign < 0}
        reducible = max(-account.books.net(trade.symbol) * sign, ZERO)
        own = min(trade.size, reducible, abs(sizes.pop(str(EXTERNAL), ZERO)))
        closed = min(trade.size - own, reducible - own, sum((abs(size) for size in sizes.values()), ZERO))
        step = account.require_instrument(trade.symbol).size_step
        parts = closings(closed, {name: abs(size) for name, size in sizes.items()}, step) if closed else {}
        if trade.size > closed:
            parts[str(EXTERNAL)] = trade.size - closed
        done = 0
        for name, part in parts.items():
            suffix = f"/{name}" if len(parts) > 1 else ""
            done += account.take(trade, bot=name, role=Role.EXTERNAL, suffix=suffix, size=part)
        told = ", ".join(f"{name} {part}" for name, part in parts.items())
        _log.warning("fill.by_hand", symbol=trade.symbol, side=trade.side.value, books=told, order_id=trade.order_id)
        account.metrics.counter("external_fills_total").labels(*account.labels, trade.symbol).inc()
        return done

    def _share_out(self, trade: Trade) -> int:
        """Book a liquidation on the bots whose side it closes, by their size."""
        account = self._account
        sizes = {bot: size for bot, size in account.books.open(trade.symbol).items() if size * trade.side.sign < 0}
        step = account.require_instrument(trade.symbol).size_step
        parts = closings(trade.size, {bot: abs(size) for bot, size in sizes.items()}, step)
        done = 0
        for bot, part in parts.items():
            suffix = f"/{bot}" if len(parts) > 1 else ""
            done += account.take(trade, bot=bot, role=Role.LIQUIDATION, suffix=suffix, size=part)
        account.halt_entries(f"the venue liquidated {trade.size} {trade.symbol}")
        return done

    def _sizes_at(self, bill: FundingBill) -> dict[str, Decimal]:
        """Return the open sizes at the instant of a bill; one that comes late was paid by older books."""
        account = self._account
        if account.journal.last_fill_ns(bill.symbol) <= bill.ts_ns:
            return account.books.open(bill.symbol)
        then = Books()
        then.load(((seq, fill) for seq, fill in account.journal.fills() if fill.ts_ns <= bill.ts_ns), ())
        return then.open(bill.symbol)

    def _pay(self, bill: FundingBill) -> None:
        parts = share(bill.amount, self._sizes_at(bill), _CENT)
        for bot, amount in parts.items():
            self._account.pay(bill, bot, amount)
