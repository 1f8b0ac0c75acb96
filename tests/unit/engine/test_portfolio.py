"""The bot's book: folded from fills, valued at closes, restored after a restart."""

from decimal import Decimal

import pytest

from omega.domain import Bar, Fill, Role, Side
from omega.engine import Book, Portfolio
from omega.errors import CorruptData


def fill(side: Side, price: str, size: str = "1", fee: str = "0.1") -> Fill:
    return Fill(
        trade_id="t", order_id="o", client_id="c", bot="b", venue="v", account="a", symbol="BTC-USDT.P", side=side,
        price=Decimal(price), size=Decimal(size), fee=Decimal(fee), fee_coin="USDT", role=Role.ENTRY, ts_ns=1,
    )  # fmt: skip


def bar(close: float, *, high: float = 0.0, low: float = 0.0) -> Bar:
    return Bar(1, close, max(high, close), low or close, close, 1.0)


def test_portfolio_long_round_trip_earns_the_difference_less_fees():
    book = Portfolio(Decimal(1000))

    book.fill(fill(Side.BUY, "100"))
    book.fund(Decimal("-0.5"))
    held = book.mark(bar(105.0))
    book.fill(fill(Side.SELL, "110"))
    flat = book.mark(bar(120.0))

    assert (held.side, held.size, held.entry, held.equity) == (1, 1.0, 100.0, pytest.approx(1000 + 5 - 0.1 - 0.5))
    assert (flat.side, flat.size, flat.entry) == (0, 0.0, 0.0)
    assert book.equity == Decimal("1009.3")


def test_portfolio_drawdown_is_measured_from_the_running_peak():
    book = Portfolio(Decimal(1000))
    book.fill(fill(Side.BUY, "100", size="10", fee="0"))

    assert book.mark(bar(120.0)).drawdown == 0.0
    assert book.mark(bar(108.0)).drawdown == pytest.approx(120 / 1200)
    assert book.mark(bar(130.0)).drawdown == 0.0


def test_portfolio_holding_time_and_best_price_restart_with_the_side():
    book = Portfolio(Decimal(1000))
    book.fill(fill(Side.SELL, "100"))
    book.mark(bar(99.0, low=97.0))
    held = book.mark(bar(98.0, low=97.5))

    book.fill(fill(Side.BUY, "98", size="2"))
    turned = book.mark(bar(99.0, high=101.0))

    assert (held.side, held.bars_held, held.extreme) == (-1, 2, 97.0)
    assert (turned.side, turned.bars_held, turned.extreme) == (1, 1, 101.0)


def test_portfolio_partial_close_keeps_the_holding_time():
    book = Portfolio(Decimal(1000))
    book.fill(fill(Side.BUY, "100", size="2"))
    book.mark(bar(101.0))

    book.fill(fill(Side.SELL, "101"))

    assert book.mark(bar(102.0)).bars_held == 2


def test_portfolio_restored_from_its_state_goes_on_alike():
    book = Portfolio(Decimal(1000))
    book.fill(fill(Side.BUY, "100.123", size="0.37"))
    book.mark(bar(104.0))

    again = Portfolio.restore(book.state())

    assert again.mark(bar(103.0)) == book.mark(bar(103.0))
    assert again.position == book.position


@pytest.mark.parametrize("damage", [{"capital": "many"}, {"position": {}, "equity": None}, {"trades": "x"}])
def test_portfolio_damaged_state_is_refused_with_the_way_out(damage: dict[str, object]):
    with pytest.raises(CorruptData, match="rebuild"):
        Portfolio.restore(Portfolio(Decimal(1)).state() | damage)


def test_portfolio_without_money_has_no_drawdown():
    assert Portfolio(Decimal(0)).drawdown == 0.0
    assert Book.flat(5.0).equity == 5.0
