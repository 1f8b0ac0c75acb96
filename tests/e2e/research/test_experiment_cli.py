"""`omega experiment` as a person calls it: a process of its own, killed in the middle, resumed, losing no cell."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omega.testing import commands

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "config" / "experiments"
FINE, USAGE, INTERRUPTED = 0, 2, 130
Omega = Callable[..., subprocess.CompletedProcess[str]]
LONG = """\
name: long
question: Does the moon help?
bot: ema_cross
metric: mean_return
direction: higher
minimum_effect: 0.001
seed: 3
data: {symbols: [BTCUSDT, ETHUSDT], timeframe: 1m}
folds: {train_days: 2, test_days: 4}
placebos: 60
draws: 99
arms:
  control: {}
  moon: {cosmic: only_moon_phase}
  hours: {cosmic: only_time_cycle}
  place: {cosmic: only_geographic_influence}
"""


def _environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "OMEGA_CONFIG_DIR": str(ROOT / "config"),
        "OMEGA_CACHE_DIR": str(ROOT / "var" / "cache"),
        "OMEGA_TRIALS_DB": str(home / "trials.db"),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="module")
def omega(home: Path) -> Omega:
    """Run `omega` in an empty directory of its own."""

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "omega.cli", "experiment", *args]
        return subprocess.run(
            command, cwd=home, env=_environment(home), capture_output=True, text=True, timeout=150, check=False
        )

    return call


@pytest.fixture(scope="module")
def warm_omega(home: Path) -> Omega:
    """Ask there for what runs nothing."""

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        return commands.omega(("experiment", *args), cwd=home, env=_environment(home))

    return call


@pytest.fixture(scope="module")
def report(omega: Omega, home: Path) -> dict[str, object]:
    """Run the small shipped experiment once, over two worker processes."""
    done = omega("run", str(SHIPPED / "moon_and_mind.yaml"), "--json", "--workers", "2")
    assert done.returncode == FINE, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    # Here, because the next run of any test writes the file anew.
    assert json.loads((home / "var/experiments/moon_and_mind/report.json").read_text()) == found
    return found


@pytest.fixture(scope="module")
def code(report: dict[str, object]) -> int:
    """The state of the sources when the experiment ran."""
    return _edited()


@pytest.mark.req("4.37", "0.10", "0.13")
def test_experiment_small_one_runs_on_what_the_project_carries(report: dict[str, object], home: Path) -> None:
    assert str(report["answer"][0]).startswith("Nothing was found")  # type: ignore[index]
    assert set(report["verdicts"]) == {"moon", "newbie"}  # type: ignore[call-overload]
    assert report["cells_resumed"] == 0
    page = (home / str(report["report"])).read_text()
    assert "Nothing was found" in page
    assert len(page) < 1_000_000


@pytest.mark.req("4.91", "4.78")
def test_experiment_again_takes_over_every_cell_and_adds_no_trial(
    report: dict[str, object], code: int, omega: Omega
) -> None:
    again = json.loads(omega("run", str(SHIPPED / "moon_and_mind.yaml"), "--json").stdout)

    _unless_edited(code)
    assert again["cells_resumed"] == again["cells"] == report["cells"]
    assert again["arms"] == report["arms"]
    assert again["trials_ever"] == report["trials_ever"]
    assert again["data_hash"] == report["data_hash"]


def test_experiment_one_process_finds_the_same_as_two(report: dict[str, object], omega: Omega) -> None:
    alone = omega("run", str(SHIPPED / "moon_and_mind.yaml"), "--json", "--fresh", "--workers", "1")

    found = json.loads(alone.stdout)
    assert found["cells_resumed"] == 0
    assert found["arms"] == report["arms"]


def test_experiment_list_show_and_trials_know_what_ran(report: dict[str, object], warm_omega: Omega) -> None:
    listed = json.loads(warm_omega("list", "--json").stdout)
    shown = warm_omega("show", "moon_and_mind")
    trials = json.loads(warm_omega("trials", "ema_cross", "--json", "--limit", "5").stdout)

    assert listed["moon_and_mind"]["adopted"] == []
    assert listed["cosmic_isolation"]["at"] is None
    assert "Nothing was found" in shown.stdout
    assert trials["trials"] == report["trials_ever"]
    assert len(trials["newest"]) == 5
    assert {trial["kind"] for trial in trials["newest"]} == {"experiment"}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("run", str(SHIPPED / "cosmic_isolation.yaml")), "no candles of SOLUSDT"),
        (("run", str(SHIPPED / "cosmic_isolation.yaml"), "--data", "nowhere"), "--data nowhere is not there"),
        (("run", "missing.yaml"), "missing.yaml cannot be read"),
        (("show", "moon_and_mint"), "did you mean 'moon_and_mind'"),
    ],
)
def test_experiment_each_mistake_is_one_sentence_with_the_next_step(
    report: dict[str, object], warm_omega: Omega, args: tuple[str, ...], told: str
) -> None:
    done = warm_omega(*args)

    assert done.returncode == USAGE
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.req("4.91")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.kills
def test_experiment_interrupted_loses_no_finished_cell(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    before = _edited()
    command = [sys.executable, "-m", "omega.cli", "experiment", "run", "long.yaml", "--workers", "2", "--json"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=_environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background may ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one system call, no lock
    )
    cells = tmp_path / "var/experiments/long/cells.db"
    _wait(lambda: _count(cells) >= 3)
    workers = _children(running.pid)

    running.send_signal(how)
    _, said = running.communicate(timeout=30)

    assert running.returncode == (INTERRUPTED if how is signal.SIGINT else -how)
    assert "Traceback" not in said
    assert workers
    _wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    kept = _count(cells)
    again = subprocess.run(
        command, cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True, timeout=120, check=False
    )
    _unless_edited(before)
    report = json.loads(again.stdout)
    assert report["cells_resumed"] == kept >= 3
    assert report["cells"] > kept


def _unless_edited(before: int) -> None:
    """Leave the test out when the sources were edited meanwhile: cells of other code are rightly run anew."""
    if _edited() != before:
        pytest.skip("the sources were edited while the test ran; run it again")


def _edited() -> int:
    folders = [ROOT / "omega" / "engine", ROOT / "omega" / "backtest", ROOT / "bots"]
    return max(path.stat().st_mtime_ns for folder in folders for path in folder.glob("*.py"))


def _count(path: Path) -> int:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM cells").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        if "database" in locals():
            database.close()


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def _wait(ready: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
