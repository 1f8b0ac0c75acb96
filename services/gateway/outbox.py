"""Events from the journal to the bus, in order, each until the bus has it. The task behind publish-after-commit.

A bus that lost its memory (emptied, or started on an empty disk) has lost what its readers had not read: a key that is
gone tells, and the newest events are sent again. Readers know what they have by message id and trade id.
"""

from __future__ import annotations

import asyncio
import time

from omega.bus.port import Bus, BusState, SendResult
from omega.errors import Denied, OmegaError
from omega.telemetry import get_logger
from services.gateway.activity import Activity
from services.gateway.journal import Journal
from services.gateway.rows import Pending

_log = get_logger(__name__)
_IDLE_S = 1.0
_MARK_EVERY = 500
_LOOK_S = 1.0
_AGAIN = 1_000
"""How many events are sent again; a runner remembers as many fills."""


class Outbox:
    """Sends what the journal holds; message ids are deterministic, so sending again after a crash doubles nothing."""

    def __init__(self, journal: Journal, bus: Bus, activity: Activity, *, account: tuple[str, str]) -> None:
        self._journal = journal
        self._bus = bus
        self._activity = activity
        self._wake = asyncio.Event()
        self._upto = 0
        self._marked = 0
        self._clear = False
        self._memory = bus.topics.state("outbox", *account)
        self._looked_s = 0.0
        journal.on_lasting(self._wake.set)

    @property
    def clear(self) -> bool:
        """Tell whether the bus has every event."""
        return self._clear and self._journal.synced and not self._wake.is_set()

    @property
    def waiting(self) -> int:
        """How many events the bus does not have yet, a thousand at most."""
        return len(self._journal.pending(after=self._upto, limit=1_000))

    async def run(self) -> None:
        """Send until cancelled."""
        self._wake.set()
        while True:
            await self._wait()
            await asyncio.sleep(0)  # orders that were journalled by the same commit leave before their events do
            self._wake.clear()
            self._clear = False
            if self._bus.state() is BusState.CONNECTED and await self._look_back() and await self.flush():
                self._clear = not self._wake.is_set()
                self._activity.changed()

    async def flush(self) -> bool:
        """Send everything that waits; False when the bus does not take it now."""
        while waiting := self._journal.pending(after=self._upto):
            for item in waiting:
                if not await self._send(item):
                    return False
            if self._upto - self._marked > _MARK_EVERY:
                self.settle()
        return True

    async def _look_back(self) -> bool:
        """See, once a second, whether the bus remembers; if not, let the newest events wait again.

        False when the bus did not answer.
        """
        if time.monotonic() - self._looked_s < _LOOK_S:
            return True
        try:
            if await self._bus.get(self._memory) is None:
                again = self._journal.mark_unsent(_AGAIN)
                self._upto = self._marked = 0
                await self._bus.put(self._memory, "1")
                if again:
                    _log.warning("events.sent_again", count=again, why="the bus has lost its memory")
        except OmegaError as error:
            _log.info("outbox.not_looked_back", why=str(error)[:200])
            return False
        self._looked_s = time.monotonic()
        return True

    def settle(self) -> None:
        """Write down what the bus has; it costs a commit, so it happens when there is time."""
        if self._upto > self._marked:
            self._marked = self._upto
            self._journal.mark_sent(self._upto)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            self.settle()

    async def _send(self, item: Pending) -> bool:
        try:
            result = await self._bus.send(item.message, corr=item.corr, message_id=item.message_id)
        except Denied as error:
            _log.warning("event.held_back", message_id=item.message_id, why=str(error))
            return False
        if result is SendResult.BUFFERED:
            return False
        self._upto = item.seq
        return True
