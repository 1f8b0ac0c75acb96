"""The candle lake: `LAKE/venue/symbol/timeframe/YEAR.parquet`, one writer a series, many readers. Used by the CLI.

A write changes all years of a series or none, says what was there already, and never overwrites a bar unasked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from omega.domain.time import SECOND_NS, timeframe_ns
from omega.engine.bars import Bars
from omega.errors import ConfigError, EnvironmentFault
from omega.storage.lake.commit import Commit, reading, writing
from omega.storage.lake.files import CandleFile, between, joined
from omega.storage.lake.lineage import Entry, Origin
from omega.storage.lake.merge import Disagreement, merge
from omega.storage.lake.names import match_symbol, plain_name
from omega.storage.lake.stamps import EARLIEST_NS, LATEST_NS, span_text, timeframe_text
from omega.storage.lake.year_file import YearMeta, describe, read_meta, write_year

_MARKER: Final = "lake.json"
_ASKED: Final = "asked.json"
_SHOWN: Final = 20
Span = tuple[int, int]


class Prefer(StrEnum):
    """Which bar stays where recorded and offered ones disagree."""

    NEITHER = "neither"
    RECORDED = "recorded"
    OFFERED = "offered"


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """The bars of one length of one symbol at one venue. Units: timeframe_ns in ns."""

    venue: str
    symbol: str
    timeframe_ns: int

    @property
    def timeframe(self) -> str:
        """The length as it is written, `1m`."""
        return timeframe_text(self.timeframe_ns)

    def __str__(self) -> str:
        """Name it as its folder is."""
        return f"{self.venue}/{self.symbol}/{self.timeframe}"


@dataclass(slots=True)
class Written:
    """What a write did, or would have done where bars disagree.

    Attributes:
        offered: rows that came in.
        added: rows that were not there.
        replaced: rows that stood otherwise and were overwritten on request.
        kept: rows that stood otherwise and stayed.
        differences: the first of the values that disagree.
        years: the years whose file was changed.
    """

    offered: int = 0
    added: int = 0
    replaced: int = 0
    kept: int = 0
    differences: list[Disagreement] = field(default_factory=list)
    years: list[int] = field(default_factory=list)
    refused: bool = False


class Lake:
    """A folder of recorded candles."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Tell whether a folder is a lake."""
        return (folder / _MARKER).is_file()

    def series(self) -> list[Series]:
        """List the recorded series, by name."""
        found = []
        for path in self.root.glob("*/*/*/"):
            try:
                length = timeframe_ns(path.name)
            except ConfigError:
                continue
            with reading(path) as files:
                if _years(files):
                    found.append(Series(path.parent.parent.name, path.parent.name, length))
        return sorted(found)

    def resolve(self, symbol: str) -> tuple[str, str]:
        """Return the venue and symbol that are meant by `SYMBOL` or `venue/SYMBOL`.

        Raises:
            ConfigError: nothing is recorded under this name, or several markets are.
        """
        known = {f"{series.venue}/{series.symbol}" for series in self.series()}
        if "/" not in symbol:
            venues = {name.partition("/")[0] for name in known if _is_market(name.partition("/")[2], symbol)}
            if len(venues) > 1:
                raise ConfigError(f"{symbol} is recorded at {', '.join(sorted(venues))}: write VENUE/{symbol}")
            symbol = f"{next(iter(venues))}/{symbol}" if venues and symbol else symbol
        venue, _, name = match_symbol(symbol, known, str(self.root)).partition("/")
        return venue, name

    def read(self, series: Series, from_ns: int = EARLIEST_NS, to_ns: int = LATEST_NS) -> Bars:
        """Return the bars that open in [from, to); years outside are not opened.

        Raises:
            ConfigError: there is none.
            CorruptData: a file breaks a rule; names file, row and column.
        """
        parts = list(self.batches(series, from_ns, to_ns))
        if not parts:
            raise ConfigError(f"{self.root} holds no bar of {series} {span_text(from_ns, to_ns)}: import or fetch it")
        return joined(parts)

    def batches(self, series: Series, from_ns: int = EARLIEST_NS, to_ns: int = LATEST_NS) -> Iterator[Bars]:
        """Yield the same bars a stretch at a time, never more than a row group."""
        with reading(self.folder(series)) as files:
            for year, path in sorted(_years(files).items()):
                if _opens(year) < to_ns and _opens(year + 1) > from_ns:
                    yield from CandleFile(path, series.symbol, series.timeframe_ns).batches(from_ns, to_ns)

    def years(self, series: Series) -> dict[int, YearMeta]:
        """Return what each year's file says of itself.

        Raises:
            CorruptData: a file is no year of a lake.
        """
        with reading(self.folder(series)) as files:
            return {year: read_meta(path) for year, path in sorted(_years(files).items())}

    def by_year(self, series: Series) -> Iterator[tuple[int, YearMeta, Bars]]:
        """Yield every year's description with the bars that its file holds, one year in memory at a time."""
        for year, meta in self.years(series).items():
            yield year, meta, self.read(series, _opens(year), _opens(year + 1))

    def asked(self, series: Series) -> list[Span]:
        """Return the spans of time that a venue has answered for, also where it had no bars; ns, [from, to)."""
        with reading(self.folder(series)) as files:
            path = files.get(_ASKED)
            return [(start, end) for start, end in json.loads(path.read_bytes())] if path else []

    @contextmanager
    def writer(self, series: Series) -> Iterator[Writer]:
        """Give the one writer of a series; what it did not commit is forgotten.

        Raises:
            ConfigError: a name cannot become a folder, or the root is another folder than a lake.
            EnvironmentFault: the lake cannot be written.
            TransientError: another process writes the series.
        """
        plain_name("venue", series.venue)
        plain_name("symbol", series.symbol)
        self._found()
        with writing(self.folder(series)) as commit:
            yield Writer(self, series, commit)

    def folder(self, series: Series) -> Path:
        """Return the folder of a series."""
        return self.root / series.venue / series.symbol / series.timeframe

    def _found(self) -> None:
        if self.is_at(self.root):
            return
        if self.root.is_dir() and any(self.root.iterdir()):
            raise ConfigError(f"{self.root} is no lake, and not empty: name a new folder, or the lake's own")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            fresh = self.root / f".{_MARKER}.{os.getpid()}"
            fresh.write_text(json.dumps({"format": 1}) + "\n", encoding="utf-8")
            fresh.replace(self.root / _MARKER)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot make the lake {self.root}: {error.strerror}; choose another place"
            ) from error


class Writer:
    """The one writer of a series. `put` stages, `commit` makes all of it the lake's at once."""

    def __init__(self, lake: Lake, series: Series, commit: Commit) -> None:
        self._lake = lake
        self._series = series
        self._commit = commit
        self.done = Written()

    def put(
        self,
        batches: Iterable[Bars],
        origin: Origin,
        *,
        prefer: Prefer = Prefer.NEITHER,
        partial: frozenset[int] = frozenset(),
    ) -> Written:
        """Stage bars, oldest first, a year in memory at a time; once a writer.

        Args:
            batches: checked bars.
            origin: where they come from.
            prefer: which bar stays where two disagree; with NEITHER nothing can be committed then.
            partial: open times of bars that were resampled across a gap.

        Raises:
            CorruptData: a recorded year is broken.
            EnvironmentFault: the disk is full; nothing is staged any more.
        """
        for year, bars in _by_year(batches):
            self._put_year(year, bars, origin, prefer, partial)
        self.done.refused = bool(self.done.kept) and prefer is Prefer.NEITHER
        return self.done

    def note_asked(self, spans: Iterable[Span]) -> None:
        """Stage the spans that the venue has answered for, joined with those known."""
        text = json.dumps(_joined_spans([*self._lake.asked(self._series), *spans]))
        self._commit.write(_ASKED, lambda file: file.write(text.encode()))

    def commit(self) -> Written:
        """Make everything staged the lake's; bars that disagree under NEITHER leave it as it was."""
        if self.done.refused:
            self._commit.abandon()
            self.done.years.clear()
        else:
            self._commit.publish()
        return self.done

    def _put_year(self, year: int, bars: Bars, origin: Origin, prefer: Prefer, partial: frozenset[int]) -> None:
        recorded = list(self._lake.batches(self._series, _opens(year), _opens(year + 1)))
        old = joined(recorded) if recorded else None
        merged = merge(old, bars)
        self._count(merged.differences, bars.n, len(merged.fresh), len(merged.changed), prefer)
        kept = merge(merged.bars, old).bars if old is not None and prefer is not Prefer.OFFERED else merged.bars
        given = merged.fresh if prefer is not Prefer.OFFERED else np.union1d(merged.fresh, merged.changed)
        if len(given):
            self._stage(year, kept, set(given.tolist()), origin, partial)

    def _count(
        self, differences: tuple[Disagreement, ...], offered: int, fresh: int, changed: int, how: Prefer
    ) -> None:
        done = self.done
        done.offered += offered
        done.added += fresh
        done.replaced += changed if how is Prefer.OFFERED else 0
        done.kept += changed if how is not Prefer.OFFERED else 0
        done.differences.extend(differences[: _SHOWN - len(done.differences)])

    def _stage(self, year: int, bars: Bars, given: set[int], origin: Origin, partial: frozenset[int]) -> None:
        known = self._lake.years(self._series).get(year)
        names = (self._series.venue, self._series.symbol, self._series.timeframe)
        lineage = (*(known.lineage if known else ()), Entry(origin, len(given), min(given), max(given)))
        lacking = tuple(sorted((set(known.partial if known else ()) - given) | (partial & given)))
        meta = describe(names, bars, self._series.timeframe_ns, lacking, lineage)
        self._commit.write(f"{year}.parquet", lambda file: write_year(file, bars, meta))
        side = json.dumps(meta.as_json(), indent=2) + "\n"
        self._commit.write(f"{year}.json", lambda file: file.write(side.encode()))
        self.done.years.append(year)


def uncovered(wanted: Span, covered: Iterable[Span]) -> list[Span]:
    """Return the parts of a span that no other span covers, oldest first."""
    start, end = wanted
    open_parts = []
    for low, high in _joined_spans(covered):
        if start < min(low, end):
            open_parts.append((start, min(low, end)))
        start = max(start, high)
    if start < end:
        open_parts.append((start, end))
    return open_parts


def _joined_spans(spans: Iterable[Span]) -> list[Span]:
    joined_: list[Span] = []
    for start, end in sorted(spans):
        if joined_ and start <= joined_[-1][1]:
            joined_[-1] = (joined_[-1][0], max(end, joined_[-1][1]))
        elif start < end:
            joined_.append((start, end))
    return joined_


def _by_year(batches: Iterable[Bars]) -> Iterator[tuple[int, Bars]]:
    year, parts = 0, list[Bars]()
    for bars in batches:
        rest = bars
        while rest.n:
            now = datetime.fromtimestamp(int(rest.ts[0]) // SECOND_NS, UTC).year
            if parts and now != year:
                yield year, joined(parts)
                parts = []
            year = now
            parts.append(between(rest, int(rest.ts[0]), _opens(now + 1)))
            rest = rest.since(parts[-1].n)
    if parts:
        yield year, joined(parts)


def _years(files: dict[str, Path]) -> dict[int, Path]:
    named = {name: path for name, path in files.items() if name.endswith(".parquet")}
    return {
        int(name[:4]): path for name, path in named.items() if name[:4].isdigit() and len(name) == len("2025.parquet")
    }


def _opens(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * SECOND_NS


def _is_market(name: str, symbol: str) -> bool:
    return not symbol or name == symbol or name.startswith(f"{symbol}_")
