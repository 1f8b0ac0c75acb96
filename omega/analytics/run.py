"""Run registered analyses over one context. Called by the CLI and by the service's worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from omega.analytics.analysis import Analysis
from omega.analytics.context import Context
from omega.errors import ConfigError, Denied
from omega.params import nearest
from omega.plugins import AnalysisEntry, analyses, describe, parse_params

ALL: Final = "all"
"""Stands for every analysis whose inputs are there."""
_WANTED: Final = {
    "books": "the open positions: ask a running farm (--live)",
    "trades": "the round trips of the ledger: ask a running farm (--live)",
    "ticks": "recorded order-book ticks: name their folder (--ticks)",
}


def names() -> tuple[str, ...]:
    """Return what can be asked for: every registered analysis, and `all`."""
    return (*analyses.discover(), ALL)


def entries(name: str) -> tuple[AnalysisEntry, ...]:
    """Return the analyses behind a name.

    Raises:
        ConfigError: there is none of this name; the nearest is suggested, and what can be asked for is told.
    """
    if name not in analyses and (name != ALL or not len(analyses)):
        analyses.discover()
    if name != ALL and name not in analyses:
        known = (*analyses.names(), ALL)
        raise ConfigError(f"analysis: there is no {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    return tuple(analyses) if name == ALL else (analyses.get(name),)


def needs(name: str) -> frozenset[str]:
    """Return everything that the analyses behind a name need or can use."""
    return frozenset(need for entry in entries(name) for need in (*entry.needs, *entry.uses))


def run(name: str, context: Context, values: Mapping[str, object] | None = None) -> list[Analysis]:
    """Run an analysis, or every one whose inputs are there.

    `values` are parameters by name; with `all`, each analysis takes those that it knows.

    Raises:
        Denied: what it needs was not gathered, or there are too few bars.
        ConfigError: there is no such analysis, or a parameter is wrong.
    """
    chosen, given = entries(name), dict(values or {})
    if name != ALL:
        return [_one(chosen[0], context, given)]
    made, refused = [], []
    for entry in chosen:
        try:
            known = {spec: value for spec, value in given.items() if spec in _parameters(entry)}
            made.append(_one(entry, context, known))
        except Denied as why:
            refused.append(f"{entry.name} is left out: {why}")
    if not made:
        raise Denied("; ".join(refused), rule="inputs")
    return [replace(made[0], caveats=(*made[0].caveats, *refused)), *made[1:]]


def _one(entry: AnalysisEntry, context: Context, values: Mapping[str, object]) -> Analysis:
    if "bars" in entry.needs and not context.has("bars"):
        raise Denied(
            f"there are no whole {context.timeframe} bars of {context.symbol}: ask for a shorter timeframe or another "
            "symbol",
            rule="bars",
        )
    missing = [need for need in entry.needs if not context.has(need)]
    if missing:
        raise Denied(f"{entry.name} needs {' and '.join(_WANTED[need] for need in missing)}", rule="inputs")
    if "bars" in entry.needs and context.bars.n < entry.least:
        raise Denied(
            f"{entry.name} wants {entry.least} bars at least, {context.symbol} {context.timeframe} has "
            f"{context.bars.n}; choose a lower timeframe or a longer range",
            rule="bars",
        )
    made = entry.function(context, parse_params(entry.params, values))
    assert isinstance(made, Analysis)
    return replace(made, inputs=(*context.inputs, *made.inputs))


def _parameters(entry: AnalysisEntry) -> Sequence[str]:
    return [spec.name for spec in describe(entry.params)]
