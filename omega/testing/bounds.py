"""A bound for what blocks on a child process: reading its output, or waiting for its end. Used by tests."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def killed_after(process: subprocess.Popen[bytes] | subprocess.Popen[str], within_s: float = 60.0) -> Iterator[None]:
    """Kill a child that is still awaited when the time is over: who reads its output then comes to the end of it."""
    timer = threading.Timer(within_s, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


async def exit_code(process: asyncio.subprocess.Process, within_s: float = 60.0) -> int:
    """Wait for the end of a child and return its exit code.

    asyncio waits for the child's pipes to close too, which a grandchild may hold open for ever.

    Raises:
        TimeoutError: it lives on, or its pipes do; it has been killed.
    """
    try:
        async with asyncio.timeout(within_s):
            return await process.wait()
    except TimeoutError:
        if process.returncode is None:
            process.kill()
        raise
