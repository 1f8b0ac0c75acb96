"""What is missing in a record: gaps in time, and a last bar that was not finished. Reported, never filled.

Called by the checks, the import and `fetch`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omega.domain.time import iso
from omega.engine.bars import I64


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without bars. Units: from_ns the first missing open, to_ns the next bar's open, in ns UTC."""

    from_ns: int
    to_ns: int
    missing: int

    def __str__(self) -> str:
        """Say it for people."""
        return f"{self.missing} bars missing from {iso(self.from_ns)} before {iso(self.to_ns)}"


def gaps(ts: I64, timeframe_ns: int) -> list[Gap]:
    """List the gaps between bars, oldest first."""
    rows = np.flatnonzero(np.diff(ts) > timeframe_ns)
    return [_gap(int(ts[row]) + timeframe_ns, int(ts[row + 1]), timeframe_ns) for row in rows]


def is_unfinished(last_open_ns: int, timeframe_ns: int, *, written_ns: int, now_ns: int) -> bool:
    """Tell whether the last bar was still open when its file was written, or is open now.

    A file that is older than its last bar has lost its own time, so it says nothing.
    """
    close_ns = last_open_ns + timeframe_ns
    return close_ns > now_ns or last_open_ns <= written_ns < close_ns


def _gap(from_ns: int, to_ns: int, timeframe_ns: int) -> Gap:
    return Gap(from_ns, to_ns, (to_ns - from_ns) // timeframe_ns)
