"""A disk that refuses the commit: what is in memory is what is on the disk, and entries are halted."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from omega.bus import Command, Verb
from omega.bus.topics import FARM, RISK
from omega.errors import EnvironmentFault
from omega.runtime.http import HttpRequest
from omega.runtime.kill import sign
from services.gateway.venue import FundingBill

from .adversity import BTC, D, Desk, trade


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


def test_execution_that_a_reconciliation_could_not_write_is_booked_once(desk: Desk) -> None:
    """The books forget it with the journal: doubled they would double the exit, which opens the other side."""
    desk.entry(1, "ann", "0.1")
    desk.journal.full = True
    with pytest.raises(EnvironmentFault):
        desk.private.take_trades([trade(1, "0.1")])
    unwritten = desk.size()
    desk.journal.full = False
    desk.private.take_trades([trade(1, "0.1")])

    assert (unwritten, desk.size()) == (0, D("0.1"))
    assert desk.account.halt.active


def test_funding_that_could_not_be_written_is_paid_once(desk: Desk) -> None:
    desk.hold(1, "ann", "0.1")
    bill = FundingBill("f1", BTC, D(-3), 9)
    desk.journal.full = True
    with pytest.raises(EnvironmentFault):
        desk.private.take_funding([bill])
    desk.journal.full = False
    desk.private.take_funding([bill])

    assert desk.account.books.book("ann", BTC).funding == -3


@pytest.mark.parametrize("target", [FARM, RISK])
@pytest.mark.parametrize("verb", [Verb.HALT, Verb.FLATTEN])
async def test_halt_that_cannot_be_written_halts_all_the_same(desk: Desk, verb: Verb, target: str) -> None:
    """It is in force from now on; the command stays unanswered, so that the bus brings it again."""
    if (verb, target) == (Verb.FLATTEN, RISK):
        verb = Verb.HALT
    desk.journal.full = True
    with pytest.raises(EnvironmentFault):
        await desk.commands.apply(Command("c1", verb, target, "ann", "now"))

    assert desk.account.halt.active

    desk.journal.full = False
    stage = await desk.commands.apply(Command("c1", verb, target, "ann", "now"))
    desk.account.halt.settle(ts_ns=1)

    assert stage in {"confirmed", "accepted"}
    assert desk.account.halt.latches[0].by in {"gateway", "ann"}
    desk.account.halt.load()
    assert desk.account.halt.active, "it is in the journal now"


@pytest.mark.req("0.28")
@pytest.mark.parametrize("verb", ["halt", "flatten"])
async def test_kill_switch_works_while_the_disk_is_full(tmp_path: Path, verb: str) -> None:
    """The answer says that the halt is in force and that the rest could not be written."""
    desk = Desk(tmp_path, kill_key="a-long-kill-key")
    desk.journal.full = True
    body = json.dumps({"verb": verb, "actor": "ann", "reason": "now", "ts": time.time(), "nonce": "n" * 12}).encode()
    request: Any = HttpRequest("POST", "/kill", "", {"x-omega-signature": sign("a-long-kill-key", body)}, body)
    answer = await desk.commands.kill(request)

    assert answer.status == 503
    told = json.loads(answer.body)
    assert told["halted"] is True
    assert "full" in told["error"]
    assert desk.account.halt.active
    desk.journal.close()


def test_halt_that_could_not_be_written_outlives_a_restart_once_the_disk_has_room(desk: Desk) -> None:
    """A person must lift it, not the next start."""
    desk.journal.full = True
    desk.account.halt_entries("an order has no proven outcome")
    desk.journal.full = False
    desk.account.halt._file.unlink()
    desk.account.halt.settle(ts_ns=1)
    desk.account.halt.load()

    assert desk.account.halt.reason == "an order has no proven outcome"


async def test_command_waits_for_the_disk_and_is_no_dead_letter(desk: Desk) -> None:
    desk.journal.full = True
    task = asyncio.create_task(desk.commands._insist(Command("c1", Verb.PAUSE, "ann", "ann", "now"), 0))
    await asyncio.sleep(0)
    waiting = not task.done()
    desk.journal.full = False
    await task

    assert waiting
    assert desk.account.standing.of("ann") == "paused"
    assert desk.journal.command_stage("c1") == "accepted"


def test_journal_that_another_program_has_locked_is_no_damage(desk: Desk) -> None:
    """Somebody looks into the file with a tool of his own: what waits is written when he has gone."""
    desk.journal._connection().execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(desk.journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(EnvironmentFault, match="another program"):
            desk.journal.put("key", "value")
        other.execute("ROLLBACK")
    desk.journal.put("key", "value")

    assert desk.journal.get("key") == "value"
