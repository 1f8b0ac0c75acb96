"""Positions: profit is conserved, whatever the order of fills."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from omega.domain import Fill, Position, Role, Side

steps = st.integers(1, 500).map(lambda n: Decimal(n) / 1000)
prices = st.integers(1, 200_000).map(lambda n: Decimal(n) / 10)


def fill(side: Side, size: Decimal, price: Decimal, fee: Decimal = Decimal(0), ts: int = 0) -> Fill:
    return Fill(
        trade_id=str(ts),
        order_id="1",
        client_id="o1",
        bot="b",
        venue="bitget",
        account="main",
        symbol="BTC-USDT.P",
        side=side,
        price=price,
        size=size,
        fee=fee,
        fee_coin="USDT",
        role=Role.ENTRY,
        ts_ns=ts,
    )  # type: ignore[arg-type]


fills = st.lists(st.tuples(st.sampled_from(Side), steps, prices, steps), max_size=40)


@given(fills, prices)
def test_position_any_fills_cash_plus_value_is_profit(
    rows: list[tuple[Side, Decimal, Decimal, Decimal]], mark: Decimal
) -> None:
    """What was paid and got, plus what is still held at the mark, equals realised + open profit."""
    position, cash, held, fees = Position(), Decimal(0), Decimal(0), Decimal(0)
    for ts, (side, size, price, fee) in enumerate(rows):
        position = position.apply(fill(side, size, price, fee, ts))
        cash -= side.sign * size * price
        held += side.sign * size
        fees += fee

    assert position.size == held
    assert position.fees == fees
    assert abs(position.realised + position.unrealised(mark) - (cash + held * mark)) < Decimal("1e-18")


@given(fills)
def test_position_flat_has_no_entry_and_no_open_profit(rows: list[tuple[Side, Decimal, Decimal, Decimal]]) -> None:
    position = Position()
    for ts, (side, size, price, fee) in enumerate(rows):
        position = position.apply(fill(side, size, price, fee, ts))
    if position.size:
        back = Side.SELL if position.size > 0 else Side.BUY
        position = position.apply(fill(back, abs(position.size), Decimal(100), ts=10**6))

    assert position.entry == 0
    assert position.open_pnl == 0
    assert position.unrealised(Decimal(12345)) == 0


def test_position_turned_by_one_fill_counts_one_trade() -> None:
    """A fill beyond flat closes one round trip and opens the next at its own price."""
    long = Position().apply(fill(Side.BUY, Decimal(1), Decimal(100)))

    short = long.apply(fill(Side.SELL, Decimal(3), Decimal(110)))

    assert (short.size, short.entry, short.realised, short.trades, short.wins) == (-2, 110, 10, 1, 1)


def test_position_funding_is_kept_apart_from_price_profit() -> None:
    paid = Position().apply(fill(Side.BUY, Decimal(1), Decimal(100), Decimal("0.06"))).funded(Decimal("-0.5"))

    assert paid.net == Decimal("-0.56")
    assert paid.realised == 0
