"""One execution. Fills are the truth of positions. Made by the gateway from the venue's trades."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from omega.domain.ids import AccountName, BotName, ClientId, OrderId, Symbol, TradeId, VenueName
from omega.domain.intent import Side
from omega.domain.order import Role


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of ours.

    Units: price in quote currency, size in base units, fee in `fee_coin` (positive = paid, negative = rebate).
    """

    trade_id: TradeId
    order_id: OrderId
    client_id: ClientId
    bot: BotName
    venue: VenueName
    account: AccountName
    symbol: Symbol
    side: Side
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_coin: str
    role: Role
    ts_ns: int
    maker: bool = False

    @property
    def signed(self) -> Decimal:
        """The size with the sign of its side."""
        return self.size * self.side.sign
