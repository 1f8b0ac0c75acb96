"""What a worker needs to know, what it is asked and what it answers: plain values that travel between processes.

What goes there and back for every combination is a named tuple: those are packed and unpacked without a line of Python.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from omega.backtest.types import Costs, FundingSeries, Market, Steps
from omega.engine.bars import Bars
from omega.engine.decision import Settings

BATCH: Final = 30
"""Combinations traced together: a tile of ten by three averages is read from memory once for all of them."""

_SHARED: Final = Path("/dev/shm")  # noqa: S108 - memory; the file loses its name at once
_ROWS: Final = 6
_WIDTH: Final = 8


@dataclass(frozen=True, slots=True)
class Job:
    """One sweep as its workers see it: everything but the combinations.

    Attributes:
        package: where strategies are looked for, empty for the project's bots.
        whole: whether every figure of `omega.backtest.metrics` is wanted, not those of the walk alone.
        profile: psychology profile, empty for none.
        preset: cosmic preset, empty for none.
    """

    strategy: str
    fixed: Mapping[str, Any]
    rules: Settings
    costs: Costs
    capital: float
    whole: bool = False
    profile: str = ""
    preset: str = ""
    package: str = ""


class Stretch(NamedTuple):
    """Rows to trade on; `fold` names the stretch. Units: low inclusive, high exclusive, -1 for the end."""

    fold: int
    low: int = 0
    high: int = -1


class Task(NamedTuple):
    """One combination to run over one or several stretches."""

    number: int
    params: Mapping[str, Any]
    stretches: tuple[Stretch, ...]


class Outcome(NamedTuple):
    """What came of a combination on a stretch; `why` is the strategy's refusal, empty when it ran."""

    number: int
    fold: int
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    why: str = ""


@dataclass(frozen=True, slots=True)
class SharedMarket:
    """A market whose bars lie in one piece of memory that all workers map.

    The piece has no name: it is gone with the last process that holds it, however that one ended.

    Attributes:
        handle: file descriptor of the columns, six rows of 8-byte numbers; workers inherit it.
    """

    handle: int
    rows: int
    symbol: str
    timeframe_ns: int
    funding: FundingSeries | None
    steps: Steps | None
    maintenance: float
    data_hash: str

    @classmethod
    def of(cls, market: Market) -> SharedMarket:
        """Lay the bars out in shared memory."""
        bars = market.bars
        columns = (bars.ts.view(np.float64), bars.open, bars.high, bars.low, bars.close, bars.volume)
        folder = _SHARED if _SHARED.is_dir() and _room(_SHARED) > 2 * bars.ts.nbytes * _ROWS else None
        handle, name = tempfile.mkstemp(prefix="omega-bars-", dir=folder)
        Path(name).unlink()
        with os.fdopen(handle, "wb", closefd=False) as file:
            for column in columns:
                file.write(np.ascontiguousarray(column).data)
        return cls(
            handle,
            bars.n,
            market.symbol,
            market.timeframe_ns,
            market.funding,
            market.steps,
            market.maintenance,
            market.data_hash,
        )

    def open(self) -> Market:
        """Return the market over the shared columns; who writes to one gets a page of his own."""
        piece = mmap.mmap(self.handle, _ROWS * self.rows * _WIDTH, access=mmap.ACCESS_COPY)
        table = np.frombuffer(piece, dtype=np.float64).reshape(_ROWS, self.rows)
        bars = Bars(table[0].view(np.int64), table[1], table[2], table[3], table[4], table[5])
        return Market(self.symbol, bars, self.timeframe_ns, self.funding, self.steps, self.maintenance, self.data_hash)

    def close(self) -> None:
        """Let go of the memory; whoever has mapped it keeps it."""
        os.close(self.handle)


def cut(market: Market, low: int, high: int) -> Market:
    """Return a market of some of its rows."""
    bars = market.bars
    rows = slice(low, high)
    part = Bars(bars.ts[rows], bars.open[rows], bars.high[rows], bars.low[rows], bars.close[rows], bars.volume[rows])
    return replace(market, bars=part)


def _room(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
