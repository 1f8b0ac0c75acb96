"""What the private channels must still tell: collected while one event is worked out, then sent in the venue's order.

Filled by settlement, placing and plans; emptied by the exchange after every event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.simulator.instruments import Product


class Channel(StrEnum):
    """Private channels, in the order in which one event reaches them."""

    ORDERS = "orders"
    ALGO = "orders-algo"
    FILL = "fill"
    POSITIONS = "positions"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Private:
    """One frame to come. `row` is None for the channels that send the state of the moment of sending."""

    uid: str
    product: Product
    channel: Channel
    symbol: str = ""
    row: dict[str, Any] | None = None


@dataclass(slots=True)
class Outbox:
    """Frames of one event."""

    rows: dict[Channel, list[Private]] = field(default_factory=lambda: {channel: [] for channel in Channel})

    def put(self, frame: Private) -> None:
        """Collect a frame; a state is sent once an event, however often it changed."""
        waiting = self.rows[frame.channel]
        if frame.row is not None or frame not in waiting:
            waiting.append(frame)

    def drain(self) -> Iterator[Private]:
        """Yield what was collected, channel after channel, and forget it."""
        for channel, waiting in self.rows.items():
            if waiting:
                self.rows[channel] = []
                yield from waiting
