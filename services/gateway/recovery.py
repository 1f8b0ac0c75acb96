"""From journal and venue to one truth: at start before the gateway is ready, after every reconnect, and on a timer.

Start: every sent order without an outcome is looked up; open orders, executions since the last known one, stops,
positions, money and funding are read; the difference becomes events.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from decimal import Decimal

from omega.domain import OrderState
from omega.errors import OmegaError
from omega.resilience import Lane, retry_read
from omega.telemetry import get_logger
from services.gateway.account import Account
from services.gateway.lookup import LookUps
from services.gateway.private import PrivateSide
from services.gateway.stops import StopKeeper
from services.gateway.venue import Trade

_log = get_logger(__name__)


class Recovery:
    """Reads the venue and brings the account in line."""

    def __init__(self, account: Account, private: PrivateSide, keeper: StopKeeper, look_ups: LookUps) -> None:
        self._account = account
        self._private = private
        self._keeper = keeper
        self._look_ups = look_ups
        self._wake = asyncio.Event()
        self._residual_since: dict[str, float] = {}
        self.residuals: dict[str, Decimal] = {}
        self.complete = False
        self._compared = time.monotonic()

    def age_s(self) -> float:
        """Return the time in seconds since books and venue were last compared."""
        return time.monotonic() - self._compared

    def residual_s(self) -> float:
        """Return the age in seconds of the oldest residual, 0 without one."""
        now = time.monotonic()
        return max((now - since for since in self._residual_since.values()), default=0.0)

    def request(self) -> None:
        """Ask for a reconciliation now: the private socket is back."""
        self._wake.set()

    async def start(self) -> None:
        """Recover before the gateway is ready.

        Raises:
            TransientError: the venue does not answer; the start fails and is repeated.
        """
        account = self._account
        for order in account.journal.in_state(OrderState.INTENT):
            account.step(
                order.client_id, OrderState.DENIED, code="restart", reason="the gateway ended before it was sent"
            )
        doubtful = account.journal.in_state(OrderState.SENDING)
        for order in doubtful:
            account.step(
                order.client_id, OrderState.UNRESOLVED, reason="the gateway ended between the send and the answer"
            )
        await retry_read(self.reconcile, within_s=30.0)
        for order in account.journal.in_state(OrderState.UNRESOLVED):
            self._look_ups.begin(order.client_id)
        self.complete = True
        _log.info("recovery.completed", doubtful=len(doubtful), live=len(account.journal.live()))

    async def run(self) -> None:
        """Reconcile on request and every `gateway.reconcile_s`, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._account.settings.gateway.reconcile_s):
                    await self._wake.wait()
            self._wake.clear()
            with self._account.activity.doing("reconcile"):
                outcome = "equal"
                try:
                    await self.reconcile()
                except OmegaError as error:
                    outcome = "failed"
                    _log.warning("reconciliation.failed", why=str(error)[:200])
                if self.residuals:
                    outcome = "different"
            self._account.metrics.counter("reconciliations_total").labels(*self._account.labels, outcome).inc()

    async def reconcile(self) -> None:
        """Read orders, executions, money, positions and stops, and take what is new.

        Raises:
            TransientError: the venue does not answer.
        """
        await self._read_orders()
        await self.read_trades()
        async with self._account.turns.read():
            self._account.balance = await self._account.venue.balance()
        await self.check_positions()
        await self._keeper.look(every=True)
        self._compared = time.monotonic()

    async def read_trades(self) -> int:
        """Take the executions since the last known one, symbol by symbol; return how many were new."""
        account, new = self._account, 0
        for symbol in self._symbols():
            async with account.turns.read():
                trades = await account.venue.trades(symbol, since_ns=account.read_from_ns(symbol))
            fresh = [trade for trade in trades if not account.journal.has_trade(trade.trade_id)]
            if any(self._strange(trade) for trade in fresh):
                await self._read_past_plans(symbol)
            new += self._private.take_trades(fresh)
            async with account.turns.read():
                bills = await account.venue.funding(symbol)
            self._private.take_funding(bills)
        return new

    async def check_positions(self) -> dict[str, Decimal]:
        """Compare the books with the venue's positions; a residual that stays halts entries."""
        account = self._account
        async with account.turns.read(call="positions"):
            positions = await account.venue.positions()
        open_ = [position for position in positions if position.size]
        account.positions = {position.symbol: position.size for position in open_}
        if len(account.positions) < len(open_):
            account.halt_entries(
                "the account is in hedge mode: both sides of a symbol are open; set it to one-way mode"
            )
        self.residuals = account.books.residuals(account.positions)
        now, limit = time.monotonic(), account.settings.gateway.residual_clear_s
        self._residual_since = {s: self._residual_since.get(s, now) for s in self.residuals}
        for symbol in {*account.positions, *account.books.symbols()}:
            residual = self.residuals.get(symbol, Decimal(0))
            account.metrics.gauge("residual").labels(*account.labels, symbol).set(float(residual))
        for symbol, since in self._residual_since.items():
            if now - since > limit:
                account.halt_entries(f"{symbol}: the venue holds {self.residuals[symbol]} more than the books")
        return self.residuals

    # steps ----------------------------------------------------------------------------------------------------------

    async def _read_orders(self) -> None:
        """Learn the state of every order that we believe is live."""
        account = self._account
        working = account.journal.in_state(OrderState.WORKING, OrderState.SENDING, OrderState.UNRESOLVED)
        if not working:
            return
        async with account.turns.read():
            resting = {order.client_id: order for order in await account.venue.open_orders()}
        for order in working:
            found = resting.get(order.client_id)
            if found is None:  # its order id must be known before its executions are read: some venues tell no other
                async with account.turns.read():
                    found = await account.venue.order(order.symbol, order.client_id)
            if found is not None:
                account.learn(found)
            elif order.state is OrderState.WORKING:  # taken once, and now unknown: it blocks exits until that is proven
                self._look_ups.begin(order.client_id)

    async def _read_past_plans(self, symbol: str) -> None:
        """Hear of stops that fired while nobody listened, so that their executions find their bot."""
        async with self._account.turns.read(Lane.STOP):
            plans = await self._account.venue.past_plans(symbol)
        for plan in sorted(plans, key=lambda item: item.ts_ns):
            if plan.fired:
                self._keeper.note(plan)

    def _strange(self, trade: Trade) -> bool:
        journal = self._account.journal
        return journal.order(trade.client_id) is None and journal.plan(trade.client_id, trade.order_id) is None

    def _symbols(self) -> list[str]:
        return sorted({*self._account.settings.gateway.symbols, *self._account.books.symbols()})
