"""`omega topics`: look into the bus of a running farm."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from omega.bus import codec, inspect
from omega.bus.redis import RedisBus
from omega.config.loader import load

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", epilog="**Example** `omega topics list --match '*evt*'`")
def list_topics(
    match: Annotated[str, typer.Option(help="Only topics that match this pattern.")] = "*", as_json: Json = False
) -> None:
    """List the streams with their length, groups and lag."""
    found = _with_bus(lambda bus: inspect.list_topics(bus, pattern=match))
    if as_json:
        print(json.dumps([asdict(info) for info in found], indent=2))
        return
    for info in found:
        groups = ", ".join(f"{group.name} lag {group.lag} pending {group.pending}" for group in info.groups)
        print(f"{info.topic:<48} {info.entries:>8} entries  {info.memory / 1e6:6.2f} MB  {groups}")


@app.command(epilog="**Example** `omega topics tail dev:evt:ledger`")
def tail(
    topic: Annotated[str, typer.Argument(help="A stream, as `omega topics list` shows it.")],
    count: Annotated[int, typer.Option(min=0, help="How many of the newest to begin with.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print the newest messages of a stream, one JSON object a line."""

    async def work(bus: RedisBus) -> None:
        if not follow:
            for received in await bus.history(topic, count=count):
                print(codec.encode(received.envelope).decode(), flush=True)
            return
        async for received in inspect.tail(bus, topic, count=count):
            print(codec.encode(received.envelope).decode(), flush=True)

    _with_bus(work)


@app.command(epilog="**Example** `omega topics replay dev:evt:ledger`")
def replay(
    stream: Annotated[str, typer.Argument(help="The stream whose dead letters are delivered again.")],
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 = all.")] = 0,
    as_json: Json = False,
) -> None:
    """Deliver dead letters again, after their cause has been mended."""
    count = _with_bus(lambda bus: inspect.replay_dead_letters(bus, stream, limit=limit))
    print(json.dumps({"replayed": count}) if as_json else f"{count} dead letters of {stream} were delivered again")


@app.command(epilog="**Example** `omega topics doctor --json`")
def doctor(as_json: Json = False) -> None:
    """Say what is wrong with the bus (lag, groups, dead letters, old versions, memory); exit 1 if anything is."""
    findings = _with_bus(inspect.doctor)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(
                f"{finding.level:<5} {finding.subject}: {finding.text}"
                + (f" -> {finding.advice}" if finding.advice else "")
            )
    if any(finding.level == "bad" for finding in findings):
        raise typer.Exit(1)


def _with_bus(work: Callable[[RedisBus], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        from omega.bus import connect

        settings = load().settings
        bus = connect(settings.redis, env=settings.environment.name.value, source=f"cli:{getpass.getuser()}")
        await bus.start()
        try:
            return await work(bus)
        finally:
            await bus.close()

    return asyncio.run(main())
