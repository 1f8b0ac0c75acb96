"""What a sender writes on every message: id, time, epoch, a sequence without holes, the key of its order. One a bus."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter

from omega.bus.codec import format_of, write
from omega.bus.envelope import Envelope
from omega.bus.messages import (
    AccountStatus,
    AnalysisMade,
    AuditNote,
    BarClosed,
    BotStatus,
    Command,
    CommandResult,
    ConfigChanged,
    ConsensusPrice,
    DecisionMade,
    FundingPaid,
    HaltChanged,
    Heartbeat,
    Message,
    OrderEvent,
    Quote,
    Reply,
    Request,
    StopEvent,
)
from omega.bus.topics import Topics
from omega.bus.ulid import UlidMaker
from omega.domain import Fill, Intent, Reading

_ACCOUNT = attrgetter("venue", "account")
_MARKET = attrgetter("venue", "symbol")

_KEYS: dict[type, Callable[[object], object]] = {
    BarClosed: attrgetter("venue", "symbol", "timeframe"),
    Quote: _MARKET,
    ConsensusPrice: _MARKET,
    Heartbeat: attrgetter("service", "instance"),
    BotStatus: attrgetter("bot"),
    AccountStatus: _ACCOUNT,
    Reading: attrgetter("factor"),
    Intent: attrgetter("bot"),
    DecisionMade: attrgetter("bot"),
    OrderEvent: attrgetter("bot"),
    Fill: attrgetter("bot"),
    StopEvent: attrgetter("bot"),
    FundingPaid: attrgetter("bot"),
    HaltChanged: _ACCOUNT,
    Command: attrgetter("target"),
    CommandResult: attrgetter("target"),
    ConfigChanged: attrgetter("service"),
    AuditNote: attrgetter("actor"),
    AnalysisMade: attrgetter("symbol"),
    Request: attrgetter("service"),
    Reply: attrgetter("request_id"),
}


def key_of(message: Message) -> str:
    """Return what order is kept by: a bot, a market, an account.

    Messages of one key go to one set of topics, so a reader of any of these topics sees their `seq` without holes.
    """
    value = _KEYS[type(message)](message)
    if isinstance(message, Reply):
        return message.request_id.split("/", 1)[0]
    return "/".join(value) if isinstance(value, tuple) else str(value)


class Stamper:
    """Stamps the messages of one sender; the sequence counts by epoch, topics and key: a hole means a lost message."""

    def __init__(
        self,
        source: str,
        topics: Topics,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.source = source
        self.now_ns = now_ns
        self.new_id = new_id or UlidMaker()
        self.traceparent: Callable[[], str] = _no_trace
        self._topics = topics
        self._next: defaultdict[tuple[int, tuple[str, ...], str], int] = defaultdict(int)

    def number(self, epoch: int, topics: tuple[str, ...], key: str) -> int:
        """Return the next sequence number of a key."""
        place = (epoch, topics, key)
        self._next[place] = number = self._next[place] + 1
        return number

    def bytes_of(
        self,
        message: Message,
        topics: tuple[str, ...],
        *,
        message_id: str,
        epoch: int,
        corr: str,
        cause: str,
        deadline_ns: int,
    ) -> bytes:
        """Write a message as it goes out."""
        key = key_of(message)
        return write(
            format_of(message),
            message,
            message_id=message_id,
            ts_ns=self.now_ns(),
            source=self.source,
            epoch=epoch,
            seq=self.number(epoch, topics, key),
            corr=corr,
            cause=cause,
            key=key,
            deadline_ns=deadline_ns,
            traceparent=self.traceparent(),
        )

    def envelope(
        self,
        message: Message,
        topics: tuple[str, ...],
        *,
        message_id: str,
        epoch: int,
        corr: str,
        cause: str,
        deadline_ns: int,
    ) -> Envelope:
        """Return the envelope of a message that does not leave the process."""
        spec = format_of(message).spec
        key = key_of(message)
        return Envelope(
            id=message_id,
            type=spec.name,
            version=spec.version,
            ts_ns=self.now_ns(),
            source=self.source,
            epoch=epoch,
            seq=self.number(epoch, topics, key),
            corr=corr,
            cause=cause,
            key=key,
            deadline_ns=deadline_ns,
            traceparent=self.traceparent(),
            data=message,
        )


def _no_trace() -> str:
    return ""
