"""The trial ledger: distinct trials, many writers, a kill in the middle."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omega.errors import ConfigError, CorruptData, EnvironmentFault
from omega.research import TrialLedger
from omega.research.trials import TrialKind
from omega.testing.bounds import killed_after

from .handles import open_files

WRITER = """
import sys, time
from pathlib import Path
from omega.research import TrialLedger
ledger = TrialLedger(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    ledger.record("s", {"writer": sys.argv[2], "i": i}, "h", {"sharpe": float(i)}, "sweep", i)
    print(i, flush=True)
"""


def _write(ledger: TrialLedger, fast: int, sharpe: float | None = 1.0, kind: str = "backtest") -> None:
    ledger.record("ema_cross", {"fast": fast}, "hash", {"sharpe": sharpe, "roi": 0.1}, kind, 1_000 + fast)


def test_ledger_a_trial_run_again_counts_once(tmp_path: Path) -> None:
    with TrialLedger(tmp_path / "t.db") as ledger:
        _write(ledger, 5, 1.0)
        _write(ledger, 5, 2.0)
        _write(ledger, 8, 3.0, "sweep")

        assert ledger.count("ema_cross") == 2
        assert sorted(ledger.sharpes("ema_cross")) == [2.0, 3.0]
        assert ledger.count("other") == 0
        assert ledger.strategies() == {"ema_cross": 2}


def test_ledger_what_is_written_comes_back_newest_first(tmp_path: Path) -> None:
    with TrialLedger(tmp_path / "deep" / "t.db") as ledger:
        _write(ledger, 5)
        _write(ledger, 8, math.nan, "experiment")

    with TrialLedger(tmp_path / "deep" / "t.db") as ledger:
        newest, oldest = ledger.trials("ema_cross")
        assert newest.params == {"fast": 8}
        assert newest.kind is TrialKind.EXPERIMENT
        assert newest.sharpe is None
        assert newest.metrics == {"sharpe": None, "roi": 0.1}
        assert oldest.at_ns == 1_005
        assert [trial.key for trial in ledger.trials("ema_cross", limit=1)] == [newest.key]


def test_ledger_unknown_kind_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with TrialLedger(tmp_path / "t.db") as ledger:
        with pytest.raises(ConfigError, match="guess"):
            _write(ledger, 5, kind="guess")
        assert ledger.count("ema_cross") == 0


def test_ledger_default_path_is_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMEGA_TRIALS_DB", str(tmp_path / "named.db"))

    with TrialLedger() as ledger:
        _write(ledger, 5)

    assert (tmp_path / "named.db").exists()


def test_ledger_file_that_is_no_ledger_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.db").write_text("this is no database, not at all, it is a text of some length" * 20)

    with pytest.raises(CorruptData, match=r"t\.db"):
        TrialLedger(tmp_path / "t.db")
    assert str(tmp_path / "t.db") not in open_files()


def test_ledger_place_that_cannot_be_written_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentFault, match="OMEGA_TRIALS_DB"):
        TrialLedger(tmp_path / "file" / "t.db")


def test_ledger_four_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, str(number), "40"], stdout=subprocess.DEVNULL) for number in range(4)]

    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]

    with TrialLedger(path) as ledger:
        assert ledger.count("s") == 160


@pytest.mark.req("4.91")
def test_ledger_killed_writer_leaves_every_finished_trial(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "a", "100000"], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with killed_after(writer):
        for _ in range(25):
            writer.stdout.readline()
    time.sleep(0.05)
    os.kill(writer.pid, signal.SIGKILL)
    told = writer.stdout.read().split()
    writer.stdout.close()
    writer.wait(10)

    with TrialLedger(path) as ledger:
        kept = {int(trial.params["i"]) for trial in ledger.trials("s")}
        assert kept >= set(range(int(told[-1]) + 1))
        _write(ledger, 5)
        assert ledger.count("ema_cross") == 1
