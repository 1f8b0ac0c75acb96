"""The log of inputs: refused when it belongs to another run, loud when it cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omega.errors import ConfigError, EnvironmentFault
from services.simulator.inputs import InputLog, Kind
from services.simulator.options import SimulatorOptions


def options(path: Path | str, seed: int = 1) -> SimulatorOptions:
    return SimulatorOptions(state=str(path), seed=seed)


def test_log_returns_what_was_noted_until_it_is_restarted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first = InputLog(options(path))
    assert first.open() == []
    first.note(Kind.STEP)
    first.note(Kind.HAND, act="place", body={"size": "1"})
    first.close()

    second = InputLog(options(path))
    assert second.open() == [{"kind": "step"}, {"kind": "hand", "act": "place", "body": {"size": "1"}}]
    second.restart()
    second.close()

    assert InputLog(options(path)).open() == []


def test_log_of_other_options_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = InputLog(options(path))
    log.open()
    log.close()

    with pytest.raises(ConfigError, match=r"other options.*remove the file"):
        InputLog(options(path, seed=2)).open()


def test_log_that_cannot_be_opened_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot keep its state"):
        InputLog(options(tmp_path / "missing" / "log")).open()


def test_full_disk_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    log = InputLog(options(tmp_path / "log"))
    log.open()
    os.dup2(os.open("/dev/full", os.O_WRONLY), log._file)

    with pytest.raises(EnvironmentFault, match="Free space"):
        log.note(Kind.STEP)
    log.close()


def test_without_a_path_nothing_is_kept() -> None:
    log = InputLog(options(""))

    log.note(Kind.STEP)
    log.restart()
    log.close()

    assert log.open() == []
