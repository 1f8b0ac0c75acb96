"""`omega bot`: see and command the bots of a running farm over its bus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega.bus import FARM, BotStatus, Bus, CommandResult, Scalar, Verb
from omega.cli.asking import confirm
from omega.cli.completing import among, bots
from omega.cli.telling import ANSWER_S, command, pull, report, show_pulled, tell, with_bus
from omega.config import Settings
from omega.config.labels import labels_of, select
from omega.config.loader import load
from omega.engine.moods import EVENTS
from omega.errors import ConfigError

if TYPE_CHECKING:
    from omega.bus.redis import RedisBus

app = typer.Typer(no_args_is_help=True)
LISTEN_S = 2.5
Target = Annotated[str, typer.Argument(help="A bot's name, or `farm` for all.", autocompletion=bots)]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Selector = Annotated[
    str, typer.Option("--selector", "-l", help="All bots with these labels: family=trend,symbol!=BTC-USDT.P")
]
All = Annotated[bool, typer.Option("--all", help="Every bot of the farm.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list", epilog="**Example** `omega bot list --json`")
def list_bots(selector: Selector = "", as_json: Json = False) -> None:
    """Show what every running bot holds and last decided."""
    statuses = with_bus(_statuses)
    if selector:
        wanted = select(load().settings, selector)
        statuses = [row for row in statuses if row["bot"] in wanted]
    if as_json:
        print(json.dumps(statuses, indent=2))
    else:
        for row in statuses:
            print(
                f"{row['bot']:<14} {row['strategy']:<20} {row['mode']:<6} {row['symbol']:<12} {row['state']:<9} "
                f"position {row['position']:<12} equity {row['equity']:<14} {row['reason']}"
            )
    _check_answered(statuses)


@app.command(epilog="**Example** `omega bot labels -l strategy=ema_cross`")
def labels(selector: Selector = "", as_json: Json = False) -> None:
    """Show the labels that selectors go by."""
    settings = load().settings
    names = select(settings, selector) if selector else sorted(settings.bots)
    found = {name: labels_of(settings, name) for name in names}
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, own in found.items():
        print(f"{name:<14} {','.join(f'{key}={value}' for key, value in sorted(own.items()))}")


def _plain(verb: Verb, words: str, example: str) -> None:
    """Register a verb that takes whom it is for, and why."""

    def give(
        target: Target = "", selector: Selector = "", every: All = False, reason: Reason = "", as_json: Json = False
    ) -> None:
        _command(verb, target, selector, reason, every=every, as_json=as_json)

    app.command(verb.value, help=words, epilog=f"**Example** {example}")(give)


_plain(
    Verb.PAUSE,
    "Let a bot enter no more; exits and stops go on.",
    "`omega bot pause fib-btc --reason 'news'` · `omega bot pause -l family=trend`",
)
_plain(Verb.RESUME, "Let a bot enter again.", "`omega bot resume fib-btc` · `omega bot resume --all`")
_plain(Verb.DRAIN, "Let the strategy leave its position, then end the bot.", "`omega bot drain -l symbol=BTC-USDT.P`")
_plain(Verb.STOP, "End the bot's process; its stops stay at the venue.", "`omega bot stop fib-btc`")


@app.command(epilog="**Example** `omega bot flatten --all --reason 'leaving'`")
def flatten(
    target: Target = "",
    selector: Selector = "",
    every: All = False,
    reason: Reason = "",
    as_json: Json = False,
    yes: Yes = False,
) -> None:
    """Close the position now, then pause; several bots are asked for once."""
    _command(Verb.FLATTEN, target, selector, reason, every=every, as_json=as_json, asks=not yes)


@app.command(epilog="**Example** `omega bot halt --reason 'odd fills'` · `omega bot halt --kill` when Redis is gone")
def halt(
    reason: Reason = "",
    kill: Annotated[bool, typer.Option("--kill", help="Past Redis, straight to the gateway.")] = False,
    url: Annotated[str, typer.Option(help="With --kill: the gateway's address; else gateway.kill_url.")] = "",
    as_json: Json = False,
) -> None:
    """Halt all entries of the account; it stays halted until somebody releases it."""
    if kill:
        show_pulled(pull(Verb.HALT, reason, url=url), as_json=as_json)
        return
    _send(Verb.HALT, [FARM], reason, as_json=as_json)


@app.command(epilog="**Example** `omega bot release --reason 'checked the fills'`")
def release(reason: Reason = "", as_json: Json = False) -> None:
    """Release a halt; a reason is required."""
    if not reason:
        raise ConfigError("a halt is released with a reason: omega bot release --reason '...'")
    _send(Verb.RELEASE, [FARM], reason, as_json=as_json)


@app.command(epilog="**Example** `omega bot mood` · `omega bot mood fib-btc --json`")
def mood(
    target: Annotated[str, typer.Argument(help="A bot's name; every bot when absent.", autocompletion=bots)] = "",
    as_json: Json = False,
) -> None:
    """Show the state of mind of bots with a trader's profile: experimental, off unless a profile is named."""
    if target:
        _targets(load().settings, target, "", every=False)
    rows = [row for row in with_bus(_statuses) if target in {"", FARM, row["bot"]}]
    if as_json:
        print(json.dumps({row["bot"]: row["mind"] for row in rows}, indent=2))
    elif rows:
        print("\n".join(_mood(row) for row in rows))
    _check_answered(rows)


def _check_answered(rows: Sequence[object]) -> None:
    """End with exit code 1 where no bot has said anything."""
    if not rows:
        typer.echo("no bot has answered; is the farm running, and does OMEGA_REDIS_URL name its server?", err=True)
        raise typer.Exit(1)


_plain(
    Verb.CALM,
    "Let a trader's state of mind begin anew, as its profile says; book and trades stay.",
    "`omega bot calm fib-btc --reason 'new week'`",
)


@app.command(epilog="**Example** `omega bot stir fib-btc --event crypto_hack --reason 'hack of an exchange'`")
def stir(
    target: Target = "",
    event: Annotated[str, typer.Option(help=f"One of {', '.join(EVENTS)}.", autocompletion=among(EVENTS))] = "",
    selector: Selector = "",
    every: All = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Tell a trader of a market event; it moves stress, confidence and risk appetite by the domain's table."""
    if event not in EVENTS:
        raise typer.BadParameter(f"give --event one of {', '.join(EVENTS)}", param_hint="--event")
    _command(Verb.STIR, target, selector, reason, every=every, as_json=as_json, params={"event": event})


def _mood(row: dict[str, Any]) -> str:
    mind = row["mind"]
    if mind is None:
        return f"{row['bot']:<14} psychology is off"
    market = f"  market {mind['regime']}" if mind["regime"] else ""
    return (
        f"{row['bot']:<14} {mind['profile']:<12} {mind['emotion']:<12} confidence {mind['confidence']:.2f}  "
        f"risk {mind['risk']:.2f}  stress {mind['stress']:.2f}  entries x{mind['sizes']:.2f}"
        f"{' (live: never above 1)' if mind['live'] else ''}  streak +{mind['wins']} -{mind['losses']}{market}"
    )


def _command(
    verb: Verb,
    target: str,
    selector: str,
    reason: str,
    *,
    every: bool,
    as_json: bool,
    asks: bool = False,
    params: Mapping[str, Scalar] | None = None,
) -> None:
    settings = load().settings
    targets = _targets(settings, target, selector, every=every)
    named = [bot for bot in sorted(settings.bots) if settings.bots[bot].enabled] if targets == [FARM] else targets
    if asks and len(named) > 1 and not as_json:
        confirm(f"{verb} {', '.join(named)}?")
    _send(verb, targets, reason, as_json=as_json, params=params)


def _targets(settings: Settings, target: str, selector: str, *, every: bool) -> list[str]:
    """Return whom a verb is for: exactly one way of naming them is given."""
    if sum((bool(target), bool(selector), every)) != 1:
        raise typer.BadParameter("name a bot, or give a selector (-l family=trend), or --all: one of the three")
    if every or target == FARM:
        return [FARM]
    if selector:
        return select(settings, selector)
    if target not in settings.bots:
        raise ConfigError(f"no bot is called {target!r}; configured are {', '.join(sorted(settings.bots))}")
    return [target]


def _send(
    verb: Verb, targets: Sequence[str], reason: str, *, as_json: bool, params: Mapping[str, Scalar] | None = None
) -> None:
    """Send a verb to each, print what they answer, and exit 1 where nobody does or one refuses."""

    async def send(bus: RedisBus, _settings: Settings) -> list[CommandResult]:
        return await tell(bus, [command(verb, target, reason, params) for target in targets])

    answers = with_bus(send)
    report(answers, as_json=as_json)
    heard = {answer.target for answer in answers}
    silent = [target for target in targets if target not in heard] if targets != [FARM] or not answers else []
    if silent:
        words = f"nobody answered within {ANSWER_S:.0f} s; the command is kept and will be carried out when they return"
        typer.echo(f"{', '.join(silent)}: {words}", err=as_json)
    if silent or any(answer.stage == "refused" for answer in answers):
        raise typer.Exit(1)


async def _statuses(bus: Bus, _settings: Settings) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    async with bus.signals(bus.topics.bot_status("*")) as stream:
        try:
            async with asyncio.timeout(LISTEN_S):
                async for received in stream:
                    status = received.envelope.data
                    if isinstance(status, BotStatus):
                        names = BotStatus.__dataclass_fields__
                        rows[status.bot] = {name: _shown(getattr(status, name)) for name in names}
        except TimeoutError:
            pass
    return [rows[name] for name in sorted(rows)]


def _shown(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
