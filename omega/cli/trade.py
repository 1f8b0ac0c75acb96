"""`omega trade`: the account behind the bots: what the venue holds, whose it is, and the way to stop it all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from omega.bus import FARM, Bus, CommandResult, Scalar, Verb
from omega.cli.asking import amount, confirm
from omega.cli.telling import ANSWER_S, command, pull, report, show_pulled, tell, with_bus
from omega.config import Settings
from omega.config.loader import load
from omega.errors import ConfigError

if TYPE_CHECKING:
    from omega.bus.redis import RedisBus

app = typer.Typer(no_args_is_help=True)
_WITHIN_NS: Final = 20_000_000_000
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Symbol = Annotated[str, typer.Argument(help="What the position is in, for example BTC-USDT.P.")]


@app.command(epilog="**Example** `omega trade reconcile --json`")
def reconcile(as_json: Json = False) -> None:
    """Compare the books with the venue now and show whose what is; exit 1 when they differ."""
    found = _ask("reconcile")
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _show_books(found)
    if not found["equal"] or found["unstopped"] or found["unresolved"]:
        raise typer.Exit(1)


@app.command(epilog="**Example** `omega trade adopt BTC-USDT.P --bot fib-btc --stop 90000 --reason 'opened by hand'`")
def adopt(
    symbol: Symbol,
    bot: Annotated[str, typer.Option(help="The bot that shall hold it.")] = "",
    stop: Annotated[str, typer.Option(help="Its stop, a price; not needed to take a part off the bot.")] = "",
    target: Annotated[str, typer.Option(help="Its target, a price; empty = none.")] = "",
    size: Annotated[str, typer.Option(help="A part of it, in base units; empty = all.")] = "",
    close: Annotated[bool, typer.Option("--close", help="Close it at the market instead.")] = False,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Give a position that no bot's order made to a bot, with a stop, or close it."""
    if bool(bot) is close:
        raise typer.BadParameter("say whose it shall be (--bot NAME --stop PRICE) or --close: one of the two")
    if not reason:
        raise ConfigError("an adoption names its reason: --reason '...'")
    if bot and bot not in (known := load().settings.bots):
        raise ConfigError(f"no bot is called {bot!r}; configured are {', '.join(sorted(known))}")
    for name, text in (("--stop", stop), ("--target", target), ("--size", size)):
        amount(text, name)
    if not yes:
        what = "closed at the market" if close else f"given to {bot}"
        part = size or "all"
        confirm(f"{part} of the external position in {symbol} is {what}. Go on?")
    params: dict[str, Scalar] = {"symbol": symbol, "stop": stop, "target": target, "size": size, "close": close}

    async def send(bus: RedisBus, _settings: Settings) -> list[CommandResult]:
        return await tell(bus, [command(Verb.ADOPT, bot or FARM, reason, params)])

    answers = with_bus(send)
    report(answers, as_json=as_json)
    if not answers:
        typer.echo(f"no gateway answered within {ANSWER_S:.0f} s; nothing is done until it returns", err=True)
    if not answers or answers[-1].stage == "refused":
        raise typer.Exit(1)


@app.command(epilog="**Example** `omega trade budget`")
def budget(as_json: Json = False) -> None:
    """Show what is left of the venue's rate limits, and which bot has used how much in the last minute."""
    found = _ask("budget")
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, group in found["groups"].items():
        paused = f", paused for {group['paused_s']:.0f} s" if group["paused_s"] else ""
        print(
            f"{name:<8} {group['tokens']:>6.1f} of {group['burst']:g} left, {group['per_s']:g} a second, "
            f"{group['waiting']} waiting{paused}"
        )
    for bot, used in sorted(found["last_minute"].items(), key=lambda item: -sum(item[1].values())):
        print(f"{bot:<14} {', '.join(f'{count} {group}' for group, count in sorted(used.items()))} in the last minute")
    if found["circuits_open"]:
        print(f"open circuits: {', '.join(found['circuits_open'])}")


@app.command(epilog="**Example** `omega trade kill --reason 'leaving the desk'` · `omega trade kill --flatten`")
def kill(
    reason: Reason = "",
    flatten: Annotated[bool, typer.Option("--flatten", help="Also close every position.")] = False,
    url: Annotated[str, typer.Option(help="The gateway's address; empty = gateway.kill_url.")] = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Halt everything past Redis: a signed request straight to the gateway, else the halt file on this machine."""
    if flatten and not yes:
        confirm("Every position of the account is closed at the market. Go on?")
    show_pulled(pull(Verb.FLATTEN if flatten else Verb.HALT, reason, url=url), as_json=as_json)


def _show_books(found: Mapping[str, Any]) -> None:
    for row in found["symbols"]:
        books = ", ".join(f"{bot} {size}" for bot, size in row["books"].items()) or "no book"
        differs = f"  DIFFERS by {row['residual']}" if float(row["residual"]) else ""
        print(f"{row['symbol']:<12} venue {row['venue']:<12} {books}{differs}")
        if float(row["external"]):
            print(f"{'':<12} nobody's order made {row['external']}: omega trade adopt {row['symbol']} --bot NAME ...")
    for line in found["unstopped"]:
        print(f"without its whole stop: {line}")
    if found["unresolved"]:
        print(f"no proven outcome for {found['unresolved_age_s']:.0f} s: {', '.join(found['unresolved'])}")
    if found["halted"]:
        print(f"entries are halted: {found['halted']}")
    print("books and venue are equal" if found["equal"] else "books and venue DIFFER; see docs/runbooks/residual.md")


def _ask(method: str) -> Any:
    async def work(bus: Bus, _settings: Settings) -> object:
        return await bus.ask("gateway", method, within_ns=_WITHIN_NS)

    return with_bus(work)
