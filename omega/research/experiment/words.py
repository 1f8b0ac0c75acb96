"""A judgement in plain words: what was found, most likely nothing, and how small an effect could have been seen.

Called by the page and by the command line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from omega.research.experiment.findings import ArmFinding, Judgement, Verdict
from omega.research.statistics.measures import Measure, measure

UNPROVEN = "Cosmic factors are unproven: they are off unless an experiment like this one says otherwise."
_DAYS = 365.0


def story(judgement: Judgement) -> list[str]:
    """Tell the judgement in sentences, the answer first."""
    plan = judgement.plan
    said = [_answer(judgement)]
    said += [_adopted(judgement, arm) for arm in judgement.arms if arm.verdict is Verdict.ADOPT]
    rejected = [arm.name for arm in judgement.arms if arm.verdict is Verdict.REJECT]
    if rejected:
        said.append(f"Rejected: {', '.join(rejected)}.")
    left = [arm for arm in judgement.arms if arm.verdict is Verdict.INCONCLUSIVE]
    if left:
        said.append(f"Open: {', '.join(arm.name for arm in left)}.")
    acting = [arm for arm in judgement.arms if arm.acts and arm.detectable > 0.0]
    if acting:
        target = measure(plan.metric)
        low, high = min(arm.detectable for arm in acting), max(arm.detectable for arm in acting)
        span = amount(target, low) if math.isclose(low, high) else f"{amount(target, low)} to {amount(target, high)}"
        said.append(
            f"The smallest effect that these {judgement.days:,} days could have shown, with a power of "
            f"{plan.power:.0%}, is {span} {target.unit}, depending on the arm; the registered minimum is "
            f"{amount(target, plan.minimum_effect)}."
        )
    return said


def amount(target: Measure, value: float, *, signed: bool = False) -> str:
    """Write a value of a metric as people read it."""
    if not math.isfinite(value):
        return "-"
    sign = "+" if signed else ""
    text = f"{100.0 * value:{sign}.4f} %" if target.per_cent else f"{value:{sign}.3f}"
    return text.replace("-", "\N{MINUS SIGN}")


def days(value: float) -> str:
    """Write a number of days, in years when there are many."""
    if not math.isfinite(value):
        return "never"
    return f"{value:,.0f} days" if value < 2.0 * _DAYS else f"{value / _DAYS:,.1f} years"


def lines(judgement: Judgement) -> Iterator[str]:
    """Yield a line for every arm, for a terminal."""
    target = measure(judgement.plan.metric)
    for arm in judgement.arms:
        least = amount(target, arm.detectable) if arm.acts else "-"
        yield (
            f"{arm.name:<24} {arm.verdict:<13} effect {amount(target, arm.effect, signed=True):>11}  p {arm.p:.3f}  "
            f"q {arm.q:.3f}  smallest detectable {least:>10}  {arm.why}"
        )


def _answer(judgement: Judgement) -> str:
    count = len(judgement.arms)
    if judgement.adopted:
        return f"Something was found: {', '.join(judgement.adopted)}."
    if count == 1:
        return "Nothing was found: the one arm did no better than chance."
    return f"Nothing was found: none of the {count} arms did better than chance."


def _adopted(judgement: Judgement, arm: ArmFinding) -> str:
    target = measure(judgement.plan.metric)
    than = "than at random phases" if len(arm.placebos) else f"than {arm.against}"
    return (
        f"{arm.name}: {amount(target, arm.effect, signed=True)} {target.unit} {than}, p = {arm.p:.4f}, "
        f"{arm.q:.4f} after correction for {len(judgement.arms)} arms."
    )
