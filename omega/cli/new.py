"""`omega new`: write a working plug-in file and its test. One file adds a bot, a persona, a factor or a venue."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from omega.cli import templates
from omega.errors import ConfigError

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Its name: lower case letters, digits and _.")]
Root = Annotated[str, typer.Option("--dir", help="Root of the project.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

PLACES = {
    "bot": ("bots/{name}.py", "tests/unit/bots/test_{name}.py"),
    "persona": ("personas/{name}.py", "tests/unit/personas/test_{name}.py"),
    "factor": ("services/cosmic/factors/{name}.py", "tests/unit/cosmic/test_factor_{name}.py"),
    "venue": ("services/gateway/venues/{name}.py", "tests/contract/gateway/test_venue_{name}.py"),
}


@app.command(epilog="**Example** `omega new bot donchian_break` then `make test`")
def bot(name: Name, root: Root = ".", as_json: Json = False) -> None:
    """Write a strategy: parameters declared once, one pure `signals(bars, params)`."""
    _write("bot", name, root, as_json=as_json)


@app.command(epilog="**Example** `omega new persona sage`")
def persona(name: Name, root: Root = ".", as_json: Json = False) -> None:
    """Write a persona: a voice over the same facts."""
    _write("persona", name, root, as_json=as_json)


@app.command(epilog="**Example** `omega new factor solar_season`")
def factor(name: Name, root: Root = ".", as_json: Json = False) -> None:
    """Write a cosmic factor: one pure function of an instant."""
    _write("factor", name, root, as_json=as_json)


@app.command(epilog="**Example** `omega new venue bybit`")
def venue(name: Name, root: Root = ".", as_json: Json = False) -> None:
    """Write a venue: what differs from the generic ccxt adapter, and nothing else."""
    _write("venue", name, root, as_json=as_json)


def _write(kind: str, name: str, root: str, *, as_json: bool) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,38}", name):
        raise ConfigError(f"{name!r} is no name for a {kind}: use lower case letters, digits and _, as in my_{kind}")
    source, test = (Path(root) / place.format(name=name) for place in PLACES[kind])
    if not source.parent.is_dir():
        raise ConfigError(f"{source.parent} does not exist; run this in the project's root or pass --dir")
    for path in (source, test):
        if path.exists():
            raise ConfigError(f"{path} exists already; choose another name or remove it")
    test.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(templates.SOURCE[kind].format(name=name, title=_title(name)), encoding="utf-8")
    test.write_text(templates.TEST[kind].format(name=name, title=_title(name)), encoding="utf-8")
    if as_json:
        print(json.dumps({"kind": kind, "name": name, "files": [str(source), str(test)]}, indent=2))
    else:
        print(f"wrote {source} and {test}; next: read both, change the idea, run `make test`")


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
