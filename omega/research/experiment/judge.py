"""From returns to verdicts: adopt, reject or inconclusive, with the smallest effect that the data could have shown.

Pure: arrays in, values out; every draw comes from the plan's seed. Called once all cells are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from types import MappingProxyType
from typing import Final

import numpy as np

from omega.engine.bars import F64
from omega.research.experiment.cells import Cell, Outcome, pooled
from omega.research.experiment.findings import ArmFinding, Judgement, Trials, Verdict
from omega.research.experiment.plan import Plan
from omega.research.statistics.compare import Comparison, Direction, compare
from omega.research.statistics.measures import DAYS, Measure, measure
from omega.research.statistics.multiple import benjamini_hochberg, benjamini_yekutieli
from omega.research.statistics.overfitting import Overfitting, overfitting
from omega.research.statistics.placebo import rank_p
from omega.research.statistics.power import smallest_detectable, smallest_ranked
from omega.research.statistics.sharpe import (
    deflated_sharpe,
    expected_maximum,
    least_record,
    probabilistic_sharpe,
    shape_of,
)
from omega.research.statistics.superiority import Superiority, superiority

NO_TRIALS: Final = Trials()
_MOST_BLOCKS: Final = 16
_BLOCK_DAYS: Final = 5
_ARMS_TO_CHOOSE: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """One arm's test before the correction for all of them. Units: gains point in the registered direction."""

    effect: float
    detectable: float
    p: float
    largest_gain: float
    compared: Comparison
    by_asset: Mapping[str, tuple[float, float]]
    placebos: F64 = field(default_factory=lambda: np.zeros(0))


def judge(
    plan: Plan,
    outcomes: Mapping[Cell, Outcome],
    trials: Trials = NO_TRIALS,
    *,
    unknown: Mapping[str, Sequence[str]] = MappingProxyType({}),
    cautions: Sequence[str] = (),
) -> Judgement:
    """Judge every arm of a finished experiment by the rules that were registered.

    Args:
        plan: what was registered.
        outcomes: every cell.
        trials: what the ledger holds for the strategy, this experiment's own trials included.
        unknown: factors of an arm whose past nobody knows, by arm.
        cautions: what the reader must know about the data.
    """
    target, symbols = measure(plan.metric), plan.data.symbols
    days = {name: pooled(outcomes, name, symbols) for name in plan.arms}
    tests = {name: _test(plan, target, name, outcomes, days) for name in plan.tested}
    p = np.array([tests[name].p for name in plan.tested])
    own = {name: series[0] for name, series in days.items()}
    overfit = _overfitting(own)
    corrected = zip(plan.tested, benjamini_hochberg(p).tolist(), benjamini_yekutieli(p).tolist(), strict=True)
    findings = tuple(
        _finding(plan, target, name, tests[name], (q, q_any), own, outcomes, trials, overfit, unknown.get(name, ()))
        for name, q, q_any in corrected
    )
    return Judgement(
        plan=plan,
        arms=findings,
        curves={name: np.cumprod(np.concatenate([[1.0], 1.0 + series])) for name, series in own.items()},
        days=len(own[plan.control]),
        folds=len({cell.fold for cell in outcomes}),
        trials=trials.count,
        luck=expected_maximum(trials.count, trials.daily_variance) * float(np.sqrt(DAYS)),
        overfitting=overfit,
        superiority=_superiority(plan, own),
        cautions=tuple(cautions),
    )


def _test(plan: Plan, target: Measure, name: str, outcomes: Mapping[Cell, Outcome], days: Mapping[str, F64]) -> _Test:
    arm, control = days[name], days[plan.against(name)][0]
    compared = compare(
        arm[0],
        control,
        target,
        direction=plan.direction,
        draws=plan.draws,
        confidence=1.0 - plan.alpha,
        rng=np.random.default_rng([plan.seed, list(plan.arms).index(name), 1]),
    )
    if not plan.arms[name].has_placebos:
        return _paired(plan, target, name, outcomes, compared)
    values = target.of(arm)
    own, placebos = float(values[0]), values[1:]
    gains = own - placebos
    return _Test(
        effect=float(gains.mean()),
        detectable=smallest_ranked(values, arm, alpha=_alone(plan), power=plan.power, direction=plan.direction),
        p=rank_p(own, placebos, plan.direction),
        largest_gain=_largest(gains, plan),
        compared=compared,
        by_asset=_placebos_by_asset(plan, target, name, outcomes),
        placebos=placebos,
    )


def _paired(plan: Plan, target: Measure, name: str, outcomes: Mapping[Cell, Outcome], compared: Comparison) -> _Test:
    tail = _tail(plan)
    gain = plan.direction.sign * compared.effect
    reach = NormalDist().inv_cdf(1.0 - tail) * compared.error
    largest = abs(gain) + reach if plan.direction is Direction.EITHER else gain + reach
    by_asset = {}
    for number, symbol in enumerate(_present(plan, name, outcomes)):
        found = compare(
            pooled(outcomes, name, [symbol])[0],
            pooled(outcomes, plan.against(name), [symbol])[0],
            target,
            direction=plan.direction,
            draws=plan.draws,
            confidence=1.0 - plan.alpha,
            rng=np.random.default_rng([plan.seed, list(plan.arms).index(name), 2 + number]),
        )
        by_asset[symbol] = (found.effect, found.p)
    least = smallest_detectable(compared.error, alpha=_alone(plan), power=plan.power, direction=plan.direction)
    return _Test(compared.effect, least, compared.p, largest, compared, by_asset)


def _placebos_by_asset(
    plan: Plan, target: Measure, name: str, outcomes: Mapping[Cell, Outcome]
) -> dict[str, tuple[float, float]]:
    found = {}
    for symbol in _present(plan, name, outcomes):
        values = target.of(pooled(outcomes, name, [symbol]))
        effect = float((values[0] - values[1:]).mean())
        found[symbol] = (effect, rank_p(float(values[0]), values[1:], plan.direction))
    return found


def _present(plan: Plan, name: str, outcomes: Mapping[Cell, Outcome]) -> list[str]:
    there = {cell.symbol for cell in outcomes if cell.arm == name}
    return [symbol for symbol in plan.data.symbols if symbol in there]


def _largest(gains: F64, plan: Plan) -> float:
    """Return the largest gain over the placebos that is not excluded at alpha."""
    tail = _tail(plan)
    if plan.direction is Direction.EITHER:
        low, high = np.quantile(gains, [tail, 1.0 - tail]).tolist()
        return float(max(abs(low), abs(high)))
    return float(np.quantile(plan.direction.sign * gains, 1.0 - tail))


def _alone(plan: Plan) -> float:
    """Return the alpha that one arm has when all others show nothing."""
    return plan.alpha / len(plan.tested)


def _tail(plan: Plan) -> float:
    return plan.alpha / 2.0 if plan.direction is Direction.EITHER else plan.alpha


def _finding(
    plan: Plan,
    target: Measure,
    name: str,
    test: _Test,
    corrected: tuple[float, float],
    own: Mapping[str, F64],
    outcomes: Mapping[Cell, Outcome],
    trials: Trials,
    overfit: Overfitting | None,
    unknown: Sequence[str],
) -> ArmFinding:
    against = plan.against(name)
    shape = shape_of(own[name])
    deflated = deflated_sharpe(shape, trials.count, trials.daily_variance)
    acts = bool((own[name] != own[against]).any())
    if acts:
        verdict, why = _verdict(plan, test, corrected[0], deflated, overfit)
    else:
        verdict, why = _idle(unknown)
    return ArmFinding(
        name=name,
        against=against,
        value=float(target.of(own[name])),
        control=float(target.of(own[against])),
        effect=test.effect,
        largest=test.largest_gain,
        detectable=test.detectable,
        p=test.p,
        q=corrected[0],
        q_any=corrected[1],
        verdict=verdict,
        why=why,
        by_asset=test.by_asset,
        placebos=test.placebos,
        compared=test.compared,
        acts=acts,
        trades=sum(outcome.trades for cell, outcome in outcomes.items() if cell.arm == name),
        sharpe=shape.sharpe * float(np.sqrt(DAYS)),
        probabilistic=probabilistic_sharpe(shape),
        deflated=deflated,
        record_days=shape.n,
        needed_days=least_record(shape),
    )


def _idle(unknown: Sequence[str]) -> tuple[Verdict, str]:
    """Return what to say about an arm that changed nothing."""
    if unknown:
        return Verdict.INCONCLUSIVE, f"nobody knows the past of {', '.join(unknown)}: it could not act"
    return Verdict.REJECT, "it never changed a trade"


def _verdict(plan: Plan, test: _Test, q: float, deflated: float, overfit: Overfitting | None) -> tuple[Verdict, str]:
    """Apply the registered rule; the first sentence that holds decides."""
    gain = abs(test.effect) if plan.direction is Direction.EITHER else plan.direction.sign * test.effect
    if q <= plan.alpha:
        if gain < plan.minimum_effect:
            return Verdict.REJECT, "the effect is real but smaller than the registered minimum"
        barred = _barred(plan, deflated, overfit)
        if barred:
            return Verdict.INCONCLUSIVE, f"the effect stands out, but {barred}"
        return Verdict.ADOPT, "the effect stands out and reaches the registered minimum"
    if test.largest_gain < plan.minimum_effect:
        return Verdict.REJECT, "the data rule out an effect of the registered minimum"
    return Verdict.INCONCLUSIVE, "nothing stands out, and the data cannot rule an effect out"


def _barred(plan: Plan, deflated: float, overfit: Overfitting | None) -> str:
    gates = plan.gates
    if gates.deflated_sharpe is not None and deflated < gates.deflated_sharpe:
        return f"the arm's deflated Sharpe ratio {deflated:.2f} is below the registered {gates.deflated_sharpe:.2f}"
    if gates.overfitting is not None and (overfit is None or overfit.probability > gates.overfitting):
        shown = "unknown" if overfit is None else f"{overfit.probability:.2f}"
        return f"the probability of overfitting ({shown}) is above the registered {gates.overfitting:.2f}"
    return ""


def _overfitting(own: Mapping[str, F64]) -> Overfitting | None:
    matrix = np.column_stack(list(own.values()))
    blocks = min(_MOST_BLOCKS, len(matrix) // _BLOCK_DAYS // 2 * 2)
    if blocks < 2 or matrix.shape[1] < _ARMS_TO_CHOOSE:  # noqa: PLR2004 - two halves
        return None
    return overfitting(matrix, blocks=blocks)


def _superiority(plan: Plan, own: Mapping[str, F64]) -> Superiority | None:
    gains = np.column_stack([own[name] - own[plan.against(name)] for name in plan.tested])
    if len(gains) < 2 * _BLOCK_DAYS:
        return None
    return superiority(gains, draws=plan.draws, rng=np.random.default_rng([plan.seed, len(plan.arms), 1]))
