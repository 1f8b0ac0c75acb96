"""Fibonacci: levels of the newest confirmed swing, clusters of several, time zones, channels, and the test for φ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from omega.analytics.analysis import Analysis, Finding, Mark, MarkKind, Tone, number
from omega.analytics.context import Context
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.fibonacci import Cluster, Fibonacci, Leg

_RETRACED: Final = 1.0
_CLUSTERS: Final = 5
_ZONES: Final = 5
UNPROVEN: Final = (
    "A level is arithmetic on a swing, no forecast: what touches of such levels were worth is under `levels`."
)


@params
class Params:
    """Which swings are read, and what a cluster is."""

    multiple: float = param(3.0, low=0.5, high=20.0, unit="ATR", doc="what price must come back to confirm a swing")
    swings: int = param(4, low=2, high=50, doc="newest swings whose levels are clustered")
    within: float = param(0.25, low=0.01, high=10.0, unit="ATR", doc="how close neighbouring levels of a cluster lie")


@analysis("fib", title="Fibonacci", params=Params)
def fib(context: Context, p: Params) -> Analysis:
    """Read the market with every Fibonacci tool."""
    from omega.analytics.fibonacci import fibonacci
    from omega.analytics.pivots import average_range

    bars = context.bars
    last = float(bars.close[-1])
    within = p.within * float(average_range(bars)[-1]) / last
    found = fibonacci(bars, context.length_ns, multiple=p.multiple, swings=p.swings, within=within)
    leg = found.leg
    return Analysis(
        analysis="fib",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=bars.n,
        summary=_summary(found, last),
        findings=(*(_swing(context, leg, found) if leg else ()), *_clusters(context, found.clusters)),
        numbers=(
            number("last close", last, "quote currency"),
            *(number(f"{one.kind} {one.ratio:g}", one.price, "quote currency") for one in found.levels),
            *(number(f"pivot point {name}", price, "quote currency") for name, price in found.pivots.items()),
            *(
                number(f"channel {one.ratio:g} deviations, lower", one.lower, "quote currency")
                for one in found.channels
            ),
            *(
                number(f"channel {one.ratio:g} deviations, upper", one.upper, "quote currency")
                for one in found.channels
            ),
            *(number(f"golden zone {one.name} low", one.low, "quote currency") for one in found.golden),
            *(number(f"golden zone {one.name} high", one.high, "quote currency") for one in found.golden),
            number("share of swing ratios near φ or 1/φ", found.test.share, "fraction"),
            number("share expected by chance", found.test.expected, "fraction"),
            number("golden test p-value", found.test.p_value, "probability"),
        ),
        caveats=(
            UNPROVEN,
            found.test.why,
            *((f"levels at or below zero are none: ratios {found.dropped}",) if found.dropped else ()),
        ),
    )


def _summary(found: Fibonacci, last: float) -> str:
    if found.leg is None or found.nearest is None:
        return "No swing is confirmed in these bars: there is nothing to measure."
    way = "up" if found.leg.up else "down"
    near = found.nearest
    return (
        f"Newest swing runs {way} from {found.leg.start_price:,.6g} to {found.leg.end_price:,.6g}. "
        f"The close {last:,.6g} is {abs(near.distance):.2%} from the {near.ratio:g} {near.kind} at {near.price:,.6g}."
    )


def _swing(context: Context, leg: Leg, found: Fibonacci) -> tuple[Finding, ...]:
    ts = context.bars.ts
    start, end = int(ts[leg.start]), int(ts[leg.end])
    levels = tuple(
        Mark(
            MarkKind.LEVEL,
            ((end, one.price),),
            f"{one.ratio:g}  {one.price:,.6g}",
            Tone.STRONG if one.ratio <= _RETRACED else Tone.SOFT,
        )
        for one in found.levels
    )
    line = Mark(MarkKind.LINE, ((start, leg.start_price), (end, leg.end_price)), tone=Tone.UP if leg.up else Tone.DOWN)
    due = [zone for zone in found.zones if zone.ts_ns > context.now_ns][:_ZONES]
    return (
        Finding(
            name="swing",
            at_ns=int(ts[leg.confirmed]),
            text=f"{'up' if leg.up else 'down'}-swing from {leg.start_price:,.6g} to {leg.end_price:,.6g}",
            direction="long" if leg.up else "short",
            numbers=(number("size", leg.move, "absolute log return"),),
            marks=(line, *levels),
        ),
        *(
            Finding(
                name="time zone",
                at_ns=int(ts[leg.confirmed]),
                text=f"{zone.number} bars after the swing's end",
                numbers=(number("opens", float(zone.ts_ns), "ns UTC"),),
            )
            for zone in due
        ),
    )


def _clusters(context: Context, clusters: tuple[Cluster, ...]) -> tuple[Finding, ...]:
    newest = int(context.bars.ts[-1])
    begin = int(context.bars.ts[max(context.bars.n - 60, 0)])
    return tuple(
        Finding(
            name="cluster",
            at_ns=newest,
            text=f"{one.strength} levels of {one.swings} swings between {one.low:,.6g} and {one.high:,.6g}",
            numbers=(
                number("price", one.price, "quote currency"),
                number("low", one.low, "quote currency"),
                number("high", one.high, "quote currency"),
                number("strength", one.strength, "levels"),
            ),
            marks=(Mark(MarkKind.ZONE, ((begin, one.low), (0, one.high)), f"{one.strength} levels"),),
        )
        for one in clusters[:_CLUSTERS]
    )
