"""An experiment from its plan to its judgement: cells, ledger, verdicts. Called by `omega experiment run`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omega.domain.time import iso
from omega.engine.bars import F64
from omega.research.experiment.arena import Arena
from omega.research.experiment.cells import Cell, Outcome, cells_of, pooled
from omega.research.experiment.findings import Judgement, Trials
from omega.research.experiment.judge import judge
from omega.research.experiment.plan import Plan
from omega.research.experiment.running import Progress, fingerprints, run_cells
from omega.research.experiment.store import CellStore
from omega.research.statistics.measures import MEASURES
from omega.research.trials import TrialKind, TrialLedger, trial_key


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A judged experiment and what it was made from.

    Units: elapsed_s in seconds; first_ns and last_ns are the first and the last out-of-sample day, ns UTC.
    """

    judgement: Judgement
    data_hash: str
    cells: int
    resumed: int
    backtests: int
    elapsed_s: float
    first_ns: int
    last_ns: int


def run_experiment(
    plan: Plan,
    data: Path,
    out: Path,
    ledger: TrialLedger,
    *,
    workers: int,
    resume: bool,
    progress: Progress,
) -> Finished:
    """Run what is not finished yet, write the trials to the ledger, and judge.

    Args:
        plan: the experiment.
        data: folder or lake of bars.
        out: where its cells are kept.
        ledger: of every trial.
        workers: processes.
        resume: take over the cells of earlier runs that had the same plan, data and code.
        progress: called with (finished, all) after each cell.

    Raises:
        ConfigError: the data do not hold what the plan asks for.
        KeyboardInterrupt: Ctrl-C; what was finished is kept.
    """
    began = time.perf_counter()
    arena = Arena(plan, data)
    present = arena.present()
    cells = cells_of(plan, present)
    marks = fingerprints(arena, cells)
    with CellStore(out / "cells.db") as store:
        others = store.register(plan.digest, json.dumps(plan.registered(), sort_keys=True), time.time_ns())
        if not resume:
            store.forget(marks.values())
        found = store.found(marks)
        pending = [cell for cell in cells if cell not in found]
        made = run_cells(plan, data, pending, marks, store, workers=workers, evaluate=arena, progress=progress)
    outcomes = {cell: made[cell] if cell in made else found[cell] for cell in cells}
    record_trials(plan, arena, outcomes, ledger)
    name = arena.strategy.name
    trials = Trials(ledger.count(name), ledger.sharpes(name))
    cautions = list(_cautions(plan, arena, outcomes, others))
    judgement = judge(plan, outcomes, trials, unknown=arena.without_history, cautions=cautions)
    return Finished(
        judgement=judgement,
        data_hash=arena.data_hash,
        cells=len(cells),
        resumed=len(found),
        backtests=sum(len(outcome.returns) for outcome in outcomes.values()),
        elapsed_s=time.perf_counter() - began,
        first_ns=min(fold.test_ns for _, fold in present),
        last_ns=max(fold.end_ns for _, fold in present),
    )


def record_trials(plan: Plan, arena: Arena, outcomes: Mapping[Cell, Outcome], ledger: TrialLedger) -> None:
    """Write every arm and everything that tuning tried to the ledger, once; placebos are no candidates."""
    strategy, now = arena.strategy.name, time.time_ns()
    known = ledger.keys(strategy)
    ledger.record_many(
        (strategy, params, data_hash, metrics, TrialKind.EXPERIMENT, now)
        for params, data_hash, metrics in _trials(plan, arena, outcomes)
        if trial_key(strategy, params, data_hash) not in known
    )


def _trials(
    plan: Plan, arena: Arena, outcomes: Mapping[Cell, Outcome]
) -> Iterator[tuple[Mapping[str, Any], str, Mapping[str, float]]]:
    registered = plan.registered()
    common = {key: registered[key] for key in ("params", "rules", "folds", "trading", "seed")}
    for name in plan.arms:
        days = pooled(outcomes, name, plan.data.symbols)[0]
        arm = {key: value for key, value in registered["arms"][name].items() if key not in {"against", "placebos"}}
        yield {**common, **arm}, arena.data_hash, _figures(days)
    for cell, outcome in outcomes.items():
        if cell.arm != plan.control:
            continue
        fold = arena.folds[cell.fold]
        window = {"symbol": cell.symbol, "from": iso(fold.train_ns), "to": iso(fold.test_ns)}
        for params, sharpe in outcome.tries:
            # Under another name: a ratio over a few training days says nothing about the spread of whole trials.
            yield {**params, "window": window}, arena.markets[cell.symbol].data_hash, {"train_sharpe": sharpe}


def _figures(days: F64) -> dict[str, float]:
    return {name: float(one.of(days)) for name, one in MEASURES.items()}


def _cautions(plan: Plan, arena: Arena, outcomes: Mapping[Cell, Outcome], others: int) -> Iterator[str]:
    if others:
        yield (
            f"{others} other version{'s' if others > 1 else ''} of this plan ran here before: what was seen then may "
            "have shaped what was registered now"
        )
    for name in arena.missing_feeds:
        yield f"the recording {name} is not beside the data: its factor counts as neutral"
    for arm, factors in arena.without_history.items():
        yield f"{arm}: nobody knows the past of {', '.join(factors)}; counted as neutral"
    trades = sum(outcome.trades for cell, outcome in outcomes.items() if cell.arm == plan.control)
    if trades < 100:  # noqa: PLR2004 - a reader's rule of thumb, nothing is computed from it
        yield f"the control made {trades} trades in all: too few to say much"
