"""Ctrl-C that waits for the end of a step which must not be cut in two: a message half read, a trial half written.

Used by the sweep around its sockets and its study.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def whole_step() -> Iterator[None]:
    """Run the block to its end, then raise the KeyboardInterrupt that came meanwhile; nested blocks are one.

    Outside of the main thread, where Python delivers no signals, the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def later(_number: int, _frame: Any) -> None:
        nonlocal asked
        asked = True

    before = signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if asked:
            _pass_on(before)


def _pass_on(handler: Any) -> None:
    if callable(handler):
        handler(signal.SIGINT, None)
    elif handler == signal.SIG_DFL:
        signal.raise_signal(signal.SIGINT)
