"""Counters of one bus, for metrics and the doctor. Plain integers: the hot way adds to them without a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BusStats:
    """What a bus has done since it was built.

    Attributes:
        sent: messages that the server has taken.
        buffered: records that went to the outbox.
        dropped: signals that met a dead connection, and buffered records past their deadline.
        duplicates: records that the server had already.
        fenced: records that a newer epoch refused.
        received: messages handed to readers.
        conflated: signals that were replaced by a newer one before they were read.
        gaps: holes in a sequence that sent a reader to the stream.
        resumed: subscriptions that came back after a loss.
        reconnected: times that the sending connection came back.
        corrupt: messages that could not be read.
        redelivered: deliveries that were not the first.
        buried: records that went to the dead letters.
        groups_recreated: consumer groups that had vanished.
    """

    sent: int = 0
    buffered: int = 0
    dropped: int = 0
    duplicates: int = 0
    fenced: int = 0
    received: int = 0
    conflated: int = 0
    gaps: int = 0
    resumed: int = 0
    reconnected: int = 0
    corrupt: int = 0
    redelivered: int = 0
    buried: int = 0
    groups_recreated: int = 0
