"""History pulled into the lake page by page, from where it stopped. Called by `omega data fetch`.

What the venue has answered for is kept beside the bars and changes with them in one commit, so a fetch that was killed
goes on at its last commit, and a stretch in which the venue has no bars is not asked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from omega.domain.time import iso
from omega.engine.bars import Bars
from omega.errors import CorruptData
from omega.storage.lake.files import between, joined
from omega.storage.lake.lineage import Origin
from omega.storage.lake.stamps import origin_ns
from omega.storage.lake.store import Lake, Series, Span, uncovered

COMMIT_ROWS = 20_000
"""So many bars are held before they are committed: two weeks of minutes, a hundred pages."""


class History(Protocol):
    """What a venue shows of one symbol's past."""

    venue: str
    symbol: str
    timeframe_ns: int
    page_rows: int

    @property
    def source(self) -> str:
        """Where the bars come from, for the lineage."""

    def newest_ns(self) -> int:
        """Return the open time of the newest bar, which may still be open."""

    def page(self, from_ns: int, rows: int) -> Bars:
        """Return up to so many bars that open at or after an instant, oldest first."""


@dataclass(slots=True)
class Fetched:
    """What a fetch did.

    Attributes:
        end_ns: open time of the first bar that was not fetched: the end asked for, or the venue's newest bar.
        pages: requests for pages.
        added: bars that the lake did not have.
        resumed: whether part of the range was there already.
    """

    series: Series
    from_ns: int
    end_ns: int
    pages: int = 0
    added: int = 0
    resumed: bool = False


def fetch(
    history: History,
    lake: Lake,
    from_ns: int,
    to_ns: int,
    *,
    command: str,
    clock: Callable[[], int],
    progress: Callable[[int, int], None] | None = None,
    commit_rows: int = COMMIT_ROWS,
) -> Fetched:
    """Bring the closed bars that open in [from, to) into the lake.

    The newest bar that the venue shows is left out: only a later bar proves, whatever the clocks say, that one has
    closed.

    Args:
        history: the venue's side.
        lake: where to.
        from_ns: the first open time wanted.
        to_ns: the end, exclusive.
        command: the command line, for the lineage.
        clock: the time, ns.
        progress: is told the time that is done and the time that was asked for, both in bars.
        commit_rows: bars held before they are committed.

    Raises:
        CorruptData: the venue's bars break a rule, or are not those that the lake holds.
        TransientError: the venue cannot be reached; everything up to there is kept.
    """
    step = history.timeframe_ns
    series = Series(history.venue, history.symbol, step)
    start = -(-(from_ns - origin_ns(step)) // step) * step + origin_ns(step)
    done = Fetched(series, start, min(to_ns, history.newest_ns()))
    spans = uncovered((start, done.end_ns), _covered(lake, series)) if start < done.end_ns else []
    total = sum(_bars_in(span, step) for span in spans)
    done.resumed = total < _bars_in((start, done.end_ns), step)
    origin = Origin(history.source, "", ("fetch",), command, clock())
    taken = _Taken(lake, series, origin, done, commit_rows)
    finished = 0
    try:
        for begin, end in spans:
            at = begin
            while at < end:
                bars, answered = _page(history, at, end, done)
                taken.add(bars, (at, answered))
                finished += (answered - at) // step
                at = answered
                if progress is not None:
                    progress(finished, total)
    finally:  # also after Ctrl-C or a lost venue: what was answered is kept
        taken.keep()
    return done


class _Taken:
    """What was fetched and is not in the lake yet."""

    def __init__(self, lake: Lake, series: Series, origin: Origin, done: Fetched, commit_rows: int) -> None:
        self._lake = lake
        self._series = series
        self._origin = origin
        self._done = done
        self._commit_rows = commit_rows
        self._parts: list[Bars] = []
        self._spans: list[Span] = []

    def add(self, bars: Bars, answered: Span) -> None:
        """Take a page; enough of them are committed."""
        if bars.n:
            self._parts.append(bars)
        self._spans.append(answered)
        if sum(part.n for part in self._parts) >= self._commit_rows:
            self.keep()

    def keep(self) -> None:
        """Commit bars and answered spans together."""
        if not self._spans:
            return
        parts, spans, self._parts, self._spans = self._parts, self._spans, [], []
        with self._lake.writer(self._series) as writer:
            if parts:
                written = writer.put([joined(parts)], self._origin)
                if written.refused:
                    raise CorruptData(
                        f"{self._origin.source} shows other bars than {self._series} in {self._lake.root} holds: "
                        f"{written.differences[0]}; fetch into another lake, or take the wrong years out"
                    )
                self._done.added += written.added
            writer.note_asked(spans)
            writer.commit()


def _page(history: History, at_ns: int, end_ns: int, done: Fetched) -> tuple[Bars, int]:
    """Return the bars of the next page inside [at, end), and the instant up to which the venue has answered.

    A page that begins late was cut off at its head, or the venue has a gap there: the head is asked for again until it
    is whole or the venue says that there is nothing.
    """
    step = history.timeframe_ns
    rows = min(history.page_rows, (end_ns - at_ns) // step + 1)
    bars = _asked(history, at_ns, rows, done)
    if not bars.n:
        return bars, min(end_ns, at_ns + rows * step)
    parts, first = [bars], int(bars.ts[0])
    while at_ns < first <= at_ns + history.page_rows * step:
        head = between(_asked(history, at_ns, (first - at_ns) // step, done), at_ns, first)
        if not head.n:
            break
        parts.insert(0, head)
        first = int(head.ts[0])
    whole = between(joined(parts), at_ns, end_ns)
    return whole, min(end_ns, int(bars.ts[-1]) + step)


def _asked(history: History, at_ns: int, rows: int, done: Fetched) -> Bars:
    done.pages += 1
    bars = history.page(at_ns, rows)
    off = (bars.ts - origin_ns(history.timeframe_ns)) % history.timeframe_ns != 0
    if off.any():
        raise CorruptData(f"{history.source}: {iso(int(bars.ts[off.argmax()]))} is no open time of such a bar")
    return bars


def _covered(lake: Lake, series: Series) -> list[Span]:
    """Return what needs no asking: what the venue has answered for, and runs of bars that are there."""
    spans = lake.asked(series)
    for bars in lake.batches(series):
        breaks = np.flatnonzero(np.diff(bars.ts) > series.timeframe_ns)
        starts = np.concatenate([[0], breaks + 1])
        ends = np.concatenate([breaks, [bars.n - 1]])
        spans.extend(
            (int(bars.ts[first]), int(bars.ts[last]) + series.timeframe_ns)
            for first, last in zip(starts, ends, strict=True)
        )
    return spans


def _bars_in(span: Span, step: int) -> int:
    return max(0, span[1] - span[0]) // step
