"""`read_market`: one symbol's history from a file, a folder of files or the lake, ready for the back-test.

The one way in for `omega backtest`, `sweep`, `check` and `experiment`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from omega._structlog import structlog
from omega.backtest.types import FundingSeries, Market
from omega.domain.time import iso
from omega.domain.time import timeframe_ns as length_of
from omega.engine.bars import Bars
from omega.errors import ConfigError
from omega.storage.lake.digest import content_hash
from omega.storage.lake.files import open_candles
from omega.storage.lake.funding import missing_instants, read_funding
from omega.storage.lake.names import candle_files, match_symbol
from omega.storage.lake.resample import resample
from omega.storage.lake.stamps import EARLIEST_NS, LATEST_NS, instant_ns, origin_ns, span_text, timeframe_text
from omega.storage.lake.store import Lake

log = structlog.get_logger(__name__)
Instant = int | str | None


def read_market(
    source: Path | str | Lake,
    symbol: str = "",
    timeframe: str = "",
    from_: Instant = None,
    to: Instant = None,
    *,
    funding: Path | str | FundingSeries | None = None,
) -> Market:
    """Read the bars that open in [from_, to), checked row by row, with their hash and the recorded funding.

    Args:
        source: a candle file, a folder of files named `SYMBOL[_MARKET]-TIMEFRAME`, or a lake.
        symbol: as recorded, `BTCUSDT_PERP`, or `BTCUSDT` where one market of it is recorded; in a lake also
            `venue/SYMBOL`. A file needs none.
        timeframe: as in `1m`; made of the nearest lower bars where it is not recorded itself. A file needs none.
        from_: ns UTC or an ISO time; nothing reads from the beginning.
        to: the same; nothing reads to the end.
        funding: a file, a folder with `SYMBOL-8h.csv`, or a series; nothing charges none.

    Raises:
        ConfigError: nothing is recorded under these names or in this range.
        CorruptData: a row breaks a rule; names file, row and column.
    """
    from_ns, to_ns = instant_ns(from_, EARLIEST_NS), instant_ns(to, LATEST_NS)
    if from_ns >= to_ns:
        ends = f"{from_ or 'from the beginning'} to {to or 'the end'}"
        raise ConfigError(f"the range {ends} is empty: let it end after it begins, and after {iso(EARLIEST_NS)}")
    found = _find(source, symbol, length_of(timeframe) if timeframe else 0)
    bars = _bars(found, from_ns, to_ns)
    return Market(
        symbol=symbol.rpartition("/")[2] or found.symbol,
        bars=bars,
        timeframe_ns=found.made_ns,
        funding=_funding(funding, found, bars),
        data_hash=content_hash(bars),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A record and what is to be made of it. Units: recorded_ns and made_ns are lengths of bars."""

    symbol: str
    recorded_ns: int
    made_ns: int
    read: Callable[[int, int], Bars]


def _find(source: Path | str | Lake, symbol: str, wanted_ns: int) -> _Found:
    if isinstance(source, Lake):
        return _in_lake(source, symbol, wanted_ns)
    path = Path(source)
    if path.is_dir():
        return _in_lake(Lake(path), symbol, wanted_ns) if Lake.is_at(path) else _in_folder(path, symbol, wanted_ns)
    file = open_candles(path)
    nearest = _nearest({file.timeframe_ns}, wanted_ns, str(path))
    return _Found(file.symbol, nearest, wanted_ns or nearest, file.read)


def _in_folder(folder: Path, symbol: str, wanted_ns: int) -> _Found:
    files = candle_files(folder)
    name = match_symbol(symbol, {file.symbol for file in files}, str(folder))
    lengths = {file.timeframe_ns: file.path for file in files if file.symbol == name}
    nearest = _nearest(set(lengths), wanted_ns, f"{folder}, {name}")
    return _Found(name, nearest, wanted_ns or nearest, open_candles(lengths[nearest]).read)


def _in_lake(lake: Lake, symbol: str, wanted_ns: int) -> _Found:
    venue, name = lake.resolve(symbol)
    lengths = {
        series.timeframe_ns: series for series in lake.series() if (series.venue, series.symbol) == (venue, name)
    }
    nearest = _nearest(set(lengths), wanted_ns, f"{lake.root}/{venue}/{name}")
    series = lengths[nearest]
    return _Found(name, nearest, wanted_ns or nearest, lambda from_ns, to_ns: lake.read(series, from_ns, to_ns))


def _nearest(recorded: set[int], wanted_ns: int, where: str) -> int:
    """Return the recorded length to read: the wanted one, else the longest that it is a multiple of."""
    texts = ", ".join(timeframe_text(length) for length in sorted(recorded))
    if not wanted_ns:
        if len(recorded) == 1:
            return next(iter(recorded))
        raise ConfigError(f"{where} is recorded as {texts}: name the timeframe")
    fitting = [length for length in recorded if wanted_ns % length == 0]
    if not fitting:
        raise ConfigError(f"no {timeframe_text(wanted_ns)} bars can be made in {where}: recorded are {texts}")
    return max(fitting)


def _bars(found: _Found, from_ns: int, to_ns: int) -> Bars:
    if found.made_ns == found.recorded_ns:
        return found.read(from_ns, to_ns)
    lower = found.read(_bucket(from_ns, found.made_ns), _bucket(to_ns, found.made_ns))
    made = resample(lower, found.recorded_ns, found.made_ns)
    if not made.bars.n:
        raise ConfigError(
            f"{found.symbol}: no whole {timeframe_text(found.made_ns)} bar {span_text(from_ns, to_ns)}; choose a range "
            "that the record covers"
        )
    if made.partial.any():
        log.warning("market.partial_bars_kept", symbol=found.symbol, bars=int(made.partial.sum()))
    return made.bars


def _bucket(instant: int, length: int) -> int:
    """Return the first open time of a bar of this length that is not before an instant."""
    origin = origin_ns(length)
    return -(-(instant - origin) // length) * length + origin


def _funding(given: Path | str | FundingSeries | None, found: _Found, bars: Bars) -> FundingSeries | None:
    if given is None or isinstance(given, FundingSeries):
        return given
    from_ns, to_ns = int(bars.ts[0]), int(bars.ts[-1]) + found.made_ns
    series = read_funding(Path(given), found.symbol, from_ns=from_ns, to_ns=to_ns)
    missing = missing_instants(series, from_ns, to_ns)
    if missing:
        log.warning("funding.instants_missing", symbol=found.symbol, missing=len(missing), first=iso(missing[0]))
    return series
