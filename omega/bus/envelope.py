"""What every message travels in: who, when, in which epoch, in answer to what, until when.

Made by the bus, read by everyone.
"""

from __future__ import annotations

from dataclasses import dataclass

from omega.bus.messages import Message


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message on its way.

    Attributes:
        id: ULID; the key of deduplication.
        type: the message type of `omega.bus.messages`.
        version: the version of the type as it was written; `data` is always of today's version.
        ts_ns: when it was sent, ns UTC (the sender's clock).
        source: service and instance that sent it.
        epoch: the sender's lease epoch; 0 for senders without a lease.
        seq: counts up by one per source, epoch and topic set; a hole is a lost message.
        corr: correlation id, the same from a bar to its fills.
        cause: the id of the message that caused this one.
        key: what order is kept by (a bot, a symbol).
        deadline_ns: drop it after this instant, 0 = never.
        traceparent: W3C trace context, empty when there is none.
        data: the message.
    """

    id: str
    type: str
    version: int
    ts_ns: int
    source: str
    epoch: int
    seq: int
    corr: str
    cause: str
    key: str
    deadline_ns: int
    traceparent: str
    data: Message
