"""`omega audit|ledger|why|dr` as people run them, over a database that a ledger wrote."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from omega.cli.app import build
from omega.errors import ConfigError, Denied
from omega.storage.engine import Database
from omega.storage.ledger import Sink
from omega.storage.ledger.partitions import begins_ns
from omega.storage.migrations import upgrade

from . import farm

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    async def fill() -> None:
        database = Database(f"sqlite:///{tmp_path}/farm.sqlite")
        await upgrade(database)
        for month, bot in (("2025-05", "fib"), ("2025-06", "trend")):
            async with database.writing() as connection:
                await Sink(connection).write([farm.received(m) for m in farm.session(bot)], now_ns=begins_ns(month))
        await database.close()

    asyncio.run(fill())

    def work(*words: str) -> Result:
        where = ("--database", f"sqlite:///{tmp_path}/farm.sqlite")
        return CliRunner().invoke(build(words[0]), [*words, *where])

    return work


def change(tmp_path: Path, statement: str) -> None:
    with closing(sqlite3.connect(tmp_path / "farm.sqlite")) as database:
        database.execute(statement)
        database.commit()


@pytest.mark.req("4.65", "2.110")
def test_audit_whole_chain_is_fine_and_a_changed_byte_is_a_finding(run: Run, tmp_path: Path):
    fine = run("audit", "verify")
    head = run("audit", "head").stdout.strip()
    (tmp_path / "heads.txt").write_text(head + "\n")
    change(
        tmp_path,
        "UPDATE events SET record = CAST(replace(CAST(record AS TEXT), 'fib', 'fob') AS BLOB) WHERE number = 7",
    )
    found = run("audit", "verify", "--head", str(tmp_path / "heads.txt"), "--json")

    assert (fine.exit_code, found.exit_code) == (0, 1)
    assert f"whole: 162 records (0 in the archive); head {head}" in fine.stdout
    verdict = json.loads(found.stdout)
    assert verdict["whole"] is False
    assert [(one["kind"], one["number"]) for one in verdict["findings"]] == [("broken", 7)]


@pytest.mark.req("4.19", "2.23")
def test_ledger_check_rebuild_and_check_again(run: Run, tmp_path: Path):
    assert run("ledger", "check").exit_code == 0
    change(tmp_path, "UPDATE positions SET realised = '1'")

    broken = run("ledger", "check", "--json")
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)[-1]["faults"]
    assert run("ledger", "rebuild", "--check").exit_code == 1
    mended = run("ledger", "rebuild", "--json")

    assert mended.exit_code == 0
    assert json.loads(mended.stdout)["swapped"] is True
    assert run("ledger", "check").exit_code == 0


@pytest.mark.req("3.17")
def test_ledger_archive_and_unarchive_keep_the_chain(run: Run, tmp_path: Path):
    place = ("--archive", str(tmp_path / "archive"))

    moved = run("ledger", "archive", "--keep-months", "1", "--json", *place)
    assert [row["month"] for row in json.loads(moved.stdout)] == ["2025-05", "2025-06"]
    assert "162 records (162 in the archive)" in run("audit", "verify", *place).stdout
    assert run("ledger", "unarchive", "2025-06", *place).exit_code == 0
    assert "162 records (81 in the archive)" in run("audit", "verify", *place).stdout


@pytest.mark.req("0.27")
def test_why_tells_people_and_machines(run: Run):
    name = f"fib:{farm.bar_ns(0)}:0"

    told, data = run("why", name), run("why", name, "--json")
    unknown = run("why", "nothing")

    for word in ("signal", "crossed_up", "interceptor", "cap", "order", "filled", "fill", "stop", "not known"):
        assert word in told.stdout
    assert {step["what"] for step in json.loads(data.stdout)["steps"]} >= {"signal", "interceptor", "fill", "stop"}
    assert isinstance(unknown.exception, Denied)
    assert unknown.exception.exit_code == 1


@pytest.mark.req("4.85")
def test_dr_backup_and_drill(run: Run, tmp_path: Path):
    made = run("dr", "backup", str(tmp_path / "backups"), "--no-journal", "--json")
    drilled = run("dr", "drill", str(tmp_path / "backups"), "--json")

    assert json.loads(made.stdout)["rows"]["events"] == 162
    assert json.loads(drilled.stdout)["fine"] is True
    taken = run("dr", "restore", str(tmp_path / "backups"))
    assert isinstance(taken.exception, ConfigError)
    assert "in the way" in str(taken.exception)


def test_commands_database_that_is_not_there_is_named_and_not_made(tmp_path: Path):
    path = tmp_path / "none" / "farm.sqlite"

    result = CliRunner().invoke(build("audit"), ["audit", "head", "--database", f"sqlite:///{path}"])

    assert isinstance(result.exception, ConfigError)
    assert str(path) in str(result.exception)
    assert not path.parent.exists()
