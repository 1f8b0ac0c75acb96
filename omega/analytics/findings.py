"""What a scan finds, in columns, and one finding as a value. Made by every pattern family, read by who shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from omega.analytics.pivots import Pivots
from omega.engine.bars import F64, I8, I16, I64, Bars, Flags

NEVER: Final = -1


class Family(StrEnum):
    """The pattern families."""

    CANDLES = "candles"
    HARMONIC = "harmonic"
    SHAPES = "shapes"
    STRUCTURE = "structure"
    LEVELS = "levels"


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be found: a family's pattern and the names of its points, oldest first."""

    family: Family
    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a finding. Units: row is a bar; ts_ns its open time; price in quote currency."""

    label: str
    row: int
    ts_ns: int
    price: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One pattern in a market.

    Attributes:
        family: the pattern family.
        name: the pattern.
        direction: LONG (+1), SHORT (-1), FLAT (0) for a pattern that calls no side.
        confirmed: the bar at whose close it was first known.
        ts_ns: the open time of that bar.
        price: the close of that bar.
        score: how well it fits its rule, above 0 to 1.
        points: what it is made of, oldest first; none lies after the confirming bar.
        invalidation: the price that undoes it, NaN when there is none.
        targets: prices it aims at, the nearer one first; all lie ahead of the price.
        zone: (low, high) of a potential reversal zone, order block, fair value gap or level, None without one.
        mitigated: the bar on which price first came back to the zone, NEVER (-1) as far as the scan saw.
    """

    family: Family
    name: str
    direction: int
    confirmed: int
    ts_ns: int
    price: float
    score: float
    points: tuple[Point, ...]
    invalidation: float
    targets: tuple[float, ...]
    zone: tuple[float, float] | None
    mitigated: int


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Many findings in columns; iterate for values.

    Shapes: columns are (f,); targets and zone (f, 2), NaN where there is none; the points of finding i are rows
        first[i] to first[i + 1] of the point columns, so first is (f + 1,).
    """

    kinds: tuple[Kind, ...]
    kind: I16
    direction: I8
    confirmed: I64
    ts: I64
    price: F64
    score: F64
    invalidation: F64
    targets: F64
    zone: F64
    mitigated: I64
    first: I64
    point_row: I64
    point_ts: I64
    point_price: F64

    def __len__(self) -> int:
        return len(self.kind)

    def __iter__(self) -> Iterator[Finding]:
        return (self.at(i) for i in range(len(self)))

    def at(self, i: int) -> Finding:
        """Return finding i as a value."""
        kind = self.kinds[self.kind[i]]
        points = range(self.first[i], self.first[i + 1])
        low, high = self.zone[i].tolist()
        return Finding(
            family=kind.family,
            name=kind.name,
            direction=int(self.direction[i]),
            confirmed=int(self.confirmed[i]),
            ts_ns=int(self.ts[i]),
            price=float(self.price[i]),
            score=float(self.score[i]),
            points=tuple(
                Point(label, int(self.point_row[j]), int(self.point_ts[j]), float(self.point_price[j]))
                for label, j in zip(kind.labels, points, strict=False)
            ),
            invalidation=float(self.invalidation[i]),
            targets=tuple(target for target in self.targets[i].tolist() if target == target),  # noqa: PLR0124 - no NaN
            zone=None if np.isnan(low) else (low, high),
            mitigated=int(self.mitigated[i]),
        )

    def take(self, rows: Flags | I64) -> Findings:
        """Return the findings at these places, in their order."""
        picked: I64 = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.asarray(rows, dtype=np.int64)
        counts = np.diff(self.first)[picked]
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        points = np.repeat(self.first[picked] - first[:-1], counts) + np.arange(first[-1])
        columns = {name: getattr(self, name)[picked] for name in _COLUMNS}
        return Findings(
            kinds=self.kinds,
            first=first,
            point_row=self.point_row[points],
            point_ts=self.point_ts[points],
            point_price=self.point_price[points],
            **columns,
        )

    def named(self, name: str) -> Findings:
        """Return the findings of one pattern."""
        return self.take(np.isin(self.kind, [i for i, kind in enumerate(self.kinds) if kind.name == name]))

    def since(self, row: int) -> Findings:
        """Return what was confirmed on or after a bar."""
        return self.take(self.confirmed >= row)


_COLUMNS: Final = (
    "kind",
    "direction",
    "confirmed",
    "ts",
    "price",
    "score",
    "invalidation",
    "targets",
    "zone",
    "mitigated",
)
_POINTS: Final = ("point_row", "point_ts", "point_price")


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """What a family reads in one go: a whole history, or a window that ends with bars not read before.

    Attributes:
        bars: the bars at hand.
        ranges: their average true ranges, (n,), NaN where not known.
        base: the row of the first bar at hand in the whole history.
        start: the first bar not read before, counted from the first at hand.
        pivots: the pivots at hand, in rows of the whole history.
        fresh: the first pivot that the new bars confirmed, counted from the first at hand.
    """

    bars: Bars
    ranges: F64
    base: int
    start: int
    pivots: Pivots
    fresh: int


def table(
    stretch: Stretch,
    kinds: tuple[Kind, ...],
    *,
    kind: I8 | I16 | I64,
    direction: I8 | I64,
    confirmed: I64,
    score: F64,
    invalidation: F64,
    targets: F64,
    points: tuple[I64, I64, F64],
    zone: F64 | None = None,
) -> Findings:
    """Make findings of columns.

    Shapes: columns (f,), targets (f, 2) and zone (f, 2); points are rows, times and prices, each (f, p): every finding
        of a table has as many points.
    """
    count = len(kind)
    if not count:
        return empty(kinds)
    rows, times, prices = points
    width = rows.shape[1] if rows.ndim > 1 else 1
    local = confirmed - stretch.base
    return Findings(
        kinds=kinds,
        kind=np.asarray(kind, dtype=np.int16),
        direction=np.asarray(direction, dtype=np.int8),
        confirmed=confirmed,
        ts=stretch.bars.ts[local],
        price=stretch.bars.close[local],
        score=score,
        invalidation=invalidation,
        targets=targets,
        zone=np.full((count, 2), np.nan) if zone is None else zone,
        mitigated=np.full(count, NEVER, dtype=np.int64),
        first=np.arange(count + 1, dtype=np.int64) * width,
        point_row=rows.reshape(-1),
        point_ts=times.reshape(-1),
        point_price=prices.reshape(-1),
    )


def joined(parts: Sequence[Findings]) -> Findings:
    """Return the findings of several tables as one, by the bar that confirmed them."""
    kinds = tuple(dict.fromkeys(kind for part in parts for kind in part.kinds))
    parts = [part for part in parts if len(part)]
    if not parts:
        return empty(kinds)
    if len(parts) == 1 and parts[0].kinds == kinds and (np.diff(parts[0].confirmed) > 0).all():
        return parts[0]
    place = {kind: i for i, kind in enumerate(kinds)}
    numbers = [np.array([place[kind] for kind in part.kinds], dtype=np.int16)[part.kind] for part in parts]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS if name != "kind"}
    points = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _POINTS}
    counts = np.concatenate([np.diff(part.first) for part in parts])
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    made = Findings(kinds=kinds, kind=np.concatenate(numbers), first=first, **columns, **points)
    order = np.lexsort((made.kind, made.confirmed))
    return made if (np.diff(order) == 1).all() else made.take(order)


def empty(kinds: tuple[Kind, ...]) -> Findings:
    """Return a table without a finding."""
    none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
    pairs, first = np.empty((0, 2)), np.zeros(1, dtype=np.int64)
    return Findings(
        kinds, none.astype(np.int16), none.astype(np.int8), none, none, nothing, nothing, nothing, pairs, pairs, none,
        first, none, none, nothing,
    )  # fmt: skip


def ahead(price: F64, direction: I8 | I64, risk: F64, levels: F64) -> F64:
    """Return the first two of the levels that lie ahead of the price, else one and two risks ahead of it.

    A pattern is often known only after price has passed its nearest target; what is passed is no target any more.

    Shapes: price, direction, risk (f,); levels (f, l), each row in the order in which price would meet them -> (f, 2).
    """
    if not len(price):
        return np.empty((0, 2))
    side = direction.astype(np.float64)
    # A fall of more than the whole price aims at what is left of it.
    fallback: F64 = np.maximum(price[:, None] + (side * risk)[:, None] * np.array([1.0, 2.0]), 0.01 * price[:, None])
    if not levels.shape[1]:
        return fallback
    open_ = (side[:, None] * (levels - price[:, None]) > 0.0) & (levels > 0.0)
    begin = np.where(open_.any(axis=1), open_.argmax(axis=1), levels.shape[1])
    rows = np.arange(len(price))
    made = np.empty((len(price), 2))
    for column in (0, 1):
        at = begin + column
        level = levels[rows, np.minimum(at, levels.shape[1] - 1)]
        made[:, column] = np.where((at < levels.shape[1]) & (level > 0.0), level, fallback[:, column])
    # A level of the far end may lie nearer than a fallback behind it: the nearer one stands first.
    turned: F64 = np.where((side * (made[:, 1] - made[:, 0]) < 0.0)[:, None], made[:, ::-1], made)
    return turned
