"""Killed at any point of a send, the gateway comes back to one truth.

No order doubled, none lost, the stop in place.
"""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any

import pytest

from omega.bus import OrderEvent
from omega.domain import Intent, OrderState
from omega.errors import DamagedStore
from omega.runtime import exit_code
from services.gateway.journal import Journal

from .dying import die_at


async def kill_in_the_middle(bench: Any, point: str) -> Intent:
    """Run the first life of the gateway in a process of its own until it kills itself; return the intent."""
    intent: Intent = bench.intent()
    await die_at(bench, point, intent=intent)
    return intent


def placed(bench: Any) -> int:
    return sum(order.source == "API" for order in bench.server.exchange.venue.book.orders.values())


@pytest.mark.req("0.54")
@pytest.mark.kills
async def test_killed_before_the_send_ends_proven_absent(make_bench: Any) -> None:
    async with make_bench(proof_of_absence_s=0.3) as bench:
        intent = await kill_in_the_middle(bench, "before_send")
        await bench.open()
        await bench.until(lambda: bench.order(intent).state is OrderState.REJECTED, "the proof")

        assert placed(bench) == 0
        await bench.until(lambda: bench.gateway.outbox.clear, "the events")
        states = [event.state for event in await bench.events() if isinstance(event, OrderEvent)]
        assert states == [OrderState.SENDING, OrderState.UNRESOLVED, OrderState.REJECTED]


@pytest.mark.req("0.54")
@pytest.mark.kills
async def test_killed_between_send_and_answer_adopts_the_order_and_its_fill(make_bench: Any) -> None:
    async with make_bench() as bench:
        intent = await kill_in_the_middle(bench, "after_send")
        await bench.admin("POST", "/step")
        await bench.open()
        await bench.until(lambda: bench.order(intent).state is OrderState.FILLED, "the fill")
        await bench.settle()

        assert placed(bench) == 1
        assert bench.size() == Decimal("0.01")
        assert bench.gateway.keeper.stop_of("alpha", intent.symbol) == (Decimal("0.01"), intent.stop)
        truth = await bench.invariants()
        assert (truth["books_equal_venue"], truth["every_position_has_stop"]) == (True, True)


@pytest.mark.kills
async def test_killed_before_the_commit_leaves_nothing_and_the_intent_may_come_again(make_bench: Any) -> None:
    async with make_bench() as bench:
        intent = await kill_in_the_middle(bench, "before_commit")
        await bench.open()
        assert bench.order(intent) is None
        await bench.send(intent)
        await bench.settle(0, intent.intent_id)

        assert bench.order(intent).state is OrderState.WORKING
        assert placed(bench) == 1


async def test_restart_reads_what_happened_meanwhile(bench: Any) -> None:
    """While the gateway is down its stop fires: the next life books it on the bot."""
    price = bench.price()
    await bench.enter(stop=str((price * Decimal("0.998")).quantize(Decimal("0.1"))))
    held = bench.size()
    await bench.close()
    for _ in range(300):
        await bench.admin("POST", "/step")
        if not bench.plans():
            break
    await bench.open()
    await bench.settle()

    assert held
    assert bench.size() == 0
    truth = await bench.invariants()
    assert truth["books_equal_venue"]
    assert not await strangers(bench)


async def strangers(bench: Any) -> list[str]:
    return [bot for (bot, _), book in bench.gateway.account.books.items() if bot == "external" and book.trades]


async def test_damaged_journal_is_refused_with_what_to_do(bench: Any) -> None:
    path = bench.folder / "other.sqlite"
    path.write_bytes(b"this is no database at all" * 100)

    with pytest.raises(DamagedStore, match="damaged"):
        Journal(path).open()


async def test_journal_that_is_damaged_under_the_gateway_ends_it_halted(bench: Any) -> None:
    """Nothing is sent that could not be remembered; the next start does not trade before a person has looked."""
    await bench.enter()
    journal = bench.gateway.account.journal
    journal._connection().executescript("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory")
    size = journal.path.stat().st_size
    with journal.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    await bench.send(bench.intent())
    await bench.until(lambda: bench.gateway.stopping, "the end")

    assert isinstance(bench.gateway.error, DamagedStore)
    assert exit_code(bench.gateway.error) == 3
    assert "is damaged" in (bench.folder / "HALT").read_text()
    assert placed(bench) == 1


async def test_full_disk_halts_entries_and_sends_nothing(bench: Any) -> None:
    journal = bench.gateway.account.journal
    plain_run = journal._run

    def full(sql: str, values: Any = ()) -> Any:
        if sql.startswith("INSERT OR REPLACE INTO orders"):
            raise journal._fault(sqlite3.OperationalError("database or disk is full"))
        return plain_run(sql, values)

    journal._run = full
    intent = bench.intent()
    await bench.send(intent)
    await bench.until(lambda: bench.gateway.account.halt.active, "the halt")
    journal._run = plain_run

    assert placed(bench) == 0
    assert "full" in bench.gateway.account.halt.reason
