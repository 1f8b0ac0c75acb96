"""Whatever a farm does and however its records come, the tables fold again to the same rows and the books balance."""

import asyncio
import tempfile
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.bus.codec import format_of
from omega.bus.envelope import Envelope
from omega.bus.messages import DecisionMade, FundingPaid, Message, OrderEvent
from omega.bus.port import Received
from omega.bus.topics import Topics
from omega.domain import MINUTE_NS, Decision, Fill, Mode, OrderState, Role, Side
from omega.storage.engine import Database
from omega.storage.ledger import Sink
from omega.storage.ledger.balance import balances
from omega.storage.ledger.rebuild import rebuild
from omega.storage.ledger.verify import verify
from omega.storage.migrations import upgrade

START_NS = 1_747_699_200_000_000_000
TOPICS = Topics("dev")
SYMBOL = "BTC-USDT.P"
BOTS = st.sampled_from(["fib", "trend", "external"])
BARS = st.integers(0, 12)
SIZES = st.decimals("0.001", "2", places=3)
PRICES = st.decimals("0.01", "99999", places=2)
MONEY = st.decimals("-50", "50", places=6)


@st.composite
def _fill(draw: st.DrawFn) -> Message:
    bar, ident = draw(BARS), draw(st.integers(1, 30))
    return Fill(
        trade_id=str(ident), order_id=f"v{ident}", client_id=f"c{ident % 9}", bot=draw(BOTS), venue="bitget",
        account="main", symbol=SYMBOL, side=draw(st.sampled_from(Side)), price=draw(PRICES), size=draw(SIZES),
        fee=draw(MONEY), fee_coin="USDT", role=draw(st.sampled_from([Role.ENTRY, Role.EXIT])),
        ts_ns=START_NS + bar * MINUTE_NS,
    )  # fmt: skip


@st.composite
def _funding(draw: st.DrawFn) -> Message:
    ts_ns = START_NS + draw(BARS) * MINUTE_NS
    return FundingPaid(draw(BOTS), "bitget", "main", SYMBOL, draw(MONEY), f"f{draw(st.integers(1, 6))}", ts_ns)


@st.composite
def _order(draw: st.DrawFn) -> Message:
    ident = draw(st.integers(1, 8))
    state = draw(st.sampled_from(OrderState))
    return OrderEvent(
        draw(BOTS), f"i{ident}", f"c{ident}", draw(st.sampled_from(["", f"v{ident}"])), "bitget", "main", SYMBOL,
        Side.BUY, draw(SIZES), Role.ENTRY, state, Decimal(0), "", "", START_NS + draw(BARS) * MINUTE_NS,
    )  # fmt: skip


@st.composite
def _decision(draw: st.DrawFn) -> Message:
    price = float(draw(PRICES))
    made = Decision(START_NS + draw(BARS) * MINUTE_NS, price, 0, False, 0.0, 0.0, (), 1, 0.5, "none")
    return DecisionMade(draw(BOTS), "ema_cross", Mode.PAPER, SYMBOL, "1m", made, (), Decimal(0))


EVENTS = st.lists(st.one_of(_fill(), _funding(), _order(), _decision()), min_size=1, max_size=40)


def _received(number: int, message: Message) -> Received:
    kind = format_of(message).spec.name
    envelope = Envelope(f"id{number:04d}", kind, 1, START_NS, "test", 0, number, f"c{number}", "", "", 0, "", message)
    return Received(TOPICS.of(message)[-1], f"1747699200000-{number}", envelope)


@pytest.mark.req("4.19", "4.38", "2.23")
@given(messages=EVENTS, repeats=st.lists(st.integers(0, 39), max_size=20), batch=st.integers(1, 13))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rebuild_of_any_sequence_with_repeats_equals_live_and_balances(
    messages: list[Message], repeats: list[int], batch: int
) -> None:
    unique = [_received(number, message) for number, message in enumerate(messages)]
    again = [unique[index % len(unique)] for index in repeats]
    records = [*unique[: len(unique) // 2], *again, *unique[len(unique) // 2 :], *again]

    _migrated()
    asyncio.run(_holds(records, len(unique), batch))


@cache
def _migrated() -> bytes:
    """The file of an empty ledger: migrating one for each example would take most of the time."""

    async def make(url: str) -> None:
        database = Database(url)
        await upgrade(database)
        await database.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(make(f"sqlite:///{folder}/empty.sqlite"))
        return (Path(folder) / "empty.sqlite").read_bytes()


async def _holds(records: list[Received], count: int, batch: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "farm.sqlite").write_bytes(_migrated())
        database = Database(f"sqlite:///{folder}/farm.sqlite")
        for start in range(0, len(records), batch):
            async with database.writing() as connection:
                await Sink(connection).write(records[start : start + batch], now_ns=START_NS)

        done = await rebuild(database, archive=Path(folder), swap=False)

        async with database.reading() as connection:
            verdict = await verify(connection, archive=Path(folder))
            rows = await balances(connection, lambda _bot: Decimal(1000))
        await database.close()
    assert (done.records, verdict.records, verdict.breaks) == (count, count, 0)
    assert done.same, [one for one in done.tables if not one.same]
    assert rows[-1].faults == ()


def test_rebuild_of_one_execution_told_twice_keeps_its_first_record_in_any_batch() -> None:
    """Two records of one execution: whichever batches they come in, live and rebuilt keep the same one."""
    fill = Fill(
        trade_id="1", order_id="v1", client_id="c1", bot="fib", venue="bitget", account="main", symbol=SYMBOL,
        side=Side.BUY, price=Decimal("0.01"), size=Decimal("0.001"), fee=Decimal(0), fee_coin="USDT", role=Role.ENTRY,
        ts_ns=START_NS,
    )  # fmt: skip
    paid = FundingPaid("fib", "bitget", "main", SYMBOL, Decimal(1), "f1", START_NS)
    records = [_received(number, message) for number, message in enumerate((fill, fill, paid, paid))]
    _migrated()

    for batch in (1, 2, 4):
        asyncio.run(_holds(records, len(records), batch))
