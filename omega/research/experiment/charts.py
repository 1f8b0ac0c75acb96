"""The charts of an experiment: effects beside their placebos, equity out of sample, p-values, overfitting.

Called by the page; drawn with the back-test report's own pens, so both look alike.
"""

from __future__ import annotations

from html import escape
from typing import Final

import numpy as np

from omega.backtest.report.axes import Scale, Span
from omega.backtest.report.draw import Plot
from omega.engine.bars import F64
from omega.research.experiment.findings import ArmFinding, Judgement, Verdict
from omega.research.experiment.folds import DAY_NS
from omega.research.experiment.words import amount
from omega.research.statistics.measures import Measure, measure

_ROW: Final = 34
_BINS: Final = 24


def effects_chart(judgement: Judgement) -> str:
    """Draw the effect of every arm over the range that chance gives it."""
    target = measure(judgement.plan.metric)
    arms = [arm for arm in judgement.arms if arm.acts]
    if not arms:
        return ""
    bands = [_band(arm) for arm in arms]
    across = Scale.around(np.array([*np.ravel(bands), *(arm.effect for arm in arms), 0.0]))
    plot = Plot(
        "Effect of each arm beside what chance gives it",
        height=_ROW * len(arms) + 20,
        note="Bar: where nine of ten random phases (or, without placebos, resampled differences) lie. Dot: the arm.",
    )
    plot.bottom([(_at(across, tick), amount(target, tick)) for tick in across.ticks(4)])
    plot.rule(x=_at(across, 0.0), style="rule strong")
    for row, (arm, band) in enumerate(zip(arms, bands, strict=True)):
        y = np.array([1.0 - (row + 0.5) / len(arms)])
        left, right = across.at(np.array(band))
        half = np.array([0.28 / len(arms)])
        plot.boxes(np.array([left]), np.array([right]), y - half, y + half, "down")
        x = across.at(np.array([arm.effect]))
        plot.strokes(x, y, x, y, f"exit {_tone(arm)}")
    labels = "".join(
        f'<span class="yt" style="bottom:{100 * (1 - (row + 0.5) / len(arms)):.2f}%">{escape(arm.name)}</span>'
        for row, arm in enumerate(arms)
    )
    return f'<div class="named">{plot.html().replace("</svg>", "</svg>" + labels, 1)}</div>'


def equity_chart(judgement: Judgement, first_ns: int) -> str:
    """Draw the out-of-sample equity of every arm, the control in colour."""
    curves, control = judgement.curves, judgement.plan.control
    up = Scale.around(*curves.values())
    plot = Plot(
        "Equity out of sample", height=280, note="All assets in equal parts; each fold begins with the same capital."
    )
    plot.values(up, [(tick, f"{tick:.3g}") for tick in up.ticks(5)])
    span = Span.of(first_ns + DAY_NS * np.arange(judgement.days + 1, dtype=np.int64))
    plot.times(span)
    x = np.linspace(0.0, 1.0, judgement.days + 1)
    others = [name for name in curves if name != control and name not in judgement.adopted]
    for number, name in enumerate(others):
        plot.line(x, up.at(curves[name]), "hold", legend=f"{len(others)} arms" if not number else "")
    plot.line(x, up.at(curves[control]), "own", legend=f"control ({control})")
    for name in judgement.adopted:
        plot.line(x, up.at(curves[name]), "trip gain", legend=name)
    return plot.html()


def p_chart(judgement: Judgement) -> str:
    """Draw the sorted p-values beside the line under which they count."""
    p = np.sort(np.array([arm.p for arm in judgement.arms]))
    m, alpha = len(p), judgement.plan.alpha
    up = Scale(0.0, 1.0)
    x = (np.arange(m) + 0.5) / m
    plot = Plot(
        "p-values in order",
        height=240,
        note=f"Counted as found: what lies on or under the dashed line (Benjamini-Hochberg at {alpha:g}).",
    )
    plot.values(up, [(tick, f"{tick:g}") for tick in (0.0, 0.25, 0.5, 0.75, 1.0)])
    plot.line(x, up.at(alpha * np.arange(1, m + 1) / m), "rule")
    plot.strokes(x, up.at(p), x, up.at(p), "exit own")
    return plot.html()


def placebo_chart(arm: ArmFinding, target: Measure) -> str:
    """Draw how an arm's placebos are spread, and where the arm itself lies."""
    values = np.append(arm.placebos, arm.value)
    across = Scale.around(values)
    counts, edges = np.histogram(arm.placebos, bins=_BINS, range=(across.low, across.high))
    up = Scale(0.0, float(counts.max()) * 1.1)
    better = float((arm.placebos >= arm.value).sum())
    plot = Plot(
        arm.name,
        height=150,
        note=f"Line: the arm itself. {better:.0f} of {len(arm.placebos)} random phases reach it or more.",
    )
    plot.bottom([(_at(across, tick), amount(target, tick)) for tick in across.ticks(3)])
    left, right = across.at(edges[:-1]), across.at(edges[1:])
    used = counts > 0
    plot.boxes(left[used], right[used], np.zeros(int(used.sum())), up.at(counts.astype(np.float64))[used], "down")
    plot.rule(x=_at(across, arm.value), style="rule strong")
    return plot.html()


def overfitting_chart(judgement: Judgement) -> str:
    """Draw the logits of the rank that the best in sample has out of sample."""
    found = judgement.overfitting
    if found is None:
        return ""
    most = max(float(np.abs(found.logits).max()), 1.0)
    across = Scale(-most * 1.05, most * 1.05)
    counts, edges = np.histogram(found.logits, bins=2 * _BINS + 1, range=(across.low, across.high))
    up = Scale(0.0, float(counts.max()) * 1.1)
    plot = Plot(
        "Rank out of sample of the best in sample",
        height=240,
        note=f"Left of the line: below the median; {found.probability:.0%} is the probability of overfitting.",
    )
    plot.bottom([(_at(across, tick), f"{tick:g}") for tick in across.ticks(5)])
    left, right = across.at(edges[:-1]), across.at(edges[1:])
    top, middle = up.at(counts.astype(np.float64)), 0.5 * (edges[:-1] + edges[1:])
    for style, picked in (("loss", (middle <= 0.0) & (counts > 0)), ("gain", (middle > 0.0) & (counts > 0))):
        plot.boxes(left[picked], right[picked], np.zeros(int(picked.sum())), top[picked], style)
    plot.rule(x=0.5, style="rule strong")
    return plot.html()


def _band(arm: ArmFinding) -> tuple[float, float]:
    """Return where nine of ten effects lie that chance alone gives."""
    if len(arm.placebos):
        low, high = np.quantile(arm.placebos - arm.placebos.mean(), [0.05, 0.95]).tolist()
        return float(low), float(high)
    reach = 1.645 * arm.compared.error
    return -reach, reach


def _tone(arm: ArmFinding) -> str:
    return {Verdict.ADOPT: "gain", Verdict.REJECT: "loss", Verdict.INCONCLUSIVE: "own"}[arm.verdict]


def _at(scale: Scale, value: float) -> float:
    made: F64 = scale.at(np.array([value]))
    return float(made[0])
