"""Harmonic patterns over alternating confirmed pivots, and the zones in which unfinished ones would end.

Called by the scan, by cosmic analysis and by charts. The rules are data: data/harmonic.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from omega.analytics.findings import Family, Findings, Kind, Stretch, ahead, empty, joined, table
from omega.analytics.pivots import LOW, Pivots
from omega.analytics.ratios import BEFORE_D, ENDS, Variant, rules
from omega.engine.bars import F64, Flags

TIME_TOLERANCE: Final = 1.618
"""Drives are alike in time when none of a pair lasts longer than so many times the other."""

_FIVE: Final = ("X", "A", "B", "C", "D")
_LABELS: Final = {"abcd": _FIVE[1:], "three_drives": ("0", "1", "A", "2", "B", "3")}
_LADDER: Final = np.array([0.382, 0.618, 1.0, 1.272, 1.618])
_SHORTEST, _LONGEST = 4, 6  # pivots of a pattern


@dataclass(frozen=True, slots=True)
class Projection:
    """Where an unfinished pattern would end.

    Attributes:
        name: the pattern.
        direction: the side it would call, LONG (+1) or SHORT (-1).
        zone: (low, high) of its potential reversal zone in quote currency.
        known: the bar from which its last pivot was known.
    """

    name: str
    direction: int
    zone: tuple[float, float]
    known: int


KINDS: Final = tuple(Kind(Family.HARMONIC, name, _LABELS.get(name, _FIVE)) for name in rules())


class HarmonicWalk:
    """The harmonic patterns of a history, stretch after stretch."""

    kinds = KINDS

    def extend(self, stretch: Stretch) -> Findings:
        """Return the patterns whose last pivot the new bars confirmed."""
        if stretch.fresh == stretch.pivots.m:
            return empty(KINDS)
        begin = max(stretch.fresh - _LONGEST + 1, 0)
        pivots = stretch.pivots.last(stretch.pivots.m - begin)
        ends = np.arange(pivots.m) >= stretch.fresh - begin
        legs = _Legs(pivots)
        found = [
            _findings(stretch, pivots, legs, number, ends & _shaped(name, pivots))
            for number, name in enumerate(rules())
        ]
        return joined(found)


def projections(pivots: Pivots) -> tuple[Projection, ...]:
    """Return the patterns that the newest pivots have begun, with the zones in which D would complete them.

    The zone holds every D that the windows of CD/BC and of AD/XA or XC allow together.
    """
    if pivots.m < _SHORTEST - 1:
        return ()
    # D is not there yet: any price in its place leaves the ratios before it as they are.
    newest = pivots.last(1)
    awaited = replace(newest, kind=-newest.kind)
    legs = _Legs(pivots.last(_LONGEST - 1).joined(awaited))
    made = []
    for name, variants in rules().items():
        for variant in variants:
            begun = all(variant[r].admits(legs.ratios[r])[-1] for r in BEFORE_D if r in variant)
            low, high = (float(end[-1]) for end in legs.zone(variant))
            if begun and 0.0 < low <= high:
                made.append(Projection(name, int(legs.side[-1]), (low, high), int(pivots.confirmed[-1])))
    return tuple(made)


class _Legs:
    """The legs of the pattern that would end at each pivot, NaN before there are enough of them.

    Shapes: every array is (m,).
    """

    def __init__(self, pivots: Pivots) -> None:
        zero, x, a, b, c, d = (_back(pivots.price, places) for places in (5, 4, 3, 2, 1, 0))
        self.side = np.where(pivots.kind == LOW, 1, -1)
        self.ratios = {
            "xa": _part(x, a, zero, x), "ab": _part(a, b, x, a), "bc": _part(b, c, a, b), "c": _part(x, c, x, a),
            "cd": _part(c, d, b, c), "ad": _part(a, d, x, a), "xc": _part(c, d, x, c),
        }  # fmt: skip
        self._from = {"cd": (c, np.abs(c - b)), "ad": (a, np.abs(a - x)), "xc": (c, np.abs(c - x))}

    def zone(self, variant: Variant) -> tuple[F64, F64]:
        """Return the lowest and the highest D that every ratio which places D allows."""
        low, high = np.full(len(self.side), -np.inf), np.full(len(self.side), np.inf)
        for ratio in ENDS:
            if ratio in variant:
                origin, leg = self._from[ratio]
                near, far = (origin - self.side * leg * end for end in variant[ratio].ends)
                low, high = np.maximum(low, np.minimum(near, far)), np.minimum(high, np.maximum(near, far))
        return low, high

    def fit(self, variants: tuple[Variant, ...]) -> tuple[F64, F64]:
        """Return the smallest error of any variant, infinite where none fits, and that variant's zone, (m, 2)."""
        best, zone = np.full(len(self.side), np.inf), np.full((len(self.side), 2), np.nan)
        for variant in variants:
            fits = np.logical_and.reduce([window.admits(self.ratios[ratio]) for ratio, window in variant.items()])
            error = np.full(len(fits), np.inf)
            error[fits] = np.sum([window.error(self.ratios[r][fits]) for r, window in variant.items()], axis=0)
            better = error < best
            zone[better] = np.stack(self.zone(variant), axis=1)[better]
            best = np.minimum(best, error)
        return best, zone


def _part(start: F64, end: F64, of_start: F64, of_end: F64) -> F64:
    whole = np.abs(of_end - of_start)
    made: F64 = np.divide(np.abs(end - start), whole, out=np.full(len(whole), np.nan), where=whole > 0.0)
    return made


def _back(values: F64, places: int) -> F64:
    """Return for every pivot the value of the one so many places before it, NaN where there is none."""
    made = np.full(len(values), np.nan)
    made[places:] = values[: max(len(values) - places, 0)]
    return made


def _shaped(name: str, pivots: Pivots) -> Flags:
    """Tell at which pivots a pattern may end for what no ratio says: drives go on and are alike in time."""
    if name != "three_drives":
        return np.ones(pivots.m, dtype=np.bool_)
    times = [_back(pivots.row.astype(np.float64), places) for places in range(5)]
    drives = (times[2] - times[3]) / (times[0] - times[1])
    corrections = (times[3] - times[4]) / (times[1] - times[2])
    longest = np.log(TIME_TOLERANCE)
    alike: Flags = (np.abs(np.log(drives)) <= longest) & (np.abs(np.log(corrections)) <= longest)
    return alike


def _findings(stretch: Stretch, pivots: Pivots, legs: _Legs, number: int, ends: Flags) -> Findings:
    kind = KINDS[number]
    error, zone = legs.fit(rules()[kind.name])
    at = np.flatnonzero(ends & np.isfinite(error))
    if not len(at):
        return empty((kind,))
    places = at[:, None] + np.arange(-len(kind.labels) + 1, 1)
    price = pivots.price[places]
    direction = np.where(pivots.kind[at] == LOW, 1, -1)
    origin, end = price[:, -2 if kind.name in {"cypher", "five_o"} else 0 if kind.name == "abcd" else 1], price[:, -1]
    # A pattern that ends inside XA is undone beyond X, one that ends outside it beyond D itself.
    undone = np.where(direction * (end - price[:, 0]) > 0.0, price[:, 0], end) if kind.labels == _FIVE else end
    confirmed = pivots.confirmed[at]
    close = stretch.bars.close[confirmed - stretch.base]
    levels = end[:, None] + (origin - end)[:, None] * _LADDER
    return table(
        stretch,
        (kind,),
        kind=np.zeros(len(at), dtype=np.int16),
        direction=direction,
        confirmed=confirmed,
        score=np.exp(-error[at]),
        invalidation=undone,
        targets=ahead(close, direction, np.abs(close - undone), levels),
        points=(pivots.row[places], pivots.ts[places], price),
        zone=zone[at],
    )
