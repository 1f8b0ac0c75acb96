"""Frozen values of trading; the standard library only.

Imported by everything, imports nothing of ours but the errors.
"""

from omega.domain.bar import Bar
from omega.domain.decision import AuditEntry, Decision
from omega.domain.fill import Fill
from omega.domain.ids import (
    EXTERNAL,
    AccountName,
    BotName,
    ClientId,
    IntentId,
    OrderId,
    Symbol,
    TradeId,
    VenueName,
    bot_tag,
    client_id,
    intent_id,
)
from omega.domain.instrument import Instrument, Kind, topic_symbol
from omega.domain.intent import Action, Intent, Mode, Side
from omega.domain.order import STEPS, TERMINAL, OrderState, Role, may_step
from omega.domain.position import Position
from omega.domain.reading import NO_SOURCE, FeedState, Reading
from omega.domain.time import MINUTE_NS, MS_NS, SECOND_NS, from_iso, iso, timeframe_ns

__all__ = [
    "EXTERNAL",
    "MINUTE_NS",
    "MS_NS",
    "NO_SOURCE",
    "SECOND_NS",
    "STEPS",
    "TERMINAL",
    "AccountName",
    "Action",
    "AuditEntry",
    "Bar",
    "BotName",
    "ClientId",
    "Decision",
    "FeedState",
    "Fill",
    "Instrument",
    "Intent",
    "IntentId",
    "Kind",
    "Mode",
    "OrderId",
    "OrderState",
    "Position",
    "Reading",
    "Role",
    "Side",
    "Symbol",
    "TradeId",
    "VenueName",
    "bot_tag",
    "client_id",
    "from_iso",
    "intent_id",
    "iso",
    "may_step",
    "timeframe_ns",
    "topic_symbol",
]
