"""The live table of the farm: one row a bot, one line a process. Used by `omega up`."""

from __future__ import annotations

import time
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from omega.bus import BotStatus, DecisionMade
from omega.cli.farm.observer import Observer
from omega.cli.farm.processes import Processes
from omega.domain import iso

HEADLINE = ("positions", "harmony", "trend", "regime", "volatility_state", "risk_factor")
"""What the table shows of a report."""


def render(observer: Observer, processes: Processes, *, title: str, bus_state: str) -> RenderableType:
    """Draw the farm as it stands."""
    return Group(_bots(observer, title), _money(observer, bus_state), _health(processes))


def plain(observer: Observer, name: str) -> str:
    """Write one bot's row as one line of text."""
    position, entry, pnl, stop = _figures(observer, name)
    reason = _why(observer.last.get(name))
    return f"{name} position={position} entry={entry} pnl={pnl} stop={stop} last={_last(observer, name)} why={reason}"


def _bots(observer: Observer, title: str) -> Table:
    table = Table(title=title, expand=True, title_justify="left", header_style="bold")
    for heading in ("bot", "strategy", "mode", "symbol"):
        table.add_column(heading, no_wrap=True)
    for heading in ("price", "position", "entry", "PnL", "stop at venue"):
        table.add_column(heading, justify="right", no_wrap=True)
    minds = any(status.mind is not None for status in observer.statuses.values())
    if minds:
        table.add_column("mind", no_wrap=True)
    table.add_column("last decision", no_wrap=True)
    table.add_column("why", ratio=1)
    for heading in ("fills", "bars"):
        table.add_column(heading, justify="right")
    for name, tally in observer.bots.items():
        made, status = observer.last.get(name), observer.statuses.get(name)
        position, entry, pnl, stop = _figures(observer, name)
        table.add_row(
            Text(name, style="bold"),
            status.strategy if status else "",
            _mode(status.mode.value if status else ""),
            status.symbol if status else "",
            f"{made.decision.price:,.2f}" if made else "",
            _signed(position),
            entry,
            _signed(pnl),
            stop,
            *([_mind(status)] if minds else []),
            _last(observer, name),
            _why(made),
            str(tally.fills),
            str(tally.decisions),
        )
    return table


def _why(made: DecisionMade | None) -> str:
    """Return the reason of a decision, or the headline of a read-only bot's report."""
    if made is None:
        return "waiting for bars"
    shown = [f"{name} {_short(made.report[name])}" for name in HEADLINE if name in made.report]
    return ", ".join(shown) or made.decision.reason


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
                stop = f"{line.stop_trigger.normalize():f}" if covered else "MISSING"
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


def _health(processes: Processes) -> Panel:
    grid = Table.grid(padding=(0, 2), expand=False)
    now = time.monotonic()
    for child in processes.children.values():
        up = bool(child.pid)
        state = ("ready" if child.ready_s else "starting") if up else "down"
        style = {"ready": "green", "starting": "yellow", "down": "bold red"}[state]
        age = f"{now - child.started_s:,.0f} s"
        grid.add_row(
            child.name,
            Text(state, style=style),
            f"pid {child.pid or '-'}",
            f"{child.rss_mb():.0f} MB",
            age,
            f"restarts {child.restarts}" if child.restarts else "",
        )
    return Panel(grid, title="processes", title_align="left", border_style="dim")
