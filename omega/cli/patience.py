"""What long work says while it goes on: on stderr, on a terminal alone, and only once people begin to wonder."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

PATIENCE_S: Final = 1.0


@contextmanager
def patience(first: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done, once it takes longer than people like to wait; nothing where nobody looks."""
    now = first
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    from rich.console import Console

    status = Console(stderr=True).status(now)
    timer = threading.Timer(PATIENCE_S, status.start)
    timer.daemon = True

    def say(text: str) -> None:
        status.update(text)

    timer.start()
    try:
        yield say
    finally:
        timer.cancel()
        status.stop()
