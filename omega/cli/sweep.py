"""`omega sweep`: many combinations of a bot's parameters over recorded history, every finished one kept."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega.cli import history
from omega.cli.asking import writable
from omega.cli.completing import among
from omega.errors import ConfigError, EnvironmentFault

if TYPE_CHECKING:
    from omega.backtest.checks.subjects import Subject
    from omega.backtest.sweep.plan import Plan, Report
    from omega.backtest.sweep.study import Trial
    from omega.backtest.types import Market
    from omega.config import Settings

EXAMPLES = """
**Examples**

`omega sweep ema_cross --space fast=5:32:3 --space slow=40:230:10` · a grid of 200 on the project's own candles

`omega sweep fib-btc --search sobol --trials 500 --objective calmar --out trials.parquet` · evenly spread over the
declared ranges

`omega sweep trend-eth --search tpe --trials 300 --walk-forward 10d:5d` · Optuna, chosen on ten days, judged on the five
after them, again and again

`omega sweep ema_cross --search nsga2 --trials 400 --objective roi --objective max_drawdown` · a front of two objectives

`omega sweep ema_cross --study mine --shard 0/4 --storage postgresql+pg8000://omega@db/omega` · one of four machines

`omega sweep ema_cross --study mine --resume` · go on after Ctrl-C or worse
"""
DEFAULT_STORAGE = "sqlite:///var/sweeps.db"
STORAGE_FILE = "OMEGA_SWEEP_STORAGE_FILE"
INDEX = "JOB_COMPLETION_INDEX"
UNFINISHED = 1
_SEARCHES = ("grid", "random", "sobol", "tpe", "cma", "nsga2")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options say; `run` is what every trial has in common."""

    run: history.Asked
    space: tuple[str, ...]
    search: str
    trials: int
    seed: int
    objective: tuple[str, ...]
    walk_forward: str
    study: str
    storage: str
    shard: str
    workers: int
    resume: bool


@history.takes_history
def sweep(
    bot: history.BotName,
    *,
    space: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=lo:hi:step|a,b,c", help="What to try; repeatable. Default: every declared range."),
    ] = None,
    search: Annotated[
        str, typer.Option(help="grid, random, sobol, tpe, cma or nsga2.", autocompletion=among(_SEARCHES))
    ] = "grid",
    trials: Annotated[
        int, typer.Option(min=0, help="How many to try; 0 = a whole grid, which alone knows how many it has.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    objective: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC[:min|:max]", help="What to look for; repeatable for nsga2. Default: sharpe."),
    ] = None,
    walk_forward: Annotated[
        str, typer.Option(metavar="TRAIN:TEST[:STEP]", help="Choose on one stretch, judge on the next, as in 90d:30d.")
    ] = "",
    run: history.Asked,
    study: Annotated[str, typer.Option(help="Name to keep the trials under; needed for shards.")] = "",
    storage: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Database of the trials, SQLite or PostgreSQL; default: sqlite:///var/sweeps.db."
        ),
    ] = "",
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="This process's part, from 0; `auto/N` takes it from the Indexed Job.")
    ] = "0/1",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 = one a core.")] = 0,
    out: Annotated[str, typer.Option(help="Write every trial to this Parquet, CSV or JSON file.")] = "",
    top: Annotated[int, typer.Option(min=1, max=10, help="How many of the best to show.")] = 10,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a study; without --study the newest of the same sweep.")
    ] = False,
    as_json: history.Json = False,
) -> None:
    """Try many combinations of a bot's parameters over recorded history, by the rules of the farm.

    Every finished trial is in the study's database before it is counted, and in the trial ledger: Ctrl-C and kill -9
    lose none, `--resume` goes on. The best of many is not what it seems; judge it with `--walk-forward`, and remember
    that the deflated Sharpe ratio counts every trial. Exit code 1 says that somebody interrupted it.
    """
    asked = _Asked(
        run, tuple(space or ()), search, trials, seed, tuple(objective or ("sharpe",)), walk_forward, study, storage,
        shard, workers, resume,
    )  # fmt: skip
    if out:
        from omega.backtest.sweep.results import check_name

        check_name(Path(out))
        writable(out, "--out")
    from omega.backtest.sweep.run import sweep as run_sweep
    from omega.config.loader import load

    settings = load().settings
    subject = history.subject_of(settings, bot, doing="a sweep tries")
    market = _market(settings, subject, run)
    plan = _plan(settings, subject, market, asked, named=bot == subject.name)
    with _progress(plan.goals[0].metric, show=not as_json and sys.stderr.isatty()) as progress, _ledger() as ledger:
        report = run_sweep(plan, market, progress=progress, ledger=ledger)
    rows = _write(plan, out) if out else 0
    outcome = _outcome(plan, report, market, top) | ({"out": out, "rows": rows} if out else {})
    if as_json:
        print(json.dumps(outcome, indent=2, allow_nan=False))
    else:
        _show(plan, report, outcome, top)
    if report.interrupted:
        raise typer.Exit(UNFINISHED)


def _market(settings: Settings, subject: Subject, run: history.Asked) -> Market:
    markets = run.markets(settings, subject)
    if len(markets) > 1:
        raise ConfigError(f"--symbol {run.symbol}: a sweep trades one market; `omega backtest` trades several together")
    return markets[0]


def _plan(settings: Settings, subject: Subject, market: Market, asked: _Asked, *, named: bool) -> Plan:
    from omega.backtest.sweep.goal import goals_of
    from omega.backtest.sweep.job import Job
    from omega.backtest.sweep.plan import Plan
    from omega.backtest.sweep.run import beyond_walk, check_metrics
    from omega.backtest.sweep.space import space_of
    from omega.backtest.sweep.windows import walk_forward_of

    run = asked.run
    goals = goals_of(asked.objective)
    check_metrics(goal.metric for goal in goals)
    given = run.given()
    space = space_of(subject.entry.params, asked.space, given)
    swept = {dim.name for dim in space.dimensions}
    fixed = {name: value for name, value in subject.plan.params.items() if name not in swept} | given
    _checked(subject, fixed)
    job = Job(
        strategy=subject.entry.name,
        fixed=fixed,
        rules=run.rules(settings),
        costs=run.costs(),
        capital=run.money(settings, subject, named=named),
        whole=beyond_walk(goal.metric for goal in goals),
        profile=run.psychology,
        preset=run.cosmic,
    )
    plan = Plan(
        study=asked.study or "?",
        storage=_storage(asked.storage),
        job=job,
        space=space,
        search=asked.search,
        trials=asked.trials,
        seed=asked.seed,
        goals=goals,
        walk_forward=walk_forward_of(asked.walk_forward) if asked.walk_forward else None,
        shard=_shard(asked.shard),
        workers=asked.workers or _cores(),
        join=asked.resume or _shard(asked.shard)[1] > 1,
    )
    if plan.shard[1] > 1 and not asked.study:
        raise ConfigError("shards meet in one study: give it a name with --study")
    return plan if asked.study else replace(plan, study=_name(plan, market, subject))


def _checked(subject: Subject, fixed: dict[str, object]) -> None:
    from omega.plugins import describe, parse_params

    specs = {spec.name: spec for spec in describe(subject.entry.params)}
    if unknown := [name for name in fixed if name not in specs]:
        parse_params(subject.entry.params, {name: fixed[name] for name in unknown})
    for name, value in fixed.items():
        fixed[name] = specs[name].parse(value)


def _storage(given: str) -> str:
    """Return the study's database: the option, else what a mounted secret says, else a file of this project."""
    if given:
        return given
    named = os.environ.get(STORAGE_FILE, "")
    if not named:
        return DEFAULT_STORAGE
    try:
        return Path(named).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EnvironmentFault(f"{STORAGE_FILE} names {named}, which cannot be read: {error}") from None


def _shard(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    index = os.environ.get(INDEX, "") if first == "auto" else first
    if first == "auto" and not index:
        raise ConfigError(f"--shard {text}: {INDEX} is not set; this is no pod of an Indexed Job, give the index")
    if not slash or not index.isdecimal() or not last.isdecimal() or int(index) >= int(last):
        raise ConfigError(f"--shard {text!r} is no I/N with I from 0 to N - 1, as in 0/4")
    return int(index), int(last)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name(plan: Plan, market: Market, subject: Subject) -> str:
    """Return the name of a study that nobody named: of this sweep and this minute, or the newest of it on --resume."""
    from omega.backtest.sweep.plan import spec_of
    from omega.backtest.sweep.study import newest_study

    spec = spec_of(plan, market, subject.entry)
    if plan.join:
        found = newest_study(plan.storage, spec)
        if found is None:
            raise ConfigError("there is no study of this sweep to go on with; leave out --resume, or name its --study")
        return found
    digest = hashlib.blake2b(json.dumps(spec, sort_keys=True).encode(), digest_size=3).hexdigest()
    return f"{plan.job.strategy}-{digest}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}"


@contextmanager
def _ledger() -> Iterator[Any]:
    """Open the trial ledger; one that cannot be opened is said, and does not keep anybody from sweeping."""
    from omega.research.trials import TrialLedger

    try:
        ledger = TrialLedger()
    except EnvironmentFault as error:
        print(f"warning: these trials are not counted: {error}", file=sys.stderr)
        yield None
        return
    with ledger:
        yield ledger


@contextmanager
def _progress(metric: str, *, show: bool) -> Iterator[Callable[[int, int, Trial | None], None] | None]:
    if not show:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}", style="dim", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("trials", total=None, best="")

        def told(done: int, wanted: int, best: Trial | None) -> None:
            bar.update(task, completed=done, total=wanted or None, best=_best(best, metric))

        yield told


def _best(trial: Trial | None, metric: str) -> str:
    """Return the best trial so far in words, by the figure that is looked for, with its sign."""
    from omega.backtest.sweep.space import shown

    if trial is None or trial.score is None:
        return ""
    return f"best {metric} {_figure(trial.metrics.get(metric))} at {shown(trial.params)}"


def _write(plan: Plan, out: str) -> int:
    from omega.backtest.sweep.results import write
    from omega.backtest.sweep.study import existing_study

    study = existing_study(plan.storage, plan.study)
    try:
        return write(study, Path(out))
    finally:
        study.close()


def _outcome(plan: Plan, report: Report, market: Market, top: int) -> dict[str, Any]:
    from omega.domain.time import iso

    ts = market.bars.ts
    return {
        "study": report.study,
        "storage": report.storage,
        "strategy": plan.job.strategy,
        "search": plan.search,
        "objectives": [f"{goal.metric}:{'max' if goal.larger else 'min'}" for goal in plan.goals],
        "symbol": market.symbol,
        "bars": market.bars.n,
        "from": iso(int(ts[0])),
        "to": iso(int(ts[-1])),
        "data_hash": market.data_hash,
        "shard": f"{plan.shard[0]}/{plan.shard[1]}",
        "workers": plan.workers,
        "modes": list(report.modes),
        "finished": report.finished,
        "interrupted": report.interrupted,
        "wanted": report.wanted,
        "trials": dict(report.states),
        "ran": report.ran,
        "elapsed_s": round(report.elapsed_s, 3),
        "working_s": round(report.working_s, 4),
        "combos_per_s": round(report.per_second, 1),
        "combos_per_core_s": round(report.per_core_second, 1),
        "peak_rss_mb": round(report.peak_rss_mb, 1),
        "best": [_trial(trial) for trial in report.best[:top]],
        "front": [_trial(trial) for trial in report.front],
        "walk_forward": _walked(plan, report, market),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {"number": trial.number, "score": trial.score, "params": dict(trial.params), "metrics": dict(trial.metrics)}


def _walked(plan: Plan, report: Report, market: Market) -> dict[str, Any] | None:
    """Return what the winners of the training stretches did on the stretches behind them."""
    from omega.domain.time import iso

    if not report.folds:
        return None
    ts, chosen = market.bars.ts, {choice.fold: choice for choice in report.choices}
    folds, grown = [], 1.0
    for fold in report.folds:
        choice = chosen.get(fold.number)
        if choice is not None:
            grown *= (choice.metrics.get("final_equity") or 0.0) / plan.job.capital
        folds.append({
            "fold": fold.number,
            "train": [iso(int(ts[fold.train[0]])), iso(int(ts[fold.train[1] - 1]))],
            "test": [iso(int(ts[fold.test[0]])), iso(int(ts[fold.test[1] - 1]))],
            "number": None if choice is None else choice.number,
            "out_of_sample": None if choice is None else dict(choice.metrics),
        })  # fmt: skip
    return {"folds": folds, "out_of_sample_roi": grown - 1.0 if chosen else None}


def _show(plan: Plan, report: Report, outcome: dict[str, Any], top: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from omega.backtest.sweep.space import shown

    console = Console(highlight=False)
    states = report.states
    console.print(
        f"[bold]{plan.job.strategy}[/] on {outcome['symbol']}, {outcome['bars']:,} bars: {sum(states.values()):,} of "
        f"{report.wanted:,} trials, {states.get('refused', 0):,} refused by the strategy"
    )
    names = list(dict.fromkeys([*(goal.metric for goal in plan.goals), "roi", "max_drawdown", "trades"]))
    for title, trials in (("best", report.best[:top]), ("front", report.front)):
        if trials:
            table = Table("#", "parameters", *names, title=title, title_justify="left", box=None)
            for trial in trials:
                figures = [_figure(trial.metrics.get(name)) for name in names]
                table.add_row(str(trial.number), shown(trial.params), *figures)
            console.print(table)
    walked = outcome["walk_forward"]
    if walked:
        table = Table("fold", "tested", "#", *names, title="out of sample", title_justify="left", box=None)
        for fold in walked["folds"]:
            found = fold["out_of_sample"] or {}
            when = f"{fold['test'][0][:10]} to {fold['test'][1][:10]}"
            table.add_row(str(fold["fold"]), when, str(fold["number"]), *[_figure(found.get(name)) for name in names])
        console.print(table)
        if walked["out_of_sample_roi"] is not None:
            console.print(f"one after the other: {walked['out_of_sample_roi']:+.2%} out of sample")
    console.print(
        f"{report.ran:,} combinations in {report.working_s:.2f} s: {report.per_second:,.0f} a second, "
        f"{report.per_core_second:,.0f} a core; {plan.workers} workers, {', '.join(report.modes) or 'idle'}; "
        f"{report.study} in {report.storage}",
        style="dim",
    )
    if report.interrupted:
        console.print("trials are left: go on with --resume --study " + report.study, style="yellow", markup=False)
    elif not report.finished:
        console.print("this part is done, other shards are not", style="yellow")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
