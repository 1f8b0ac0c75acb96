"""The live tables of the farm: a row a bot of figures and of reasons, a line a process. Used by `omega up`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from omega.bus import BotStatus, DecisionMade
from omega.cli.farm.observer import Observer
from omega.cli.farm.processes import Child, Processes
from omega.domain import iso

HEADLINE = ("positions", "harmony", "trend", "regime", "volatility_state", "risk_factor")
"""What the table shows of a report."""

QUIET = {"wait": "no signal", "hold": "nothing says leave"}
"""What the reasons of a bot that does nothing mean; the engine itself would load numpy."""

FIGURES = ("price", "position", "entry", "PnL", "stop at venue", "mind", "fills", "bars")
"""The columns of figures."""

MISSING = "MISSING"
"""What stands where a stop should be."""

LOW = 30
"""Below so many lines a terminal has no room for every process."""

WORDS = 24
"""How many cells the reason of a decision gets at least."""


def render(observer: Observer, processes: Processes, *, title: str, bus_state: str) -> RenderableType:
    """Draw the farm as it stands; on a narrow terminal without what matters least."""
    return Group(
        _Fitting(lambda spared: _bots(observer, title, spared), ("bars", "fills", "price", "mind", "entry")),
        _Fitting(lambda spared: _decisions(observer, spared), ("strategy",)),
        _money(observer, bus_state),
        _Health(processes),
    )


def plain(observer: Observer, name: str) -> str:
    """Write one bot's row as one line of text."""
    position, entry, pnl, stop = _figures(observer, name)
    reason = _why(observer.last.get(name))
    return f"{name} position={position} entry={entry} pnl={pnl} stop={stop} last={_last(observer, name)} why={reason}"


@dataclass(frozen=True, slots=True)
class _Fitting:
    """A table that leaves out columns, the least needed ones first, until the others fit whole."""

    make: Callable[[Collection[str]], Table]
    least: tuple[str, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in the width at hand."""
        tables = (self.make(self.least[:count]) for count in range(len(self.least)))
        fits = (table for table in tables if _needed(table, console, options) <= options.max_width)
        yield next(fits, None) or self.make(self.least)


def _needed(table: Table, console: Console, options: ConsoleOptions) -> int:
    """Return the cells that a table needs when its words may be wrapped and nothing else."""
    words = [column for column in table.columns if not column.no_wrap]
    for column in words:
        column.max_width = WORDS
    cells = console.measure(table, options=options.update(max_width=sys.maxsize)).maximum
    for column in words:
        column.max_width = None
    return cells


def _bots(observer: Observer, title: str, spared: Collection[str]) -> Table:
    """The figures."""
    minds = any(status.mind is not None for status in observer.statuses.values())
    spared = {*spared, *(() if minds else ("mind",))}
    headings = [name for name in ("bot", "mode", "symbol", *FIGURES) if name not in spared]
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in FIGURES else "left", no_wrap=True)
    for name, tally in observer.bots.items():
        made, status = observer.last.get(name), observer.statuses.get(name)
        position, entry, pnl, stop = _figures(observer, name)
        reads = status is not None and status.read_only
        row: dict[str, str | Text] = {
            "bot": Text(name, style="bold"),
            "mode": _mode(status.mode.value if status else ""),
            "symbol": status.symbol if status else "",
            "price": f"{made.decision.price:,.2f}" if made else "",
            "position": Text("reads only", style="dim") if reads else _signed(position),
            "entry": entry,
            "PnL": "" if reads else _signed(pnl),
            "stop at venue": Text(stop, style="bold red" if stop == MISSING else ""),
            "mind": _mind(status),
            "fills": str(tally.fills),
            "bars": str(tally.decisions),
        }
        table.add_row(*(row[heading] for heading in headings))
    return table


def _decisions(observer: Observer, spared: Collection[str]) -> Table:
    """The newest decision of each bot, and why."""
    headings = [name for name in ("bot", "strategy", "last decision", "why") if name not in spared]
    table = Table(header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "why")
    for name in observer.bots:
        made, status = observer.last.get(name), observer.statuses.get(name)
        row: dict[str, str | Text] = {
            "bot": Text(name, style="bold"),
            "strategy": status.strategy if status else "",
            "last decision": _last(observer, name),
            "why": _why(made),
        }
        table.add_row(*(row[heading] for heading in headings))
    return table


def _why(made: DecisionMade | None) -> str:
    """Return the reason of a decision, or the headline of a read-only bot's report."""
    if made is None:
        return "waiting for bars"
    shown = [f"{name} {_short(made.report[name])}" for name in HEADLINE if name in made.report]
    return ", ".join(shown) or QUIET.get(made.decision.reason, made.decision.reason)


def _mind(status: BotStatus | None) -> str:
    """Return the trader's emotion and what it does to the size of an entry, nothing where psychology is off."""
    mind = status.mind if status else None
    return f"{mind.emotion} x{mind.sizes:.2f}" if mind else ""


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _mode(mode: str) -> Text:
    return Text(mode, style="bold red" if mode == "live" else "cyan")


def _signed(text: str) -> Text:
    style = "green" if text.startswith("+") else "red" if text.startswith("-") else "dim"
    return Text(text, style=style)


def _last(observer: Observer, name: str) -> str:
    made = observer.last.get(name)
    if made is None:
        return ""
    decision = made.decision
    verdict = "exit" if decision.exit else {1: "enter long", -1: "enter short"}.get(decision.side, "hold")
    return f"{iso(decision.bar_ts_ns)[5:16].replace('T', ' ')} {verdict}"


def _figures(observer: Observer, name: str) -> tuple[str, str, str, str]:
    tally = observer.bots[name]
    size = tally.position
    entry = next((book.entry for book in tally.books.values() if book.size), Decimal(0))
    stop = ""
    if observer.account:
        for line in observer.account.books:
            if line.bot == name and line.size:
                covered = line.stop_size >= abs(line.size)
                stop = f"{line.stop_trigger.normalize():f}" if covered else MISSING
    return (
        f"{size:+f}".rstrip("0").rstrip(".") if size else "flat",
        f"{entry:,.2f}" if size else "",
        f"{tally.pnl:+,.2f}",
        stop,
    )


def _money(observer: Observer, bus_state: str) -> Text:
    account = observer.account
    if account is None:
        return Text(f"bus {bus_state} · account: waiting for the gateway", style="dim")
    doubts = f" · {account.unresolved} unresolved" if account.unresolved else ""
    halted = f" · HALTED: {account.halt_reason}" if account.halted else ""
    text = (
        f"bus {bus_state} · {account.venue}/{account.account} equity {account.equity:,.2f} · "
        f"available {account.available:,.2f} · longest naked {account.naked_s_max:.2f} s{doubts}{halted}"
    )
    return Text(text, style="bold red" if halted else "")


@dataclass(frozen=True, slots=True)
class _Health:
    """The processes, each with its figures; one line for all while they are well and the terminal is low."""

    processes: Processes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in the height at hand."""
        del options
        children, now = [*self.processes.children.values()], time.monotonic()
        if console.height < LOW and children and all(_state(child) == "ready" for child in children):
            held = sum(child.rss_mb() for child in children)
            yield Text(f"{len(children)} processes ready · {held:,.0f} MB", style="green")
            return
        cells = Columns([_process(child, now) for child in children], equal=True, padding=(0, 2))
        yield Panel(cells, title="processes", title_align="left", border_style="dim")


def _state(child: Child) -> str:
    return ("ready" if child.ready_s else "starting") if child.pid else "down"


def _process(child: Child, now: float) -> Text:
    """Write what a process is at: name, pid, memory, age; what is not well comes before them."""
    state = _state(child)
    style = {"ready": "green", "starting": "yellow", "down": "bold red"}[state]
    words = Text(child.name, style=style)
    if state != "ready":
        words.append(f" {state}")
    if child.restarts:
        words.append(f" restarts {child.restarts}", style="yellow")
    if child.pid:
        words.append(f" pid {child.pid} {child.rss_mb():.0f} MB {now - child.started_s:,.0f} s", style="default")
    return words
