"""`omega` in a process of its own without the second that its imports take: a warm server forks for each call.

For tests of what a command says and does. Where the start itself is the point, start `python -m omega.cli`.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from omega.cli.app import COMMANDS, main

_WARM: Final = multiprocessing.get_context("forkserver")
_WARM.set_forkserver_preload([__name__, *(command.module for command in COMMANDS.values())])


def omega(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], within_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run the command in a directory, with exactly this environment, and return what it said and its exit code.

    Raises:
        subprocess.TimeoutExpired: it did not end in time; it has been killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _WARM.Process(target=_command, args=(list(words), cwd, dict(env), out, err))
        process.start()
        process.join(within_s)
        if process.exitcode is None:
            process.kill()
            process.join(10)
            raise subprocess.TimeoutExpired(["omega", *words], within_s)
        code = process.exitcode
        process.close()
        return subprocess.CompletedProcess(["omega", *words], code, out.read_text("utf-8"), err.read_text("utf-8"))


def _command(words: list[str], cwd: Path, env: dict[str, str], out: Path, err: Path) -> None:
    """Be the command: in the forked child."""
    for path, number in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["omega", *words]
    main()
