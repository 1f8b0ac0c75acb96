"""New bars joined with recorded ones: equal rows are dropped, rows that disagree are findings. Called by the lake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omega.domain.time import iso
from omega.engine.bars import F64, I64, Bars

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A value of one bar that two sources give differently. Units: ts_ns the bar's open time in ns UTC."""

    ts_ns: int
    column: str
    recorded: float
    offered: float

    def __str__(self) -> str:
        """Say it for people."""
        return f"{iso(self.ts_ns)} {self.column}: recorded {self.recorded!r}, offered {self.offered!r}"


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """Two stretches as one.

    Shapes: bars is the union, by time; fresh and changed are open times of the rows that only the new stretch has, and
        of those where it differs.
    """

    bars: Bars
    fresh: I64
    changed: I64
    equal: int
    differences: tuple[Disagreement, ...]


def merge(recorded: Bars | None, offered: Bars) -> Merged:
    """Join the bars; where both have a row the offered one stands in the result, and differences are listed."""
    if recorded is None or not recorded.n:
        return Merged(offered, offered.ts, np.zeros(0, dtype=np.int64), 0, ())
    spot = np.minimum(np.searchsorted(recorded.ts, offered.ts), recorded.n - 1)
    shared = recorded.ts[spot] == offered.ts
    old, new = spot[shared], np.flatnonzero(shared)
    unlike = np.array([getattr(recorded, name)[old] != getattr(offered, name)[new] for name in FIELDS])
    changed = unlike.any(axis=0)
    return Merged(
        _union(recorded, offered, old),
        offered.ts[~shared],
        offered.ts[new[changed]],
        int((~changed).sum()),
        tuple(
            Disagreement(
                int(offered.ts[new[k]]),
                name,
                float(getattr(recorded, name)[old[k]]),
                float(getattr(offered, name)[new[k]]),
            )
            for k in np.flatnonzero(changed)
            for name, column in zip(FIELDS, unlike, strict=True)
            if column[k]
        ),
    )


def _union(recorded: Bars, offered: Bars, replaced: I64) -> Bars:
    keep = np.ones(recorded.n, dtype=np.bool_)
    keep[replaced] = False
    ts = np.concatenate([recorded.ts[keep], offered.ts])
    order = np.argsort(ts, kind="stable")

    def column(name: str) -> F64:
        both: F64 = np.concatenate([getattr(recorded, name)[keep], getattr(offered, name)])
        return both[order]

    return Bars(ts[order], *(column(name) for name in FIELDS))
