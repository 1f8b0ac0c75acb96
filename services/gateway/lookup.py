"""Orders whose fate nobody knows: asked by client id until there is proof, never sent again.

Started by the order path, and by recovery also for orders that the venue has taken and then does not know. Presence is
proven by any order, push or fill with the client id. Absence is proven only after the venue can no longer accept the
signed request, by every list, twice in a row, with the private session subscribed. That time counts from the beginning
of the doubt, not from the order's making: a process that was frozen between journal and send may have signed its
request much later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from omega.domain import SECOND_NS, TERMINAL, OrderState
from omega.errors import OmegaError, Unresolved
from omega.resilience import ended
from omega.telemetry import get_logger
from services.gateway.account import ABSENT, Account
from services.gateway.rows import JournalOrder
from services.gateway.venue import EVERY_PLAN, Trade, VenueOrder

_log = get_logger(__name__)
_PROOFS: Final = 2
"""Looks in a row that must find nothing."""


class LookUps:
    """The look-ups that are under way, one for each unresolved order."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.on_trades: Callable[[list[Trade]], None] = lambda _trades: None
        """Takes the executions of an order that was found."""
        self.on_absent: Callable[[JournalOrder], None] = lambda _order: None
        """Hears that an order was proven absent, once that is written down."""

    def begin(self, client_id: str) -> None:
        """Begin to look for an order; one look-up an order."""
        if client_id not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._look(client_id), name=f"look-up:{client_id}")
            self._tasks[client_id] = task
            task.add_done_callback(lambda done: self._finish(client_id, done))

    @property
    def count(self) -> int:
        """How many orders have no proven outcome."""
        return len(self._account.journal.in_state(OrderState.UNRESOLVED))

    def oldest_s(self) -> float:
        """Return the age in seconds of the oldest unresolved order, 0 without one."""
        orders = self._account.journal.in_state(OrderState.UNRESOLVED)
        return (self._account.clock() - orders[0].created_ns) / SECOND_NS if orders else 0.0

    async def close(self) -> None:
        """Stop looking; recovery goes on after the next start."""
        await ended(self._tasks.values())

    def _finish(self, client_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(client_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("look_up.broken", client_id=client_id, error=f"{type(error).__name__}: {error}")
            self._account.halt_entries(f"the look-up of {client_id} broke: {error}")

    async def _look(self, client_id: str) -> None:
        misses = look = 0
        gateway = self._account.settings.gateway
        acceptable_s = time.monotonic() + gateway.proof_of_absence_s
        while (order := self._open(client_id)) is not None:
            pause = gateway.look_up_s[look] if look < len(gateway.look_up_s) else gateway.look_up_every_s
            look += 1
            await asyncio.sleep(pause)
            try:
                if await self._found(order):
                    return
                misses = misses + 1 if await self._missing(order, acceptable_s) else 0
                if misses >= _PROOFS:
                    self._conclude(client_id)
            except (OmegaError, Unresolved) as error:  # also a disk that takes no proof: looked up until it does
                _log.info("look_up.unanswered", client_id=client_id, why=str(error)[:200])
                misses = 0
            self._alarm(order)

    def _open(self, client_id: str) -> JournalOrder | None:
        order = self._account.journal.order(client_id)
        return order if order is not None and order.state not in TERMINAL else None

    async def _found(self, order: JournalOrder) -> bool:
        """Ask for an order by its client id and take what the venue says of it: the private stream tells the rest."""
        async with self._account.turns.read():
            found = await self._account.venue.order(order.symbol, order.client_id)
        if found is None or found.client_id != order.client_id:
            return False
        await self._adopt(found)
        return True

    async def _missing(self, order: JournalOrder, acceptable_s: float) -> bool:
        """Look once; True when this look proves absence as far as one look can.

        Args:
            order: whose fate is unknown.
            acceptable_s: until when, on the monotonic clock, the venue may still accept its request.
        """
        if time.monotonic() < acceptable_s or not self._account.venue.connected():
            return False
        return await self._in_no_list(order)

    async def _in_no_list(self, order: JournalOrder) -> bool:
        venue, turns = self._account.venue, self._account.turns
        async with turns.read():
            orders = await venue.open_orders()
        async with turns.read():
            orders += await venue.past_orders(order.symbol)
        async with turns.read(call=EVERY_PLAN):
            plans = await venue.plans()
        async with turns.read():
            trades = await venue.trades(order.symbol, since_ns=self._account.read_from_ns(order.symbol))
        for found in orders:
            if found.client_id == order.client_id:
                await self._adopt(found)
                return False
        known = self._account.journal.has_trade
        ours = [t for t in trades if t.client_id == order.client_id or (t.order_id and t.order_id == order.order_id)]
        fills = [trade for trade in ours if not known(trade.trade_id)]
        if fills:
            self.on_trades(fills)
        return not fills and all(plan.client_id != order.client_id for plan in plans)

    async def _adopt(self, found: VenueOrder) -> None:
        """Take an order that was found, with its executions."""
        _log.info("order.found", client_id=found.client_id, order_id=found.order_id, status=found.status.value)
        self._account.learn(found)
        if found.filled:
            since_ns = self._account.read_from_ns(found.symbol)
            async with self._account.turns.read():
                trades = await self._account.venue.trades(found.symbol, since_ns=since_ns)
            self.on_trades(trades)

    def _conclude(self, client_id: str) -> None:
        """End an order that the venue knows in no list: by its fills, else as cancelled or as never placed."""
        account, booked = self._account, self._account.journal.booked(client_id)
        order = account.journal.order(client_id)
        if order is None:
            return
        words = "not placed: the venue knows it in no list, and its request can no longer be accepted"
        state = OrderState.REJECTED
        if booked or order.state is OrderState.WORKING:
            words = "gone: the venue had it and knows it in no list any more"
            state = OrderState.FILLED if booked >= order.size else OrderState.CANCELED
        proven = account.step(client_id, state, code=ABSENT, reason=words, filled=booked)
        _log.warning("order.proven_absent", client_id=client_id, state=state.value, filled=str(booked))
        if proven is not None and state is OrderState.REJECTED:
            self.on_absent(proven)

    def _alarm(self, order: JournalOrder) -> None:
        if self._open(order.client_id) is None:
            return
        age_s = (self._account.clock() - order.created_ns) / SECOND_NS
        if age_s > self._account.settings.gateway.unresolved_halt_s:
            self._account.halt_entries(f"order {order.client_id} has no proven outcome for {age_s:.0f} s")
