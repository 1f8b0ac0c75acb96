"""What a sweep is asked to do and what it reports. Made by the command line and by research."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from omega import __version__
from omega.backtest.sweep.draws import TILE
from omega.backtest.sweep.goal import Goal
from omega.backtest.sweep.job import Job
from omega.backtest.sweep.space import Space
from omega.backtest.sweep.study import Choice, Trial
from omega.backtest.sweep.windows import Fold, WalkForward
from omega.backtest.types import Market
from omega.errors import ConfigError
from omega.plugins import StrategyEntry

NUMBERED: Final = ("grid", "random", "sobol")
ADAPTIVE: Final = ("tpe", "cma", "nsga2")
SEVERAL: Final = "nsga2"
"""The one search that takes several objectives."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One sweep, whole.

    Attributes:
        study: name under which trials are kept; processes of the same name share them.
        storage: URL of the database.
        trials: how many to run; 0 for a grid, which knows.
        shard: (index, number of shards) of this process.
        workers: processes; 1 runs in this one.
        join: whether an existing study may be gone on with.
    """

    study: str
    storage: str
    job: Job
    space: Space
    search: str
    trials: int
    seed: int
    goals: tuple[Goal, ...]
    walk_forward: WalkForward | None = None
    shard: tuple[int, int] = (0, 1)
    workers: int = 1
    join: bool = False

    def __post_init__(self) -> None:
        if self.search not in {*NUMBERED, *ADAPTIVE}:
            raise ConfigError(f"--search {self.search!r} is unknown; there are {', '.join((*NUMBERED, *ADAPTIVE))}")
        if self.search in ADAPTIVE and self.trials <= 0:
            raise ConfigError(f"--search {self.search} goes on for ever: say how many trials with --trials")
        if not self.goals:
            raise ConfigError("a sweep needs an objective, as in --objective sharpe")
        if len(self.goals) > 1 and self.search in {"tpe", "cma"}:
            raise ConfigError(f"--search {self.search} follows one objective; give one, or --search {SEVERAL}")


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a sweep, or of this process's part of it.

    Attributes:
        finished: whether every trial of the whole study is done, other shards' too.
        interrupted: whether somebody stopped this process before its part was done.
        states: how many trials of the study are in each state.
        ran: trials that this process made.
        elapsed_s: of this process, starting workers included.
        working_s: from the first worker's readiness to the last outcome.
        cpu_s: processor time that the combinations took, all workers together.
        modes: how combinations were run: sparse, shared, plain.
        best: of the first objective, per fold with walk-forward none.
        front: trials that no other beats in every objective; with one objective empty.
        choices: the winner of each fold with its figures out of sample.
    """

    study: str
    storage: str
    finished: bool
    interrupted: bool
    states: Mapping[str, int]
    wanted: int
    ran: int
    elapsed_s: float
    working_s: float
    cpu_s: float
    peak_rss_mb: float
    modes: tuple[str, ...]
    best: tuple[Trial, ...]
    front: tuple[Trial, ...] = ()
    folds: tuple[Fold, ...] = ()
    choices: tuple[Choice, ...] = ()

    @property
    def per_second(self) -> float:
        """Combinations a second of this process."""
        return self.ran / self.working_s if self.working_s > 0.0 else 0.0

    @property
    def per_core_second(self) -> float:
        """Combinations a second of processor time: what one core does, whatever else the machine is doing."""
        return self.ran / self.cpu_s if self.cpu_s > 0.0 else 0.0


def spec_of(plan: Plan, market: Market, entry: StrategyEntry) -> dict[str, Any]:
    """Return everything that the figures depend on; two processes of one study must agree in all of it."""
    rules = plan.job.rules
    return {
        "version": __version__,
        "strategy": plan.job.strategy,
        "code": code_of(entry),
        "fixed": dict(plan.job.fixed),
        "space": [[dim.name, list(dim.values), dim.low, dim.high] for dim in plan.space.dimensions],
        "search": plan.search,
        "trials": plan.trials,
        "tile": TILE if plan.search == "grid" else 0,  # which number a combination of the grid has
        "seed": plan.seed,
        "goals": [[goal.metric, goal.direction] for goal in plan.goals],
        "symbol": market.symbol,
        "timeframe_ns": market.timeframe_ns,
        "bars": market.bars.n,
        "data_hash": market.data_hash,
        "capital": plan.job.capital,
        "costs": asdict(plan.job.costs),
        "rules": {f.name: getattr(rules, f.name) for f in fields(rules) if f.name not in {"psychology", "cosmic"}},
        "psychology": plan.job.profile,
        "cosmic": plan.job.preset,
        "funding": market.funding is not None,
        "walk_forward": asdict(plan.walk_forward) if plan.walk_forward else None,
    }


def code_of(entry: StrategyEntry) -> str:
    """Return a digest of the file that the strategy is written in: other code makes other trials."""
    source = inspect.getsourcefile(entry.signals)
    if source is None:
        return ""
    with open(source, "rb") as file:  # noqa: PTH123 - what inspect gives is a plain string
        return hashlib.blake2b(file.read(), digest_size=8).hexdigest()
