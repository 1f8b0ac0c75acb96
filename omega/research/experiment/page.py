"""A finished experiment as one self-contained page in the farm's look. Called by `omega experiment run`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from omega.backtest.report.page import document
from omega.domain.time import iso
from omega.research.experiment.charts import (
    effects_chart,
    equity_chart,
    overfitting_chart,
    p_chart,
    placebo_chart,
)
from omega.research.experiment.findings import ArmFinding, Judgement, Verdict
from omega.research.experiment.pipeline import Finished
from omega.research.experiment.words import UNPROVEN, amount, days, story
from omega.research.statistics.measures import Measure, measure

_STYLE: Final = (
    "<style>.named{margin-top:22px}.named .plot{margin-left:150px}.named path.down{fill-opacity:.35;stroke:none}"
    ".named .exit{stroke-width:9}.plot .exit.own{stroke:var(--own)}.left th,.left td{text-align:left;"
    "white-space:normal;vertical-align:top}.left td.n{text-align:right;white-space:nowrap}"
    ".verdict{font-weight:650}.adopt{color:var(--gain)}.reject{color:var(--loss)}</style>"
)
_HOW: Final = (
    ("Effect", "of an arm with placebos: its result less the mean of its random phases; of others: less its control."),
    (
        "p",
        "the share of random phases that do at least as well (exact), or the stationary bootstrap's, centred at zero.",
    ),
    ("q", "p corrected for all arms of this experiment (Benjamini-Hochberg)."),
    ("Smallest detectable", "the true effect that would have been found with the registered power, after correction."),
    ("At most", "the largest gain that the data leave possible at the registered alpha."),
    ("Deflated Sharpe", "the probability that the arm's Sharpe ratio is more than the luck of the best of all trials."),
    ("Needed record", "days until the Sharpe ratio is above zero with 95 % confidence."),
)


def page(finished: Finished, *, at_ns: int) -> str:
    """Return the whole page as HTML."""
    judgement = finished.judgement
    plan = judgement.plan
    subtitle = (
        f"{plan.bot} on {', '.join(plan.data.symbols)} {plan.data.timeframe}, {iso(finished.first_ns)[:10]} to "
        f"{iso(finished.last_ns)[:10]}; judged {iso(at_ns)[:16]}"
    )
    first, *rest = story(judgement)
    asked = f'<p class="sub">{escape(plan.question)}</p>' if plan.question else ""
    lead = (
        f'{_STYLE}{asked}<p class="lead"><b>{escape(first)}</b> {escape(" ".join(rest))}</p>'
        f"{_tiles(finished)}{_cautions(judgement)}"
    )
    return document(f"Experiment: {plan.name}", subtitle, lead, "".join(_body(finished)))


def _body(finished: Finished) -> Sequence[str]:
    judgement = finished.judgement
    target = measure(judgement.plan.metric)
    acting = [arm for arm in judgement.arms if len(arm.placebos) and arm.acts]
    placebos = "".join(placebo_chart(arm, target) for arm in acting)
    return [
        _section("Verdicts", _verdicts(judgement, target) + effects_chart(judgement)),
        _section("Out of sample", equity_chart(judgement, finished.first_ns) + _results(judgement)),
        _section("Against random phases", f'<div class="pair">{placebos}</div>' if placebos else ""),
        _section("By asset", _by_asset(judgement, target)),
        _section(
            "How much of it is choosing",
            f'<div class="pair">{p_chart(judgement)}{overfitting_chart(judgement)}</div>{_choosing(judgement)}',
        ),
        _section("How to read the figures", _words()),
        _section("What was registered", _registered(finished)),
    ]


def _tiles(finished: Finished) -> str:
    judgement = finished.judgement
    overfit = judgement.overfitting
    best = judgement.superiority
    tiles = [
        ("Adopted", f"{len(judgement.adopted)} of {len(judgement.arms)}", "arms"),
        ("Out of sample", f"{judgement.days:,} days", f"{judgement.folds} folds"),
        ("Back-tests", f"{finished.backtests:,}", f"{finished.elapsed_s:,.1f} s, {finished.resumed} cells taken over"),
        ("Trials ever", f"{judgement.trials:,}", f"luck alone: a Sharpe ratio of {judgement.luck:.2f}"),
        ("Overfitting", "-" if overfit is None else f"{overfit.probability:.0%}", "probability, over all arms"),
        ("Best arm", "-" if best is None else f"p = {best.consistent:.3f}", "superior predictive ability"),
    ]
    made = "".join(
        f'<div class="tile"><span>{escape(label)}</span><b>{escape(value)}</b><small>{escape(small)}</small></div>'
        for label, value, small in tiles
    )
    return f'<div class="tiles" style="grid-template-columns:repeat(3,1fr)">{made}</div>'


def _cautions(judgement: Judgement) -> str:
    cosmic = any(arm.cosmic != "off" for arm in judgement.plan.arms.values())
    found = [*judgement.cautions, *([UNPROVEN] if cosmic else [])]
    points = "".join(f"<li>{escape(text)}</li>" for text in found)
    return f"<aside><h2>Before you believe it</h2><ul>{points}</ul></aside>" if found else ""


def _verdicts(judgement: Judgement, target: Measure) -> str:
    head = ("Arm", "Verdict", "Effect", "p", "q", "Smallest detectable", "At most", "Why")
    rows = [
        [
            _named(judgement, arm),
            f'<span class="verdict {arm.verdict}">{arm.verdict}</span>',
            escape(amount(target, arm.effect, signed=True)),
            f"{arm.p:.3f}",
            f"{arm.q:.3f}",
            escape(amount(target, arm.detectable)) if arm.acts else "-",
            escape(amount(target, arm.largest, signed=True)) if arm.acts else "-",
            escape(arm.why),
        ]
        for arm in sorted(judgement.arms, key=lambda arm: (list(Verdict).index(arm.verdict), arm.p))
    ]
    return _table(head, rows, words=(0, 1, 7))


def _named(judgement: Judgement, arm: ArmFinding) -> str:
    about = judgement.plan.arms[arm.name].about
    return f"{escape(arm.name)}<br><small>{escape(about)}</small>" if about else escape(arm.name)


def _results(judgement: Judgement) -> str:
    head = (
        "Arm",
        "Trades",
        "Growth",
        "Sharpe",
        "Probably > 0",
        "Deflated",
        "Needed record",
        "Bootstrap p",
        "t p",
        "Wilcoxon p",
    )
    rows = [
        [
            escape(arm.name),
            f"{arm.trades:,}",
            f"{100.0 * (float(judgement.curves[arm.name][-1]) - 1.0):+.1f} %",
            f"{arm.sharpe:.2f}",
            f"{arm.probabilistic:.2f}",
            f"{arm.deflated:.2f}",
            days(arm.needed_days),
            f"{arm.compared.p:.3f}",
            f"{arm.compared.t_p:.3f}",
            f"{arm.compared.wilcoxon_p:.3f}",
        ]
        for arm in judgement.arms
    ]
    note = '<p class="note">The three p-values on the right compare an arm with its control, placebos left aside.</p>'
    return _table(head, rows, words=(0,)) + note


def _by_asset(judgement: Judgement, target: Measure) -> str:
    symbols = judgement.plan.data.symbols
    head = ("Arm", *[f"{symbol} {what}" for symbol in symbols for what in ("effect", "p")])
    rows = []
    for arm in judgement.arms:
        row = [escape(arm.name)]
        for symbol in symbols:
            effect, p = arm.by_asset.get(symbol, (float("nan"), float("nan")))
            row += [escape(amount(target, effect, signed=True)), f"{p:.3f}" if p == p else "-"]  # noqa: PLR0124 - NaN
        rows.append(row)
    return _table(head, rows, words=(0,))


def _choosing(judgement: Judgement) -> str:
    best, overfit = judgement.superiority, judgement.overfitting
    said = []
    if best is not None:
        name = judgement.plan.tested[best.best]
        said.append(
            f"The best arm by daily gain over its control is {name}: p = {best.consistent:.3f} over all arms at once "
            f"(Hansen; between {best.lower:.3f} and {best.upper:.3f}), White: {best.reality_check:.3f}."
        )
    if overfit is not None:
        said.append(
            f"Of {len(overfit.logits):,} ways to choose the best arm on half of the days, {overfit.probability:.0%} "
            f"put it at or below the median on the other half, and {overfit.loss:.0%} lost money there."
        )
    said.append(
        f"The ledger holds {judgement.trials:,} distinct trials of this strategy; the best of so many by luck alone is "
        f"expected to show a Sharpe ratio of {judgement.luck:.2f}."
    )
    return f"<p>{escape(' '.join(said))}</p>"


def _words() -> str:
    return "".join(f"<p><b>{escape(name)}</b>: {escape(text)}</p>" for name, text in _HOW)


def _registered(finished: Finished) -> str:
    plan = finished.judgement.plan
    kept: Mapping[str, object] = plan.registered()
    text = json.dumps(kept, indent=1, sort_keys=True)
    return (
        f'<p class="note">Plan {escape(plan.digest)}, data {escape(finished.data_hash)}.</p>'
        f'<details><summary>The plan</summary><pre class="tall">{escape(text)}</pre></details>'
    )


def _section(title: str, inner: str) -> str:
    return f'<h2>{escape(title)}</h2><section class="card">{inner}</section>' if inner else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{"" if column in words else "n"}">{cell}</td>' for column, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    table = f'<table class="trades left"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll">{table}</div>'
