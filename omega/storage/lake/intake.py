"""A candle file brought into the lake, and the higher bars made of a series. Called by `omega data`.

Rows stream through a year at a time; gaps and an unfinished last bar are counted on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from omega.domain.time import iso
from omega.engine.bars import Bars
from omega.errors import CorruptData
from omega.storage.lake.digest import content_hash, file_hash
from omega.storage.lake.files import CandleFile
from omega.storage.lake.gaps import Gap, gaps, is_unfinished
from omega.storage.lake.lineage import Origin
from omega.storage.lake.resample import Resampled, resample
from omega.storage.lake.stamps import EARLIEST_NS, LATEST_NS
from omega.storage.lake.store import Lake, Prefer, Series, Written

Progress = Callable[[int], None]


@dataclass(slots=True)
class Survey:
    """What was seen of bars that went past.

    Attributes:
        unfinished_ns: open time of a last bar that was left out because it was still open, 0 when there was none.
    """

    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    zero_volume: int = 0
    gaps: list[Gap] = field(default_factory=list)
    unfinished_ns: int = 0

    @property
    def missing(self) -> int:
        """How many bars the gaps lack."""
        return sum(gap.missing for gap in self.gaps)

    def note(self, bars: Bars, timeframe_ns: int) -> None:
        """Count a stretch that follows the one before."""
        before = [self.last_ns] if self.rows else []
        self.gaps.extend(gaps(np.concatenate([np.array(before, dtype=np.int64), bars.ts]), timeframe_ns))
        self.first_ns = self.first_ns or int(bars.ts[0])
        self.last_ns = int(bars.ts[-1])
        self.rows += bars.n
        self.zero_volume += int((bars.volume == 0.0).sum())


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import found in its source and did to the lake."""

    series: Series
    survey: Survey
    written: Written


def import_file(
    lake: Lake,
    file: CandleFile,
    venue: str,
    *,
    command: str,
    now_ns: int,
    prefer: Prefer = Prefer.NEITHER,
    progress: Progress | None = None,
) -> Imported:
    """Bring a file's bars into the lake, all of them or, where bars disagree and nothing is preferred, none.

    Args:
        lake: where to.
        file: where from.
        venue: whose bars they are; the file does not say.
        command: the command line, for the lineage.
        now_ns: the time of the import.
        prefer: which bar stays where recorded and offered ones disagree.
        progress: is told the rows as they go past.

    Raises:
        CorruptData: a row breaks a rule; the lake stays as it was.
        EnvironmentFault: the disk is full; the lake stays as it was.
    """
    series = Series(venue, file.symbol, file.timeframe_ns)
    origin = Origin(str(file.path.resolve()), file_hash(file.path), ("import",), command, now_ns)
    survey = Survey()
    with lake.writer(series) as writer:
        writer.put(surveyed(file, survey, now_ns, progress), origin, prefer=prefer)
        if not survey.rows:
            raise CorruptData(f"{file.path} holds no finished bar: nothing was imported")
        return Imported(series, survey, writer.commit())


def surveyed(file: CandleFile, survey: Survey, now_ns: int, progress: Progress | None = None) -> Iterator[Bars]:
    """Yield a file's bars, counting them, without a last bar that was still open when the file was written.

    Raises:
        CorruptData: a row breaks a rule, or lies in the future.
    """
    written_ns = file.path.stat().st_mtime_ns
    for bars, is_last in _with_end(file.batches()):
        kept = bars
        if is_last and is_unfinished(int(bars.ts[-1]), file.timeframe_ns, written_ns=written_ns, now_ns=now_ns):
            survey.unfinished_ns = int(bars.ts[-1])
            kept = bars.prefix(bars.n - 1)
        if kept.n and int(kept.ts[-1]) > now_ns:
            raise CorruptData(f"{file.path} holds bars of the future, {iso(int(kept.ts[-1]))}: is ts in another unit?")
        if progress is not None:
            progress(bars.n)
        if kept.n:
            survey.note(kept, file.timeframe_ns)
            yield kept


def resample_series(
    lake: Lake,
    series: Series,
    to_timeframe_ns: int,
    *,
    command: str,
    now_ns: int,
    prefer: Prefer = Prefer.NEITHER,
) -> Imported:
    """Make a series of higher bars in the lake; bars that the lake holds already must agree or be preferred.

    Raises:
        ConfigError: the series is not recorded, or the lengths do not fit.
        EnvironmentFault: the disk is full; the lake stays as it was.
    """
    lower = lake.read(series, EARLIEST_NS, LATEST_NS)
    made = resample(lower, series.timeframe_ns, to_timeframe_ns)
    target = Series(series.venue, series.symbol, to_timeframe_ns)
    steps = (*_steps(lake, series), f"resample {series.timeframe} to {target.timeframe}")
    origin = Origin(str(series), content_hash(lower), steps, command, now_ns)
    survey = Survey()
    if made.bars.n:
        survey.note(made.bars, to_timeframe_ns)
    with lake.writer(target) as writer:
        writer.put([made.bars], origin, prefer=prefer, partial=partial_ns(made))
        return Imported(target, survey, writer.commit())


def partial_ns(made: Resampled) -> frozenset[int]:
    """Return the open times of the bars that were made across a gap."""
    return frozenset(made.bars.ts[made.partial].tolist())


def _steps(lake: Lake, series: Series) -> tuple[str, ...]:
    """Return what was done with the rows of a series so far, each step once."""
    seen = {step: None for meta in lake.years(series).values() for entry in meta.lineage for step in entry.origin.steps}
    return tuple(seen)


def _with_end(batches: Iterable[Bars]) -> Iterator[tuple[Bars, bool]]:
    before: Bars | None = None
    for bars in batches:
        if before is not None:
            yield before, False
        before = bars
    if before is not None:
        yield before, True
