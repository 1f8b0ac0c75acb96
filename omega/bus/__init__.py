"""Everything that travels between services: messages, topics, one port, two implementations; alone imports redis."""

from __future__ import annotations

from collections.abc import Sequence

from omega.bus.client import RedisClient
from omega.bus.codec import decode, encode
from omega.bus.endpoint import Endpoint, Patience, ServerSettings, masked
from omega.bus.envelope import Envelope
from omega.bus.memory import MemoryBus, MemoryHub
from omega.bus.messages import (
    ANY,
    BY_CLASS,
    BY_NAME,
    RISK_REDUCING,
    SPECS,
    AccountStatus,
    AnalysisMade,
    AuditNote,
    BarClosed,
    BookLine,
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
    MessageClass,
    MindStatus,
    OrderEvent,
    Quote,
    Reply,
    Request,
    RiskVerdict,
    Scalar,
    Spec,
    StopEvent,
    StopState,
    SymbolUse,
    Verb,
)
from omega.bus.port import Bus, BusState, Delivery, Handler, Lease, Received, SendResult
from omega.bus.redis import RedisBus
from omega.bus.stats import BusStats
from omega.bus.topics import FARM, RISK, Topics
from omega.bus.ulid import UlidMaker, ulid_ms
from omega.bus.versions import upcast
from omega.domain import Fill, Intent, Reading

new_id = UlidMaker()
"""Return a new ULID of this process."""


def connect(
    server: str | ServerSettings, *, env: str, source: str, patience: Patience | None = None, proves: Sequence[str] = ()
) -> RedisBus:
    """Build the bus of one process; `await bus.start()` connects it.

    Args:
        server: a URL (redis://, rediss://, unix://, or the valkey spellings of them), or the settings' section `redis`.
        env: dev, paper or live: the first part of every topic.
        source: service and instance, unique in the farm; on every envelope.
        patience: time-outs and bounds; else those of the section, else the design's.
        proves: topics that this process must be able to write and read; proven at start.

    Raises:
        ConfigError: the URL is none.
    """
    url = server if isinstance(server, str) else server.url
    if patience is None:
        patience = Patience() if isinstance(server, str) else Patience.of(server)
    return RedisBus(Endpoint.parse(url), env=env, source=source, patience=patience, proves=proves)


__all__ = [
    "ANY",
    "BY_CLASS",
    "BY_NAME",
    "FARM",
    "RISK",
    "RISK_REDUCING",
    "SPECS",
    "AccountStatus",
    "AnalysisMade",
    "AuditNote",
    "BarClosed",
    "BookLine",
    "BotStatus",
    "Bus",
    "BusState",
    "BusStats",
    "Command",
    "CommandResult",
    "ConfigChanged",
    "ConsensusPrice",
    "DecisionMade",
    "Delivery",
    "Envelope",
    "Fill",
    "FundingPaid",
    "HaltChanged",
    "Handler",
    "Heartbeat",
    "Intent",
    "Lease",
    "MemoryBus",
    "MemoryHub",
    "Message",
    "MessageClass",
    "MindStatus",
    "OrderEvent",
    "Patience",
    "Quote",
    "Reading",
    "Received",
    "RedisBus",
    "RedisClient",
    "Reply",
    "Request",
    "RiskVerdict",
    "Scalar",
    "SendResult",
    "ServerSettings",
    "Spec",
    "StopEvent",
    "StopState",
    "SymbolUse",
    "Topics",
    "UlidMaker",
    "Verb",
    "connect",
    "decode",
    "encode",
    "masked",
    "new_id",
    "ulid_ms",
    "upcast",
]
