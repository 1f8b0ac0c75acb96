"""Records that wait while the server is away: bounded, in order, exits first. Filled and drained by the link."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from omega.errors import Denied


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record on its way out.

    Attributes:
        message_id: the key of deduplication: sending it twice writes it once.
        type: the message type, for the log.
        packed: the whole command as the wire wants it.
        high: it can only lower risk (an exit).
        deadline_ns: drop it after this instant, 0 = never.
    """

    message_id: str
    type: str
    packed: bytes
    high: bool
    deadline_ns: int


class Outbox:
    """Two lanes of at most `limit` records each, so that a flood of decisions never costs an exit its place."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._high: deque[Outgoing] = deque()
        self._low: deque[Outgoing] = deque()

    def __len__(self) -> int:
        return len(self._high) + len(self._low)

    def put(self, item: Outgoing) -> None:
        """Append a record to its lane.

        Raises:
            Denied: the lane is full.
        """
        lane = self._high if item.high else self._low
        if len(lane) >= self.limit:
            raise Denied(
                f"the outbox is full ({self.limit} records wait for Redis): {item.type} {item.message_id} is not kept; "
                "bring Redis back, or stop producing",
                rule="bus.outbox_full",
            )
        lane.append(item)

    def put_back(self, items: Iterable[Outgoing]) -> None:
        """Return records that were taken, or in flight, to the front, in their order, over the limit if need be."""
        for item in reversed(list(items)):
            (self._high if item.high else self._low).appendleft(item)

    def take(self, count: int) -> list[Outgoing]:
        """Take up to `count` records: the high lane first, each lane in order."""
        taken: list[Outgoing] = []
        for lane in (self._high, self._low):
            while lane and len(taken) < count:
                taken.append(lane.popleft())
        return taken

    def waiting(self) -> tuple[Outgoing, ...]:
        """Return what waits, in the order in which it will go."""
        return tuple(chain(self._high, self._low))
