"""The gateway's memory: every intent before its send, every step, every fill, every event until the bus has it.

SQLite in WAL mode with full synchronisation; one process, one connection, called straight from the event loop (one
commit costs about a quarter of a millisecond). Everything that one batch changes is one transaction, hence one fsync.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from omega.bus.messages import Message
from omega.domain import TERMINAL, Fill, OrderState, may_step
from omega.errors import CorruptData, EnvironmentFault, Fenced, InvariantBroken
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
from services.gateway.schema import TABLES, VERSION

_FILL: Final = TypeAdapter(Fill)
_LIVE_STATES: Final = tuple(state.value for state in OrderState if state not in TERMINAL)
_ORDER_MARKS: Final = ", ".join("?" for _ in fields(JournalOrder))
_KNOWN_ORDER: Final = "SELECT 1 FROM orders WHERE intent_id = ? OR client_id = ?"
_REPLACE_ORDER: Final = f"INSERT OR REPLACE INTO orders VALUES ({_ORDER_MARKS})"  # noqa: S608 - marks only
_CHECKPOINT_PAGES: Final = 4_000
"""Pages of the write-ahead log before a commit also tidies it up: 16 MB, so that an order seldom waits for that."""


class Journal:
    """The journal of one account. Open it, then call; every change happens inside `transaction`."""

    def __init__(self, path: str | Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = Path(path)
        self._clock = clock
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._depth = 0
        self._staged: dict[str, JournalOrder | None] = {}
        self._live: dict[str, JournalOrder] = {}
        self._guards: dict[str, list[Guard]] = {}
        self._epochs: dict[str, int] = {}
        self._on_commit: Callable[[], None] | None = None

    # life -----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or create the file and take its lock.

        Raises:
            EnvironmentFault: the path cannot be written, or another process holds the journal.
            CorruptData: the file is no journal of this version.
        """
        self._take_lock()
        try:
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            db.row_factory = sqlite3.Row
            self._db = db
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA busy_timeout=2000")
            db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            db.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            self.close()
            raise self._fault(error) from error
        self._check_version()
        rows = db.execute(f"SELECT * FROM orders WHERE state IN ({_marks(_LIVE_STATES)})", _LIVE_STATES)  # noqa: S608 - marks only
        self._live = {row["client_id"]: order_of(row) for row in rows}
        self._epochs = {row["bot"]: row["epoch"] for row in db.execute("SELECT * FROM epochs")}

    def close(self) -> None:
        """Close the file and give the lock back."""
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def on_commit(self, call: Callable[[], None]) -> None:
        """Call this after every commit: new events may wait in the outbox."""
        self._on_commit = call

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside one commit, one fsync; nested uses join the outer one.

        Raises:
            EnvironmentFault: the disk refuses; nothing of the transaction remains.
        """
        if self._depth:
            yield
            return
        db = self._connection()
        self._run("BEGIN IMMEDIATE")
        self._depth, self._staged, epochs = 1, {}, self._epochs.copy()
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            self._depth = 0
            if db.in_transaction:
                db.execute("ROLLBACK")
            self._epochs = epochs
            raise
        self._depth = 0
        for client_id, order in self._staged.items():
            if order is None:
                self._live.pop(client_id, None)
            else:
                self._live[client_id] = order
        if self._on_commit is not None:
            self._on_commit()

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
        rows = self._connection().execute("SELECT state, count(*) AS n FROM orders GROUP BY state")
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
            rows = self._connection().execute("SELECT * FROM guards WHERE symbol = ? ORDER BY seq", (symbol,))
            known = [guard_of(row) for row in rows]
            if not self._depth:  # what a transaction has written may still be rolled back
                self._guards[symbol] = known
        return [guard for guard in known if bot in {"", guard.bot}]

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
        return [plan_of(row) for row in self._connection().execute("SELECT * FROM plans WHERE live = 1")]

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
        found = self._fetch(
            "SELECT 1 FROM fills WHERE trade_id = ? OR trade_id LIKE ? LIMIT 1", trade_id, f"{trade_id}/%"
        )
        return found is not None

    def fills(self) -> Iterator[tuple[int, Fill]]:
        """Iterate over all fills with their sequence, in the order they were kept."""
        for row in self._connection().execute("SELECT seq, body FROM fills ORDER BY seq"):
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
        for row in self._connection().execute("SELECT * FROM funding ORDER BY fill_seq, ts_ns"):
            yield row["fill_seq"], row["bot"], row["symbol"], Decimal(row["amount"])

    # events ---------------------------------------------------------------------------------------------------------

    def emit(self, message_id: str, message: Message, *, corr: str = "") -> None:
        """Put an event into the outbox; a message id that is known is not written again."""
        name, body = dump(message)
        with self.transaction():
            self._run(
                "INSERT OR IGNORE INTO outbox (message_id, type, body, corr) VALUES (?, ?, ?, ?)",
                (message_id, name, body, corr),
            )

    def pending(self, *, after: int = 0, limit: int = 200) -> list[Pending]:
        """Return the oldest events behind a sequence number that the bus does not have, in order."""
        rows = self._connection().execute(
            "SELECT * FROM outbox WHERE sent = 0 AND seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        return [Pending(row["seq"], row["message_id"], load(row["type"], row["body"]), row["corr"]) for row in rows]

    def mark_sent(self, upto: int) -> None:
        """Note that the bus has every event up to this sequence number."""
        with self.transaction():
            self._run("UPDATE outbox SET sent = 1 WHERE sent = 0 AND seq <= ?", (upto,))

    def prune(self, *, keep: int = 10_000) -> None:
        """Forget sent events beyond the newest `keep`."""
        with self.transaction():
            self._run(
                "DELETE FROM outbox WHERE sent = 1 AND seq < (SELECT coalesce(max(seq), 0) FROM outbox) - ?", (keep,)
            )

    # small things ---------------------------------------------------------------------------------------------------

    def put(self, key: str, value: str) -> None:
        """Keep a small value."""
        with self.transaction():
            self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def get(self, key: str, default: str = "") -> str:
        """Return a small value."""
        row = self._fetch("SELECT value FROM meta WHERE key = ?", key)
        return str(row["value"]) if row else default

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

    # the file -------------------------------------------------------------------------------------------------------

    def _write(self, order: JournalOrder) -> None:
        self._run(_REPLACE_ORDER, order_values(order))
        self._staged[order.client_id] = None if order.state in TERMINAL else order

    def _one(self, sql: str, key: str) -> JournalOrder | None:
        row = self._fetch(sql, key)
        return order_of(row) if row else None

    def _fetch(self, sql: str, *values: object) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._connection().execute(sql, values).fetchone()
        return found

    def _run(self, sql: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        try:
            return self._connection().execute(sql, tuple(values))
        except sqlite3.OperationalError as error:
            raise self._fault(error) from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise InvariantBroken(f"the journal {self.path} is not open; open it before it is used")
        return self._db

    def _take_lock(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock or 0)
            self._lock = None
            raise EnvironmentFault(
                f"the journal {self.path} is held by another gateway; stop that one, or give this one its own journal"
            ) from None
        except OSError as error:
            raise EnvironmentFault(
                f"the journal {self.path} cannot be created ({error.strerror}); choose a writable gateway.journal"
            ) from error

    def _check_version(self) -> None:
        found = self.get("version")
        if not found:
            self.put("version", str(VERSION))
        elif found != str(VERSION):
            self.close()
            raise CorruptData(
                f"the journal {self.path} has version {found}, this gateway writes {VERSION}; do not mix them"
            )

    def _fault(self, error: sqlite3.Error) -> EnvironmentFault | CorruptData:
        if "full" in str(error) or "I/O" in str(error) or "readonly" in str(error) or "unable to open" in str(error):
            return EnvironmentFault(
                f"the journal {self.path} cannot be written ({error}); nothing was sent. Free space or make it writable"
            )
        return CorruptData(f"the journal {self.path} is damaged ({error}); keep the file and recover from the venue")


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
