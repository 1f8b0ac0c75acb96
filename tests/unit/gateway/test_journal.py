"""The journal: one order an intent, legal steps alone, events once, one writer, everything or nothing."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omega.bus import HaltChanged
from omega.domain import Fill, OrderState, Role, Side, client_id, may_step
from omega.errors import CorruptData, EnvironmentFault, Fenced, InvariantBroken
from omega.testing.bounds import killed_after
from services.gateway.journal import Journal
from services.gateway.rows import Guard, JournalOrder, JournalPlan

LEG = Guard("alpha", "BTC-USDT.P", "o1", 1, Decimal("0.01"), Decimal(90), None)
ROOT = Path(__file__).resolve().parents[3]


def order(number: int = 1, *, bot: str = "alpha", epoch: int = 0, **more: Any) -> JournalOrder:
    intent = f"{bot}:{number}:0"
    values: dict[str, Any] = {
        "client_id": client_id(intent),
        "intent_id": intent,
        "bot": bot,
        "symbol": "BTC-USDT.P",
        "side": Side.BUY,
        "size": Decimal("0.01"),
        "role": Role.ENTRY,
        "reduce_only": False,
        "stop": Decimal(90),
        "target": None,
        "ref_price": Decimal(100),
        "bar_ts_ns": number,
        "epoch": epoch,
        "corr": "c",
        "created_ns": number,
    }
    return JournalOrder(**{**values, **more})


def fill(trade: str = "t1", bot: str = "alpha") -> Fill:
    return Fill(  # type: ignore[arg-type]
        trade, "o", "c", bot, "bitget", "main", "BTC-USDT.P", Side.BUY,
        Decimal("100.5"), Decimal("0.01"), Decimal("0.0006"), "USDT", Role.ENTRY, 7,
    )  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    opened = Journal(tmp_path / "deep" / "journal.sqlite")
    opened.open()
    yield opened
    opened.close()


def reopened(journal: Journal) -> Journal:
    journal.close()
    again = Journal(journal.path)
    again.open()
    return again


@pytest.mark.req("2.12")
def test_admit_one_intent_twice_makes_one_order(journal: Journal) -> None:
    assert journal.admit(order())
    assert not journal.admit(order())
    assert not journal.admit(order(size=Decimal(5)))

    assert [item.size for item in journal.live()] == [Decimal("0.01")]


@pytest.mark.parametrize(("old", "new"), list(itertools.product(OrderState, OrderState)))
def test_step_follows_the_state_machine_and_nothing_else(journal: Journal, old: OrderState, new: OrderState) -> None:
    entry = order()
    journal.admit(entry)
    with journal.transaction():
        journal._write(replace(entry, state=old))

    if old is new or may_step(old, new):
        assert journal.step(entry.client_id, new).state is new
    else:
        with pytest.raises(InvariantBroken, match="may not go from"):
            journal.step(entry.client_id, new)
        assert journal.order(entry.client_id) == replace(entry, state=old)


def test_step_of_an_unknown_order_is_refused(journal: Journal) -> None:
    with pytest.raises(InvariantBroken, match="not in the journal"):
        journal.step("nobody", OrderState.SENDING)


def test_fence_refuses_an_older_epoch_for_ever(journal: Journal) -> None:
    journal.admit(order(1, epoch=5))
    with pytest.raises(Fenced, match="older than 5"):
        journal.admit(order(2, epoch=4))
    again = reopened(journal)
    with pytest.raises(Fenced):
        again.admit(order(3, epoch=4))
    assert again.admit(order(4, bot="beta", epoch=1))
    again.close()


def test_transaction_that_fails_leaves_nothing(journal: Journal) -> None:
    def fail() -> None:
        with journal.transaction():
            journal.admit(order())
            journal.add_fill(fill())
            journal.emit("m1", HaltChanged("v", "a", True, "r", "b", 1))
            raise ValueError

    with pytest.raises(ValueError):
        fail()

    assert journal.order(order().client_id) is None
    assert journal.live() == []
    assert list(journal.fills()) == []
    assert journal.pending() == []
    assert journal.admit(order())


def test_news_is_there_at_once_and_its_events_leave_when_it_is_on_the_disk(journal: Journal) -> None:
    """Nobody waits for the disk but the bus: an event of news is pending only after the sync that it waits for."""
    wanted: list[str] = []
    journal.sync_with(lambda: wanted.append("sync"))

    with journal.news():
        journal.add_fill(fill())
        journal.emit("m1", HaltChanged("v", "a", True, "r", "b", 1))
    known, early, synced = list(journal.fills()), journal.pending(), journal.synced
    mark = journal.mark()
    with journal.news():
        journal.emit("m2", HaltChanged("v", "a", True, "r", "b", 2))
    journal.sync()
    journal.lasting(mark)

    assert [item for _, item in known] == [fill()]
    assert (early, synced, wanted) == ([], False, ["sync", "sync"])
    assert [item.message_id for item in journal.pending()] == ["m1"]  # m2 came while the disk was busy


def test_next_transaction_brings_the_news_before_it_to_the_disk(journal: Journal) -> None:
    """One log, one sync: an intent's own commit carries everything that was written before it."""
    journal.sync_with(lambda: None)
    with journal.news():
        journal.emit("m1", HaltChanged("v", "a", True, "r", "b", 1))

    journal.emit("m2", HaltChanged("v", "a", True, "r", "b", 2))

    assert [item.message_id for item in journal.pending()] == ["m1", "m2"]
    assert journal.synced


def test_news_that_fails_leaves_nothing_and_counts_nothing(journal: Journal) -> None:
    """A sequence number that was taken back is not on the disk when it is given again."""
    journal.sync_with(lambda: None)

    def fail() -> None:
        with journal.news():
            journal.emit("m1", HaltChanged("v", "a", True, "r", "b", 1))
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    mark = journal.mark()
    with journal.news():
        journal.emit("m2", HaltChanged("v", "a", True, "r", "b", 2))
    journal.lasting(mark)

    assert journal.pending() == []


def test_news_outlives_the_process_without_a_sync(journal: Journal, tmp_path: Path) -> None:
    """What a kill leaves behind, the file and its log as they are, holds the news."""
    journal.sync_with(lambda: None)
    with journal.news():
        journal.add_fill(fill())
    for name in ("journal.sqlite", "journal.sqlite-wal"):
        (tmp_path / name).write_bytes((journal.path.parent / name).read_bytes())

    left = Journal(tmp_path / "journal.sqlite")
    left.open()

    assert [item for _, item in left.fills()] == [fill()]
    left.close()


@pytest.mark.parametrize("way", ["transaction", "news"])
def test_only_news_does_not_wait_for_the_disk(journal: Journal, way: str) -> None:
    """Whatever was written last, the next transaction syncs its commit before it returns."""
    journal.sync_with(lambda: None)
    for before in ("news", "transaction", "news"):
        with getattr(journal, before)():
            journal.put("k", before)

    with getattr(journal, way)():
        journal.put("k", "v")

    # SQLite's own word on the connection that has just committed: 2 is FULL, 1 is NORMAL.
    assert journal._connection().execute("PRAGMA synchronous").fetchone()[0] == (2 if way == "transaction" else 1)


def test_state_survives_a_restart(journal: Journal) -> None:
    journal.admit(order())
    journal.step(order().client_id, OrderState.SENDING)
    journal.put_guard(LEG)
    journal.put_guard(replace(LEG, leg="o2", size=Decimal(0)))
    journal.put_plan(JournalPlan("p1", "77", "alpha", "BTC-USDT.P", "stop", Decimal("0.01"), Decimal(90), live=True))
    journal.add_fill(fill())
    journal.put("halt", "why")
    again = reopened(journal)

    assert [item.state for item in again.live()] == [OrderState.SENDING]
    assert again.guards("BTC-USDT.P") == again.guards("BTC-USDT.P", "alpha") == [LEG]
    assert again.guards("BTC-USDT.P", "beta") == []
    assert again.plan("", "77") == again.plan("p1") == again.live_plans()[0]
    assert [kept for _, kept in again.fills()] == [fill()]
    assert again.has_trade("t1")
    assert not again.add_fill(fill())
    assert again.get("halt") == "why"
    again.close()


def test_outbox_keeps_order_and_sends_each_event_once(journal: Journal) -> None:
    for number in range(5):
        journal.emit(f"m{number}", HaltChanged("v", "a", True, str(number), "b", number))
    journal.emit("m3", HaltChanged("v", "a", False, "other", "b", 9))

    waiting = journal.pending()
    assert [item.message.reason for item in waiting] == ["0", "1", "2", "3", "4"]
    journal.mark_sent(waiting[2].seq)
    assert [item.message_id for item in journal.pending()] == ["m3", "m4"]
    assert [item.message_id for item in reopened(journal).pending()] == ["m3", "m4"]


def test_partial_fills_are_known_by_either_spelling(journal: Journal) -> None:
    journal.add_fill(fill("t9/alpha"))

    assert journal.has_trade("t9")
    assert not journal.has_trade("t")


def test_what_every_fill_asks_never_reads_the_whole_journal(journal: Journal) -> None:
    """The journal keeps fills for good: a search through all of them would cost every fill more than the one before."""
    asked: list[str] = []
    db = journal._connection()
    db.set_trace_callback(asked.append)
    journal.has_trade("t1")
    journal.booked("c1")
    journal.last_fill_ns("BTC-USDT.P")
    journal.live_plans()
    db.set_trace_callback(None)

    assert len(asked) == 4
    assert [
        row["detail"] for one in asked for row in db.execute(f"EXPLAIN QUERY PLAN {one}") if "SCAN" in row["detail"]
    ] == []


@pytest.mark.req("2.124")
def test_nonce_is_used_once(journal: Journal) -> None:
    assert journal.use_nonce("n")
    assert not journal.use_nonce("n")


def test_open_second_writer_is_refused_and_the_first_goes_on(journal: Journal) -> None:
    with pytest.raises(EnvironmentFault, match="held by another gateway"):
        Journal(journal.path).open()
    assert journal.admit(order())


def test_open_where_nothing_may_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EnvironmentFault, match="cannot be created"):
        Journal(tmp_path / "file" / "journal.sqlite").open()


def test_open_another_version_is_refused(journal: Journal) -> None:
    journal.put("version", "99")
    journal.close()
    with pytest.raises(CorruptData, match="version 99"):
        Journal(journal.path).open()


CHILD = """
import sys, threading, os
from pathlib import Path
sys.path.insert(0, {root!r})
sys.path.insert(0, {tests!r})
import test_journal as t
from services.gateway.journal import Journal
from omega.domain import OrderState
from omega.bus import HaltChanged
journal = Journal({path!r}); journal.open()
n = 0
while True:
    n += 1
    with journal.transaction():
        journal.admit(t.order(n))
        journal.step(t.order(n).client_id, OrderState.SENDING)
        journal.add_fill(t.fill(f"t{{n}}"))
        journal.emit(f"m{{n}}", HaltChanged("v", "a", True, str(n), "b", n))
    print(n, flush=True)
"""


@pytest.mark.kills
def test_killed_at_any_point_keeps_whole_transactions_and_all_that_were_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    code = CHILD.format(root=str(ROOT), tests=str(Path(__file__).parent), path=str(path))
    for after in (3, 17, 40):
        path.unlink(missing_ok=True)
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
        assert child.stdout is not None
        with killed_after(child):
            said = [int(child.stdout.readline()) for _ in range(after)]
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        child.stdout.close()
        journal = Journal(path)
        journal.open()
        whole = len(journal.live())

        assert whole >= said[-1]
        assert len(list(journal.fills())) == len(journal.pending(limit=10_000)) == whole
        assert {item.state for item in journal.live()} == {OrderState.SENDING}
        journal.close()
        for name in ("-wal", "-shm"):
            Path(f"{path}{name}").unlink(missing_ok=True)


def test_log_is_tidied_up_in_a_pause(journal: Any) -> None:
    """Not while it is written: what waits for a commit is an order."""
    journal.put("key", "few")
    assert [journal.checkpoint() for _ in range(2)] == [False, False], "there is not enough to tidy up"
    before = journal.path.stat().st_size
    for number in range(300):
        journal.put(f"key-{number}", "x" * 500)
    assert not journal.checkpoint(), "it has just written"
    assert journal.checkpoint(), "there is a pause"
    assert journal.path.stat().st_size > before
    assert not journal.checkpoint()


def test_log_is_tidied_up_beside_commits_that_begin_meanwhile(journal: Any) -> None:
    for number in range(300):
        journal.put(f"key-{number}", "x" * 500)
    assert not journal.checkpoint()
    with ThreadPoolExecutor(1) as beside:
        tidied = beside.submit(journal.checkpoint)
        for number in range(50):
            journal.put(f"later-{number}", "y")
        tidied.result(30)

    assert (journal.get("key-299"), journal.get("later-49")) == ("x" * 500, "y")
