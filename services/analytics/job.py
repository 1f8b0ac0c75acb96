"""What the worker process is given, does and gives back.

Everything heavy (numba, scipy, matplotlib) is imported inside `do`, which the service itself never calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from omega.analytics.analysis import Input
from omega.analytics.context import Books, Context, Record
from omega.domain import Bar, iso, timeframe_ns

if TYPE_CHECKING:
    from omega.engine.bars import Bars

_COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The bars that the bus holds of one symbol; `timeframe` is how long they are."""

    symbol: str
    timeframe: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One question.

    Attributes:
        name: an analysis, or `all`.
        values: its parameters.
        now_ns: the instant that is spoken of; nothing later is read.
        most: bars that are read at most.
        market: the symbol's bars of the bus.
        peers: those of other symbols.
        data: folder or lake of recorded bars for what the bus does not hold, empty for none.
        theme: `dark` or `light` for a picture, empty for none.
    """

    name: str
    symbol: str
    timeframe: str
    values: Mapping[str, object]
    now_ns: int
    most: int
    market: Recorded
    peers: tuple[Recorded, ...] = ()
    books: Books | None = None
    records: tuple[Record, ...] | None = None
    inputs: tuple[Input, ...] = ()
    data: str = ""
    theme: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The answer: each analysis as JSON text, and the picture, empty where none was asked for."""

    results: tuple[str, ...]
    png: bytes


def do(job: Job) -> Done:
    """Do one job.

    Raises:
        Denied: an input is missing, or there are too few bars.
        ConfigError: a name or a parameter is wrong.
        CorruptData: a bar is unsound.
    """
    from omega.analytics.analysis import as_json
    from omega.analytics.run import run

    market, used = _bars(job, job.market)
    context = Context(
        symbol=job.symbol,
        timeframe=job.timeframe,
        now_ns=job.now_ns,
        market=market,
        peers={one.symbol: bars for one in job.peers if (bars := _bars(job, one)[0]) is not None},
        books=job.books,
        records=job.records,
        inputs=(*([used] if used else ()), *job.inputs),
    )
    made = run(job.name, context, job.values)
    results = tuple(json.dumps(as_json(one), allow_nan=False) for one in made)
    if not job.theme:
        return Done(results, b"")
    from omega.analytics.charts import draw

    return Done(results, draw(made, context, theme=job.theme))


def _bars(job: Job, recorded: Recorded) -> tuple[Bars | None, Input | None]:
    """Return a symbol's bars: those of the bus, made longer where needed, behind recorded ones that lead up to them.

    A longer record that ends earlier is none of now: it stands alone only where the bus has nothing.
    """
    live = _lengthened(recorded, job.timeframe)
    stored = _stored(job, recorded.symbol) if job.data and (live is None or live.n < job.most) else None
    source = f"recorded bars in {job.data}"
    if live is None:
        return (None, None) if stored is None else (_last(stored, job.most), _input(job, stored, source))
    older = None if stored is None else _rows(stored, stored.ts < live.ts[0])
    if older is None or not older.n or int(older.ts[-1]) + timeframe_ns(job.timeframe) != int(live.ts[0]):
        return _last(live, job.most), _input(job, live, "the gateway's bars")
    return _last(_joined(older, live), job.most), _input(job, live, f"{source}, then the gateway's bars")


def _lengthened(recorded: Recorded, timeframe: str) -> Bars | None:
    from omega.analytics.context import columns

    if not recorded.bars:
        return None
    bars = columns(recorded.bars)
    if recorded.timeframe == timeframe:
        return bars
    from omega.storage.lake.resample import resample

    made = resample(bars, timeframe_ns(recorded.timeframe), timeframe_ns(timeframe))
    # The first bucket was open before the first bar, the last one still is: both would show another bar than the venue.
    whole = ~made.partial
    return _rows(made.bars, whole) if whole.any() else None


def _stored(job: Job, symbol: str) -> Bars | None:
    """Return the recorded bars that had closed at the instant of the job, None where nothing is recorded."""
    from omega.backtest.checks.farm_run import candles_of, venue_name
    from omega.errors import ConfigError
    from omega.storage.lake.read import read_market

    length = timeframe_ns(job.timeframe)
    until = (job.now_ns // length) * length
    try:
        found = read_market(
            candles_of(Path(job.data), symbol),
            venue_name(symbol),
            job.timeframe,
            until - job.most * length,
            until,
        )
    except ConfigError:
        return None
    return found.bars


def _input(job: Job, bars: Bars, source: str) -> Input:
    closed = int(bars.ts[-1]) + timeframe_ns(job.timeframe)
    return Input(f"{job.symbol} {job.timeframe} to {iso(closed)}", source, closed, max(job.now_ns - closed, 0) / 1e9)


def _last(bars: Bars, most: int) -> Bars:
    return bars.since(max(bars.n - most, 0))


def _rows(bars: Bars, picked: Any) -> Bars:
    from omega.engine.bars import Bars

    return Bars.of(*(getattr(bars, name)[picked] for name in _COLUMNS))


def _joined(older: Bars, newer: Bars) -> Bars:
    import numpy as np

    from omega.engine.bars import Bars

    return Bars.of(*(np.concatenate([getattr(older, name), getattr(newer, name)]) for name in _COLUMNS))
