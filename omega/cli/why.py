"""`omega why`: what led to an order and what came of it, from the ledger's database."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from omega.cli.store import DatabaseUrl, Json, with_database
from omega.config import Settings
from omega.domain.time import iso
from omega.errors import Denied
from omega.storage.engine import Database
from omega.storage.ledger.story import Step, Story, story_of

EXAMPLES: Final = "**Example** `omega why x-fib-btc-1747699260-0 --json`"
_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_LONG_S: Final = 120.0
_COLOURS: Final = {
    "signal": "cyan",
    "interceptor": "magenta",
    "decision": "cyan",
    "intent": "blue",
    "risk": "red",
    "fill": "green",
    "stop": "yellow",
}


def why(
    order: Annotated[str, typer.Argument(help="A client, venue or intent id, or the id of one of its trades.")],
    database: DatabaseUrl = "",
    as_json: Json = False,
) -> None:
    """Tell the story of an order: signal, interceptors, intent, risk, states, fills, stop, with the times between."""

    async def work(opened: Database, _settings: Settings) -> Story | None:
        async with opened.reading() as connection:
            return await story_of(connection, order)

    story = with_database(database, work)
    if story is None:
        raise Denied(f"no order {order!r} in the ledger: give a client, venue, intent or trade id", rule="params")
    if as_json:
        print(json.dumps(_plain(story), indent=2, default=_digits))
    else:
        _print(story)


def _plain(story: Story) -> dict[str, Any]:
    return {
        "reference": story.reference,
        "order": story.order,
        "steps": [
            {
                "at": iso(step.at_ns),
                "at_ns": step.at_ns,
                "after_ms": step.after_ns / _MS,
                "what": step.what,
                "words": step.words,
                "details": step.details,
            }
            for step in story.steps
        ],
        "durations_ms": {name: value / _MS for name, value in story.durations_ns.items()},
        "unknown": list(story.unknown),
    }


def _digits(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _print(story: Story) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    order = story.order
    console = Console(width=None, soft_wrap=False)
    console.print(
        f"[bold]{escape(order['client_id'] or order['order_id'])}[/]  {order['bot']}  {order['role']} {order['side']} "
        f"{_digits(order['size'])} {order['symbol']} on {order['venue']}/{order['account']}: [bold]{order['state']}[/]"
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("at (UTC)", "after", "what", ""):
        table.add_column(name, no_wrap=name != "", justify="right" if name == "after" else "left", overflow="fold")
    for step in story.steps:
        table.add_row(
            iso(step.at_ns), _after(step), f"[{_COLOURS.get(step.what, 'white')}]{step.what}[/]", escape(step.words)
        )
    console.print(table)
    if story.durations_ns:
        spans = ", ".join(f"{name.replace('_', ' ')} {_span(value)}" for name, value in story.durations_ns.items())
        console.print(f"[dim]times[/] {spans}")
    for words in story.unknown:
        console.print(f"[dim]not known[/] {escape(words)}")


def _after(step: Step) -> str:
    return f"+{_span(step.after_ns)}" if step.after_ns else ""


def _span(value_ns: int) -> str:
    if abs(value_ns) < _SECOND:
        return f"{value_ns / _MS:.1f} ms"
    seconds = value_ns / _SECOND
    return f"{seconds:.2f} s" if abs(seconds) < _LONG_S else f"{seconds / 60:.1f} min"
