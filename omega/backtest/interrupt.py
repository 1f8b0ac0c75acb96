"""Ctrl-C that waits for the end of a step which must not be cut in two: a message half read, a trial half written.

Used by the sweep around its sockets and its study.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class _Later:
    """The handler of a step: remembers the first Ctrl-C and lets a second one through."""

    def __init__(self, before: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
        self._before = before
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self.pass_on(number, frame)
        self.asked = True

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        """Do what would have been done without the step."""
        if callable(self._before):
            self._before(number, frame)
        else:  # the system's own: the process ends
            signal.signal(number, self._before)
            signal.raise_signal(number)


@contextmanager
def whole_step() -> Iterator[None]:
    """Run the block to its end, then raise the KeyboardInterrupt that came meanwhile; nested blocks are one.

    A second Ctrl-C inside the block does not wait: whoever insists would rather lose the step. Where Ctrl-C is nobody's
    business the block runs as it is: outside of the main thread (Python delivers no signals there), while SIGINT is
    ignored (a job in the background), and where a library in C handles it (Python could not put that back).
    """
    before = signal.getsignal(signal.SIGINT)
    elsewhere = threading.current_thread() is not threading.main_thread()
    if elsewhere or before is None or before is signal.SIG_IGN or isinstance(before, _Later):
        yield
        return
    assert callable(before) or isinstance(before, signal.Handlers)
    later = _Later(before)
    signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if later.asked:
            later.pass_on(signal.SIGINT, None)
