"""`omega experiment`: run registered experiments, list and show their reports, see every trial of a strategy."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from omega.errors import ConfigError, CorruptData, EnvironmentFault
from omega.params import nearest

app = typer.Typer(no_args_is_help=True)
EXAMPLES = """
**Examples**

`omega experiment run config/experiments/moon_and_mind.yaml` · a few seconds, on what the project carries

`omega experiment run config/experiments/cosmic_isolation.yaml --data ~/candles --workers 2` · the whole question
"""
HOME = Path("var/experiments")
REPORT = "report.json"
Out = Annotated[str, typer.Option(help="Folder of the experiments' cells and reports; default: var/experiments.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
INTERRUPTED = 130


@app.command(epilog=EXAMPLES)
def run(
    file: Annotated[Path, typer.Argument(help="The experiment, YAML.")],
    data: Annotated[str, typer.Option(help="Folder or lake of candles; default: what the project carries.")] = "",
    out: Out = "",
    as_json: Json = False,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Take over finished cells of the same plan, data and code.")
    ] = True,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Processes; 0 = as many as there are cores.")] = 0,
) -> None:
    """Run an experiment, judge it and write its report; Ctrl-C loses no finished cell.

    Exit 0 whatever the verdict: a null result is a result.
    """
    from omega.research.experiment.facts import facts
    from omega.research.experiment.page import page
    from omega.research.experiment.pipeline import run_experiment
    from omega.research.experiment.reading import read_plan
    from omega.research.experiment.words import lines, story
    from omega.research.trials import TrialLedger

    plan = read_plan(file)
    home = Path(out or HOME) / plan.name
    with TrialLedger() as ledger, _progress(quiet=as_json) as progress:
        try:
            finished = run_experiment(
                plan,
                _data(data),
                home,
                ledger,
                workers=workers or os.cpu_count() or 1,
                resume=resume,
                progress=progress,
            )
        except KeyboardInterrupt:
            print("\ninterrupted; finished cells are kept: run the same command again to go on", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
    now = time.time_ns()
    report = {**facts(finished, at_ns=now), "report": str(home / "report.html")}
    _write(home / REPORT, json.dumps(report, indent=1, allow_nan=False) + "\n")
    _write(home / "report.html", page(finished, at_ns=now))
    if as_json:
        print(json.dumps(report, indent=1, allow_nan=False))
        return
    print("\n".join(story(finished.judgement)))
    print()
    for line in lines(finished.judgement):
        print(line)
    for caution in finished.judgement.cautions:
        print(f"caution: {caution}")
    print(f"\n{finished.backtests:,} back-tests in {finished.elapsed_s:.1f} s; report: {home / 'report.html'}")


@app.command("list", epilog="**Example** `omega experiment list --json`")
def list_experiments(out: Out = "", as_json: Json = False) -> None:
    """List the experiments that can be run and those that have a report."""
    found = {path.stem: {"file": str(path), "at": None, "adopted": None} for path in _files()}
    for path in sorted(Path(out or HOME).glob(f"*/{REPORT}")):
        report = _read(path)
        earlier = found.get(path.parent.name, {"file": None})
        found[path.parent.name] = {**earlier, "at": report.get("at"), "adopted": report.get("adopted")}
    if as_json:
        print(json.dumps(found, indent=2))
        return
    if not found:
        print("no experiment: write one after docs/howto/experiments.md")
    for name, row in found.items():
        result = "not run" if row["at"] is None else ("adopted " + (", ".join(row["adopted"] or ()) or "nothing"))
        print(f"{name:<24} {row['at'] or '-':<26} {result:<32} {row['file'] or ''}")


@app.command(epilog="**Example** `omega experiment show cosmic_isolation`")
def show(
    name: Annotated[str, typer.Argument(help="An experiment that has a report.")], out: Out = "", as_json: Json = False
) -> None:
    """Show the answer and the verdicts of a finished experiment."""
    home = Path(out or HOME)
    path = home / name / REPORT
    if not path.is_file():
        known = {one.parent.name: None for one in home.glob(f"*/{REPORT}")}
        raise ConfigError(f"there is no report of {name!r} in {home}{nearest(name, known)}; run it first")
    report = _read(path)
    if as_json:
        print(json.dumps(report, indent=1))
        return
    print("\n".join(report["answer"]))
    print()
    for arm in report["arms"]:
        print(f"{arm['name']:<24} {arm['verdict']:<13} p {arm['p']:.3f}  q {arm['q']:.3f}  {arm['why']}")
    for caution in report["cautions"]:
        print(f"caution: {caution}")
    print(f"\nreport: {path.with_name('report.html')}, {report['at']}")


@app.command(epilog="**Example** `omega experiment trials ema_cross --limit 20`")
def trials(
    strategy: Annotated[str, typer.Argument(help="A strategy; without one, how many trials each has.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Newest trials to show; 0 for all.")] = 20,
    as_json: Json = False,
) -> None:
    """Show every trial ever run for a strategy, and the Sharpe ratio that luck alone gives the best of so many."""
    from omega.research.trials import TrialLedger

    with TrialLedger() as ledger:
        if not strategy:
            _totals(ledger.strategies(), as_json=as_json)
            return
        count, sharpes = ledger.count(strategy), ledger.sharpes(strategy)
        rows, known = ledger.trials(strategy, limit=limit), ledger.strategies()
    luck = _luck(count, sharpes)
    if as_json:
        shown = [{name: getattr(row, name) for name in type(row).__dataclass_fields__} for row in rows]
        print(json.dumps({"strategy": strategy, "trials": count, "sharpe_of_luck": luck, "newest": shown}, indent=1))
        return
    if not count:
        print(f"no trial of {strategy!r} was ever recorded{nearest(strategy, known)}")
        return
    print(f"{count:,} distinct trials of {strategy}; the best of so many by luck alone: a Sharpe ratio of {luck:.2f}")
    for row in rows:
        sharpe = "-" if row.sharpe is None else f"{row.sharpe:.2f}"
        print(f"{_day(row.at_ns)}  {row.kind:<10}  Sharpe {sharpe:>6}  data {row.data_hash[:12]}  {dict(row.params)}")


def _totals(found: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, count in found.items():
        print(f"{name:<24} {count:>9,} trials")
    if not found:
        print("no trial was ever recorded")


def _luck(count: int, sharpes: list[float]) -> float:
    from omega.research.experiment.findings import Trials
    from omega.research.statistics import expected_maximum
    from omega.research.statistics.measures import DAYS

    return float(expected_maximum(count, Trials(count, sharpes).daily_variance) * DAYS**0.5)


def _data(given: str) -> Path:
    path = Path(given) if given else _project() / "data" / "candles"
    if not path.exists():
        raise ConfigError(f"--data {path} is not there; name a folder of candle files, or a lake")
    return path


def _files() -> list[Path]:
    from omega.backtest.presets import config_home

    return sorted((config_home() / "experiments").glob("*.yaml"))


def _project() -> Path:
    return Path(__file__).resolve().parents[2]


def _read(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptData(f"{path} is no report ({error}); run the experiment again") from error
    return report


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(f"{path.suffix}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error}; free the disk, or choose another --out") from error


def _day(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal's stderr; elsewhere and for JSON nothing."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("cells")
        yield lambda done, total: bar.update(task, completed=done, total=total)
