"""A bell that rings when something has changed, so that waiting needs no polling.

Shared by the parts of the local Discord.
"""

import asyncio
from collections.abc import Callable


class Bell:
    """Wakes everybody who waits for a condition."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Tell everybody to look again."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, condition: Callable[[], object], within_s: float) -> None:
        """Wait until a condition holds.

        Raises:
            TimeoutError: it did not hold in time.
        """
        async with asyncio.timeout(within_s):
            while not condition():
                await self._event.wait()
