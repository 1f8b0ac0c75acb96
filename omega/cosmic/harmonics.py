"""A small matcher of XABCD patterns over confirmed pivots, by the ratio windows of the analyses.

Pure; called by the cosmic service. Pivots are the caller's: a pattern is known from the bar that confirms its D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log
from typing import Final

from omega.analytics.ratios import Variant, Window, rules
from omega.errors import CorruptData

_POINTS: Final = 5
_OTHER_POINTS: Final = frozenset({"abcd", "three_drives"})


@dataclass(frozen=True, slots=True)
class Pivot:
    """A confirmed turn: the row (or instant) of its extreme and the price there."""

    at: int
    price: float


@dataclass(frozen=True, slots=True)
class Match:
    """One pattern at five pivots.

    Attributes:
        bullish: whether D is a low.
        ratios: every ratio that the pattern asks for.
        score: sum of |ln(actual / nearest allowed)| over them; 0 is inside every window, smaller is better.
    """

    name: str
    bullish: bool
    points: tuple[Pivot, ...]
    ratios: Mapping[str, float]
    score: float


def harmonic_windows() -> Mapping[str, Variant]:
    """Return the ratio windows of the patterns with five points, by name; those of the analyses."""
    return {name: variants[0] for name, variants in rules().items() if name not in _OTHER_POINTS}


def find_patterns(pivots: Sequence[Pivot], windows: Mapping[str, Variant] | None = None) -> tuple[Match, ...]:
    """Return every pattern at every five pivots in a row, the best score first.

    Raises:
        CorruptData: the pivots do not alternate between high and low, or a price is not above zero.
    """
    _check(pivots)
    chosen = harmonic_windows() if windows is None else windows
    found = []
    for first in range(len(pivots) - _POINTS + 1):
        points = tuple(pivots[first : first + _POINTS])
        ratios = _ratios(points)
        for name, pattern in chosen.items():
            misses = [_miss(ratios[ratio], window) for ratio, window in pattern.items()]
            if max(misses) < inf:
                mine = {ratio: ratios[ratio] for ratio in pattern}
                found.append(Match(name, points[4].price < points[3].price, points, mine, sum(misses)))
    return tuple(sorted(found, key=lambda match: match.score))


def _ratios(points: Sequence[Pivot]) -> dict[str, float]:
    x, a, b, c, d = (point.price for point in points)
    xa, ab, bc, cd = abs(a - x), abs(b - a), abs(c - b), abs(d - c)
    # C is measured from X in the direction of XA: one on the wrong side of X has no such ratio.
    xc = max((c - x) * (1.0 if a > x else -1.0), 0.0)
    return {
        "ab": ab / xa,
        "bc": bc / ab,
        "cd": cd / bc,
        "ad": abs(d - a) / xa,
        "c": xc / xa,
        "xc": cd / xc if xc > 0.0 else inf,
    }


def _miss(actual: float, window: Window) -> float:
    low, high = window.ends
    return abs(log(actual / min(max(actual, window.low), window.high))) if low <= actual <= high else inf


def _check(pivots: Sequence[Pivot]) -> None:
    if not all(isfinite(pivot.price) and pivot.price > 0.0 for pivot in pivots):
        raise CorruptData("a pivot's price is not above zero; repair or leave out that row")
    for one, two, three in zip(pivots, pivots[1:], pivots[2:], strict=False):
        if (two.price - one.price) * (three.price - two.price) >= 0.0:
            raise CorruptData(f"the pivots at {one.at}, {two.at} and {three.at} do not alternate; merge those between")
