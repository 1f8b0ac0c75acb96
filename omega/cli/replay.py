"""`omega replay`: a recorded session of a bot, folded again by the runner's own code; every intent must come out alike.

The runner's code lives in its service, so the replay is a process of that service, as in its container.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from omega.errors import ConfigError

EXAMPLES = """
**Examples**

`omega replay var/sessions/fib-btc.session.jsonl` · one recorded session

`omega replay var/sessions --json` · every session of a folder, as one JSON object
"""
_FINDING = 1


def replay(
    log: Annotated[Path, typer.Argument(help="A recorded session (*.session.jsonl), or a folder of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run a recorded session's bars, fills and commands through the decision code; it must make the same intents.

    The exit code is 1 when an intent or a decision differs in a single byte, or when the log was changed.
    """
    if not log.exists():
        raise ConfigError(f"there is no {log}: name a recorded session; `omega up --record FOLDER` makes one a bot")
    command = [sys.executable, "-m", "services.runner.replay", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if not done.stdout:
        words = done.stderr.strip().removeprefix("replay: ") or "the replay ended without an answer"
        print(f"omega: {words}", file=sys.stderr)
        raise typer.Exit(done.returncode or _FINDING)
    if as_json:
        print(json.dumps(json.loads(done.stdout), indent=2))
    else:
        _tell(json.loads(done.stdout))
    raise typer.Exit(done.returncode)


def _tell(outcome: dict[str, Any]) -> None:
    for session in outcome["sessions"]:
        verdict = "every intent is the same" if session["ok"] else f"{session['difference_count']} DIFFERENCES"
        print(
            f"{session['bot']}: {session['bars']:,} bars, {session['fills']} fills, "
            f"{session['decisions']:,} decisions, "
            f"{session['intents']} intents, {session['starts']} starts: {verdict}"
        )
        for one in session["differences"]:
            print(
                f"  line {one['line']}, bar {one['bar']}, {one['what']} {one['field']}: recorded {one['recorded']}, "
                f"replayed {one['replayed']} ({one['cause']})"
            )
    print(f"{outcome['elapsed_s']:.2f} s")
