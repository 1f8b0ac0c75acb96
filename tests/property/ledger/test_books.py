from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.domain import Fill, Position, Role, Side
from omega.storage.books import ZERO, Book, BookKey, Fact, Funded, fold, moment_of

KEY = BookKey("fib", "bitget", "main", "BTC-USDT.P")
SIZES = st.integers(1, 50).map(lambda n: Decimal(n) / 1000)
PRICES = st.integers(10_000, 120_000).map(lambda n: Decimal(n) / 10)
NOISE = Decimal("1e-20")
"""An average price such as 1/3 has no end; Decimal keeps 28 digits of it."""
MONEY = st.integers(-500, 500).map(lambda n: Decimal(n) / 1000)


def fill(number: int, side: Side, size: Decimal, price: Decimal, fee: Decimal, ts_ns: int) -> Fill:
    return Fill(
        trade_id=str(1000 + number),
        order_id=f"o{number}",
        client_id=f"c{number}",
        bot=KEY.bot,
        venue=KEY.venue,
        account=KEY.account,
        symbol=KEY.symbol,
        side=side,
        price=price,
        size=size,
        fee=fee,
        fee_coin="USDT",
        role=Role.ENTRY,
        ts_ns=ts_ns,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Fills and funding with clashes in time, as a venue sends them."""
    facts: list[Fact] = []
    for number in range(draw(st.integers(1, 25))):
        ts_ns = draw(st.integers(1, 12))
        if draw(st.integers(0, 4)) == 0:
            facts.append(Funded(KEY, f"f{number}", draw(MONEY), ts_ns))
        else:
            facts.append(fill(number, draw(st.sampled_from(Side)), draw(SIZES), draw(PRICES), draw(MONEY), ts_ns))
    return facts


@pytest.mark.req("4.19", "4.38")
@given(history=histories(), data=st.data())
def test_fold_any_order_of_arrival_gives_the_same_book(history: list[Fact], data: st.DataObject):
    expected = fold(Book(), history)

    assert fold(Book(), data.draw(st.permutations(history))) == expected


@given(history=histories(), data=st.data())
def test_fold_in_two_parts_equals_the_whole(history: list[Fact], data: st.DataObject):
    ordered = sorted(history, key=moment_of)
    cut = data.draw(st.integers(0, len(ordered)))

    half, closed = fold(Book(), ordered[:cut])
    whole, more = fold(half, ordered[cut:])

    assert (whole, closed + more) == fold(Book(), history)


@pytest.mark.req("4.38", "2.23")
@given(history=histories())
def test_fold_trips_and_open_one_add_up_to_the_position(history: list[Fact]):
    book, closed = fold(Book(), history)

    trips = [*closed, *([book.trip] if book.trip else [])]
    position = book.position
    idle = position.open_pnl if book.trip is None else ZERO  # funding that came while flat waits for the next trip
    assert abs(sum((t.gross for t in trips), ZERO) - position.realised) < NOISE
    assert sum((t.fees for t in trips), ZERO) == position.fees
    assert abs(sum((t.funding for t in trips), ZERO) + idle - position.funding) < NOISE
    assert [t.number for t in trips] == list(range(1, len(trips) + 1))
    assert position.trades == len(closed)
    nets = [t.gross - t.fees + t.funding for t in closed]
    assert sum(net > NOISE for net in nets) <= position.wins <= sum(net > -NOISE for net in nets)
    assert all(t.entered == t.exited > 0 and t.opened_ns <= t.closed_ns for t in closed)
    if book.trip:
        sign = 1 if book.trip.side == "long" else -1
        assert (book.trip.entered - book.trip.exited) * sign == position.size


@given(history=histories())
def test_fold_equals_the_domain_position(history: list[Fact]):
    """The ledger has no arithmetic of its own."""
    position = Position()
    for fact in sorted(history, key=moment_of):
        position = position.funded(fact.amount) if isinstance(fact, Funded) else position.apply(fact)

    assert fold(Book(), history)[0].position == position


def test_fold_fill_through_flat_closes_one_trip_and_opens_the_other_side():
    bought = fill(1, Side.BUY, Decimal(2), Decimal(100), Decimal("0.2"), 1)
    turned = fill(2, Side.SELL, Decimal(5), Decimal(110), Decimal("0.5"), 2)

    book, (trip,) = fold(Book(), [bought, turned])

    assert (trip.side, trip.entered, trip.exited, trip.gross, trip.fees) == (
        "long",
        Decimal(2),
        Decimal(2),
        Decimal(20),
        Decimal("0.7"),
    )
    assert book.trip is not None
    assert (book.trip.side, book.trip.entered, book.trip.fees, book.trip.number) == ("short", Decimal(3), ZERO, 2)
    assert (book.position.size, book.position.entry) == (Decimal(-3), Decimal(110))


def test_fold_ids_that_count_upwards_are_ordered_as_numbers():
    """Trade 999 comes before 1000 when both have the same time."""
    sold = fill(0, Side.SELL, Decimal(1), Decimal(90), ZERO, 1)
    bought = fill(-1, Side.BUY, Decimal(1), Decimal(100), ZERO, 1)

    book, (trip,) = fold(Book(), [sold, bought])

    assert (sold.trade_id, bought.trade_id) == ("1000", "999")
    assert (trip.side, trip.gross) == ("long", Decimal(-10))
    assert book.position.size == 0
