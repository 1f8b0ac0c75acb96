"""What a judgement consists of: verdicts, a finding about each arm, the whole. Made by the judge, read by reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from omega.engine.bars import F64
from omega.research.experiment.plan import Plan
from omega.research.statistics.compare import Comparison
from omega.research.statistics.measures import DAYS
from omega.research.statistics.overfitting import Overfitting
from omega.research.statistics.superiority import Superiority


class Verdict(StrEnum):
    """What to do about an arm."""

    ADOPT = "adopt"
    REJECT = "reject"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Trials:
    """What the ledger knows: distinct trials ever run for the strategy, and their Sharpe ratios (annualised)."""

    count: int = 0
    sharpes: Sequence[float] = ()

    @property
    def daily_variance(self) -> float:
        """The variance of the trials' daily Sharpe ratios."""
        return float(np.var(self.sharpes, ddof=1)) / DAYS if len(self.sharpes) > 1 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ArmFinding:
    """What was found about one arm.

    Units: effects, bounds and the smallest detectable effect in the units of the metric; Sharpe ratios annualised;
        record_days and needed_days in days (inf: no length would do).

    Attributes:
        value: the metric of the arm; control: of the arm it is compared with.
        effect: of an arm with placebos its value less the mean of its placebos, of others less its control.
        largest: the largest gain that the data leave possible at the experiment's alpha.
        detectable: the smallest effect that would have been found with the registered power.
        p: of the effect; q: corrected for all arms of the experiment; q_any: the same under any dependence.
        by_asset: asset -> (effect, p).
        placebos: the metric of every placebo, empty for an arm without.
        compared: the paired comparison with the control.
        acts: it changed at least one day.
    """

    name: str
    against: str
    value: float
    control: float
    effect: float
    largest: float
    detectable: float
    p: float
    q: float
    q_any: float
    verdict: Verdict
    why: str
    by_asset: Mapping[str, tuple[float, float]]
    placebos: F64
    compared: Comparison
    acts: bool
    trades: int
    sharpe: float
    probabilistic: float
    deflated: float
    record_days: int
    needed_days: float


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """The findings of an experiment.

    Attributes:
        curves: out-of-sample equity of every arm, starting at 1.
        luck: the annualised Sharpe ratio that the best of all trials ever run would show by luck alone.
        overfitting: None when there were too few arms or days.
        superiority: of the best arm over the control, in mean daily return.
    """

    plan: Plan
    arms: tuple[ArmFinding, ...]
    curves: Mapping[str, F64]
    days: int
    folds: int
    trials: int
    luck: float
    overfitting: Overfitting | None
    superiority: Superiority | None
    cautions: tuple[str, ...] = ()

    @property
    def adopted(self) -> tuple[str, ...]:
        """The arms to adopt."""
        return tuple(arm.name for arm in self.arms if arm.verdict is Verdict.ADOPT)
