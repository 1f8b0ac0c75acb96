"""Patterns: candlesticks, harmonic patterns and chart shapes, each known at a bar, each with its measured hit rate."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from omega.analytics.analyses._scanned import TONES, finding, line, words
from omega.analytics.analysis import Analysis, Mark, MarkKind, Tone, number
from omega.analytics.context import Context
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.findings import Finding as Found
    from omega.engine.bars import Bars

_FAMILIES: Final = ("candles", "harmonic", "shapes")
_DRAWN: Final = 6
CHANCE: Final = "Most patterns do not beat chance on recorded data: the figures stand beside each of them."


@params
class Params:
    """Which patterns are listed."""

    recent: int = param(48, low=1, high=5_000, unit="bars", doc="how long ago a pattern may have become known")
    candles: int = param(8, low=0, high=500, unit="bars", doc="the same for candlesticks, of which there are many")
    min_score: float = param(0.0, low=0.0, high=1.0, doc="how well it must fit its rule")


@analysis("patterns", title="Patterns", params=Params)
def patterns(context: Context, p: Params) -> Analysis:
    """List the patterns that have become known lately, the newest first."""
    from omega.analytics.scan import scan

    bars = context.bars
    found = list(scan(bars, _FAMILIES))
    age = {"candles": p.candles}
    shown = [
        one
        for one in reversed(found)
        if one.confirmed >= bars.n - age.get(one.family.value, p.recent) and one.score >= p.min_score
    ]
    drawn = {id(one) for one in [one for one in shown if one.family.value != "candles"][:_DRAWN]}
    return Analysis(
        analysis="patterns",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=bars.n,
        summary=_summary(shown, p),
        findings=tuple(finding(one, context.timeframe, _marks(one, bars, drawn=id(one) in drawn)) for one in shown),
        numbers=tuple(
            number(f"{family} in all these bars", sum(one.family.value == family for one in found), "patterns")
            for family in _FAMILIES
        ),
        caveats=(CHANCE,),
    )


def _summary(shown: list[Found], p: Params) -> str:
    if not shown:
        return f"No pattern has become known in the last {p.recent} bars."
    sides = Counter(one.direction for one in shown)
    larger = [one for one in shown if one.family.value != "candles"]
    newest = f"; the newest larger one is a {words(larger[0].name)}" if larger else ""
    return f"{len(shown)} patterns lately: {sides[1]} call long, {sides[-1]} short, {sides[0]} neither{newest}."


def _marks(one: Found, bars: Bars, *, drawn: bool) -> tuple[Mark, ...]:
    if one.family.value == "candles":
        if not one.direction:
            return ()
        price = float((bars.low if one.direction > 0 else bars.high)[one.confirmed])
        return (Mark(MarkKind.POINT, ((one.ts_ns, price),), words(one.name), TONES[one.direction]),)
    if not drawn:
        return ()
    made = [line(one)]
    if math.isfinite(one.invalidation):
        made.append(
            Mark(MarkKind.LEVEL, ((one.ts_ns, one.invalidation),), f"undone {one.invalidation:,.6g}", Tone.SOFT)
        )
    if one.targets:
        made.append(
            Mark(MarkKind.LEVEL, ((one.ts_ns, one.targets[0]),), f"target {one.targets[0]:,.6g}", TONES[one.direction])
        )
    return tuple(made)
