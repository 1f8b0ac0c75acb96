"""The live table on a console of fixed width, word for word; the golden file is rewritten with OMEGA_GOLDEN=write."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from omega.bus import AccountStatus, BookLine, BotStatus, DecisionMade, MemoryBus, MindStatus
from omega.cli.farm.observer import Observer
from omega.cli.farm.processes import Child, Processes
from omega.cli.farm.table import plain, render
from omega.domain import Decision, Mode, Position, from_iso
from omega.engine.step import HOLD, WAIT

GOLDEN = Path(__file__).with_name("table.txt")
WIDTHS = (80, 120, 160)
"""A terminal as it opens, a wide one, half a large screen."""
ZERO = Decimal(0)


def decision(bar: str, price: float, side: int, reason: str) -> Decision:
    return Decision(
        bar_ts_ns=from_iso(bar),
        price=price,
        side=side,
        exit=False,
        size=0.0,
        stop=0.0,
        targets=(),
        leverage=1,
        confidence=0.5,
        reason=reason,
    )


def status(bot: str, strategy: str, symbol: str, mode: Mode) -> BotStatus:
    return BotStatus(
        bot=bot,
        strategy=strategy,
        mode=mode,
        venue="bitget",
        account="main",
        symbol=symbol,
        timeframe="1m",
        state="trading",
        read_only=False,
        bar_ts_ns=0,
        price=0.0,
        position=ZERO,
        entry=ZERO,
        realised=ZERO,
        unrealised=ZERO,
        fees=ZERO,
        equity=ZERO,
        decisions=0,
        intents=0,
        orders=0,
        fills=0,
        last_action="",
        reason="",
    )


def line(bot: str, size: str, stop_size: str) -> BookLine:
    return BookLine(
        bot=bot,
        symbol="BTC-USDT.P",
        size=Decimal(size),
        entry=Decimal(100_000),
        mark=Decimal(101_000),
        realised=ZERO,
        fees=ZERO,
        funding=ZERO,
        stop_size=Decimal(stop_size),
        stop_trigger=Decimal("98000.50"),
        naked_s=0.0,
    )


@pytest.fixture
def observer() -> Observer:
    """A bot that is long and guarded, one that is short and naked, one that only reads, one that waits for bars."""
    made = Observer(MemoryBus(), ("fib-btc", "ema-btc", "positions", "new"))
    made.statuses["fib-btc"] = status("fib-btc", "strategic_fibonacci", "BTC-USDT.P", Mode.PAPER)
    made.statuses["ema-btc"] = status("ema-btc", "ema_cross", "BTC-USDT.P", Mode.LIVE)
    for name, side, size in (("fib-btc", 1, "0.0123"), ("ema-btc", -1, "-0.02")):
        tally = made.bots[name]
        tally.books["BTC-USDT.P"] = Position(size=Decimal(size), entry=Decimal(100_000), fees=Decimal("0.74"))
        tally.marks["BTC-USDT.P"] = 101_000.0
        tally.fills, tally.decisions = 3, 1_234
        made.last[name] = DecisionMade(
            name,
            "x",
            Mode.PAPER,
            "BTC-USDT.P",
            "1m",
            decision("2025-05-20T14:30:00Z", 101_000.0, side, "bounce at 0.618"),
            (),
            Decimal(size),
        )
    made.statuses["positions"] = replace(
        status("positions", "position_analyzer", "BTC-USDT.P", Mode.PAPER), read_only=True
    )
    made.last["positions"] = replace(
        made.last["fib-btc"],
        decision=decision("2025-05-20T14:30:00Z", 101_000.0, 0, "report"),
        report={"positions": 2, "harmony": 0.5517, "trend": "sideways", "regime": "neutral", "risk_factor": 0.5},
    )
    made.account = AccountStatus(
        venue="bitget",
        account="main",
        mode=Mode.PAPER,
        equity=Decimal("10012.30"),
        available=Decimal(9_000),
        books=(line("fib-btc", "0.0123", "0.0123"), line("ema-btc", "-0.02", "0.01")),
        venue_positions={},
        residuals={},
        unresolved=1,
        naked_s_max=0.42,
        halted=True,
        halt_reason="daily loss 5.1 %",
        connected=True,
        ts_ns=0,
    )
    return made


def drawn(observer: Observer, *, width: int = 160) -> str:
    processes = Processes()
    for name, restarts in (("gateway", 0), ("runner-fib-btc", 2)):
        child = Child(name, [], {}, log=Path("x"), restarts=restarts, started_s=time.monotonic())
        processes.children[name] = child
    console = Console(width=width, force_terminal=False, color_system=None, legacy_windows=False, record=True)
    with console.capture() as captured:
        console.print(render(observer, processes, title="Omega Bot Farm", bus_state="connected"))
    return "\n".join(text.rstrip() for text in captured.get().splitlines()) + "\n"


def test_table_shows_the_mind_of_a_bot_that_has_one(observer: Observer) -> None:
    assert " mind " not in drawn(observer)
    mind = MindStatus("newbie", "fearful", 0.3, 0.4, 0.7, 0.3, 0.1, 0, 2, 0, "volatile", 0.775, live=True)
    observer.statuses["fib-btc"] = replace(observer.statuses["fib-btc"], mind=mind)

    text = drawn(observer)

    assert " mind " in text
    assert "fearful x0.78" in text


def test_table_is_drawn_as_in_the_golden_file(observer: Observer) -> None:
    text = "\n".join(drawn(observer, width=width) for width in WIDTHS)
    if os.environ.get("OMEGA_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")

    assert text == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_table_says_what_matters(width: int, observer: Observer) -> None:
    """A missing stop, a halt, a doubt and a dead process each have their word, whole, on every terminal."""
    text = " ".join(drawn(observer, width=width).split())

    for word in (
        "MISSING",
        "98000.5",
        "HALTED: daily loss 5.1 %",
        "1 unresolved",
        "down",
        "restarts 2",
        "enter short",
        "-0.02",
    ):
        assert word in text


@pytest.mark.parametrize(("height", "lines"), [(24, 1), (40, 4)])
async def test_table_draws_processes_that_are_well_in_the_height_at_hand(
    height: int, lines: int, observer: Observer
) -> None:
    running = await asyncio.create_subprocess_exec("sleep", "60")
    processes = Processes()
    for name in ("redis", "gateway", "ledger"):
        child = Child(name, [], {}, log=Path("x"), started_s=time.monotonic(), ready_s=time.monotonic())
        processes.children[name] = child
        child.process = running
    console = Console(width=80, height=height, color_system=None)

    with console.capture() as captured:
        console.print(render(observer, processes, title="Omega Bot Farm", bus_state="connected"))
    running.kill()
    await running.wait()

    _, told, rest = captured.get().partition("HALTED: daily loss 5.1 %\n")
    assert told
    assert len(rest.splitlines()) == lines


@pytest.mark.parametrize("width", [60, 100, 250])
def test_table_never_exceeds_the_console(width: int, observer: Observer) -> None:
    assert max(map(len, drawn(observer, width=width).splitlines())) <= width


def test_table_plain_line_of_a_bot(observer: Observer) -> None:
    assert plain(observer, "fib-btc") == (
        "fib-btc position=+0.0123 entry=100,000.00 pnl=+11.56 stop=98000.5 last=05-20 14:30 enter long "
        "why=bounce at 0.618"
    )
    assert plain(observer, "new").endswith("why=waiting for bars")


@pytest.mark.parametrize(("reason", "words"), [(WAIT, "no signal"), (HOLD, "nothing says leave")])
def test_table_says_why_a_bot_does_nothing(reason: str, words: str, observer: Observer) -> None:
    made = observer.last["fib-btc"]
    observer.last["fib-btc"] = replace(made, decision=replace(made.decision, side=0, reason=reason))

    assert plain(observer, "fib-btc").endswith(f"hold why={words}")
