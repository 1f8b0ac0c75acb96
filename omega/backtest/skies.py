"""What every registered, calculated factor read at each hour of the past, from the factors' own functions; cached.

Called by `load_influences`. The factors are found by the plug-in registry, so the library imports no service.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from omega import plugins
from omega.cosmic import sky, table
from omega.cosmic.table import SkyTable
from omega.engine.bars import F64, I64
from omega.engine.conditions import quantity_of

HOUR_NS: Final = 3_600_000_000_000
_SECOND_NS: Final = 1_000_000_000


class SkyHistory:
    """Hourly quantities of the calculated factors, a calendar year at a time.

    A year costs about a second once; afterwards it is read from a file whose name holds a hash of the factor's source,
    so an edited factor is computed anew.

    Attributes:
        directory: where the years are kept; a directory that cannot be written to costs the second every time.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or Path(os.environ.get("OMEGA_CACHE_DIR", "var/cache")) / "sky"
        self._years: dict[tuple[str, int], F64] = {}
        self._tables: dict[int, SkyTable] = {}

    def __call__(self, factor: str, hours: I64) -> F64 | None:
        """Return a factor's quantity at full hours, None for a factor that cannot be calculated for the past.

        Shapes: (m,) in and out. Units: hours in ns UTC; the quantity as the factor's table of influences reads it.

        Raises:
            Denied: the ephemeris does not reach that far.
        """
        plugins.factors.discover()
        if factor not in plugins.factors or plugins.factors.get(factor).kind != "calculated":
            return None
        found = np.full(hours.shape, np.nan)
        for year, start_ns, end_ns in _years(hours):
            rows = (hours >= start_ns) & (hours <= end_ns)
            found[rows] = self._year(factor, year)[(hours[rows] - start_ns) // HOUR_NS]
        return found

    def _year(self, factor: str, year: int) -> F64:
        key = (factor, year)
        if key not in self._years:
            path = self.directory / f"{factor}-{year}-{_stamp(factor)}.npy"
            kept = _load(path, _rows(year))
            if kept is None:
                kept = self._calculate(factor, year)
                _save(path, kept)
            self._years[key] = kept
        return self._years[key]

    def _calculate(self, factor: str, year: int) -> F64:
        rule, start_ns, hourly = plugins.factors.get(factor).function, _new_year_ns(year), self._table(year)
        values: list[float] = []
        for at_ns in range(start_ns, start_ns + _rows(year) * HOUR_NS, HOUR_NS):
            quantity = quantity_of(factor, rule(at_ns, hourly), at_ns)
            values.append(float("nan") if quantity is None else quantity)
        return np.array(values, dtype=np.float64)

    def _table(self, year: int) -> SkyTable:
        if year not in self._tables:
            opened = sky.Sky(hours_ahead=_rows(year))
            try:
                # One table at a time: it is large, and the factors of a year are asked for one after the other.
                self._tables = {year: opened.table(_new_year_ns(year))}
            finally:
                opened.close()
        return self._tables[year]


@cache
def sky_history() -> SkyHistory:
    """Return the process's one history of the sky."""
    return SkyHistory()


@cache
def _stamp(factor: str) -> str:
    own = sys.modules[plugins.factors.get(factor).function.__module__]
    sources = [Path(module.__file__).read_bytes() for module in (own, sky, table) if module.__file__]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()[:12]


def _years(hours: I64) -> Iterator[tuple[int, int, int]]:
    if not len(hours):
        return
    first, last = int(hours.min()), int(hours.max())
    if last > first:
        last -= 1  # the hour of new year ends the old year's column, so a history to midnight needs no other year
    first, last = (datetime.fromtimestamp(at // _SECOND_NS, UTC).year for at in (first, last))
    for year in range(first, last + 1):
        yield year, _new_year_ns(year), _new_year_ns(year + 1)


def _new_year_ns(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * _SECOND_NS


def _rows(year: int) -> int:
    return (_new_year_ns(year + 1) - _new_year_ns(year)) // HOUR_NS + 1


def _load(path: Path, rows: int) -> F64 | None:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return values if values.shape == (rows,) and values.dtype == np.float64 else None


def _save(path: Path, values: F64) -> None:
    partial = path.with_name(f".{path.stem}-{os.getpid()}.npy")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(partial, values)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
