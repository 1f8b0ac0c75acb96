import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from omega.bus.port import Received
from omega.domain import Position, Role, Side
from omega.errors import CorruptData, Denied
from omega.storage import queries
from omega.storage.engine import Database
from omega.storage.ledger.balance import capital_of
from omega.storage.ledger.sink import Sink
from omega.storage.migrations import upgrade
from omega.storage.tables import PROJECTIONS, equity, fills, order_events, orders, positions, trades
from omega.testing.databases import PostgresServer
from services.ledger.answers import Answers

from . import farm


async def keep(database: Database, batch: Sequence[Received], *, every_bars: int = 1) -> None:
    async with database.writing() as connection:
        await Sink(connection, every_bars=every_bars).write(batch, now_ns=1)


async def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that is folded from the records, comparable."""
    async with database.reading() as connection:
        return {
            table.name: sorted(tuple(map(str, row)) for row in await connection.execute(select(table)))
            for table in PROJECTIONS
        }


@pytest.fixture
async def filled(database: Database) -> Database:
    await upgrade(database)
    records = [farm.received(m) for bot in ("fib", "trend") for m in farm.session(bot)]
    await keep(database, records + [farm.received(m) for m in farm.words()])
    return database


@pytest.mark.req("2.23", "4.19")
async def test_sink_session_positions_equal_the_domain_fold(filled: Database):
    expected = Position()
    for message in farm.session("fib"):
        if hasattr(message, "trade_id"):
            expected = expected.apply(message)
        elif hasattr(message, "funding_id"):
            expected = expected.funded(message.amount)

    async with filled.reading() as connection:
        (row,) = await queries.position_rows(connection, bot="fib")

    assert (row["size"], row["entry"], row["realised"]) == (expected.size, expected.entry, expected.realised)
    assert (row["fees"], row["funding"], row["net"]) == (expected.fees, expected.funding, expected.net)
    assert (row["trades"], row["wins"]) == (expected.trades, expected.wins)
    assert row["unrealised"] == expected.unrealised(Decimal(repr(row["mark"])))


async def test_sink_same_batch_again_changes_nothing(database: Database):
    """The crash between commit and acknowledgement: everything comes a second time."""
    await upgrade(database)
    records = [farm.received(m) for m in [*farm.session("fib"), *farm.words()]]
    await keep(database, records)
    once = await everything(database)

    await keep(database, records)
    for start in range(0, len(records), 7):
        await keep(database, records[start : start + 11])

    assert await everything(database) == once


async def test_sink_same_record_twice_in_one_batch_counts_once(database: Database):
    await upgrade(database)
    records = [farm.received(m) for m in farm.session("fib")]

    await keep(database, [one for record in records for one in (record, record)])

    async with database.reading() as connection:
        (row,) = await queries.summary_rows(connection)
    assert (row["decisions"], row["intents"], row["orders"], row["fills"]) == (40, 10, 10, 10)


async def test_sink_same_fill_in_two_messages_counts_once(database: Database):
    """A gateway that recovers may tell of the same trade under a new message id."""
    await upgrade(database)
    done = farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="t1")

    await keep(database, [farm.received(done)])
    await keep(database, [farm.received(done)])

    async with database.reading() as connection:
        (row,) = await queries.position_rows(connection)
        assert (await connection.execute(select(func.count()).select_from(fills))).scalar_one() == 1
    assert row["size"] == Decimal("0.010")


@pytest.mark.req("4.19")
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_sink_any_batching_and_any_order_of_facts_equals_live(url: str, tmp_path: Path, seed: int):
    """Rebuilding from the streams gives the tables that the live run had, whatever came together with what."""
    messages = [*farm.session("fib"), *farm.session("trend")]
    records = [farm.received(m) for m in messages]
    live, rebuilt = Database(url), Database(f"sqlite:///{tmp_path}/rebuilt-{seed}.sqlite")
    await upgrade(live)
    await upgrade(rebuilt)
    for start in range(0, len(records), 9):
        await keep(live, records[start : start + 9])
    generator = random.Random(seed)
    facts = [one for one in records if one.topic.endswith("ledger") and not hasattr(one.envelope.data, "state")]
    others = [one for one in records if one not in facts]
    generator.shuffle(facts)
    mixed = [*others, *facts]

    while mixed:
        size = generator.randint(1, 20)
        await keep(rebuilt, mixed[:size])
        mixed = mixed[size:]

    assert _numbers(await everything(rebuilt)) == _numbers(await everything(live))
    await live.close()
    await rebuilt.close()


def _numbers(tables: dict[str, list[tuple[object, ...]]]) -> dict[str, list[list[str]]]:
    """Drop trailing zeros, which PostgreSQL keeps and arithmetic of another order may add."""
    return {name: sorted([_number(str(v)) for v in row] for row in rows) for name, rows in tables.items()}


def _number(text: str) -> str:
    try:
        return format(Decimal(text).normalize(), "f")
    except ArithmeticError:
        return text


async def test_sink_late_fill_refolds_its_book(database: Database):
    await upgrade(database)
    first = farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="t1")
    second = farm.fill("fib", 2, Side.SELL, "0.010", "61000", trade="t2", role=Role.EXIT)
    third = farm.fill("fib", 3, Side.SELL, "0.020", "62000", trade="t3")

    await keep(database, [farm.received(first), farm.received(third)])
    await keep(database, [farm.received(second)])

    async with database.reading() as connection:
        (book,) = await queries.position_rows(connection)
        rows = await queries.trade_rows(connection)
    assert (book["size"], book["entry"], book["realised"]) == (Decimal("-0.02"), Decimal(62000), Decimal(10))
    assert [(row["number"], row["side"], row["closed_ns"]) for row in rows] == [
        (2, "short", None),
        (1, "long", farm.bar_ns(2)),
    ]
    assert rows[1]["exit_role"] == "exit"


async def test_sink_corrupt_fill_is_refused_and_nothing_is_written(database: Database):
    await upgrade(database)
    bad = farm.fill("fib", 1, Side.BUY, "0", "60000", trade="t1")

    with pytest.raises(CorruptData, match="t1"):
        await keep(database, [farm.received(farm.decided("fib", 0, 1.0)), farm.received(bad)])

    assert not any((await everything(database)).values())


async def test_sink_decision_that_is_no_number_is_corrupt_on_both_databases(database: Database):
    await upgrade(database)

    with pytest.raises(CorruptData):
        await keep(database, [farm.received(farm.decided("fib", 0, float("nan")))])


async def test_sink_every_few_bars_keeps_fewer_marks(database: Database):
    await upgrade(database)

    await keep(database, [farm.received(farm.decided("fib", i, 1.0 + i)) for i in range(20)], every_bars=5)

    async with database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(equity))).scalar_one() == 4


async def test_sink_offsets_name_the_newest_entry_of_each_topic(database: Database):
    await upgrade(database)
    records = [farm.received(m) for m in farm.session("fib")]

    await keep(database, records[10:])
    await keep(database, records[:10])

    async with database.reading() as connection:
        found = await queries.offset_rows(connection)
    newest = {one.topic: one.entry_id for one in records}
    assert found == newest


@pytest.mark.req("2.23", "1.15")
async def test_answers_summary_counts_and_money_agree_with_the_tables(filled: Database):
    answers = Answers(filled, capital_of({"fib": Decimal(500)}, Decimal(1000)))

    summary = await answers.summary({})

    assert (
        summary["bots"]["fib"] | {"decisions": 40, "intents": 10, "orders": 10, "fills": 10} == summary["bots"]["fib"]
    )
    assert summary["totals"]["decisions"] == 80
    assert summary["totals"]["fills"] == 20
    assert summary["duplicate_client_ids"] == []
    for name, capital in (("fib", 500), ("trend", 1000)):
        bot = summary["bots"][name]
        assert Decimal(bot["equity"]) == capital + Decimal(bot["pnl"])
        assert Decimal(bot["net"]) == Decimal(bot["realised"]) - Decimal(bot["fees"]) + Decimal(bot["funding"])


async def test_answers_summary_second_venue_order_is_named(filled: Database):
    from dataclasses import replace

    from omega.domain import OrderState

    done = farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="fib-000000")
    twice = replace(farm.order(done, OrderState.WORKING), order_id="another")

    await keep(filled, [farm.received(twice)])

    answers = Answers(filled, capital_of({}, Decimal(1000)))
    assert (await answers.summary({}))["duplicate_client_ids"] == [done.client_id]


async def test_answers_trades_pages_cover_everything_once(filled: Database):
    answers = Answers(filled, capital_of({}, Decimal(1000)))
    seen: list[tuple[str, int]] = []
    cursor = ""

    for _ in range(20):
        page = await answers.trades({"limit": 3, "cursor": cursor})
        seen += [(row["bot"], row["number"]) for row in page["trades"]]
        cursor = page["cursor"]
        if not cursor:
            break

    async with filled.reading() as connection:
        total = (await connection.execute(select(func.count()).select_from(trades))).scalar_one()
    assert len(seen) == len(set(seen)) == total == 10


async def test_answers_equity_ends_at_the_summary_and_starts_at_capital(filled: Database):
    answers = Answers(filled, capital_of({}, Decimal(1000)))

    curve = await answers.equity({"bot": "fib"})
    summary = await answers.summary({})

    assert curve["points"][0]["equity"] == "1000"
    assert len(curve["points"]) == 40
    assert curve["points"][-1]["equity"] == summary["bots"]["fib"]["equity"]
    assert all(0 <= point["drawdown"] < 1 for point in curve["points"])
    coarse = await answers.equity({"bot": "fib", "points": 10})
    assert 8 <= len(coarse["points"]) <= 11
    assert coarse["points"][-1]["equity"] == curve["points"][-1]["equity"]


async def test_answers_equity_point_knows_only_fills_before_its_close(filled: Database):
    """The fill of a decision at the close of bar 0 happens at the open of bar 1 and shows at the close of bar 1."""
    answers = Answers(filled, capital_of({}, Decimal(1000)))

    points = (await answers.equity({"bot": "fib"}))["points"]

    assert [point["position"] for point in points[:5]] == ["0", "0.01", "0.01", "0.01", "0.01"]
    assert points[5]["position"] == "0"


async def test_answers_explain_tells_decision_steps_and_fills(filled: Database):
    done = farm.fill("fib", 1, Side.BUY, "0.010", "60000", trade="fib-000000")
    answers = Answers(filled, capital_of({}, Decimal(1000)))

    for reference in (done.client_id, done.order_id, f"fib:{farm.bar_ns(0)}:0"):
        story = await answers.explain({"order": reference})

        assert story["order"]["state"] == "filled"
        assert story["decision"]["reason"] == "crossed_up"
        assert story["decision"]["audit"][0]["stage"] == "sizing"
        assert [event["state"] for event in story["events"]] == ["working", "filled"]
        assert story["fills"][0]["size"] == "0.01"
        assert story["stops"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("explain", {"order": "nothing"}),
        ("explain", {}),
        ("equity", {}),
        ("trades", {"cursor": "x"}),
        ("trades", {"limit": "many"}),
    ],
)
async def test_answers_wrong_question_is_denied_with_words(filled: Database, method: str, params: dict[str, str]):
    answers = Answers(filled, capital_of({}, Decimal(1000)))

    with pytest.raises(Denied):
        await getattr(answers, method)(params)


async def test_answers_pnl_of_one_bot_has_its_win_rate(filled: Database):
    answers = Answers(filled, capital_of({}, Decimal(1000)))

    (row,) = await answers.pnl({"bot": "trend"})

    assert row["bot"] == "trend"
    assert row["win_rate"] == row["wins"] / row["trades"]


async def test_answers_external_book_is_shown_without_capital(database: Database):
    await upgrade(database)
    await keep(database, [farm.received(farm.fill("external", 1, Side.BUY, "0.010", "60000", trade="t1"))])

    summary = await Answers(database, capital_of({}, Decimal(1000))).summary({})

    assert summary["bots"]["external"]["capital"] == "0"
    assert summary["bots"]["external"]["position"] == "0.01"
    assert summary["bots"]["external"]["decisions"] == 0


@pytest.mark.req("3.18", "4.50")
async def test_queries_on_postgresql_use_their_indexes(server: PostgresServer):
    filled = Database(server.create())
    await upgrade(filled)
    wanted = {
        "ix_orders_intent_id": select(orders).where(orders.c.intent_id == "x"),
        "ix_orders_order_id": select(orders).where(orders.c.order_id == "x"),
        "ix_order_events_client_id": select(order_events).where(order_events.c.client_id == "x"),
        "ix_fills_client_id": select(fills).where(fills.c.client_id == "x"),
        "ix_equity_bot_close_ns": select(equity).where(equity.c.bot == "x", equity.c.close_ns > 5),
        "ix_trades_opened_ns": select(trades).order_by(trades.c.opened_ns.desc()).limit(5),
        "pk_positions": select(positions).where(positions.c.bot == "x"),
    }

    async with filled.reading() as connection:
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        await connection.exec_driver_sql("SET LOCAL enable_sort = off")
        for index, query in wanted.items():
            text = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
            plan = "\n".join(row[0] for row in await connection.exec_driver_sql(f"EXPLAIN {text}"))
            assert index in plan, plan
    await filled.close()
