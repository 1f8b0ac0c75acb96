"""Studies outlive whatever happens to their processes, and any number of processes may share one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omega.backtest.sweep.goal import goals_of
from omega.backtest.sweep.job import Job
from omega.backtest.sweep.plan import Plan
from omega.backtest.sweep.results import write
from omega.backtest.sweep.run import sweep
from omega.backtest.sweep.study import WHOLE, Trial, existing_study
from omega.backtest.sweep.windows import walk_forward_of
from omega.backtest.types import Market
from omega.errors import ConfigError, EnvironmentFault

ROOT = Path(__file__).resolve().parents[3]


def _rows(plan: Plan) -> dict[tuple[int, int], tuple[Any, ...]]:
    study = existing_study(plan.storage, plan.study)
    try:
        return {(t.fold, t.number): (dict(t.params), dict(t.metrics), t.score) for t in study.trials()}
    finally:
        study.close()


@pytest.mark.req("4.90", "4.91")
def test_shards_together_make_the_study_that_one_process_makes(
    storage: str, sqlite: str, planned: Callable[..., Plan], market: Market
) -> None:
    alone = planned(sqlite + ".alone")
    sweep(alone, market)
    plan = planned(storage, study="shared", join=True)

    reports = [sweep(replace(plan, shard=(index, 3)), market) for index in (2, 0, 1)]

    assert [report.finished for report in reports] == [False, False, True]
    assert sum(report.ran for report in reports) == 40
    assert _rows(plan) == _rows(alone)


def test_worker_processes_make_the_study_that_one_process_makes(
    sqlite: str, planned: Callable[..., Plan], market: Market
) -> None:
    alone, many = planned(sqlite), planned(sqlite, study="many", workers=2)

    sweep(alone, market)  # compiles too, where nobody has: a compiler's memory is not the sweep's
    report = sweep(many, market)

    assert report.finished
    assert report.modes == ("sparse",)
    assert 0.0 < report.peak_rss_mb < 250.0
    assert _rows(many) == _rows(alone)


def test_resume_makes_only_what_is_missing(storage: str, planned: Callable[..., Plan], market: Market) -> None:
    plan = planned(storage, join=True)
    sweep(replace(plan, shard=(0, 2)), market)

    report = sweep(plan, market)

    assert (report.ran, report.finished, report.states) == (20, True, {"done": 40})
    assert sweep(plan, market).ran == 0


def test_study_of_another_sweep_is_refused_by_what_differs(
    storage: str, planned: Callable[..., Plan], market: Market
) -> None:
    plan = planned(storage)
    sweep(plan, market)

    with pytest.raises(ConfigError, match="there already"):
        sweep(plan, market)
    with pytest.raises(ConfigError, match="seed was 0"):
        sweep(replace(plan, seed=1, join=True), market)


def test_storage_that_does_not_answer_says_so(planned: Callable[..., Plan], market: Market, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no URL"):
        sweep(planned("nonsense"), market)
    with pytest.raises(ConfigError, match="mysql"):
        sweep(planned("mysql://somewhere/x"), market)
    (tmp_path / "broken.db").write_text("no database at all, but long enough to look like one " * 30)
    with pytest.raises(EnvironmentFault, match="repair it"):
        sweep(planned(f"sqlite:///{tmp_path}/broken.db"), market)


@pytest.mark.parametrize("search", ["random", "sobol", "tpe", "cma", "nsga2"])
def test_search_makes_its_trials_and_goes_on_where_it_was(
    search: str, storage: str, planned: Callable[..., Plan], market: Market
) -> None:
    if search in {"random", "cma"} and storage.startswith("postgresql"):
        pytest.skip("one numbered and two adaptive searches stand for all on PostgreSQL")
    goals = ["roi", "max_drawdown"] if search == "nsga2" else ["roi"]
    plan = planned(storage, search=search, trials=12, goals=goals_of(goals), space=["fast=5:30", "slow=40:120"])

    first = sweep(replace(plan, shard=(0, 2)), market)
    report = sweep(replace(plan, shard=(1, 2), join=True), market)

    assert (first.ran, report.ran, report.finished) == (6, 6, True)
    assert len(_rows(plan)) == 12
    assert bool(report.front) == (search == "nsga2")
    assert all(trial.params["fast"] in range(5, 31) for trial in report.best)


def test_adaptive_trial_that_was_under_way_when_its_process_died_is_made_again(
    sqlite: str, planned: Callable[..., Plan], market: Market
) -> None:
    import optuna

    from omega.backtest.sweep.adaptive import distribution

    plan = planned(sqlite, search="tpe", trials=4, space=["fast=5:30", "slow=40:120"])
    database = optuna.storages.RDBStorage(_made(sqlite))
    study = optuna.create_study(storage=database, study_name="one", direction="maximize")
    left = study.ask(fixed_distributions={dim.name: distribution(dim) for dim in plan.space.dimensions})
    left.set_user_attr("shard", 0)

    report = sweep(plan, market)

    assert report.ran == 4
    assert _rows(plan)[WHOLE, left.number][0] == left.params
    states = {trial.state for trial in study.get_trials()}
    database.engine.dispose()
    assert states == {optuna.trial.TrialState.COMPLETE}


def _made(sqlite: str) -> str:
    Path(sqlite.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return sqlite


def test_walk_forward_judges_the_winner_of_each_training_on_the_stretch_behind_it(
    sqlite: str, planned: Callable[..., Plan], market: Market
) -> None:
    plan = planned(sqlite, walk_forward=walk_forward_of("3d:1d"))

    report = sweep(plan, market)

    assert len(report.folds) == 4
    assert report.wanted == 160
    rows = _rows(plan)
    for fold, choice in zip(report.folds, report.choices, strict=True):
        scores = {number: row[2] for (of, number), row in rows.items() if of == fold.number and row[2] is not None}
        assert choice.number == min(number for number, score in scores.items() if score == max(scores.values()))
        assert choice.metrics["bars"] == fold.test[1] - fold.test[0]


def test_every_trial_reaches_the_ledger_in_batches(sqlite: str, planned: Callable[..., Plan], market: Market) -> None:
    class Book:
        calls = 0
        rows: list[Any] = []  # noqa: RUF012 - one book of one test

        def record_many(self, trials: Any) -> None:
            self.calls += 1
            self.rows += list(trials)

    book = Book()

    sweep(planned(sqlite), market, ledger=book)

    assert len(book.rows) == 40
    assert book.calls <= 5
    assert {row[0] for row in book.rows} == {"ema_cross"}
    assert all(row[3]["sharpe"] is None or isinstance(row[3]["sharpe"], float) for row in book.rows)


def test_progress_counts_what_is_committed(sqlite: str, planned: Callable[..., Plan], market: Market) -> None:
    plan = planned(sqlite)
    seen: list[tuple[int, int, int]] = []

    def told(done: int, wanted: int, _best: Trial | None) -> None:
        seen.append((done, wanted, len(_rows(plan))))

    sweep(plan, market, progress=told)

    assert seen[-1] == (40, 40, 40)
    assert all(done == kept for done, _, kept in seen)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".json"])
def test_results_file_holds_every_trial(
    ending: str, sqlite: str, planned: Callable[..., Plan], market: Market, tmp_path: Path
) -> None:
    plan = planned(sqlite, job=Job("ema_cross", {}, planned(sqlite).job.rules, planned(sqlite).job.costs, 10_000.0))
    sweep(plan, market)
    study = existing_study(sqlite, "one")
    path = tmp_path / f"out{ending}"

    assert write(study, path) == 40
    study.close()

    if ending == ".json":
        rows = json.loads(path.read_text())
    else:
        from pyarrow import csv, parquet

        rows = (csv.read_csv(path) if ending == ".csv" else parquet.read_table(path)).to_pylist()
    assert {row["param_fast"] for row in rows} == set(range(5, 24, 2))
    assert all(row["state"] == "done" and row["final_equity"] > 0.0 for row in rows)


def _cli(storage: str, tmp_path: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-m", "omega.cli", "sweep", "ccxt_trend", "--space", "window=10:60:1", "--space",
        "threshold=0.5:0.8:0.01", "--to", "2025-05-12", "--storage", storage, "--study", "cut", "--workers", "2",
        "--json", *more,
    ]  # fmt: skip
    env = {**os.environ, "OMEGA_TRIALS_DB": str(tmp_path / "trials.db")}
    with (tmp_path / "said").open("w") as said:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
            # Who runs the tests in the background may ignore SIGINT, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one system call, no lock
        )


def _counted(storage: str) -> int:
    try:
        study = existing_study(storage, "cut")
    except (ConfigError, EnvironmentFault):
        return 0
    try:
        return sum(study.counts().values())
    finally:
        study.close()


@pytest.mark.req("4.90")
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.kills
def test_interrupted_sweep_loses_no_finished_trial(
    blow: signal.Signals, sqlite: str, tmp_path: Path, planned: Callable[..., Plan]
) -> None:
    """The command is cut off in the middle; what was finished stays, what is left is made by --resume's second run."""
    process = _cli(sqlite, tmp_path)
    deadline = time.monotonic() + 240
    while _counted(sqlite) < 48 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    before = _counted(sqlite)
    os.killpg(process.pid, blow) if blow is signal.SIGINT else process.send_signal(blow)
    output, _ = process.communicate(timeout=120)

    after = _counted(sqlite)

    assert 0 < before <= after < 51 * 31, "the sweep was over before the blow"
    if blow is signal.SIGINT:
        assert output, (tmp_path / "said").read_text()
        told = json.loads(output)
        assert process.returncode == 1
        assert (told["finished"], told["trials"]["done"]) == (False, after)
    study = existing_study(sqlite, "cut")
    assert len({trial.number for trial in study.trials()}) == after
    study.close()


def test_worker_that_is_killed_is_replaced_and_its_chunk_made_again(
    sqlite: str, planned: Callable[..., Plan], market: Market
) -> None:
    from omega.backtest.sweep.job import SharedMarket, Stretch, Task
    from omega.backtest.sweep.pool import Pool

    pool = Pool(planned(sqlite).job, SharedMarket.of(market), 2)
    chunks = [[Task(i, {"fast": 5 + i}, (Stretch(WHOLE),))] for i in range(20)]
    numbers: list[int] = []
    try:
        for outcomes in pool.run(chunks):
            numbers += [outcome.number for outcome in outcomes]
            if len(numbers) == 4:
                os.kill(pool.pids[0], signal.SIGKILL)
    finally:
        pool.close()

    assert sorted(numbers) == list(range(20))
