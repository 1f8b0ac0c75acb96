"""Support and resistance: clusters of confirmed pivots with touches and strength, and what price did at them lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from omega.analytics.analyses._scanned import QUOTE, TONES, finding
from omega.analytics.analysis import Analysis, Finding, Mark, MarkKind, Tone, number
from omega.analytics.context import Context
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.levels import Level

PAST: Final = "A level is where price turned before; whether it holds is in the figures of its bounces and breaks."
_TONE: Final = {"support": Tone.UP, "resistance": Tone.DOWN, "inside": Tone.STRONG}


@params
class Params:
    """What makes a level."""

    within: float = param(0.5, low=0.05, high=5.0, unit="ATR", doc="distance between neighbours of one level")
    touches: int = param(3, low=2, high=20, unit="pivots", doc="the fewest pivots that make a level")
    memory: int = param(40, low=10, high=500, unit="pivots", doc="newest pivots that levels are made of")
    recent: int = param(48, low=1, high=5_000, unit="bars", doc="how long ago a bounce or break may have been")


@analysis("levels", title="Support and resistance", params=Params)
def levels(context: Context, p: Params) -> Analysis:
    """Cluster the confirmed pivots as they stand at the newest close."""
    from omega.analytics.levels import levels as clusters
    from omega.analytics.pivots import average_range, by_reversal
    from omega.analytics.scan import scan

    bars = context.bars
    close, atr = float(bars.close[-1]), float(average_range(bars)[-1])
    pivots = by_reversal(bars)
    found = clusters(pivots, p.within * atr, memory=p.memory, touches=p.touches)
    lately = [one for one in scan(bars, ("levels",)) if one.confirmed >= bars.n - p.recent]
    touched = {level.last_row: int(bars.ts[level.last_row]) for level in found}
    return Analysis(
        analysis="levels",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=bars.n,
        summary=_summary(found, close, pivots.m),
        findings=(
            *(_level(one, close, touched[one.last_row], int(bars.ts[-1])) for one in found),
            *(
                finding(
                    one,
                    context.timeframe,
                    (Mark(MarkKind.POINT, ((one.ts_ns, one.price),), "", TONES[one.direction]),),
                )
                for one in reversed(lately)
            ),
        ),
        numbers=(
            number("close", close, QUOTE),
            number("average true range", atr, QUOTE),
            number("confirmed pivots", pivots.m, "in these bars"),
        ),
        caveats=(PAST,),
    )


def _summary(found: tuple[Level, ...], close: float, pivots: int) -> str:
    if not found:
        return f"No level: too few of the {pivots} confirmed pivots lie together."
    below = [one for one in found if one.role(close) == "support"]
    above = [one for one in found if one.role(close) == "resistance"]
    support = f"support at {below[-1].price:,.6g} ({below[-1].touches} touches)" if below else "no support below"
    over = f"resistance at {above[0].price:,.6g} ({above[0].touches} touches)" if above else "no resistance above"
    count = f"{len(found)} level{'s' if len(found) != 1 else ''}"
    return f"{count}; {support}, {over}; the close is {close:,.6g}."


def _level(one: Level, close: float, touched_ns: int, newest_ns: int) -> Finding:
    role = one.role(close)
    return Finding(
        name=role if role != "inside" else "level at the price",
        at_ns=newest_ns,
        text=f"{one.low:,.6g} to {one.high:,.6g}, {one.touches} touches, {abs(one.price / close - 1.0):.2%} away",
        numbers=(
            number("price", one.price, QUOTE),
            number("low", one.low, QUOTE),
            number("high", one.high, QUOTE),
            number("touches", one.touches, "pivots"),
            number("strength", one.strength, "touches, halved every 20 pivots of age"),
            number("newest touch", float(touched_ns), "ns UTC"),
        ),
        marks=(
            Mark(MarkKind.ZONE, ((touched_ns, one.low), (0, one.high)), "", _TONE[role]),
            Mark(MarkKind.LEVEL, ((touched_ns, one.price),), f"{one.price:,.6g} x{one.touches}", _TONE[role]),
        ),
    )
