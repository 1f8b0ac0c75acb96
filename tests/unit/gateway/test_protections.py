"""Entry locks: what brings each about, how long it stands, what a replay and a restart make of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from omega.domain import Fill, Position, Role, Side
from services.gateway.risk.protections import ProtectionBook

from .risk_desk import BTC, Notes, gate_of, settings

D = Decimal
MINUTE = 60_000_000_000


class Tape:
    """Round trips of one bot, told to a book of protections as the gateway tells fills."""

    def __init__(self, book: ProtectionBook, *, old: bool = False) -> None:
        self.book, self.old, self.position, self.number = book, old, Position(), 0

    def fill(self, minute: int, side: Side, price: int, role: Role, size: str = "1") -> None:
        self.number += 1
        fill = Fill(
            f"t{self.number}", "o", "c", "fib", "bitget", "main", BTC, side, D(price), D(size), D(0), "USDT", role,
            minute * MINUTE,
        )  # type: ignore[arg-type]  # fmt: skip
        before, self.position = self.position, self.position.apply(fill)
        self.book.filled(fill, before, self.position, old=self.old)

    def trip(self, minute: int, *, out: int, role: Role = Role.EXIT) -> None:
        """Buy at 100 and sell a minute later."""
        self.fill(minute - 1, Side.BUY, 100, Role.ENTRY)
        self.fill(minute, Side.SELL, out, role)


def book_of(**rules: Any) -> ProtectionBook:
    return ProtectionBook(settings(protections={"fib": rules}))


def locked(book: ProtectionBook, minute: int, *, bot: str = "fib", symbol: str = BTC) -> str:
    lock = book.lock_of(bot, symbol, minute * MINUTE)
    return lock.rule if lock is not None else ""


def test_protections_are_off_by_default() -> None:
    book = ProtectionBook(settings())
    Tape(book).trip(10, out=1, role=Role.STOP)

    assert locked(book, 10) == ""


def test_cooldown_begins_with_the_fill_that_closes_and_ends_after_its_bars() -> None:
    book = book_of(cooldown_bars=5)
    tape = Tape(book)
    tape.fill(9, Side.BUY, 100, Role.ENTRY)
    tape.fill(10, Side.SELL, 101, Role.TARGET, "0.4")
    assert locked(book, 10) == ""  # a part is closed, the trade goes on
    tape.fill(11, Side.SELL, 101, Role.TARGET, "0.6")

    assert [locked(book, minute) for minute in (11, 15, 16)] == ["cooldown", "cooldown", ""]
    assert locked(book, 11, bot="ema") == ""
    assert locked(book, 11, symbol="ETH-USDT.P") == ""


def test_stoploss_guard_counts_losing_stops_within_its_window() -> None:
    book = book_of(stoploss_guard={"trades": 2, "lookback_bars": 30, "stop_bars": 10})
    tape = Tape(book)
    tape.trip(10, out=95, role=Role.STOP)
    tape.trip(20, out=104, role=Role.STOP)  # a trailed stop that earned
    tape.trip(25, out=95)  # an exit of the strategy
    assert locked(book, 25) == ""
    tape.trip(39, out=95, role=Role.LIQUIDATION)

    assert [locked(book, minute) for minute in (39, 48, 49)] == ["stoploss_guard", "stoploss_guard", ""]
    tape.trip(60, out=95, role=Role.STOP)
    assert locked(book, 60) == "stoploss_guard"
    tape.trip(100, out=95, role=Role.STOP)
    assert locked(book, 100) == ""  # the one before is out of the window


def test_low_profit_sums_returns_on_the_entry() -> None:
    book = book_of(low_profit={"trades": 3, "required_pct": 1, "lookback_bars": 100, "stop_bars": 10})
    tape = Tape(book)
    tape.trip(10, out=98)
    tape.trip(20, out=101)
    assert locked(book, 20) == ""  # two trades are too few to judge
    tape.trip(30, out=101)
    assert locked(book, 30) == "low_profit"  # -2 + 1 + 1 = 0 %
    tape.trip(60, out=104)
    assert locked(book, 60) == ""


def test_max_drawdown_is_of_equity_with_open_profit_within_its_window() -> None:
    book = book_of(max_drawdown={"drawdown_pct": 10, "lookback_bars": 60, "stop_bars": 5})
    for minute, equity in ((0, 1000), (10, 1100), (20, 1000)):
        book.mark("fib", minute * MINUTE, D(equity))
    assert locked(book, 20) == ""
    book.mark("fib", 30 * MINUTE, D(980))

    assert [locked(book, minute) for minute in (30, 34, 35)] == ["max_drawdown", "max_drawdown", ""]
    for minute, equity in ((100, 1100), (170, 1000), (171, 900)):
        book.mark("fib", minute * MINUTE, D(equity))
    assert locked(book, 171) == "max_drawdown"  # 10 % below the 1000 of the window; the 1100 is out of it


def test_locks_survive_a_restart_and_old_fills_lock_nothing_again() -> None:
    notes, rules = Notes(), {"protections": {"*": {"cooldown_bars": 5}}}
    gate = gate_of(**rules)
    gate.load(notes)
    Tape(gate.protections).trip(10, out=95)

    again = gate_of(**rules)
    Tape(again.protections, old=True).trip(10, out=95)
    assert again.lock_of("fib", BTC, 11 * MINUTE) is None
    again.load(notes)
    found = again.lock_of("fib", BTC, 11 * MINUTE)
    assert found is not None
    assert (found.rule, found.until_ns) == ("cooldown", 15 * MINUTE)
    assert again.protections.active(15 * MINUTE) == []


def test_stoploss_guard_after_a_restart_knows_the_stops_before_it() -> None:
    rules = {"stoploss_guard": {"trades": 2, "lookback_bars": 30, "stop_bars": 10}}
    book = book_of(**rules)
    Tape(book, old=True).trip(10, out=95, role=Role.STOP)
    tape = Tape(book)
    tape.number = 10
    tape.trip(20, out=95, role=Role.STOP)

    assert locked(book, 20) == "stoploss_guard"


def test_memory_holds_what_a_rule_can_still_see_and_little_more() -> None:
    """A day of trades is forgotten as it leaves the window; the rule sees all that is in it."""
    book = book_of(stoploss_guard={"lookback_bars": 100, "trades": 40, "stop_bars": 5})
    tape = Tape(book)
    for minute in range(2, 1_440, 2):
        tape.trip(minute, out=101)
    assert len(book._trips["fib", BTC]) == 50

    for minute in range(1_440, 1_520, 2):
        assert locked(book, minute) == ""
        tape.trip(minute, out=99, role=Role.STOP)
    assert locked(book, 1_519) == "stoploss_guard"
