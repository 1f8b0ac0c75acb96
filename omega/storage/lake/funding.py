"""Recorded funding rates from `SYMBOL-8h.csv`: ts of settlement and a fraction per eight hours.

Called by `read_market`. Live feeds jitter by milliseconds, so a row is moved to its instant; a stamp hours away from
every instant is another time zone and is refused.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import numpy as np

from omega.backtest.types import FundingSeries
from omega.domain.time import SECOND_NS, iso
from omega.errors import ConfigError, CorruptData
from omega.storage.lake.columns import instant_of
from omega.storage.lake.place import Place
from omega.storage.lake.stamps import EARLIEST_NS, LATEST_NS, to_ns_or_none

INTERVAL_NS: Final = 8 * 3_600 * SECOND_NS
JITTER_NS: Final = 60 * SECOND_NS
PLAUSIBLE: Final = 0.05
"""No venue charges more than five per cent in eight hours; a feed in per cent is found by it on its wild days."""
_NAMES: Final = ("{}-8h.csv", "{}_PERP-8h.csv", "{}-funding-8h.csv", "{}_PERP-funding-8h.csv")


def read_funding(path: Path, symbol: str = "", *, from_ns: int = EARLIEST_NS, to_ns: int = LATEST_NS) -> FundingSeries:
    """Read the rates settled in [from, to) from a file, or from the folder that holds `SYMBOL-8h.csv`.

    Raises:
        ConfigError: there is no such file.
        CorruptData: a row is no funding rate; names file, row and column.
    """
    rates = _rates(_file(path, symbol))
    kept = [(instant, rate) for instant, rate in sorted(rates.items()) if from_ns <= instant < to_ns]
    return FundingSeries(
        np.array([instant for instant, _ in kept], dtype=np.int64),
        np.array([rate for _, rate in kept], dtype=np.float64),
    )


def missing_instants(series: FundingSeries, from_ns: int, to_ns: int) -> list[int]:
    """List the instants at 00, 08 and 16 UTC inside [from, to) that no rate is recorded for."""
    first = -(-from_ns // INTERVAL_NS) * INTERVAL_NS
    known = set(series.ts.tolist())
    return [instant for instant in range(first, to_ns, INTERVAL_NS) if instant not in known]


def _file(path: Path, symbol: str) -> Path:
    if path.is_file():
        return path
    for pattern in _NAMES:
        found = path / pattern.format(symbol)
        if symbol and found.is_file():
            return found
    raise ConfigError(
        f"no funding rates at {path}: name a CSV file with the columns ts and funding_rate, or a folder that holds "
        f"{symbol or 'SYMBOL'}-8h.csv"
    )


def _rates(path: Path) -> dict[int, float]:
    rates: dict[int, float] = {}
    place = Place(path)
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in ("ts", "funding_rate") if name not in (reader.fieldnames or ())]
        if missing:
            raise CorruptData(f"{path} lacks the column {', '.join(missing)}: expected ts and funding_rate")
        for number, row in enumerate(reader):
            instant, rate = _instant(row["ts"], place, number), _rate(row["funding_rate"], place, number)
            if rates.setdefault(instant, rate) != rate:
                raise CorruptData(
                    f"{place.at(number, 'funding_rate')}: {rate} at {iso(instant)}, but a row above says "
                    f"{rates[instant]}; keep one of them"
                )
    return rates


def _instant(cell: str | None, place: Place, row: int) -> int:
    try:
        read = instant_of(cell or "")
    except ValueError:
        raise CorruptData(f"{place.at(row, 'ts')}: {(cell or '')[:40]!r} is no time; repair the row") from None
    found = to_ns_or_none(read)
    if found is None:
        raise CorruptData(f"{place.at(row, 'ts')}: {read} is no time between 2000 and 2100; repair the row")
    instant = (found + INTERVAL_NS // 2) // INTERVAL_NS * INTERVAL_NS
    if abs(found - instant) > JITTER_NS:
        raise CorruptData(
            f"{place.at(row, 'ts')}: {iso(found)} is no funding instant (00, 08, 16 UTC); is the file in another time "
            "zone? Convert it to UTC"
        )
    return instant


def _rate(cell: str | None, place: Place, row: int) -> float:
    try:
        rate = float(cell or "")
    except ValueError:
        raise CorruptData(
            f"{place.at(row, 'funding_rate')}: {(cell or '')[:40]!r} is no number; repair the row"
        ) from None
    if not abs(rate) <= PLAUSIBLE:
        raise CorruptData(
            f"{place.at(row, 'funding_rate')}: {rate} is no fraction per eight hours; is the file in per cent?"
        )
    return rate
