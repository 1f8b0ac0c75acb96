"""`omega risk`: what the risk gate of a running farm allows, and how a person changes it, over the farm's bus."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import time
from typing import Annotated, Any, Final

import typer

from omega.bus import RISK, RISK_REDUCING, Bus, Command, CommandResult, Scalar, Verb, new_id
from omega.cli.asking import amount
from omega.cli.completing import among, bots
from omega.cli.telling import ANSWER_S, EXPIRES_NS, with_bus
from omega.config import ScopeLimits
from omega.domain import from_iso
from omega.errors import ConfigError, EnvironmentFault

app = typer.Typer(no_args_is_help=True)
SCOPES: Final = ("fleet", "venue", "account", "family", "bot", "symbol")
LEVELS: Final = ("block", "reduce_only", "flatten")
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}


Scope = Annotated[str, typer.Option(help=f"Whose: {', '.join(SCOPES)}.", autocompletion=among(SCOPES))]
Name = Annotated[str, typer.Option(help="Which bot, family or symbol; `*` = each one that has no limit of its own.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit log.")]
BotName = Annotated[str, typer.Argument(help="A bot's name.", autocompletion=bots)]
Symbol = Annotated[str, typer.Option(help="Symbol; default: the bot's own.")]
Side = Annotated[str, typer.Option(help="buy or sell.", autocompletion=among(("buy", "sell")))]
Price = Annotated[str, typer.Option(help="Price that it is valued at; default: the last one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="**Example** `omega risk show --json`")
def show(as_json: Json = False) -> None:
    """Show limits, use, reservations and headroom by scope; halts, blocks and locks with their reasons."""
    found = _ask("risk.show", {})
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['venue']}/{found['account']}  equity {found['equity']}  market time {found['market_time']}")
    _table(found["limits"])
    for one in found["reservations"]:
        print(f"reserved  {one['bot']} {one['role']} {one['side']} {one['size']} {one['symbol']} ({one['state']})")
    for one in found["changes"]:
        until = f" until {one['until']}" if one["until"] else ""
        who = f"{one['by']}: {one['reason']}"
        print(f"changed   {one['scope']} {one['name']} {one['measure']}: {one['levels']}{until} ({who})")
    for one in found["halts"]:
        print(f"HALTED    {one['scope']} {one['name']} ({one['level']}): {one['reason']}")
    for text in found["blocks"]:
        print(f"BLOCKED   {text}")
    for one in found["locks"]:
        print(f"LOCKED    {one['bot']} {one['symbol']} until {one['until']}: {one['rule']}, {one['reason']}")


@app.command("what-if", epilog="**Example** `omega risk what-if fib-btc --size 0.01 --side buy --json`")
def what_if(
    bot: BotName,
    size: Annotated[str, typer.Option(help="Size in base units.")],
    symbol: Symbol = "",
    side: Side = "buy",
    price: Price = "",
    stop: Annotated[str, typer.Option(help="Its stop; default: 1 % away.")] = "",
    leverage: Annotated[int, typer.Option(min=1, help="Its leverage.")] = 1,
    as_json: Json = False,
) -> None:
    """Ask the gate about an entry without sending it; exit 1 when it would be denied."""
    params: dict[str, Scalar] = {"bot": bot, "symbol": symbol, "side": _side(side), "leverage": leverage}
    params |= {name: amount(text, f"--{name}") for name, text in (("size", size), ("price", price), ("stop", stop))}
    found = _ask("risk.what_if", params)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        asked = f"{found['bot']} {found['side']} {found['size']} {found['symbol']} at {found['price']}"
        print(f"{asked}: {'allowed' if found['allowed'] else 'DENIED'}")
        for finding in found["findings"]:
            print(f"  {finding['rule']}: {finding['words']}")
        for row in found["figures"]:
            mark = "BROKEN" if row["broken"] else "ok"
            figures = f"{row['before']:>14} -> {row['after']:>14} of {row['bound']}"
            print(f"  {mark:<7} {row['scope']:<8} {row['name']:<14} {row['measure']:<24} {figures}")
    raise typer.Exit(0 if found["allowed"] else 1)


@app.command(epilog="**Example** `omega risk headroom` · `omega risk headroom --bot fib-btc --side sell`")
def headroom(
    bot: Annotated[str, typer.Option(help="For an entry of this bot: its largest size.", autocompletion=bots)] = "",
    symbol: Symbol = "",
    side: Side = "buy",
    price: Price = "",
    as_json: Json = False,
) -> None:
    """Show what is left of every limit, or the largest entry of a bot that fits; exit 1 when none does."""
    if not bot:
        rows = _ask("risk.show", {})["limits"]
        print(json.dumps(rows, indent=2)) if as_json else _table(rows)
        return
    found = _ask(
        "risk.headroom", {"bot": bot, "symbol": symbol, "side": _side(side), "price": amount(price, "--price")}
    )
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(
            f"{found['bot']} may {found['side']} {found['size']} {found['symbol']} at {found['price']} "
            f"({found['notional']}); bounded by {found['bounded_by']}"
        )
        for finding in found["findings"]:
            print(f"  but {finding['rule']}: {finding['words']}")
    raise typer.Exit(1 if found["findings"] or not float(found["size"]) else 0)


@app.command(epilog="**Example** `omega risk halt --scope bot --name fib-btc --reason 'odd fills'`")
def halt(
    scope: Scope = "account",
    name: Name = "",
    level: Annotated[
        str, typer.Option(help="reduce_only, or flatten: close its positions too.", autocompletion=among(LEVELS[1:]))
    ] = "reduce_only",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Halt the entries of a scope; it stays halted, also over restarts, until somebody releases it."""
    _command(Verb.HALT, {"scope": scope, "name": name, "level": level}, reason, as_json=as_json)


@app.command(epilog="**Example** `omega risk release --scope bot --name fib-btc --reason 'checked the fills'`")
def release(scope: Scope = "account", name: Name = "", reason: Reason = "", as_json: Json = False) -> None:
    """Release a halt; a reason is required. Losses count anew from here."""
    if not reason:
        raise ConfigError("a halt is released with a reason: omega risk release --reason '...'")
    _command(Verb.RELEASE, {"scope": scope, "name": name}, reason, as_json=as_json)


@app.command(
    epilog="**Examples** `omega risk limit gross_notional 30000 --reason 'thin weekend' --until 12h` · "
    "`omega risk limit leverage 2 --scope bot --name fib-btc --reason 'new version'` · "
    "`omega risk limit gross_notional default --reason 'monday'`"
)
def limit(
    measure: Annotated[
        str,
        typer.Argument(help="Which limit, as in risk.limits.", autocompletion=among(tuple(ScopeLimits.model_fields))),
    ],
    value: Annotated[str, typer.Argument(help="The new bound; `none` = no limit, `default` = what the settings say.")],
    scope: Scope = "account",
    name: Name = "",
    level: Annotated[
        str, typer.Option(help=f"Which level: {', '.join(LEVELS)}.", autocompletion=among(LEVELS))
    ] = "block",
    until: Annotated[str, typer.Option(help="When it ends: 30m, 12h, 2d, or an instant in ISO 8601 UTC.")] = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Change one limit of the running farm; kept over restarts and in the audit log. The caps of `trading` stay."""
    if not reason:
        raise ConfigError("a limit is changed with a reason: omega risk limit ... --reason '...'")
    if measure not in ScopeLimits.model_fields:
        raise ConfigError(f"there is no limit {measure!r}; there are {', '.join(ScopeLimits.model_fields)}")
    if value not in {"none", "default"}:
        amount(value, measure)
    params: dict[str, Scalar] = {"scope": scope, "name": name, "measure": measure, "value": value, "level": level}
    if until:
        params["until_ns"] = _instant(until)
    _command(Verb.LIMIT, params, reason, as_json=as_json)


def _instant(text: str) -> int:
    short = re.fullmatch(r"([1-9][0-9]*)([mhd])", text)
    at = time.time_ns() + int(short[1]) * _UNITS[short[2]] * 1_000_000_000 if short else from_iso(text)
    if at <= time.time_ns():
        raise ConfigError(f"--until {text!r} has passed already; name a later instant, or a span as in 12h")
    return at


def _side(side: str) -> str:
    if side not in {"buy", "sell"}:
        raise ConfigError(f"--side {side!r} is neither buy nor sell")
    return side


def _table(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'scope':<8} {'name':<14} {'measure':<25} {'use':>14} {'bound':>14} {'headroom':>14} {'used':>7}  written in"
    )
    for row in rows:
        head = f"{row['scope']:<8} {row['name'] or '-':<14} {row['measure']:<25}"
        numbers = f"{row['use']:>14} {row['bound']:>14} {row['headroom']:>14} {row['used_pct']:>6.1f}%"
        print(f"{head} {numbers}  {row['origin']}{'  BLOCKED' if row['blocked'] else ''}")


def _command(verb: Verb, params: dict[str, Scalar], reason: str, *, as_json: bool) -> None:
    if params["scope"] not in SCOPES:
        raise ConfigError(f"--scope {params['scope']!r} is none of {', '.join(SCOPES)}")
    if params["scope"] in {"family", "bot", "symbol"} and not params["name"]:
        raise ConfigError(f"--scope {params['scope']} wants the --name of one")
    command = Command(new_id(), verb, RISK, getpass.getuser(), reason, params)
    results = with_bus(lambda bus, _settings: _send(bus, command))
    if as_json:
        rows = [{"stage": result.stage, "detail": result.detail} for result in results]
        print(json.dumps({"command_id": command.command_id, "results": rows}, indent=2))
    else:
        for result in results:
            print(f"{result.service}: {result.stage}: {result.detail}")
    if not results:
        raise EnvironmentFault(f"no gateway answered within {ANSWER_S:.0f} s; is the farm running (OMEGA_REDIS_URL)?")
    if any(result.stage == "refused" for result in results):
        raise typer.Exit(1)


async def _send(bus: Bus, command: Command) -> list[CommandResult]:
    """Send a command and collect the gateways' answers; the first one ends the wait, after a moment for the others."""
    results: list[CommandResult] = []
    async with bus.follow(bus.topics.control_results()) as stream:
        deadline = 0 if command.verb in RISK_REDUCING else time.time_ns() + EXPIRES_NS
        await bus.send(command, deadline_ns=deadline, message_id=f"command:{command.command_id}")
        try:
            async with asyncio.timeout(ANSWER_S) as limit:
                async for received in stream:
                    answer = received.envelope.data
                    if isinstance(answer, CommandResult) and answer.command_id == command.command_id:
                        results.append(answer)
                        limit.reschedule(asyncio.get_running_loop().time() + 0.3)
        except TimeoutError:
            pass
    return results


def _ask(method: str, params: dict[str, Scalar]) -> Any:
    within_ns = int(ANSWER_S * 1e9)
    return with_bus(lambda bus, _settings: bus.ask("gateway", method, params, within_ns=within_ns))
