"""A journal that is damaged, or that the disk refuses: the class says what to do, the words say it to a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omega.errors import DamagedStore, EnvironmentFault, InvariantBroken
from services.gateway.journal import Journal

from .adversity import Desk

PAGE = 4096


def damage(journal: Journal) -> None:
    """Overwrite every page but the first, as a dying disk does under a process that runs."""
    database = journal._connection()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("PRAGMA shrink_memory")
    whole = journal.path.stat().st_size
    with journal.path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xa5" * (whole - PAGE))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.hold(1, "ann", "0.1")
    yield desk
    desk.journal.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda desk: desk.journal.put("key", "value"),
        lambda desk: desk.entry(2, "ann", "0.1"),
        lambda desk: desk.journal.by_intent("i1"),
        lambda desk: list(desk.journal.fills()),
        lambda desk: desk.journal.values("again:"),
    ],
)
def test_damage_ends_the_process_whoever_meets_it(desk: Desk, use: Callable[[Desk], object]) -> None:
    heard: list[DamagedStore] = []
    desk.journal.on_damaged = heard.append
    damage(desk.journal)
    with pytest.raises(DamagedStore, match=r"is damaged.*omega dr restore") as caught:
        use(desk)

    assert heard == [caught.value]
    assert isinstance(caught.value, InvariantBroken), "the supervisor ends the process"
    assert caught.value.exit_code == 3
    assert str(desk.journal.path) in str(caught.value)


def test_write_on_a_read_only_file_system_waits_for_a_person(desk: Desk) -> None:
    """Nothing was sent, nothing is damaged: it is tried again, and the words say what to mend."""
    desk.journal._connection().execute("PRAGMA query_only=ON")
    with pytest.raises(EnvironmentFault, match=r"readonly.*make it writable") as caught:
        desk.journal.put("key", "value")
    desk.journal._connection().execute("PRAGMA query_only=OFF")
    desk.journal.put("key", "value")

    assert caught.value.exit_code == 3
    assert desk.journal.get("key") == "value"
