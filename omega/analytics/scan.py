"""Every pattern family over a history at once, or bar by bar. Called by the analytics service and the command line.

`scan` and `Scanner` are one code: a scan is a scanner that reads all bars in one stretch. A finding says from which bar
it was known, and cutting the future off changes nothing that was found before the cut.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

import numpy as np

from omega.analytics.candles import CandleWalk
from omega.analytics.findings import Family, Findings, Kind, Stretch, empty, joined
from omega.analytics.harmonic import HarmonicWalk
from omega.analytics.levels import MEMORY, LevelWalk
from omega.analytics.pivots import ATR_LENGTH, REACH, REVERSAL, Legs, Pivots, average_range
from omega.analytics.shapes import ShapeWalk
from omega.analytics.structure import StructureWalk
from omega.domain import Bar
from omega.engine.bars import F64, Bars, BarWindow
from omega.errors import ConfigError

FAMILIES: Final = tuple(Family)
WINDOW: Final = 2 * REACH
"""Bars that a scanner keeps: what the farthest look back needs, with room to spare."""

_NO_ROWS: Final = np.empty(0, dtype=np.int64)
_NO_PIVOTS: Final = Pivots(_NO_ROWS, _NO_ROWS, _NO_ROWS, np.empty(0), np.empty(0, dtype=np.int8))


class Walk(Protocol):
    """A pattern family that reads a history stretch after stretch."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the family can find."""
        ...

    def extend(self, stretch: Stretch) -> Findings:
        """Return what the new bars showed."""
        ...


_WALKS: Final[dict[Family, type[Walk]]] = {
    Family.CANDLES: CandleWalk,
    Family.HARMONIC: HarmonicWalk,
    Family.SHAPES: ShapeWalk,
    Family.STRUCTURE: StructureWalk,
    Family.LEVELS: LevelWalk,
}

KINDS: Final = tuple(kind for walk in _WALKS.values() for kind in walk().kinds)
"""Everything that can be found, family by family."""


class Scanner:
    """The pattern families bar by bar: feed it a history, then each bar as it closes.

    It keeps the newest bars and pivots and the shapes and zones that are still open; a bar costs the same however long
    it has run.
    """

    def __init__(self, families: Collection[Family | str] = FAMILIES, *, reversal: float = REVERSAL) -> None:
        """Begin before the first bar.

        Args:
            families: what to look for.
            reversal: average true ranges that end a leg; larger ones make fewer, longer patterns.

        Raises:
            ConfigError: an unknown family, or a reversal that is not positive.
        """
        self._walks = [_WALKS[family]() for family in _chosen(families)]
        self._none = empty(tuple(kind for walk in self._walks for kind in walk.kinds))
        self._legs = Legs(reversal)
        self._window = BarWindow(WINDOW)
        self._pivots = _NO_PIVOTS
        self._seen = 0

    @property
    def pivots(self) -> Pivots:
        """The newest confirmed pivots, in rows of the whole history: all of a history that was just read at once."""
        return self._pivots

    def read(self, bars: Bars) -> Findings:
        """Read a history, the first thing a scanner does, and return what it showed.

        Raises:
            ConfigError: the scanner has read bars before.
        """
        if self._seen:
            raise ConfigError("a scanner reads one history, before its first bar; make another one")
        found = self._extend(bars, 0, 0)
        for bar in _bars(bars, max(bars.n - WINDOW, 0)):
            self._window.append(bar)
        return found

    def push(self, bar: Bar) -> Findings:
        """Read one closed bar and return what it showed; rows count from the first bar of the history.

        Raises:
            CorruptData: the bar is unsound or not after the newest one; the scanner stays as it was.
        """
        self._window.append(bar)
        bars = self._window.bars()
        return self._extend(bars, self._seen - (bars.n - 1), bars.n - 1)

    def _extend(self, bars: Bars, base: int, start: int) -> Findings:
        if bars.n == start:
            return self._none
        ranges = average_range(bars, ATR_LENGTH) if start == 0 else _newest_ranges(bars, start)
        fresh = self._legs.extend(bars, ranges, base=base)
        older = self._pivots.last(MEMORY)
        self._pivots = older.joined(fresh)
        stretch = Stretch(bars, ranges, base, start, self._pivots, older.m)
        self._seen = base + bars.n
        return joined([self._none, *(walk.extend(stretch) for walk in self._walks)])


def scan(bars: Bars, families: Collection[Family | str] = FAMILIES, *, reversal: float = REVERSAL) -> Findings:
    """Find every pattern in a history, by the bar that confirmed it.

    Args:
        bars: the history.
        families: what to look for.
        reversal: average true ranges that end a leg; larger ones make fewer, longer patterns.

    Raises:
        ConfigError: an unknown family, or a reversal that is not positive.
    """
    return Scanner(families, reversal=reversal).read(bars)


def _chosen(families: Collection[Family | str]) -> list[Family]:
    try:
        return [family for family in Family if family in {Family(name) for name in families}]
    except ValueError as error:
        raise ConfigError(f"{error}; the pattern families are {', '.join(Family)}") from error


def _newest_ranges(bars: Bars, start: int) -> F64:
    """Return the average true ranges of a window whose older rows nobody reads again."""
    begin = max(start - ATR_LENGTH, 0)
    return np.concatenate([np.full(begin, np.nan), average_range(bars.since(begin), ATR_LENGTH)])


def _bars(bars: Bars, first: int) -> list[Bar]:
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [Bar(*row) for row in zip(*[column[first:].tolist() for column in columns], strict=True)]
