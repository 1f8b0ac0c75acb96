"""What is wrong or missing in files, folders and the lake. Called by `omega data check`; it changes nothing.

Besides the rules of every row it holds the bars of one symbol in several lengths against each other: higher bars must
be what the lower ones make, wherever those are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from omega.domain.time import iso
from omega.engine.bars import Bars
from omega.errors import CorruptData
from omega.storage.lake.digest import ContentHasher, content_hash
from omega.storage.lake.files import CandleFile, open_candles
from omega.storage.lake.gaps import Gap
from omega.storage.lake.intake import Survey, surveyed
from omega.storage.lake.merge import FIELDS
from omega.storage.lake.names import candle_files
from omega.storage.lake.resample import resample
from omega.storage.lake.stamps import timeframe_text
from omega.storage.lake.store import Lake, Series

_VOLUME_ROUNDING = 1e-12
"""Sums of volumes that are no decimals may end in another last digit."""


@dataclass(slots=True)
class Audit:
    """What was found about one record: a file, or a series of the lake.

    Attributes:
        content: the hash of the bars, empty when they cannot be read.
        faults: what must be mended; gaps are no faults but listed beside them.
    """

    name: str
    timeframe: str
    survey: Survey = field(default_factory=Survey)
    content: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def gaps(self) -> list[Gap]:
        """The stretches without bars."""
        return self.survey.gaps


@dataclass(frozen=True, slots=True)
class _Record:
    symbol: str
    timeframe_ns: int
    audit: Audit
    bars: Callable[[], Bars]


def audit(path: Path, *, now_ns: int) -> list[Audit]:
    """Check a candle file, all candle files of a folder, or a lake.

    Raises:
        ConfigError: there is nothing to check.
    """
    if path.is_dir() and Lake.is_at(path):
        records = [_of_series(Lake(path), series) for series in Lake(path).series()]
    elif path.is_dir():
        records = [_of_file(open_candles(file.path), now_ns) for file in candle_files(path)]
    else:
        records = [_of_file(open_candles(path), now_ns)]
    _compare(records)
    return [record.audit for record in records]


def _of_file(file: CandleFile, now_ns: int) -> _Record:
    found = Audit(str(file.path), timeframe_text(file.timeframe_ns))
    _read(found, lambda: surveyed(file, found.survey, now_ns))
    return _Record(file.symbol, file.timeframe_ns, found, file.read)


def _of_series(lake: Lake, series: Series) -> _Record:
    found = Audit(str(series), series.timeframe)

    def batches() -> Iterator[Bars]:
        for bars in lake.batches(series):
            found.survey.note(bars, series.timeframe_ns)
            yield bars

    _read(found, batches)
    if not found.faults:
        _hold_against_meta(found, lake, series)
    return _Record(f"{series.venue}/{series.symbol}", series.timeframe_ns, found, lambda: lake.read(series))


def _read(found: Audit, batches: Callable[[], Iterable[Bars]]) -> None:
    hasher = ContentHasher()
    try:
        for bars in batches():
            hasher.update(bars)
    except CorruptData as error:
        found.faults.append(str(error))
        return
    found.content = hasher.hexdigest()
    if not found.survey.rows:
        found.faults.append(f"{found.name} holds no finished bar")


def _hold_against_meta(found: Audit, lake: Lake, series: Series) -> None:
    for year, meta, bars in lake.by_year(series):
        if content_hash(bars) != meta.content:
            found.faults.append(
                f"{lake.folder(series)}/{year}.parquet: its bars are not those that were written (their hash differs); "
                "restore the file, or take it out and import its sources again"
            )


def _compare(records: list[_Record]) -> None:
    sound = [record for record in records if not record.audit.faults]
    for higher in sound:
        lowers = [
            lower
            for lower in sound
            if lower.symbol == higher.symbol
            and lower.timeframe_ns < higher.timeframe_ns
            and higher.timeframe_ns % lower.timeframe_ns == 0
        ]
        for lower in lowers:
            fault = _unlike(lower, higher)
            if fault:
                higher.audit.faults.append(fault)


def _unlike(lower: _Record, higher: _Record) -> str:
    """Say how many recorded bars are not what complete lower bars make of them."""
    made = resample(lower.bars(), lower.timeframe_ns, higher.timeframe_ns)
    whole = ~made.partial
    recorded = higher.bars()
    _, mine, theirs = np.intersect1d(made.bars.ts[whole], recorded.ts, assume_unique=True, return_indices=True)
    unlike = np.zeros(len(mine), dtype=np.bool_)
    for name in FIELDS:
        ours, listed = getattr(made.bars, name)[whole][mine], getattr(recorded, name)[theirs]
        unlike |= np.abs(ours - listed) > (_VOLUME_ROUNDING * ours if name == "volume" else 0.0)
    if not unlike.any():
        return ""
    first = iso(int(recorded.ts[theirs[unlike.argmax()]]))
    return (
        f"{int(unlike.sum())} of {len(mine)} bars are not what the {timeframe_text(lower.timeframe_ns)} bars make, the "
        f"first at {first}: one of the two records is wrong there"
    )
