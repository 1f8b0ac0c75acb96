"""The invariants, judged on what a run has left. Pure: every finding follows from the rows of a `Truth`.

The venue is the judge. Its ids grow with every order and trade, so they give the causal order without any clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

from omega.chaos.config import NAKED_S, UNRESOLVED_S
from omega.chaos.truth import Row, Truth, signed, venue_symbol

ZERO: Final = Decimal(0)
_FLUSH_NS: Final = 20_000_000_000
"""An intent that was on the bus for so long before it was flushed had been consumed."""
_DRIFT: Final = Decimal("1.05")
"""Prices move between the gate and the fill, and while a position is open; a limit is broken beyond that."""
_OPEN: Final = frozenset({"intent", "sending", "unresolved"})
_STATES: Final = {"live": "working", "partially_filled": "working", "filled": "filled", "canceled": "canceled"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant. `ts` is the venue's time where there is one, else 0. Units: ms."""

    invariant: str
    evidence: str
    ts: int = 0

    def row(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def verify(truth: Truth) -> list[Violation]:
    """Return everything that is broken, in the order of the checks."""
    checks = (_intents, _orders, _fills, _books, _stops, _limits, _fence, _ledger, _runners, _bounds, _audit)
    return [found for check in checks for found in check(truth)]


def voided(truth: Truth) -> list[str]:
    """Return the intents that the bus lost with all its memory before the gateway had read them: no order, no harm."""
    known = _known(truth)
    return sorted(name for name, at_ms in truth.intents.items() if name not in known and _flushed(truth, at_ms))


def _known(truth: Truth) -> set[str]:
    return {_intent(row) for row in truth.orders}


def _intent(row: Row) -> str:
    return str(row["intent_id"]).split("#", 1)[0]


def _flushed(truth: Truth, at_ms: int) -> bool:
    at_ns = at_ms * 1_000_000
    return any(at_ns - 1_000_000_000 <= flush <= at_ns + _FLUSH_NS for flush in truth.flushed)


def _intents(truth: Truth) -> Iterator[Violation]:
    """Every intent has exactly one outcome."""
    known = _known(truth)
    for name, at_ms in truth.intents.items():
        if name not in known and not _flushed(truth, at_ms):
            yield Violation("intent_lost", f"{name} was on the bus and is not in the journal")
    for row in truth.orders:
        if row["state"] in _OPEN:
            yield Violation("intent_unfinished", f"{row['intent_id']} is {row['state']}: {row['reason']}")


def _orders(truth: Truth) -> Iterator[Violation]:
    """At most one venue order an intent, and journal and venue agree about each."""
    journal = {row["client_id"]: row for row in truth.orders}
    seen: dict[str, str] = {}
    for order in truth.api_orders:
        ours = journal.get(order["clientOid"])
        if ours is None:
            yield _of(order, "order_unknown", "the venue has it, the journal does not know it")
            continue
        name = _intent(ours)
        if name in seen:
            yield _of(order, "order_doubled", f"{name} is order {seen[name]} already")
        seen[name] = order["orderId"]
        if ours["state"] in {"rejected", "denied"}:
            yield _of(order, "order_lost", f"the journal says {ours['state']} ({ours['code']}), the venue has it")
        elif ours["state"] != _STATES[order["status"]] or Decimal(ours["filled"]) != Decimal(order["baseVolume"]):
            yield _of(order, "order_differs", f"the journal says {ours['state']}, {ours['filled']} filled")
    at_venue = {order["clientOid"] for order in truth.api_orders}
    for row in truth.orders:
        if row["state"] in {"working", "filled", "canceled"} and row["client_id"] not in at_venue:
            yield Violation("order_invented", f"{row['intent_id']} is {row['state']}, the venue has no such order")


def _of(order: Row, invariant: str, words: str) -> Violation:
    names = ("orderId", "clientOid", "symbol", "side", "status", "baseVolume")
    told = " ".join(str(order[name]) for name in names)
    return Violation(invariant, f"order {told}: {words}", int(order["cTime"]))


def _fills(truth: Truth) -> Iterator[Violation]:
    """Every trade of the venue is booked once, on a bot, with its whole size."""
    booked: dict[str, Decimal] = {}
    for fill in truth.fills:
        name = str(fill["trade_id"]).split("/", 1)[0]
        booked[name] = booked.get(name, ZERO) + Decimal(fill["size"])
        if fill["bot"] == "external":
            yield Violation(
                "fill_unowned", f"trade {name} of {fill['symbol']} is booked on nobody: {fill['client_id']}"
            )
    for trade in truth.venue["trades"]:
        size = booked.pop(trade["tradeId"], None)
        if size is None:
            yield Violation("fill_lost", f"trade {trade['tradeId']} {trade['symbol']} {trade['clientOid']}", _ts(trade))
        elif size != Decimal(trade["baseVolume"]):
            words = f"trade {trade['tradeId']} is {trade['baseVolume']}, booked {size}"
            yield Violation("fill_differs", words, _ts(trade))
    for name, size in booked.items():
        yield Violation("fill_invented", f"trade {name} of {size} is booked, the venue has none")


def _ts(row: Row) -> int:
    return int(row["cTime"])


def _positions(truth: Truth) -> dict[str, Decimal]:
    account = next(iter(truth.venue["accounts"].values()))
    found: dict[str, Decimal] = {}
    for row in account["positions"]:
        side = 1 if row["holdSide"] == "long" else -1
        found[row["symbol"]] = found.get(row["symbol"], ZERO) + Decimal(row["total"]) * side
    return found


def _books(truth: Truth) -> Iterator[Violation]:
    """The sum of the books is the venue's position."""
    sums: dict[str, Decimal] = {}
    for (_, symbol), size in truth.books().items():
        sums[venue_symbol(symbol)] = sums.get(venue_symbol(symbol), ZERO) + size
    positions = _positions(truth)
    for symbol in sorted(sums.keys() | positions.keys()):
        if sums.get(symbol, ZERO) != positions.get(symbol, ZERO):
            yield Violation(
                "books_differ", f"{symbol}: books {sums.get(symbol, ZERO)}, venue {positions.get(symbol, ZERO)}"
            )


def _stops(truth: Truth) -> Iterator[Violation]:
    """Every position is covered by reduce-only stops of its size, and by no more."""
    for symbol, size in _positions(truth).items():
        side = "sell" if size > 0 else "buy"
        stops = [
            Decimal(plan["size"])
            for plan in truth.venue["plans"]
            if plan["symbol"] == symbol
            and plan["planStatus"] == "live"
            and plan["planType"] in {"loss_plan", "pos_loss"}
            and plan["side"] == side
        ]
        have = sum(stops, ZERO)
        if have != abs(size):
            name = "stop_missing" if have < abs(size) else "stop_doubled"
            yield Violation(name, f"{symbol}: {size} held, {have} stopped by {len(stops)} stops")


def _limits(truth: Truth) -> Iterator[Violation]:
    """Walk the venue's orders and trades by id: no entry is accepted beyond the account's limit."""
    if not truth.max_notional:
        return
    journal = {row["client_id"]: row for row in truth.orders}
    owner = {str(fill["trade_id"]).split("/", 1)[0]: fill["bot"] for fill in truth.fills}
    steps = [(int(row["orderId"]), row, True) for row in truth.api_orders]
    steps += [(int(row["tradeId"]), row, False) for row in truth.venue["trades"]]
    walk = _Walk()
    for _, row, is_order in sorted(steps, key=lambda step: step[0]):
        ours = journal.get(row["clientOid"])
        if not is_order:
            walk.trade(row, owner.get(row["tradeId"], "nobody"))
        elif ours is not None and ours["role"] == "entry":
            total = walk.entry(row, ours)
            if total > truth.max_notional * _DRIFT:
                words = f"with {ours['intent_id']} the account stands at {total:.2f} of {truth.max_notional}"
                yield Violation("limit_broken", words, int(row["cTime"]))


class _Walk:
    """Books and entries under way as the venue saw them, one event after the other."""

    def __init__(self) -> None:
        self._books: dict[tuple[str, str], Decimal] = {}
        self._waiting: dict[str, tuple[str, Decimal]] = {}
        self._prices: dict[str, Decimal] = {}

    def entry(self, row: Row, ours: Row) -> Decimal:
        """Take an accepted entry; return the account's gross notional with it."""
        symbol = row["symbol"]
        self._prices[symbol] = Decimal(ours["ref_price"])
        if row["status"] != "canceled":
            self._waiting[row["orderId"]] = (symbol, Decimal(ours["size"]))
        held = sum((abs(size) * self._prices.get(s, ZERO) for (_, s), size in self._books.items()), ZERO)
        return held + sum((size * self._prices.get(s, ZERO) for s, size in self._waiting.values()), ZERO)

    def trade(self, row: Row, bot: str) -> None:
        """Book a trade; what it fills no longer waits."""
        symbol, size = row["symbol"], Decimal(row["baseVolume"])
        self._prices[symbol] = Decimal(row["price"])
        key = bot, symbol
        self._books[key] = self._books.get(key, ZERO) + signed({"size": row["baseVolume"], "side": row["side"]})
        if row["orderId"] in self._waiting:
            left = self._waiting.pop(row["orderId"])[1] - size
            if left > 0:
                self._waiting[row["orderId"]] = (symbol, left)


def _fence(truth: Truth) -> Iterator[Violation]:
    """No writer is obeyed after a newer one of the same bot."""
    newest: dict[str, int] = {}
    for row in truth.orders:
        if row["state"] == "denied":
            continue
        if row["epoch"] < newest.get(row["bot"], 0):
            words = f"{row['intent_id']} of epoch {row['epoch']} was carried out after epoch {newest[row['bot']]}"
            yield Violation("fence_broken", words)
        newest[row["bot"]] = max(newest.get(row["bot"], 0), row["epoch"])


def _ledger(truth: Truth) -> Iterator[Violation]:
    """The ledger holds every fill and the last state of every order, and its books are the journal's."""
    fills = {(str(fill["trade_id"]), str(fill["bot"])) for fill in truth.fills}
    for trade_id, bot in sorted(fills - truth.kept_fills):
        yield Violation("ledger_lacks_fill", f"trade {trade_id} of {bot}")
    for trade_id, bot in sorted(truth.kept_fills - fills):
        yield Violation("ledger_invents_fill", f"trade {trade_id} of {bot}")
    for row in truth.orders:
        kept = truth.kept_orders.get(row["client_id"])
        if kept != row["state"]:
            yield Violation("ledger_order_differs", f"{row['intent_id']} is {row['state']}, the ledger says {kept}")
    books = truth.books()
    for key in sorted(books.keys() | truth.kept_positions.keys()):
        if books.get(key, ZERO) != truth.kept_positions.get(key, ZERO):
            yield Violation(
                "ledger_book_differs",
                f"{key[0]} {key[1]}: journal {books.get(key, ZERO)}, ledger {truth.kept_positions.get(key, ZERO)}",
            )


def _runners(truth: Truth) -> Iterator[Violation]:
    """Every runner knows its own position."""
    books = truth.books()
    for (bot, symbol), size in truth.statuses.items():
        if books.get((bot, symbol), ZERO) != size:
            yield Violation("runner_book_differs", f"{bot}: journal {books.get((bot, symbol), ZERO)}, runner {size}")


def _bounds(truth: Truth) -> Iterator[Violation]:
    if truth.naked_s > NAKED_S:
        yield Violation(
            "naked_too_long", f"a position was without its stop for {truth.naked_s:.1f} s, {NAKED_S:g} allowed"
        )
    longest = max(truth.unresolved_s(), default=0.0)
    if longest > UNRESOLVED_S:
        yield Violation("unresolved_too_long", f"an order was in doubt for {longest:.1f} s, {UNRESOLVED_S:g} allowed")


def _audit(truth: Truth) -> Iterator[Violation]:
    for words in truth.audit:
        yield Violation("audit_broken", words)
