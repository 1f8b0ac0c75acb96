"""Child processes that are restarted when they die. Used by the composition for one machine."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omega.errors import ConfigError, EnvironmentFault

PR_SET_PDEATHSIG = 1
FIRST_BACKOFF_S = 0.2
LAST_BACKOFF_S = 5.0
STEADY_S = 30.0
FATAL_CODES = frozenset({2})
"""A usage error does not heal by itself: the farm stops and shows it."""


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent is gone (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Child:
    """One process of the farm.

    Attributes:
        name: what people call it (`gateway`, `runner-fib-btc`).
        argv: the command.
        env: what is added to this process' environment.
        port: its health port, 0 when it has none.
    """

    name: str
    argv: list[str]
    env: Mapping[str, str]
    log: Path
    port: int = 0
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    started_s: float = 0.0
    ready_s: float = 0.0
    first_start_s: float = field(default=0.0)

    @property
    def pid(self) -> int:
        """The process id, 0 when it does not run."""
        return self.process.pid if self.process and self.process.returncode is None else 0

    def rss_mb(self) -> float:
        """Return the resident memory in MB, 0 when it does not run or cannot be told."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):
            return 0.0
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)

    def cpu_s(self) -> float:
        """Return the processor time of this life in seconds, 0 when it cannot be told."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            return round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 2)
        except (OSError, IndexError, ValueError):
            return 0.0

    def tail(self, lines: int = 12) -> str:
        """Return the end of the log."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"


class Processes:
    """Starts children, restarts the ones that die, stops them all within a bound."""

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}
        self.failed: asyncio.Future[Child] | None = None
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._spawning: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self, child: Child) -> None:
        """Start a child and watch over it."""
        self.children[child.name] = child
        if self.failed is None:
            self.failed = asyncio.get_running_loop().create_future()
        child.first_start_s = time.monotonic()
        await self._spawn(child)
        self._watchers[child.name] = asyncio.create_task(self._watch(child), name=f"watch-{child.name}")

    async def stop(self, *, within_s: float = 10.0, last: str = "") -> None:
        """Send SIGTERM to all, wait, then SIGKILL; the child named `last` goes after the others."""
        self._stopping = True
        for watcher in self._watchers.values():
            watcher.cancel()
        try:
            await asyncio.gather(*self._spawning, return_exceptions=True)  # who is born just now is known, and ended
            first = [child for child in self.children.values() if child.name != last]
            await asyncio.gather(*(self._end(child, within_s) for child in first))
            if last in self.children:
                await self._end(self.children[last], within_s)
        finally:  # also when nobody waits for a polite end any more
            await asyncio.gather(*map(self._kill, self.children.values()))

    async def _spawn(self, child: Child) -> None:
        child.started_s = time.monotonic()
        child.ready_s = 0.0
        with child.log.open("ab") as log:
            child.process = await asyncio.create_subprocess_exec(
                *child.argv,
                env={**os.environ, **child.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )

    async def _watch(self, child: Child) -> None:
        backoff = FIRST_BACKOFF_S
        while True:
            assert child.process is not None
            code = await child.process.wait()
            if self._stopping or code == 0:
                return
            if code in FATAL_CODES and self.failed and not self.failed.done():
                self.failed.set_result(child)
                return
            lived = time.monotonic() - child.started_s
            backoff = FIRST_BACKOFF_S if lived > STEADY_S else min(backoff * 2, LAST_BACKOFF_S)
            await asyncio.sleep(FIRST_BACKOFF_S if child.restarts == 0 else backoff)
            child.restarts += 1
            birth = asyncio.create_task(self._spawn(child), name=f"spawn-{child.name}")
            self._spawning.add(birth)
            birth.add_done_callback(self._spawning.discard)
            await asyncio.shield(birth)

    @staticmethod
    async def _end(child: Child, within_s: float) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await process.wait()
        await Processes._kill(child)

    @staticmethod
    async def _kill(child: Child) -> None:
        process = child.process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def exchange_line(port: int, request: bytes, *, within_s: float = 1.0) -> bytes:
    """Send bytes to a port of this machine and return the first line of the answer; the connection is always closed.

    Raises:
        OSError: nobody listens, or the connection broke.
        TimeoutError: no line came in time.
    """
    async with asyncio.timeout(within_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            return await reader.readline()
        finally:
            writer.close()


def not_ready(children: list[Child], within_s: float) -> EnvironmentFault:
    """Return the error for processes that did not become ready: what the one that keeps dying said, else the first."""
    first = max(children, key=lambda child: child.restarts)
    names = ", ".join(child.name for child in children)
    died = f", which died {first.restarts} times" if first.restarts else ""
    return EnvironmentFault(
        f"{names} not ready within {within_s:.0f} s; {first.name}{died}, said: {last_words(first)} (log: {first.log})"
    )


def last_words(child: Child) -> str:
    """Return what a process said when it gave up (`NAME: sentence`), else the end of its log."""
    service = child.argv[-1].removeprefix("services.")
    words = [line for line in child.tail().splitlines() if line.startswith(f"{service}: ")]
    return words[-1].split(": ", 1)[-1] if words else child.tail(4)


def fatal(child: Child) -> ConfigError:
    """Make the error that a child died of readable: its own last words."""
    code = child.process.returncode if child.process else None
    error = ConfigError if code in FATAL_CODES else EnvironmentFault
    return error(f"{child.name} cannot start: {last_words(child)} (log: {child.log})")
