"""A result in a few sentences and a few tiles: what a reader should know before the first chart. Called by the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from omega.backtest.report.words import WORDS, Better, duration, meets_target, percent, written
from omega.backtest.types import Result


def story(result: Result, figures: Mapping[str, float]) -> list[str]:
    """Tell the result in sentences, the gravest fact first."""
    roi, count = figures["roi"], int(figures["trades"])
    time = duration(figures["days"])
    if count == 0:
        return [f"It never traded in {time}."]
    verb = f"made {percent(roi)}" if roi > 0.0 else f"lost {percent(-roi)}" if roi < 0.0 else "kept its money"
    trips = "round trip" if count == 1 else "round trips"
    said = [f"It {verb} in {time} with {count:,} {trips}, all costs paid."]
    if math.isfinite(held := figures.get("hold_roi", math.nan)):
        said.append(_against(result, roi, held))
    if figures["max_drawdown"] > 0.0:
        lasted = duration(figures["max_drawdown_days"])
        said.append(f"At worst it stood {percent(figures['max_drawdown'])} below an earlier peak, for {lasted}.")
    return said


def headline(figures: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    """Return the tiles above the charts, as (label, value, small print, tone)."""
    small = {
        "roi": f"{written('pnl', figures['pnl'])} in money",
        "excess_roi": f"holding: {written('hold_roi', figures.get('hold_roi', math.nan))}",
        "max_drawdown": f"for {written('max_drawdown_days', figures['max_drawdown_days'])}",
        "sharpe": f"Sortino {written('sortino', figures['sortino'])}",
        "win_rate": f"of {written('trades', figures['trades'])} round trips",
        "profit_factor": f"payoff {written('payoff', figures['payoff'])}",
        "fees": _fees(figures),
        "probabilistic_sharpe": "probabilistic Sharpe",
    }
    return [
        (_LABELS.get(name, WORDS[name].label), written(name, figures[name]), text, _tone(name, figures[name]))
        for name, text in small.items()
        if name in figures
    ]


_BAD: Final = {"sharpe": 0.0, "profit_factor": 1.0, "probabilistic_sharpe": 0.5, "max_drawdown": 0.3}
"""Where a figure is bad, not merely short of its target."""


def _against(result: Result, roi: float, held: float) -> str:
    names = result.symbols
    what = names[0] if len(names) == 1 else f"the {len(names)} markets in equal parts"
    points = abs(roi - held) * 100.0
    word = "more" if held > roi else "less"
    return f"Buying {what} and holding came to {percent(held, signed=True)}, {points:,.1f} points {word}."


_LABELS = {"excess_roi": "Against holding", "probabilistic_sharpe": "Chance it is no luck"}


def _fees(figures: Mapping[str, float]) -> str:
    share = figures["fee_share"]
    if not math.isfinite(share):
        return "no profit to pay them from"
    return f"{percent(share)} of the profit before" if share < 1.0 else f"{share:,.1f} times the profit before"


def _tone(name: str, value: float) -> str:
    """Colour what is a gain or a loss, what meets its target and what is plainly bad; nothing else."""
    if name in {"roi", "excess_roi"}:
        return "gain" if value > 0.0 else "loss" if value < 0.0 else ""
    if meets_target(WORDS[name], value):
        return "gain"
    edge = _BAD.get(name, math.nan)
    return "loss" if (value > edge if WORDS[name].better is Better.DOWN else value < edge) else ""
