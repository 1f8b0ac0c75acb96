"""`omega topics`: look into the bus of a running farm."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from omega.bus import codec, inspect
from omega.bus.redis import RedisBus
from omega.cli.asking import confirm
from omega.cli.telling import with_bus
from omega.config.loader import load
from omega.errors import ConfigError

app = typer.Typer(no_args_is_help=True)
T = TypeVar("T")
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
            found = await bus.history(topic, count=count)
            for received in found:
                print(codec.encode(received.envelope).decode(), flush=True)
            if count and not found:
                raise ConfigError(f"the stream {topic!r} is empty or not there: see `omega topics list`")
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
    """Say what is wrong with the bus and its server; exit 1 if anything is.

    Lag, groups that are missing or hold a stream, dead letters, old versions; append-only file, eviction, memory.
    """
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


@app.command("drop-group", epilog="**Example** `omega topics drop-group dev:evt:ledger discord`")
def drop_group(
    stream: Annotated[str, typer.Argument(help="The stream, as `omega topics list` shows it.")],
    group: Annotated[str, typer.Argument(help="A consumer group that nobody serves any more.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Forget a dead consumer group, for which the stream is kept beyond its length; wants the Redis user `admin`.

    A service that comes back under that name reads the stream from its beginning.
    """
    if not yes:
        confirm(f"forget group {group} of {stream} and what it has not read?")
    count = _with_bus(lambda bus: inspect.drop_group(bus, stream, group))
    print(json.dumps({"unread": count}) if as_json else f"{group} is forgotten; it had not read {count} records")


@app.command(epilog="**Example** `omega topics acl --service runner --bot fib-btc`")
def acl(
    service: Annotated[str, typer.Option(help="Only this service's user; `runner` wants --bot.")] = "",
    bot: Annotated[str, typer.Option(help="Only the user of this bot's runner.")] = "",
    passwords: Annotated[
        str, typer.Option(help="Directory with USER/redis__password for every user; what is missing is made (0600).")
    ] = "",
    as_json: Json = False,
) -> None:
    """Print the Redis users of the farm, one a service and one a bot, made from the registry of topics.

    Without --passwords nobody can log in as the users that are printed. With it the text is a whole ACL file: passwords
    as SHA-256 alone, no default user, and `admin` for the person who runs the server.
    """
    from omega.bus.acl import ADMIN, acl_file, user, users

    settings = load().settings
    env = settings.environment.name.value
    one = bool(service or bot)
    made = [user(env, service or "runner", bot)] if one else users(env, sorted(settings.bots))
    if not passwords:
        text = "".join(one.line() + "\n" for one in made)
    else:
        drawn = {name: _password(Path(passwords), name) for name in [*(one.name for one in made), ADMIN]}
        text = acl_file(made, drawn, admin=drawn[ADMIN])
    print(json.dumps({one.name: one.rules for one in made}, indent=2) if as_json else text, end="\n" if as_json else "")


def _password(folder: Path, name: str) -> str:
    """Return a user's password from its file, which is made when it is not there."""
    path = folder / name / "redis__password"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text(encoding="utf-8").strip()


def _with_bus(work: Callable[[RedisBus], Awaitable[T]]) -> T:
    return with_bus(lambda bus, _settings: work(bus))
