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
_DRAWN: Final = 4
_NAMED: Final = 4
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
    marks = _marks(shown, bars)
    return Analysis(
        analysis="patterns",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=bars.n,
        summary=_summary(shown, p),
        findings=tuple(finding(one, context.timeframe, own) for one, own in zip(shown, marks, strict=True)),
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


def _marks(shown: list[Found], bars: Bars) -> list[tuple[Mark, ...]]:
    """Return the marks of each: the newest larger patterns as lines, the very newest with its levels, and candles."""
    made: list[tuple[Mark, ...]] = []
    larger = named = 0
    for one in shown:
        if one.family.value == "candles":
            named += one.direction != 0
            made.append(_candle(one, bars, named=named <= _NAMED))
        else:
            larger += 1
            made.append(() if larger > _DRAWN else (line(one), *(_levels(one) if larger == 1 else ())))
    return made


def _candle(one: Found, bars: Bars, *, named: bool) -> tuple[Mark, ...]:
    if not one.direction:
        return ()
    price = float((bars.low if one.direction > 0 else bars.high)[one.confirmed])
    return (Mark(MarkKind.POINT, ((one.ts_ns, price),), words(one.name) if named else "", TONES[one.direction]),)


def _levels(one: Found) -> tuple[Mark, ...]:
    undone = one.invalidation if math.isfinite(one.invalidation) else None
    prices = [(undone, "undone", Tone.SOFT)] if undone is not None else []
    prices += [(target, "target", TONES[one.direction]) for target in one.targets]
    return tuple(
        Mark(MarkKind.LEVEL, ((one.ts_ns, price),), f"{word} {price:,.6g}", tone) for price, word, tone in prices
    )
