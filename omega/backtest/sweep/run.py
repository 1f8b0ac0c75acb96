"""`sweep`: many combinations over one history, every finished one kept. Called by the command line and by research."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from omega.backtest.interrupt import whole_step
from omega.backtest.metrics import as_json
from omega.backtest.sweep.draws import draws_of, shard_of
from omega.backtest.sweep.figures import FIGURES
from omega.backtest.sweep.goal import front
from omega.backtest.sweep.job import BATCH, Outcome, SharedMarket, Stretch, Task
from omega.backtest.sweep.plan import ADAPTIVE, Plan, Report, spec_of
from omega.backtest.sweep.study import DONE, REFUSED, WHOLE, Choice, Study, Trial, open_study
from omega.backtest.sweep.windows import Fold, folds_of
from omega.backtest.types import Market
from omega.errors import ConfigError
from omega.plugins import strategies

SHOWN: Final = 10
_LEAST, _LARGEST = 2 * BATCH // 3, 4 * BATCH
"""Combinations of a chunk: whole batches of the walker, which share what they read from memory, and few enough that an
interruption costs a fraction of a second; two thirds of one where there are not many left."""

_FLUSH_S: Final = 0.4
_FRONT_MOST: Final = 5_000

Progress = Callable[[int, int, Trial | None], None]
"""Told after every commit: trials done by this process and wanted from it, and the best one so far."""


class Ledger(Protocol):
    """Where every trial is counted, so that luck can be."""

    def record_many(self, trials: Iterable[tuple[Any, ...]]) -> None:
        """Append finished trials in one transaction."""
        ...


class Runner(Protocol):
    """Something that runs chunks of tasks: a pool of processes, or this one."""

    modes: set[str]
    peak_rss_mb: float
    ready_at: float
    cpu_s: float

    def run(self, chunks: Iterable[list[Task]]) -> Iterator[list[Outcome]]:
        """Yield outcomes as they come; take no chunk before there is room for it."""
        ...

    def drain(self) -> Iterator[list[Outcome]]:
        """Yield what is still under way."""
        ...

    def close(self) -> None:
        """End it."""
        ...


def sweep(plan: Plan, market: Market, *, progress: Progress | None = None, ledger: Ledger | None = None) -> Report:
    """Run a sweep, or go on with it. Ctrl-C ends it early with what is finished; nothing finished is ever lost.

    Args:
        plan: what to do.
        market: the history.
        progress: told how far it is.
        ledger: gets every trial, in one call a batch.

    Raises:
        ConfigError: the plan does not fit the strategy, the data or an existing study.
        EnvironmentFault: the database or a worker failed; what was finished is kept.
    """
    began = time.perf_counter()
    strategies.discover(plan.job.package or None)
    entry = strategies.get(plan.job.strategy)
    spec = spec_of(plan, market, entry)
    study = open_study(plan.storage, plan.study, spec, now_ns=time.time_ns(), join=plan.join)
    folds = folds_of(market.bars.ts, market.timeframe_ns, plan.walk_forward) if plan.walk_forward else ()
    try:
        keeper = _Keeper(plan, study, market.data_hash, ledger, progress)
        runner = _runner(plan, market)
        try:
            interrupted = _search(plan, study, folds, runner, keeper)
            finished = not interrupted and _all_done(plan, study, folds)
            if finished and folds:
                _judge(study, folds, runner)
        finally:
            runner.close()
        return Report(
            study=plan.study,
            storage=study.url,
            finished=finished,
            interrupted=interrupted,
            states=study.counts(),
            wanted=_wanted(plan) * max(len(folds), 1),
            ran=keeper.combinations,
            elapsed_s=time.perf_counter() - began,
            working_s=max(keeper.last_at - (runner.ready_at or began), 0.0),
            cpu_s=runner.cpu_s,
            peak_rss_mb=runner.peak_rss_mb,
            modes=tuple(sorted(runner.modes)),
            best=tuple(study.best(SHOWN, fold=folds[-1].number if folds else WHOLE)),
            front=tuple(_front(plan, study)) if not folds else (),
            folds=folds,
            choices=tuple(study.choices()),
        )
    finally:
        study.close()


@dataclass(slots=True)
class _Keeper:
    """Turns outcomes into trials and commits them, a few times a second."""

    plan: Plan
    study: Study
    data_hash: str
    ledger: Ledger | None
    progress: Progress | None
    wanted: int = 0
    done: int = 0
    combinations: int = 0
    last_at: float = 0.0
    best: Trial | None = None
    _waiting: list[Trial] = field(default_factory=list)
    _flushed_at: float = 0.0

    def take(self, outcomes: Sequence[Outcome]) -> list[Trial]:
        """Take outcomes in and return them as trials; they are committed at the latest with the next flush."""
        with whole_step():
            return self._take(outcomes)

    def _take(self, outcomes: Sequence[Outcome]) -> list[Trial]:
        now_ns = time.time_ns()
        trials = [self._trial(outcome, now_ns) for outcome in outcomes]
        self._waiting += trials
        self.combinations += len({outcome.number for outcome in outcomes})
        self.last_at = time.perf_counter()
        if self.last_at - self._flushed_at > _FLUSH_S:
            self._flush()
        return trials

    def flush(self) -> None:
        """Commit what waits, then count it and say so."""
        with whole_step():
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.study.add(waiting)
        if self.ledger is not None and waiting:
            self.ledger.record_many([self._counted(trial) for trial in waiting if trial.state == DONE])
        self._flushed_at = time.perf_counter()
        self.done += len(waiting)
        for trial in waiting:
            if trial.score is not None and (self.best is None or trial.score > (self.best.score or -math.inf)):
                self.best = trial
        if self.progress is not None:
            self.progress(self.done, self.wanted, self.best)

    def _trial(self, outcome: Outcome, now_ns: int) -> Trial:
        metrics = as_json(outcome.metrics)
        score = self.plan.goals[0].score(metrics) if not outcome.why else -math.inf
        return Trial(
            fold=outcome.fold,
            number=outcome.number,
            state=REFUSED if outcome.why else DONE,
            score=score if math.isfinite(score) else None,
            params=outcome.params,
            metrics=metrics,
            why=outcome.why,
            finished_ns=now_ns,
        )

    def _counted(self, trial: Trial) -> tuple[Any, ...]:
        job = self.plan.job
        chosen = {**job.fixed, **trial.params, "fold": trial.fold, "cosmic": job.preset, "psychology": job.profile}
        figures = {name: trial.metrics.get(name) for name in ("sharpe", "final_equity", "trades", "max_drawdown")}
        return (job.strategy, chosen, self.data_hash, figures, "sweep", trial.finished_ns)


class _Here:
    """Runs the chunks in this process."""

    def __init__(self, plan: Plan, market: Market) -> None:
        from omega.backtest.pages import keep_pages
        from omega.backtest.sweep.evaluate import Evaluator

        keep_pages()
        self._evaluator = Evaluator(plan.job, market)
        self.modes: set[str] = set()
        self.peak_rss_mb = 0.0
        self.ready_at = time.perf_counter()
        self.cpu_s = 0.0

    def run(self, chunks: Iterable[list[Task]]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of one chunk after another."""
        from omega.backtest.sweep.worker import peak_rss_mb

        for chunk in chunks:
            began = time.process_time()
            outcomes = self._evaluator.evaluate(chunk)
            self.cpu_s += time.process_time() - began
            self.modes = {self._evaluator.mode}
            self.peak_rss_mb = peak_rss_mb()
            yield outcomes

    def drain(self) -> Iterator[list[Outcome]]:
        """Yield nothing: what was under way when somebody interrupted is gone."""
        return iter(())

    def close(self) -> None:
        """Do nothing."""


def _runner(plan: Plan, market: Market) -> Runner:
    if plan.workers <= 1:
        return _Here(plan, market)
    from omega.backtest.sweep.pool import Pool

    return Pool(plan.job, SharedMarket.of(market), plan.workers)


def _search(plan: Plan, study: Study, folds: tuple[Fold, ...], runner: Runner, keeper: _Keeper) -> bool:
    """Run this process's part; tell whether somebody interrupted it."""
    try:
        if plan.search in ADAPTIVE:
            from omega.backtest.sweep.adaptive import search

            search(plan, study, folds, runner, keeper)
        else:
            for outcomes in runner.run(_chunks(plan, study, folds, keeper)):
                keeper.take(outcomes)
    except KeyboardInterrupt:
        for outcomes in runner.drain():
            keeper.take(outcomes)
        keeper.flush()
        return True
    keeper.flush()
    return False


def _chunks(plan: Plan, study: Study, folds: tuple[Fold, ...], keeper: _Keeper) -> Iterator[list[Task]]:
    """Lay out the trials of this shard that are not finished yet, a chunk at a time."""
    draws = draws_of(plan.search, plan.space, trials=plan.trials, seed=plan.seed)
    numbers = shard_of(draws.count, *plan.shard)
    stretches = tuple(Stretch(fold.number, *fold.train) for fold in folds) or (Stretch(WHOLE),)
    keeper.wanted = len(numbers) * len(stretches)
    low = numbers.start
    while low < numbers.stop:
        high = min(low + _size(numbers.stop - low, plan.workers), numbers.stop)
        left: dict[int, list[Stretch]] = {number: [] for number in range(low, high)}
        for stretch in stretches:
            done = study.finished(stretch.fold, low, high) if plan.join else set()
            keeper.done += len(done)
            for number, missing in left.items():
                if number not in done:
                    missing.append(stretch)
        numbered = [number for number, missing in left.items() if missing]
        if numbered:
            combinations = zip(numbered, draws.take(numbered), strict=True)
            yield [Task(number, params, tuple(left[number])) for number, params in combinations]
        low = high


def _size(left: int, workers: int) -> int:
    """Return how many combinations to give out at once: less and less, so that all workers end at about one time."""
    share = left // (4 * workers) if workers > 1 else left
    return min(max(share // BATCH * BATCH, _LEAST), _LARGEST)


def _judge(study: Study, folds: tuple[Fold, ...], runner: Runner) -> None:
    """Run the winner of every fold on the stretch behind its training."""
    judged = {choice.fold for choice in study.choices()}
    tasks = []
    for fold in folds:
        best = study.best(1, fold=fold.number)
        if best and fold.number not in judged:
            tasks.append([Task(best[0].number, best[0].params, (Stretch(fold.number, *fold.test),))])
    for outcomes in runner.run(tasks):
        for outcome in outcomes:
            study.choose(Choice(outcome.fold, outcome.number, as_json(outcome.metrics)))


def _all_done(plan: Plan, study: Study, folds: tuple[Fold, ...]) -> bool:
    return sum(study.counts().values()) >= _wanted(plan) * max(len(folds), 1)


def _wanted(plan: Plan) -> int:
    if plan.search in ADAPTIVE:
        return plan.trials
    return draws_of(plan.search, plan.space, trials=plan.trials, seed=plan.seed).count


def _front(plan: Plan, study: Study) -> list[Trial]:
    """Return the Pareto front over several objectives."""
    if len(plan.goals) < 2:  # noqa: PLR2004 - one objective has a best, no front
        return []
    trials = study.best(_FRONT_MOST)
    scores = [[goal.score(trial.metrics) for goal in plan.goals] for trial in trials]
    return [trials[i] for i in front(scores)]


def beyond_walk(metrics: Iterable[str]) -> bool:
    """Whether some metric needs the whole back-test of every combination, not the walk's sums alone."""
    return any(metric not in FIGURES for metric in metrics)


def check_metrics(metrics: Iterable[str]) -> None:
    """Refuse metrics that no back-test has.

    Raises:
        ConfigError: one is unknown; the nearest name is suggested.
    """
    from omega.backtest.sweep.names import metric_names
    from omega.params import nearest

    for metric in metrics:
        if metric not in metric_names():
            hint = nearest(metric, dict.fromkeys(metric_names()))
            raise ConfigError(
                f"--objective: there is no metric {metric!r}{hint}; valid are {', '.join(metric_names())}"
            )
