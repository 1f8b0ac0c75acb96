"""What `omega cosmic` prints: tables for people, JSON for programs. Called by its commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from omega.domain import NO_SOURCE


def show(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one instant: readings, longitudes, the moon and Mercury."""
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = [_told(name, one) for name, one in sorted(found["factors"].items())]
    table(f"cosmic factors at {found['time']} ({found['evidence']})", rows)
    table("ecliptic longitude of date, degrees", _upright("body", "degrees", found["longitudes"]))
    moon, mercury = found["moon"], found["mercury"]
    print(
        f"moon: {moon['phase']}, {moon['illuminated']:.1%} lit, {moon['age_days']:.1f} days old; "
        f"next {moon.get('next_phase', '?')} at {moon.get('next_at', '?')}"
    )
    way = "retrograde" if mercury["retrograde"] else "direct"
    print(f"mercury: {way}, {mercury['degrees_a_day']:+.3f} degrees a day, turns at {mercury.get('turns_at', '?')}")


def _told(name: str, reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return a reading in four columns, which fit a window of eighty."""
    row = {"factor": name, "value": reading["value"], "reading": reading["label"], "from": "no feed"}
    if reading["source"] == NO_SOURCE:
        return row
    age = f", {reading['age_s'] / 60:.0f} min old" if reading["age_s"] else ""
    return row | {
        "reading": f"{reading['label']}: {reading['raw']:.4g} {reading['unit']}",
        "from": f"{reading['state']}, {reading['source']}{age}",
    }


def show_explained(found: Mapping[str, Any]) -> None:
    """Print what a factor is, would do, and what stands behind it."""
    print(f"{found['name']} ({found['evidence']}): {found['doc']}")
    print(f"registered sign: {found['registered_sign']}")
    if found["measured"]:
        print(f"measured: {found['measured']}")
    reading = found["reading"]
    print(
        f"now: {reading['label']} ({reading['raw']:g} {reading['unit']}), {reading['state']} from {reading['source']}"
    )
    if found["states"]:
        table("influence at full weight by state", found["states"])
    table("influences of the reading at full weight", _upright("influence", "amount", found["influences"]))
    table("what it would multiply", found["targets"])
    print(f"to try it in history: omega backtest ... --cosmic only_{found['name']}")


def show_rows(rows: list[dict[str, Any]], title: str, *, as_json: bool) -> None:
    """Print a list of like rows, or that there are none."""
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        table(title, rows)
    else:
        print(f"nothing: {title}")


def _upright(key: str, value: str, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{key: name, value: amount} for name, amount in found.items()]


def table(title: str, rows: list[Any]) -> None:
    """Print a table; the first row names the columns."""
    from rich.console import Console
    from rich.table import Table

    made = Table(title=title, title_justify="left")
    for number, name in enumerate(rows[0]):  # what a row is about is never cut off, the rest goes on in a new line
        made.add_column(str(name), overflow="fold", no_wrap=not number)
    for row in rows:
        made.add_row(*[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row.values()])
    console = Console()
    if not console.is_terminal:  # in a file or a pipe nothing has to fit a window
        console.width = max(console.width, console.measure(made, options=console.options.update(width=1_000)).maximum)
    console.print(made)
