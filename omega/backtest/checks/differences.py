"""One difference between farm and back-test, and the first bar that they saw otherwise. Made for the parity check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from omega.backtest.checks.causes import Kind
from omega.backtest.checks.recorded import Recorded
from omega.domain import iso
from omega.engine import Bars

_COLUMNS: Final = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Difference:
    """One leg, or one bar, that is not the same in both.

    Attributes:
        kind: the class of the difference.
        ts_ns: open time of the bar where it shows.
        leg: of the entry, -1 where no leg is concerned.
        quantity: the first quantity that differs.
        farm: what the farm has.
        backtest: what the back-test has.
        cause: the likely reason in words.
    """

    kind: Kind
    ts_ns: int
    leg: int
    quantity: str
    farm: str
    backtest: str
    cause: str

    def as_json(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        made = asdict(self)
        made["class"] = made.pop("kind").value
        return {"time": iso(self.ts_ns)} | made


def other_bar(recorded: Recorded, bars: Bars) -> Difference | None:
    """Return the first bar that the runner saw otherwise than the data hold it."""
    seen = recorded.columns()
    inside = seen.ts <= bars.ts[-1]
    stamps = np.union1d(seen.ts[inside], bars.ts)
    odd = np.setxor1d(seen.ts[inside], bars.ts)
    missing = int(odd[0]) if odd.size else 0
    both = np.intersect1d(seen.ts[inside], bars.ts)
    mine, theirs = np.searchsorted(seen.ts, both), np.searchsorted(bars.ts, both)
    best: Difference | None = None
    if missing:
        there = missing in seen.ts
        cause = f"{'the data lack' if there else 'the runner lacks'} this bar; {len(odd)} of {len(stamps)} are missing"
        farm, data = ("there", "missing") if there else ("missing", "there")
        best = Difference(Kind.DATA, missing, -1, "bar", farm, data, cause)
    # The venue's wire carries volumes in the contract's own step.
    coarse = {"volume": float(recorded.instrument.size_step)}
    for name in _COLUMNS:
        off = np.abs(getattr(seen, name)[mine] - getattr(bars, name)[theirs]) > coarse.get(name, 0.0)
        row = int(off.argmax()) if off.size else 0
        if off.size and off[row] and (best is None or both[row] < best.ts_ns):
            mine_is, theirs_is = float(getattr(seen, name)[mine][row]), float(getattr(bars, name)[theirs][row])
            cause = f"{int(off.sum())} bars have another {name}: the farm replayed other data"
            best = Difference(Kind.DATA, int(both[row]), -1, name, str(mine_is), str(theirs_is), cause)
    return best
