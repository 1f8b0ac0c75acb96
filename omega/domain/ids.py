"""Names and identifiers that travel through the whole farm. Used by every part."""

from __future__ import annotations

import base64
import hashlib
from typing import NewType

BotName = NewType("BotName", str)
Symbol = NewType("Symbol", str)
"""A farm symbol: `BTC-USDT.P` is a perpetual swap, `BTC-USDT` is spot."""
IntentId = NewType("IntentId", str)
ClientId = NewType("ClientId", str)
OrderId = NewType("OrderId", str)
TradeId = NewType("TradeId", str)
AccountName = NewType("AccountName", str)
VenueName = NewType("VenueName", str)

EXTERNAL = BotName("external")
"""The book of everything on an account that no bot of the farm has asked for."""


def intent_id(bot: str, bar_ts_ns: int, sequence: int) -> IntentId:
    """Name the `sequence`-th intent that a bot forms on one bar: the same decision has the same id for ever."""
    return IntentId(f"{bot}:{bar_ts_ns}:{sequence}")


def client_id(intent: str, *, prefix: str = "o") -> ClientId:
    """Derive the venue's client order id from an intent id: 28 lower-case alphanumerics.

    The first letter tells what it is (`o` an order, `s` a stop, `t` a target), three characters tag the bot, the rest
    is a
    hash, so that the same intent always has the same id and a stranger's order is told apart.
    """
    bot = intent.split(":", 1)[0]
    tag = _base32(bot, 2)[:3]
    return ClientId(f"{prefix}{tag}{_base32(intent, 15)}")


def bot_tag(bot: str) -> str:
    """Return the three characters that stand for a bot inside its client ids."""
    return _base32(bot, 2)[:3]


def _base32(text: str, size: int) -> str:
    digest = hashlib.blake2s(text.encode(), digest_size=size).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()
