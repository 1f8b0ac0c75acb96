"""Books from fills and funding in the order they came, residuals, and shares that lose nothing."""

from __future__ import annotations

from decimal import Decimal

from omega.domain import Fill, Role, Side
from services.gateway.books import Books, share


def fill(trade: str, bot: str, side: Side, size: str, price: str) -> Fill:
    return Fill(  # type: ignore[arg-type]
        trade, "o", "c", bot, "bitget", "main", "S", side,
        Decimal(price), Decimal(size), Decimal(0), "USDT", Role.ENTRY, 1,
    )  # fmt: skip


def test_load_folds_funding_where_it_belongs() -> None:
    books = Books()
    fills = [(1, fill("1", "ann", Side.BUY, "2", "100")), (2, fill("2", "ann", Side.SELL, "2", "110"))]
    books.load(fills, [(1, "ann", "S", Decimal(-3))])

    book = books.book("ann", "S")
    assert (book.size, book.realised, book.funding, book.net, book.wins) == (0, 20, -3, 17, 1)


def test_residuals_name_what_the_venue_has_more_or_less() -> None:
    books = Books()
    books.apply(fill("1", "ann", Side.BUY, "2", "100"))
    books.apply(fill("2", "bob", Side.SELL, "1", "100"))

    assert books.net("S") == 1
    assert books.residuals({"S": Decimal(1)}) == {}
    assert books.residuals({"S": Decimal("1.5"), "T": Decimal(-1)}) == {"S": Decimal("0.5"), "T": Decimal(-1)}
    assert books.residuals({}) == {"S": Decimal(-1)}
    assert books.open("S") == {"ann": Decimal(2), "bob": Decimal(-1)}
    assert books.notional(lambda _: Decimal(10)) == 30
    assert books.notional(lambda _: Decimal(10), bot="bob") == 10


def test_share_by_size_keeps_signs_and_the_rest_goes_to_the_biggest() -> None:
    parts = share(Decimal("-1.00"), {"ann": Decimal(3), "bob": Decimal(-1)}, Decimal("0.01"))

    assert parts == {"ann": Decimal("-1.50"), "bob": Decimal("0.50")}
    assert share(Decimal("0.10"), {"a": Decimal(1), "b": Decimal(1), "c": Decimal(1)}, Decimal("0.01")) == {
        "a": Decimal("0.03"),
        "b": Decimal("0.03"),
        "c": Decimal("0.04"),
    }
    assert share(Decimal(5), {}, Decimal(1)) == {"external": Decimal(5)}
