"""The decision engine: strategy, interceptors, sizing, barriers, fill rules and the bot's own book.

Pure: no clock, no I/O, no randomness. Called by the runner once a bar and by the back-test over history.
"""

from omega.engine.account import AccountBook, OpenPosition
from omega.engine.bars import F64, I8, I16, I64, Bars, BarWindow, Flags
from omega.engine.decision import (
    Context,
    Interceptor,
    Settings,
    Sizing,
    amend,
    identity,
    run_stages,
    shrink_only,
    size_entry,
)
from omega.engine.kernel import KERNEL, kernel
from omega.engine.portfolio import Book, Portfolio
from omega.engine.signals import FLAT, LONG, SHARES, SHORT, Row, Signals
from omega.engine.step import decide

__all__ = [
    "F64",
    "FLAT",
    "I8",
    "I16",
    "I64",
    "KERNEL",
    "LONG",
    "SHARES",
    "SHORT",
    "AccountBook",
    "BarWindow",
    "Bars",
    "Book",
    "Context",
    "Flags",
    "Interceptor",
    "OpenPosition",
    "Portfolio",
    "Row",
    "Settings",
    "Signals",
    "Sizing",
    "amend",
    "decide",
    "identity",
    "kernel",
    "run_stages",
    "shrink_only",
    "size_entry",
]
