"""Write docs/reference/forecasts.md from the carried record of the forecast models (--write), or check it (--check)."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from omega.analytics.evidence import POOLED, Evidence, Verdict
from omega.analytics.forecast.measure import RELIABILITY, Record, as_evidence, records_of
from omega.analytics.forecast.models import MODELS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "forecasts.md"
HEAD = """# Forecasts, measured

Generated from the code by `make docs`; edit the code, not this page.

Every model forecasts whether the close so many bars on is higher. It is fitted on two years, forecasts the quarter
(hourly bars) or month (daily bars) that follows, and moves on; outcomes that reach into a stretch are kept out of its
training, and an embargo of one horizon besides. All rows are out of sample. "No change" says one half, always; "drift"
says the share of rises in training. A model beats chance when it saves log loss against *both*, by a block bootstrap of
whole stretches, after correction for every row here (Benjamini and Hochberg, 5 %).

A direction told better than by chance may still not be worth its costs: `return a call` is what following every call
made in the mean, before fees and slippage. A round trip at a taker fee of 0.06 % costs 12 basis points.
"""


def page() -> str:
    """Return the page."""
    records = records_of()
    found = list(zip(records, as_evidence(list(records)), strict=True))
    lines = [
        HEAD,
        "## What beats chance",
        "",
        *_summary(found),
        "",
        "## Models",
        "",
        "| model | believes |",
        "|---|---|",
    ]
    lines += [f"| `{model.name}` | {model.doc} |" for model in MODELS.values()]
    for timeframe, horizon in dict.fromkeys((r.timeframe, r.horizon) for r in records):
        lines += ["", f"## {timeframe} bars, {horizon} ahead", "", *_table(found, timeframe, horizon)]
    lines += ["", "## Reliability", "", "All markets together: what was forecast, and how often it happened.", ""]
    return "\n".join([*lines, *_reliability()]) + "\n"


def _summary(found: list[tuple[Record, Evidence]]) -> list[str]:
    beating = [(r, e) for r, e in found if e.verdict is Verdict.BEATS]
    if not beating:
        return ["None of them."]
    lines = [f"{len(beating)} of {len(found)} rows; no other model, market or horizon does.", ""]
    lines += [
        f"- `{r.model}` on {_market(r)}, {r.timeframe} bars, {r.horizon} ahead: {r.accuracy:.1%} right, "
        f"{_basis_points(r)} basis points a call before costs"
        for r, _ in beating
    ]
    return lines


def _table(found: list[tuple[Record, Evidence]], timeframe: str, horizon: int) -> list[str]:
    columns = (
        "model | market | outcomes | right (95 %) | drift right | log loss | no change | drift | Brier | "
        "calibration error | return a call, bp | p | q | verdict"
    )
    lines = [
        f"| {columns} |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r, e in found:
        if (r.timeframe, r.horizon) == (timeframe, horizon):
            lines.append(
                f"| `{r.model}` | {_market(r)} | {r.n:,} | {r.accuracy:.1%} ({r.low:.1%} to {r.high:.1%}) | "
                f"{r.base_accuracy:.1%} | {r.log_loss:.4f} | {r.no_change_log_loss:.4f} | {r.drift_log_loss:.4f} | "
                f"{r.brier:.4f} | {r.calibration_error:.3f} | {_basis_points(r)} | {r.p_value:.4f} | {e.q_value:.4f} | "
                f"{e.verdict.value} |"
            )
    return lines


def _reliability() -> list[str]:
    lines = ["| model | bars | ahead | forecast | happened (95 %) | outcomes |", "|---|---|---|---|---|---|"]
    with RELIABILITY.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["dataset"] == POOLED and row["model"] in {"linear", "gradient_boosting"}:
                happened, low, high = (float(row[name]) for name in ("happened", "low", "high"))
                lines.append(
                    f"| `{row['model']}` | {row['timeframe']} | {row['horizon']} | {float(row['forecast']):.1%} | "
                    f"{happened:.1%} ({low:.1%} to {high:.1%}) | {int(row['n']):,} |"
                )
    return lines


def _market(record: Record) -> str:
    return "all together" if record.dataset == POOLED else record.dataset


def _basis_points(record: Record) -> str:
    return f"{10_000.0 * record.mean_return:+.1f}"


def main() -> int:
    """Write or check the page; return 1 when it is out of date."""
    made = page()
    if "--check" in sys.argv:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == made:
            return 0
        print(f"{PAGE} is out of date: run `make docs`", file=sys.stderr)
        return 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
