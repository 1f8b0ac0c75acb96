"""Support and resistance: clusters of confirmed pivots, how often they held, and what price does at them.

Called by the scan, by charts and by position analysis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from omega.analytics.findings import Family, Findings, Kind, Stretch, ahead, table
from omega.analytics.pivots import Pivots
from omega.backtest.compile import compiled
from omega.engine.bars import F64, I8, I64

MEMORY: Final = 40
"""Newest pivots that levels are made of."""

WITHIN: Final = 0.5
"""Average true ranges between neighbours of one cluster."""

TOUCHES: Final = 3
"""Pivots that make a level."""

HALF_LIFE: Final = 20
"""Pivots after which a touch counts half."""

_BUFFER: Final = 0.25  # average true ranges between a level and the invalidation behind it
_FULL: Final = 6.0  # touches of the best score
_BOUNCE, _BREAK = 0, 1

KINDS: Final = tuple(Kind(Family.LEVELS, name, ("level",)) for name in ("level_bounce", "level_break"))


@dataclass(frozen=True, slots=True)
class Level:
    """A price range at which the market turned before.

    Attributes:
        low: of the cluster, in quote currency.
        high: of the cluster.
        price: the mean of its pivots.
        touches: how many pivots it is made of.
        strength: its touches, each halved for every 20 pivots of age.
        last_row: the bar of its newest touch.
    """

    low: float
    high: float
    price: float
    touches: int
    strength: float
    last_row: int

    def role(self, price: float) -> str:
        """Return what the level is to a price: "support" below it, "resistance" above it, "inside"."""
        if price > self.high:
            return "support"
        return "resistance" if price < self.low else "inside"


def levels(pivots: Pivots, within: float, *, memory: int = MEMORY, touches: int = TOUCHES) -> tuple[Level, ...]:
    """Cluster the newest pivots, lowest level first.

    Args:
        pivots: confirmed pivots; pass `pivots.known(bar)` for the levels as they stood at a bar.
        within: the largest distance between neighbours of one cluster, in quote currency.
        memory: the newest pivots to look at.
        touches: the fewest pivots that make a level.

    Source: single-link clustering on the sorted prices, so no pivot belongs to two levels.
    """
    recent = pivots.last(memory)
    if not recent.m:
        return ()
    order = np.argsort(recent.price, kind="stable")
    cuts = np.flatnonzero(np.diff(recent.price[order]) > within) + 1
    weight = 0.5 ** ((recent.m - 1 - np.arange(recent.m)) / HALF_LIFE)
    return tuple(
        Level(
            low=float(recent.price[group].min()),
            high=float(recent.price[group].max()),
            price=float(recent.price[group].mean()),
            touches=len(group),
            strength=float(weight[group].sum()),
            last_row=int(recent.row[group].max()),
        )
        for group in np.split(order, cuts)
        if len(group) >= touches
    )


class LevelWalk:
    """Bounces off levels and breaks through them, stretch after stretch."""

    kinds = KINDS

    def __init__(self) -> None:
        self._clusters: F64 = np.zeros((MEMORY, 3))  # low, high, touches
        self._count: I64 = np.zeros(1, dtype=np.int64)

    def extend(self, stretch: Stretch) -> Findings:
        """Return what price did at the levels during the new bars."""
        room = stretch.bars.n - stretch.start
        row = np.empty(room, dtype=np.int64)
        side, kind = np.empty((2, room), dtype=np.int8)
        cluster = np.empty((room, 3))
        bars, pivots = stretch.bars, stretch.pivots
        count = compiled(_walk)(
            bars.high, bars.low, bars.close, stretch.ranges, stretch.start, stretch.base,
            pivots.confirmed, pivots.price, stretch.fresh, self._clusters, self._count, np.empty(MEMORY),
            row, side, kind, cluster,
        )  # fmt: skip
        return _findings(stretch, row[:count], side[:count], kind[:count], cluster[:count])


def _findings(stretch: Stretch, row: I64, side: I8, kind: I8, cluster: F64) -> Findings:
    local = row - stretch.base
    close, low, high = stretch.bars.close[local], cluster[:, 0], cluster[:, 1]
    behind = _BUFFER * stretch.ranges[local]
    undone = np.where(side > 0, low - behind, high + behind)
    return table(
        stretch,
        KINDS,
        kind=kind,
        direction=side,
        confirmed=row,
        score=np.minimum(cluster[:, 2] / _FULL, 1.0),
        invalidation=undone,
        targets=ahead(close, side, np.abs(close - undone), np.empty((len(row), 0))),
        points=(row, stretch.bars.ts[local], 0.5 * (low + high)),
        zone=np.stack([low, high], axis=1),
    )


def _walk(
    high: F64,
    low: F64,
    close: F64,
    ranges: F64,
    start: int,
    base: int,
    confirmed: I64,
    price: F64,
    fresh: int,
    clusters: F64,
    held: I64,
    scratch: F64,
    row: I64,
    side: I8,
    kind: I8,
    cluster: F64,
) -> int:
    """Walk the bars from `start` on; return the number of findings written, at most one a bar."""
    count, known = 0, fresh
    for k in range(start, close.shape[0]):
        moved = False
        while known < confirmed.shape[0] and confirmed[known] <= k + base:
            known += 1
            moved = True
        if moved:
            held[0] = _cluster(price, known, WITHIN * ranges[k], scratch, clusters)
        if k == 0:
            continue
        for i in range(held[0]):
            bottom, top = clusters[i, 0], clusters[i, 1]
            way, found = _at_level(high[k], low[k], close[k], high[k - 1], low[k - 1], close[k - 1], bottom, top)
            if way != 0:
                row[count], side[count], kind[count] = k + base, way, found
                cluster[count, 0], cluster[count, 1], cluster[count, 2] = bottom, top, clusters[i, 2]
                count += 1
                break
    return count


def _at_level(
    high: float, low: float, close: float, high_before: float, low_before: float, close_before: float,
    bottom: float, top: float,
) -> tuple[int, int]:  # fmt: skip
    """Return the side that a bar calls at a level (0 for none), and whether it bounced or broke."""
    if low_before < bottom and close_before <= top < close:
        return 1, _BREAK
    if high_before > top and close_before >= bottom > close:
        return -1, _BREAK
    if low_before > top >= low and close > top:
        return 1, _BOUNCE
    if high_before < bottom <= high and close < bottom:
        return -1, _BOUNCE
    return 0, _BOUNCE


def _cluster(price: F64, known: int, within: float, scratch: F64, clusters: F64) -> int:
    """Write the clusters of the newest pivots before `known` that make a level; return how many there are."""
    size = min(known, MEMORY)
    for i in range(size):
        value, j = price[known - size + i], i
        while j > 0 and scratch[j - 1] > value:
            scratch[j] = scratch[j - 1]
            j -= 1
        scratch[j] = value
    count, first = 0, 0
    for i in range(1, size + 1):
        if i == size or scratch[i] - scratch[i - 1] > within:
            if i - first >= TOUCHES:
                clusters[count, 0], clusters[count, 1], clusters[count, 2] = scratch[first], scratch[i - 1], i - first
                count += 1
            first = i
    return count
