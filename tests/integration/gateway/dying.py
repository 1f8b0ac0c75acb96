"""The first life of a gateway in a process of its own, which kills itself at a chosen point."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from omega.bus import Command
from omega.domain import Intent

ROOT = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).with_name("dying_gateway.py")
WITHIN_S = 90.0


async def die_at(bench: Any, point: str, *, intent: Intent | None = None, command: Command | None = None) -> None:
    """Close the bench's gateway and let another work on its journal until it kills itself."""
    settings = plain(bench.gateway.settings)
    await bench.close()
    given = {
        "point": point,
        "settings": settings,
        "intent": TypeAdapter(Intent).dump_json(intent).decode() if intent is not None else "",
        "command": TypeAdapter(Command).dump_json(command).decode() if command is not None else "",
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CHILD),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            _, errors = await child.communicate(json.dumps(given).encode())
    except TimeoutError:
        child.kill()
        raise
    assert child.returncode == -9, errors.decode()[-2000:]


def plain(settings: Any) -> str:
    """The settings as JSON with their secrets: they are the simulator's published ones."""
    document = settings.model_dump(mode="json")
    for name in ("api_key", "api_secret", "passphrase"):
        document["gateway"][name] = getattr(settings.gateway, name).get_secret_value()
    for number, key in enumerate(settings.simulator.keys):
        document["simulator"]["keys"][number] = {"key": key.key, "secret": "x", "passphrase": "x"}
    return json.dumps(document)
