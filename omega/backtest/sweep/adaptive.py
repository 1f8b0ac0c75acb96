"""The searches that learn from what they have seen: Optuna's TPE, CMA-ES and NSGA-II, asked and told.

Optuna's own tables in the study's database are its memory; the study's trials are the record. A trial that was under
way when its process was killed is run again by the process that takes the shard over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from omega.backtest.sweep.job import Stretch, Task
from omega.backtest.sweep.space import Dimension
from omega.backtest.sweep.study import DONE, WHOLE, Study, Trial
from omega.errors import EnvironmentFault

if TYPE_CHECKING:
    import optuna

    from omega.backtest.sweep.plan import Plan
    from omega.backtest.sweep.run import Runner, _Keeper
    from omega.backtest.sweep.windows import Fold

_SHARD: Final = "shard"
_SEEDS: Final = 1_000_003
_BUSY_S: Final = 30.0


def search(plan: Plan, study: Study, folds: tuple[Fold, ...], runner: Runner, keeper: _Keeper) -> None:
    """Run this shard's trials of every fold, one fold after the other."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    stretches = tuple(Stretch(fold.number, *fold.train) for fold in folds) or (Stretch(WHOLE),)
    first, last = (plan.trials * (plan.shard[0] + i) // plan.shard[1] for i in (0, 1))
    keeper.wanted = (last - first) * len(stretches)
    storage = _storage(plan.storage)
    try:
        for stretch in stretches:
            asking = _Asking(plan, study, stretch, last - first, _opened(plan, stretch.fold, storage))
            keeper.done += asking.restore()
            for outcomes in runner.run(asking.tasks()):
                for trial in keeper.take(outcomes):
                    # The record first: what Optuna has not been told is told again from it.
                    keeper.flush()
                    asking.tell(trial)
    finally:
        storage.engine.dispose()


@dataclass(slots=True)
class _Asking:
    """One Optuna study as this shard sees it."""

    plan: Plan
    study: Study
    stretch: Stretch
    share: int
    optuna: optuna.Study
    _asked: int = 0
    _again: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def restore(self) -> int:
        """Find out what this shard has done before, tell what was recorded and not told; return how many are done."""
        import optuna

        done = 0
        for trial in self.optuna.get_trials(deepcopy=False):
            if trial.user_attrs.get(_SHARD) != self.plan.shard[0]:
                continue
            self._asked += 1
            recorded = self.study.trial(self.stretch.fold, trial.number)
            done += recorded is not None
            if trial.state != optuna.trial.TrialState.RUNNING:
                continue
            if recorded is not None:
                self.tell(recorded)
            else:
                self._again.append((trial.number, dict(trial.params)))
        return done

    def tasks(self) -> Iterator[list[Task]]:
        """Ask for one combination after another, first those that were under way when somebody killed the process."""
        for number, params in self._again:
            yield [Task(number, params, (self.stretch,))]
        distributions = {dim.name: distribution(dim) for dim in self.plan.space.dimensions}
        while self._asked < self.share:
            trial = self.optuna.ask(fixed_distributions=distributions)
            trial.set_user_attr(_SHARD, self.plan.shard[0])
            self._asked += 1
            yield [Task(trial.number, dict(trial.params), (self.stretch,))]

    def tell(self, trial: Trial) -> None:
        """Tell Optuna what came of a trial; one without a figure has failed."""
        import optuna

        values = [trial.metrics.get(goal.metric) for goal in self.plan.goals]
        if trial.state == DONE and all(value is not None for value in values):
            self.optuna.tell(trial.number, [float(value) for value in values if value is not None])
        else:
            self.optuna.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def distribution(dim: Dimension) -> Any:
    """Return a dimension as Optuna knows it: a range where the choices are evenly spaced numbers, else categories."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not dim.values:
        return FloatDistribution(dim.low, dim.high)
    whole = [value for value in dim.values if isinstance(value, int) and not isinstance(value, bool)]
    steps = {after - before for before, after in pairwise(whole)}
    if len(whole) == dim.count and len(steps) == 1 and min(steps) > 0:
        return IntDistribution(whole[0], whole[-1], step=steps.pop())
    return CategoricalDistribution(dim.values)


def _opened(plan: Plan, fold: int, storage: optuna.storages.RDBStorage) -> optuna.Study:
    import optuna

    made = optuna.create_study(
        storage=storage,
        study_name=plan.study if fold == WHOLE else f"{plan.study}#fold-{fold}",
        directions=[_direction(larger=goal.larger) for goal in plan.goals],
        load_if_exists=True,
    )
    made.sampler = _sampler(plan, len(made.get_trials(deepcopy=False)))
    return made


def _direction(*, larger: bool) -> optuna.study.StudyDirection:
    import optuna

    return optuna.study.StudyDirection.MAXIMIZE if larger else optuna.study.StudyDirection.MINIMIZE


def _storage(url: str) -> optuna.storages.RDBStorage:
    """Open Optuna's tables in the study's database; shards that start together may meet while they are made."""
    import optuna
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    options: dict[str, Any] = {"connect_args": {"timeout": _BUSY_S}} if url.startswith("sqlite") else {}
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+pg8000://" + url.partition("://")[2]
    try:
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
        except DBAPIError:
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except SQLAlchemyError as error:
        said = str(error).split("\n", 1)[0][:200]
        raise EnvironmentFault(f"Optuna cannot use the study's database: {said}; repair it, then --resume") from error


def _sampler(plan: Plan, so_far: int) -> optuna.samplers.BaseSampler:
    """Return the sampler, seeded by study, shard and how far it is: going on must not draw the same again."""
    import warnings

    import optuna

    seed = (plan.seed + _SEEDS * plan.shard[0] + so_far) % 2**32
    with warnings.catch_warnings():
        # Several workers ask before the first has answered: what they try meanwhile counts as bad, a stable option
        # that Optuna still calls experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if plan.search == "cma":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if plan.search == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
