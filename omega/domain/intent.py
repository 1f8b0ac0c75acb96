"""What a bot wants: data, never a call.

Formed by the runner (or a human's command), carried out by the gateway alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from omega.domain.ids import AccountName, BotName, IntentId, Symbol, VenueName


class Mode(StrEnum):
    """Where a bot's intents may end: nowhere, at play money, at real money."""

    SHADOW = "shadow"
    PAPER = "paper"
    LIVE = "live"


class Side(StrEnum):
    """The two sides of a venue's order book."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class Action(StrEnum):
    """What an intent does to the position."""

    ENTER = "enter"
    EXIT = "exit"
    FLATTEN = "flatten"
    TIGHTEN = "tighten"
    """Move the stop of the open position nearer; no order of its own."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One wish of one bot.

    Units: size in base units, already cut to the venue's step; stop and target are trigger prices in quote currency,
        None for
    none; ref_price is the price the decision was made at. `bar_ts_ns` is the open time of the bar that was decided on.
    An ENTER always carries a stop; a TIGHTEN carries the new one, with side and size of the order that would close.
    """

    intent_id: IntentId
    bot: BotName
    venue: VenueName
    account: AccountName
    symbol: Symbol
    action: Action
    side: Side
    size: Decimal
    bar_ts_ns: int
    ref_price: Decimal
    stop: Decimal | None = None
    target: Decimal | None = None
    leverage: int = 1
    reason: str = ""

    @property
    def reduces(self) -> bool:
        """Tell whether the intent can only lower risk."""
        return self.action is not Action.ENTER
