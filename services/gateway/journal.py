"""The gateway's memory: every intent before its send, every step, every fill, every event until the bus has it.

Everything that one batch changes is one transaction of the file beneath, hence one fsync.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

from pydantic import TypeAdapter

from omega.bus.messages import Message
from omega.domain import TERMINAL, Fill, Intent, OrderState, may_step
from omega.errors import Fenced, InvariantBroken
from services.gateway.journal_file import JournalFile
from services.gateway.rows import (
    Guard,
    JournalOrder,
    JournalPlan,
    Pending,
    dump,
    guard_of,
    load,
    order_of,
    order_values,
    plan_of,
)

_FILL: Final = TypeAdapter(Fill)
_LIVE_STATES: Final = tuple(state.value for state in OrderState if state not in TERMINAL)
_ORDER_MARKS: Final = ", ".join("?" for _ in fields(JournalOrder))
_KNOWN_ORDER: Final = "SELECT 1 FROM orders WHERE intent_id = ? OR client_id = ?"
_REPLACE_ORDER: Final = f"INSERT OR REPLACE INTO orders VALUES ({_ORDER_MARKS})"  # noqa: S608 - marks only


class Watcher(Protocol):
    """Who follows the orders in memory, and must forget what the disk refuses."""

    def begin(self) -> None:
        """A transaction begins."""
        ...

    def note(self, order: JournalOrder) -> None:
        """An order was written."""
        ...

    def commit(self) -> None:
        """What was noted is on the disk."""
        ...

    def roll_back(self) -> None:
        """Nothing of it remains."""
        ...


class Journal(JournalFile):
    """The journal of one account. Open it, then call; every change happens inside `transaction`."""

    def __init__(self, path: str | Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(path, clock=clock)
        self._staged: dict[str, JournalOrder | None] = {}
        self._live: dict[str, JournalOrder] = {}
        self._guards: dict[str, list[Guard]] = {}
        self._epochs: dict[str, int] = {}
        self._epochs_before: dict[str, int] = {}
        self._watchers: tuple[Watcher, ...] = ()
        self._emitted = self._emitted_before = self._lasting = 0

    def watch(self, *watchers: Watcher) -> None:
        """Let these hear of every order that is written, and of what becomes of the transaction."""
        self._watchers = watchers

    def open(self) -> None:
        """Open or create the file, take its lock, and remember what is live.

        Raises:
            EnvironmentFault: the path cannot be written, or another process holds the journal.
            CorruptData: the file is a journal of another version.
            DamagedStore: it is no sound journal.
        """
        super().open()
        rows = self._each(f"SELECT * FROM orders WHERE state IN ({_marks(_LIVE_STATES)})", *_LIVE_STATES)  # noqa: S608 - marks only
        self._live = {row["client_id"]: order_of(row) for row in rows}
        self._epochs = {row["bot"]: row["epoch"] for row in self._each("SELECT * FROM epochs")}
        self._emitted = self._lasting = next(self._each("SELECT coalesce(max(seq), 0) FROM outbox"))[0]

    def _begun(self) -> None:
        self._emitted_before = self._emitted
        self._staged, self._epochs_before = {}, self._epochs.copy()
        for watcher in self._watchers:
            watcher.begin()

    def _done(self) -> None:
        for client_id, order in self._staged.items():
            if order is None:
                self._live.pop(client_id, None)
            else:
                self._live[client_id] = order
        for watcher in self._watchers:
            watcher.commit()

    def _undone(self) -> None:
        self._epochs, self._emitted = self._epochs_before, self._emitted_before
        for watcher in self._watchers:
            watcher.roll_back()

    # orders ---------------------------------------------------------------------------------------------------------

    def admit(self, order: JournalOrder) -> bool:
        """Write a new order in the state that it was judged into; False when its intent is known already.

        Raises:
            Fenced: a newer epoch of its bot has written before.
        """
        with self.transaction():
            if self._fetch(_KNOWN_ORDER, order.intent_id, order.client_id) is not None:
                return False
            self.fence(order.bot, order.epoch)
            self._write(order)
        return True

    def fence(self, bot: str, epoch: int) -> None:
        """Refuse an epoch older than the newest seen for this bot, and remember a newer one; 0 is no lease.

        Raises:
            Fenced: it is older.
        """
        newest = self.epoch(bot)
        if epoch < newest:
            raise Fenced(f"{bot}: epoch {epoch} is older than {newest}; its sender has lost the lease and must stop")
        if epoch > newest:
            with self.transaction():
                self._run("INSERT OR REPLACE INTO epochs VALUES (?, ?)", (bot, epoch))
                self._epochs[bot] = epoch

    def step(
        self,
        client_id: str,
        state: OrderState,
        *,
        order_id: str = "",
        filled: Decimal | None = None,
        code: str = "",
        reason: str = "",
        latency_ns: int = 0,
    ) -> JournalOrder:
        """Move an order to a state and return it; staying in the state only updates what is known.

        Raises:
            InvariantBroken: the step is not legal, or the order is unknown.
        """
        old = self.order(client_id)
        if old is None:
            raise InvariantBroken(
                f"{client_id} is not in the journal and cannot become {state}; recover from the venue"
            )
        if state is not old.state and not may_step(old.state, state):
            raise InvariantBroken(f"{client_id} may not go from {old.state} to {state}; recover from the venue")
        new = replace(
            old,
            state=state,
            order_id=order_id or old.order_id,
            filled=old.filled if filled is None else max(old.filled, filled),
            code=code or old.code,
            reason=reason or old.reason,
            latency_ns=latency_ns or old.latency_ns,
        )
        if new != old:
            with self.transaction():
                self._write(new)
        return new

    def order(self, client_id: str) -> JournalOrder | None:
        """Return the order of a client id."""
        if client_id in self._staged and self._depth:
            staged = self._staged[client_id]
            if staged is not None:
                return staged
        elif client_id in self._live:
            return self._live[client_id]
        return self._one("SELECT * FROM orders WHERE client_id = ?", client_id)

    def by_intent(self, intent_id: str) -> JournalOrder | None:
        """Return the order of an intent."""
        return self._one("SELECT * FROM orders WHERE intent_id = ?", intent_id)

    def by_order_id(self, order_id: str) -> JournalOrder | None:
        """Return the order of a venue's order id."""
        return self._one("SELECT * FROM orders WHERE order_id = ?", order_id) if order_id else None

    def live(self) -> list[JournalOrder]:
        """Return every order that has not ended, oldest first."""
        merged = dict(self._live)
        if self._depth:
            for client_id, order in self._staged.items():
                merged.pop(client_id, None)
                if order is not None:
                    merged[client_id] = order
        return sorted(merged.values(), key=lambda order: order.created_ns)

    def in_state(self, *states: OrderState) -> list[JournalOrder]:
        """Return the live orders in these states, oldest first."""
        return [order for order in self.live() if order.state in states]

    def epoch(self, bot: str) -> int:
        """Return the newest epoch that this bot has written with."""
        return self._epochs.get(bot, 0)

    def counts(self) -> dict[str, int]:
        """Return how many orders are in each state."""
        rows = self._each("SELECT state, count(*) AS n FROM orders GROUP BY state")
        return {row["state"]: row["n"] for row in rows}

    # protection -----------------------------------------------------------------------------------------------------

    def put_guard(self, guard: Guard) -> None:
        """Keep what shall protect one leg of a bot's position; a leg of size zero is forgotten."""
        self._guards.pop(guard.symbol, None)
        with self.transaction():
            if not guard.size:
                self._run(
                    "DELETE FROM guards WHERE bot = ? AND symbol = ? AND leg = ?", (guard.bot, guard.symbol, guard.leg)
                )
                return
            self._run(
                "INSERT INTO guards (bot, symbol, leg, side, size, stop, target) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (bot, symbol, leg) DO UPDATE SET size = excluded.size",
                (
                    guard.bot,
                    guard.symbol,
                    guard.leg,
                    guard.side,
                    str(guard.size),
                    _text(guard.stop),
                    _text(guard.target),
                ),
            )

    def guards(self, symbol: str, bot: str = "") -> list[Guard]:
        """Return the legs of one symbol, of one bot or of all, oldest first."""
        known = self._guards.get(symbol)
        if known is None:
            rows = self._each("SELECT * FROM guards WHERE symbol = ? ORDER BY seq", symbol)
            known = [guard_of(row) for row in rows]
            if not self._depth:  # what a transaction has written may still be rolled back
                self._guards[symbol] = known
        return [guard for guard in known if bot in {"", guard.bot}]

    def tighten(self, intent: Intent, *, epoch: int, outcome: str) -> bool:
        """Keep an intent to move a stop and, without an outcome that refuses it, the nearer stops of its legs.

        Returns:
            Whether any leg's stop has moved: it only ever tightens.
        """
        stop = intent.stop or Decimal(0)
        moved = []
        if not outcome:
            legs = [leg for leg in self.guards(intent.symbol, intent.bot) if leg.side * intent.side.sign < 0]
            moved = [leg for leg in legs if leg.stop is None or (stop - leg.stop) * leg.side > 0]
        self._guards.pop(intent.symbol, None)
        with self.transaction():
            self._run(
                "INSERT OR IGNORE INTO stop_moves (intent_id, bot, symbol, stop, epoch, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    intent.intent_id,
                    intent.bot,
                    intent.symbol,
                    str(stop),
                    epoch,
                    outcome or ("moved" if moved else "far"),
                ),
            )
            for leg in moved:
                self._run(
                    "UPDATE guards SET stop = ? WHERE bot = ? AND symbol = ? AND leg = ?",
                    (str(stop), leg.bot, leg.symbol, leg.leg),
                )
        return bool(moved)

    def stop_move(self, intent_id: str) -> str:
        """Return what came of an intent to move a stop: moved, far (it lies no nearer), or a rule; empty when new."""
        row = self._fetch("SELECT outcome FROM stop_moves WHERE intent_id = ?", intent_id)
        return str(row["outcome"]) if row else ""

    def next_generation(self, bot: str, symbol: str) -> int:
        """Count up the stops that were placed for a bot in a symbol, and return the new number."""
        key = f"generation:{bot}:{symbol}"
        number = int(self.get(key, "0")) + 1
        self.put(key, str(number))
        return number

    def put_plan(self, plan: JournalPlan) -> None:
        """Keep which bot a trigger order belongs to."""
        with self.transaction():
            self._run(
                "INSERT OR REPLACE INTO plans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    plan.client_id,
                    plan.order_id,
                    plan.bot,
                    plan.symbol,
                    plan.kind,
                    str(plan.size),
                    str(plan.trigger),
                    int(plan.live),
                    plan.leg,
                ),
            )

    def plan(self, client_id: str, order_id: str = "") -> JournalPlan | None:
        """Return a trigger order by either id."""
        row = self._fetch("SELECT * FROM plans WHERE client_id = ?", client_id) if client_id else None
        if row is None and order_id:
            row = self._fetch("SELECT * FROM plans WHERE order_id = ?", order_id)
        return plan_of(row) if row else None

    def live_plans(self) -> list[JournalPlan]:
        """Return the trigger orders that are believed to rest at the venue."""
        return [plan_of(row) for row in self._each("SELECT * FROM plans WHERE live = 1")]

    # fills and funding ----------------------------------------------------------------------------------------------

    def add_fill(self, fill: Fill) -> bool:
        """Keep a fill; False when its trade id is known."""
        with self.transaction():
            cursor = self._run(
                "INSERT OR IGNORE INTO fills (trade_id, bot, symbol, client_id, ts_ns, body) VALUES (?, ?, ?, ?, ?, ?)",
                (fill.trade_id, fill.bot, fill.symbol, fill.client_id, fill.ts_ns, _FILL.dump_json(fill).decode()),
            )
        return cursor.rowcount == 1

    def has_trade(self, trade_id: str) -> bool:
        """Tell whether a trade is known, whole or shared out to several books."""
        # A part is spelt ID/BOT, and "0" follows "/": a range, because no index serves LIKE.
        found = self._fetch(
            "SELECT 1 FROM fills WHERE trade_id = ? OR (trade_id > ? AND trade_id < ?) LIMIT 1",
            trade_id, f"{trade_id}/", f"{trade_id}0",
        )  # fmt: skip
        return found is not None

    def booked(self, client_id: str) -> Decimal:
        """Return how much of an order is in the books."""
        rows = self._each("SELECT body FROM fills WHERE client_id = ?", client_id)
        return sum((_FILL.validate_json(row["body"]).size for row in rows), Decimal(0))

    def fills(self) -> Iterator[tuple[int, Fill]]:
        """Iterate over all fills with their sequence, in the order they were kept."""
        for row in self._each("SELECT seq, body FROM fills ORDER BY seq"):
            yield row["seq"], _FILL.validate_json(row["body"])

    def last_fill_ns(self, symbol: str) -> int:
        """Return the venue time of the newest fill of a symbol, 0 without one."""
        row = self._fetch("SELECT max(ts_ns) AS ts FROM fills WHERE symbol = ?", symbol)
        return int(row["ts"] or 0) if row else 0

    def add_funding(self, funding_id: str, bot: str, symbol: str, amount: Decimal, ts_ns: int) -> bool:
        """Keep a bot's share of a funding payment; False when it is known."""
        with self.transaction():
            cursor = self._run(
                "INSERT OR IGNORE INTO funding VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(seq), 0) FROM fills))",
                (funding_id, bot, symbol, str(amount), ts_ns),
            )
        return cursor.rowcount == 1

    def has_funding(self, funding_id: str) -> bool:
        """Tell whether a funding payment has been shared out."""
        return self._fetch("SELECT 1 FROM funding WHERE funding_id = ? LIMIT 1", funding_id) is not None

    def funding(self) -> Iterator[tuple[int, str, str, Decimal]]:
        """Iterate over (sequence of the fill before it, bot, symbol, amount)."""
        for row in self._each("SELECT * FROM funding ORDER BY fill_seq, ts_ns"):
            yield row["fill_seq"], row["bot"], row["symbol"], Decimal(row["amount"])

    # events ---------------------------------------------------------------------------------------------------------

    def emit(self, message_id: str, message: Message, *, corr: str = "") -> None:
        """Put an event into the outbox; a message id that is known is not written again."""
        name, body = dump(message)
        with self.transaction():
            cursor = self._run(
                "INSERT OR IGNORE INTO outbox (message_id, type, body, corr) VALUES (?, ?, ?, ?)",
                (message_id, name, body, corr),
            )
            if cursor.rowcount == 1 and cursor.lastrowid:
                self._emitted = cursor.lastrowid

    def mark(self) -> int:
        """Return the sequence number of the newest event."""
        return self._emitted

    def lasting(self, mark: int) -> None:
        """Note that everything up to an event is on the disk, so that it may leave."""
        self._lasting = max(self._lasting, mark)
        super().lasting(mark)

    @property
    def synced(self) -> bool:
        """Tell whether every event is on the disk."""
        return self._emitted <= self._lasting

    def pending(self, *, after: int = 0, limit: int = 200) -> list[Pending]:
        """Return the oldest events behind a sequence number that are on the disk and not on the bus, in order."""
        rows = self._each(
            "SELECT * FROM outbox WHERE sent = 0 AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            after, self._lasting, limit,
        )  # fmt: skip
        return [Pending(row["seq"], row["message_id"], load(row["type"], row["body"]), row["corr"]) for row in rows]

    def mark_sent(self, upto: int) -> None:
        """Note that the bus has every event up to this sequence number."""
        with self.transaction():
            self._run("UPDATE outbox SET sent = 1 WHERE sent = 0 AND seq <= ?", (upto,))

    def mark_unsent(self, newest: int) -> int:
        """Let so many of the newest events wait again; return how many of them had been sent."""
        with self.transaction():
            cursor = self._run(
                "UPDATE outbox SET sent = 0 WHERE sent = 1 AND seq > (SELECT coalesce(max(seq), 0) FROM outbox) - ?",
                (newest,),
            )
        return cursor.rowcount

    def prune(self, *, keep: int = 10_000) -> None:
        """Forget sent events and moves of stops beyond the newest `keep`."""
        with self.transaction():
            self._run(
                "DELETE FROM outbox WHERE sent = 1 AND seq < (SELECT coalesce(max(seq), 0) FROM outbox) - ?", (keep,)
            )
            self._run("DELETE FROM stop_moves WHERE seq < (SELECT coalesce(max(seq), 0) FROM stop_moves) - ?", (keep,))

    # commands of people ---------------------------------------------------------------------------------------------

    def command_stage(self, command_id: str) -> str:
        """Return how far a command has come, empty when it is new."""
        row = self._fetch("SELECT stage FROM commands WHERE command_id = ?", command_id)
        return str(row["stage"]) if row else ""

    def put_command(self, command_id: str, stage: str, detail: str) -> None:
        """Keep how far a command has come."""
        with self.transaction():
            self._run("INSERT OR REPLACE INTO commands VALUES (?, ?, ?)", (command_id, stage, detail))

    def use_nonce(self, nonce: str) -> bool:
        """Use a nonce once; False when it was used before."""
        with self.transaction():
            return self._run("INSERT OR IGNORE INTO nonces VALUES (?, ?)", (nonce, self._clock())).rowcount == 1

    # rows -----------------------------------------------------------------------------------------------------------

    def _write(self, order: JournalOrder) -> None:
        self._run(_REPLACE_ORDER, order_values(order))
        self._staged[order.client_id] = None if order.state in TERMINAL else order
        for watcher in self._watchers:
            watcher.note(order)

    def _one(self, sql: str, key: str) -> JournalOrder | None:
        row = self._fetch(sql, key)
        return order_of(row) if row else None


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
