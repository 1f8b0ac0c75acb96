"""What is in hand right now, so that `settle` and a drain know when nothing is. Shared by all parts of the gateway."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_S = 0.25
"""A condition may also change without a word, by time alone."""


class Activity:
    """Counts work by name and wakes whoever waits for a condition when anything changes."""

    def __init__(self) -> None:
        self.frames = 0
        """Private pushes processed since the private socket opened."""
        self._busy: Counter[str] = Counter()
        self._waiters: set[asyncio.Future[None]] = set()

    @contextmanager
    def doing(self, name: str) -> Iterator[None]:
        """Count a piece of work as in hand while the block runs."""
        self._busy[name] += 1
        try:
            yield
        finally:
            self._busy[name] -= 1
            self.changed()

    def busy(self) -> dict[str, int]:
        """Return what is in hand."""
        return {name: count for name, count in self._busy.items() if count}

    def changed(self) -> None:
        """Let waiters look at their condition again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that changes with the activity."""
        while not condition():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await waiter
            except TimeoutError:
                continue
            finally:
                self._waiters.discard(waiter)
