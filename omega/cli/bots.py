"""`omega bot`: see and command the bots of a running farm over its bus."""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from typing import Annotated, Any

import typer

from omega.bus import FARM, RISK_REDUCING, BotStatus, Bus, Command, CommandResult, Verb, connect, new_id
from omega.config import Settings
from omega.config.loader import load
from omega.errors import ConfigError

app = typer.Typer(no_args_is_help=True)
LISTEN_S = 2.5
ANSWER_S = 5.0
EXPIRES_NS = 10_000_000_000
Target = Annotated[str, typer.Argument(help="A bot's name, or `farm` for all.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", epilog="**Example** `omega bot list --json`")
def list_bots(as_json: Json = False) -> None:
    """Show what every running bot holds and last decided."""
    statuses = asyncio.run(_with_bus(_statuses))
    if as_json:
        print(json.dumps(statuses, indent=2))
        return
    if not statuses:
        print("no bot has answered; is the farm running, and does OMEGA_REDIS_URL name its server?")
        raise typer.Exit(1)
    for row in statuses:
        print(
            f"{row['bot']:<14} {row['strategy']:<20} {row['mode']:<6} {row['symbol']:<12} {row['state']:<9} "
            f"position {row['position']:<12} equity {row['equity']:<14} {row['reason']}"
        )


@app.command(epilog="**Example** `omega bot pause fib-btc --reason 'news at 14:00'`")
def pause(target: Target, reason: Reason = "") -> None:
    """Let a bot enter no more; exits and stops go on."""
    _command(Verb.PAUSE, target, reason)


@app.command(epilog="**Example** `omega bot resume fib-btc`")
def resume(target: Target, reason: Reason = "") -> None:
    """Let a bot enter again."""
    _command(Verb.RESUME, target, reason)


@app.command(epilog="**Example** `omega bot drain fib-btc`")
def drain(target: Target, reason: Reason = "") -> None:
    """Let the strategy leave its position, then end the bot."""
    _command(Verb.DRAIN, target, reason)


@app.command(epilog="**Example** `omega bot stop fib-btc`")
def stop(target: Target, reason: Reason = "") -> None:
    """End the bot's process; its stops stay at the venue."""
    _command(Verb.STOP, target, reason)


@app.command(epilog="**Example** `omega bot flatten farm --reason 'leaving'`")
def flatten(target: Target, reason: Reason = "") -> None:
    """Close the position now, then pause."""
    _command(Verb.FLATTEN, target, reason)


@app.command(epilog="**Example** `omega bot halt --reason 'odd fills'`")
def halt(reason: Reason = "") -> None:
    """Halt all entries of the account; it stays halted until somebody releases it."""
    _command(Verb.HALT, FARM, reason)


@app.command(epilog="**Example** `omega bot release --reason 'checked the fills'`")
def release(reason: Reason = "") -> None:
    """Release a halt; a reason is required."""
    if not reason:
        raise ConfigError("a halt is released with a reason: omega bot release --reason '...'")
    _command(Verb.RELEASE, FARM, reason)


def _command(verb: Verb, target: str, reason: str) -> None:
    settings = load().settings
    if target != FARM and target not in settings.bots:
        raise ConfigError(f"no bot is called {target!r}; configured are {', '.join(sorted(settings.bots))}")

    async def send(bus: Bus, _settings: Settings) -> list[str]:
        return await _send(bus, Command(new_id(), verb, target, getpass.getuser(), reason))

    lines = asyncio.run(_with_bus(send))
    for line in lines:
        print(line)
    if not lines:
        print(f"nobody answered within {ANSWER_S:.0f} s; the command is kept and will be carried out when they return")
        raise typer.Exit(1)


async def _send(bus: Bus, command: Command) -> list[str]:
    lines: list[str] = []
    async with bus.follow(bus.topics.control_results()) as stream:
        deadline = 0 if command.verb in RISK_REDUCING else time.time_ns() + EXPIRES_NS
        await bus.send(command, deadline_ns=deadline, message_id=f"command:{command.command_id}")
        try:
            async with asyncio.timeout(ANSWER_S):
                async for received in stream:
                    answer = received.envelope.data
                    if isinstance(answer, CommandResult) and answer.command_id == command.command_id:
                        lines.append(f"{answer.target}: {answer.stage}: {answer.detail}")
                        if command.target != FARM and answer.stage != "accepted":
                            break
        except TimeoutError:
            pass
    return lines


async def _statuses(bus: Bus, _settings: Settings) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    async with bus.signals(f"{bus.topics.env}:st:bot:*") as stream:
        try:
            async with asyncio.timeout(LISTEN_S):
                async for received in stream:
                    status = received.envelope.data
                    if isinstance(status, BotStatus):
                        names = BotStatus.__dataclass_fields__
                        rows[status.bot] = {name: _plain(getattr(status, name)) for name in names}
        except TimeoutError:
            pass
    return [rows[name] for name in sorted(rows)]


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else str(value)


async def _with_bus(work: Any) -> Any:
    settings = load().settings
    bus = connect(settings.redis.url, env=settings.environment.name, source=f"cli:{getpass.getuser()}")
    await bus.start()
    try:
        return await work(bus, settings)
    finally:
        await bus.close()
