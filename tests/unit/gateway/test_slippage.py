"""What the market charged beyond the price that was decided on."""

from __future__ import annotations

from decimal import Decimal

import pytest

from omega.domain import AccountName, BotName, ClientId, Fill, OrderId, Role, Side, Symbol, TradeId, VenueName
from services.gateway.slippage import Slippage


def fill(bot: str, side: Side, size: str, price: str, role: Role = Role.ENTRY) -> Fill:
    return Fill(
        TradeId(f"{bot}{price}"),
        OrderId("o"),
        ClientId("c"),
        BotName(bot),
        VenueName("bitget"),
        AccountName("main"),
        Symbol("BTC-USDT.P"),
        side,
        Decimal(price),
        Decimal(size),
        Decimal(0),
        "USDT",
        role,
        1,
    )


@pytest.mark.req("0.40")
def test_slippage_is_the_share_of_the_value_traded_that_was_lost_to_the_price() -> None:
    """Bought 1 at 101 and sold 1 at 198 where 100 and 200 were decided on: 1 + 2 of 300."""
    slippage = Slippage()
    slippage.heard(fill("a", Side.BUY, "1", "101"), Decimal(100))
    slippage.heard(fill("a", Side.SELL, "1", "198", Role.EXIT), Decimal(200))
    slippage.heard(fill("b", Side.SELL, "2", "105"), Decimal(100))

    assert dict(slippage.by_bot()) == pytest.approx({"a": 0.01, "b": -0.05})
    assert slippage.whole() == pytest.approx((3 - 10) / 500)


def test_slippage_counts_neither_stops_nor_fills_without_a_decided_price() -> None:
    slippage = Slippage()
    slippage.heard(fill("a", Side.SELL, "1", "50", Role.STOP), Decimal(100))
    slippage.heard(fill("a", Side.BUY, "1", "101"), Decimal(0))

    assert (list(slippage.by_bot()), slippage.whole()) == ([], None)
