"""Market structure: higher and lower swings, breaks, changes of character, order blocks, and fair value gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from omega.analytics.analyses._scanned import TONES, finding
from omega.analytics.analysis import Analysis, Finding, Mark, MarkKind, number
from omega.analytics.context import Context
from omega.plugins import analysis, param, params

if TYPE_CHECKING:
    from omega.analytics.findings import Finding as Found
    from omega.engine.bars import Bars

_SHORT: Final = {
    "higher_high": "HH",
    "lower_high": "LH",
    "higher_low": "HL",
    "lower_low": "LL",
    "break_of_structure": "BOS",
    "change_of_character": "CHoCH",
    "order_block": "block",
    "fair_value_gap": "gap",
}
_BREAKS: Final = frozenset({"break_of_structure", "change_of_character"})
_ZONES: Final = frozenset({"order_block", "fair_value_gap"})
_RETURN: Final = "_return"
_OPEN: Final = 6
"""So many open zones of a kind, the nearest to the price, are drawn."""
SMALL: Final = (
    "Structure names what price did; the figures beside breaks and returns say what followed, against chance."
)


@params
class Params:
    """How far back structure is listed."""

    recent: int = param(120, low=10, high=5_000, unit="bars", doc="how long ago a swing or break may have become known")
    reversal: float = param(3.0, low=0.5, high=20.0, unit="ATR", doc="what price must come back to confirm a swing")


@analysis("structure", title="Market structure", params=Params)
def structure(context: Context, p: Params) -> Analysis:
    """Read swings, breaks and open zones as they are known at the newest close."""
    from omega.analytics.scan import scan

    bars = context.bars
    found = list(scan(bars, ("structure",), reversal=p.reversal))
    lately = [one for one in reversed(found) if one.confirmed >= bars.n - p.recent]
    zones = _nearest([one for one in found if one.name in _ZONES and one.mitigated < 0], float(bars.close[-1]))
    listed = [one for one in lately if one.name not in _ZONES] + zones
    return Analysis(
        analysis="structure",
        symbol=context.symbol,
        timeframe=context.timeframe,
        as_of_ns=context.now_ns,
        bars=bars.n,
        summary=_summary(found, zones),
        findings=tuple(_finding(context, one, bars) for one in listed),
        numbers=tuple(
            number(name.replace("_", " "), sum(one.name == name for one in found), "in these bars") for name in _SHORT
        ),
        caveats=(SMALL,),
    )


def _nearest(zones: list[Found], price: float) -> list[Found]:
    """Return the open zones nearest to a price, of each kind as many as are drawn."""
    made: list[Found] = []
    for name in sorted(_ZONES):
        own = [one for one in zones if one.name == name and one.zone is not None]
        own.sort(key=lambda one: min(abs(edge - price) for edge in one.zone or (price, price)))
        made += own[:_OPEN]
    return made


def _summary(found: list[Found], zones: list[Found]) -> str:
    swings = [_SHORT[one.name] for one in found if one.name in _SHORT and one.name not in _BREAKS | _ZONES]
    breaks = [one for one in found if one.name in _BREAKS]
    told = f"Last swings {', '.join(swings[-4:]) or 'none'}"
    if breaks:
        way = "up" if breaks[-1].direction > 0 else "down"
        told += f"; newest break is a {breaks[-1].name.replace('_', ' ')} {way} at {breaks[-1].price:,.6g}"
    blocks = sum(one.name == "order_block" for one in zones)
    return f"{told}; near the price {blocks} open order blocks and {len(zones) - blocks} open fair value gaps."


def _finding(context: Context, one: Found, bars: Bars) -> Finding:
    return finding(one, context.timeframe, _marks(one, bars))


def _marks(one: Found, bars: Bars) -> tuple[Mark, ...]:
    tone = TONES[one.direction]
    if one.name in _BREAKS and one.points:
        swing = one.points[-1]
        return (Mark(MarkKind.LINE, ((swing.ts_ns, swing.price), (one.ts_ns, swing.price)), _SHORT[one.name], tone),)
    if one.name in _ZONES and one.zone is not None:
        begin = one.points[0].ts_ns if one.points else one.ts_ns
        return (Mark(MarkKind.ZONE, ((begin, one.zone[0]), (0, one.zone[1])), _SHORT[one.name], tone),)
    if one.name.endswith(_RETURN):
        return (Mark(MarkKind.POINT, ((one.ts_ns, float(bars.close[one.confirmed])),), "", tone),)
    if one.points:
        swing = one.points[-1]
        high = one.name.endswith("high")
        return (Mark(MarkKind.POINT, ((swing.ts_ns, swing.price),), _SHORT[one.name], TONES[-1 if high else 1]),)
    return ()
