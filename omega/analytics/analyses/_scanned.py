"""What a scan found as findings of an analysis: words, figures, evidence, marks. For patterns, structure, levels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from omega.analytics.analysis import Finding, Mark, MarkKind, Number, Tone, number
from omega.analytics.evidence import Evidence, evidence_of, measured_timeframe
from omega.domain.time import timeframe_ns

if TYPE_CHECKING:
    from omega.analytics.findings import Finding as Found

QUOTE: Final = "quote currency"
_WORDS: Final = {1: "long", -1: "short", 0: ""}
TONES: Final = {1: Tone.UP, -1: Tone.DOWN, 0: Tone.SOFT}


def words(name: str) -> str:
    """Return a pattern's name as people read it."""
    return name.replace("_", " ")


def evidence_for(name: str, direction: int, timeframe: str) -> Evidence | None:
    """Return what such calls were worth on the recorded markets; None for what calls no side.

    Where these very bars were not measured, the nearest timeframe stands in; the row says which one it is.
    """
    if not direction:
        return None
    return evidence_of(name, _WORDS[direction], timeframe=measured_timeframe(timeframe_ns(timeframe)))


def finding(one: Found, timeframe: str, marks: tuple[Mark, ...]) -> Finding:
    """Return one pattern as a finding."""
    return Finding(
        name=words(one.name),
        at_ns=one.ts_ns,
        text=_text(one),
        direction=_WORDS[one.direction],
        numbers=_numbers(one),
        evidence=evidence_for(one.name, one.direction, timeframe),
        marks=marks,
    )


def line(one: Found, *, label: str = "") -> Mark:
    """Return a pattern's points joined, up to the bar that confirmed it."""
    points = tuple((point.ts_ns, point.price) for point in one.points)
    return Mark(MarkKind.LINE, points, label or words(one.name), TONES[one.direction])


def _text(one: Found) -> str:
    parts = [f"known at {one.price:,.6g}"]
    if math.isfinite(one.invalidation):
        parts.append(f"undone at {one.invalidation:,.6g}")
    if one.targets:
        parts.append("targets " + " and ".join(f"{target:,.6g}" for target in one.targets))
    return ", ".join(parts)


def _numbers(one: Found) -> tuple[Number, ...]:
    made = [
        number("score", one.score, "0 to 1"),
        number("price", one.price, QUOTE),
        number("invalidation", one.invalidation, QUOTE),
    ]
    made += [number(f"target {rank}", target, QUOTE) for rank, target in enumerate(one.targets, start=1)]
    if one.zone is not None:
        made += [number("zone low", one.zone[0], QUOTE), number("zone high", one.zone[1], QUOTE)]
    return tuple(made)
