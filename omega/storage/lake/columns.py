"""Arrow columns as numpy arrays: the raw buffer where the type fits, a careful conversion elsewhere.

Called by the CSV and Parquet readers. `ChunkedArray.to_numpy` imports pandas where it is installed, which costs a
command more than reading a year of minutes does; the buffers hold the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from omega.domain.time import from_iso
from omega.engine.bars import F64, I64, Bars
from omega.errors import ConfigError, CorruptData
from omega.storage.lake.place import Place
from omega.storage.lake.stamps import to_ns

NAMES: Final = ("ts", "open", "high", "low", "close", "volume")
_TIME_NAMES: Final = ("ts", "timestamp", "time", "date", "datetime", "open_time")
_EXACT_FLOAT: Final = 2.0**53


def sources(header: Sequence[str], place: Place) -> dict[str, str]:
    """Map our column names to a file's: the very names in any case, and the usual ones for the open time.

    Raises:
        CorruptData: a column is missing or stands twice.
    """
    found: dict[str, str] = {}
    for name in NAMES:
        known = _TIME_NAMES if name == "ts" else (name,)
        hits = [actual for wanted in known for actual in header if actual.strip().lower() == wanted]
        if len(set(hits)) < len(hits):
            raise CorruptData(f"{place.path}: the column {name} stands twice; take one of them out")
        if hits:
            found[name] = hits[0]
    missing = [name for name in NAMES if name not in found]
    if missing:
        raise CorruptData(
            f"{place.path} lacks the column {', '.join(missing)}: expected {', '.join(NAMES)}, found "
            f"{', '.join(header) or 'none'}"
        )
    return found


def bars_of(columns: dict[str, Any], place: Place) -> Bars:
    """Make unchecked bars of Arrow columns by our names.

    Raises:
        CorruptData: a cell holds no number or no time.
    """
    prices = [floats(columns[name], name, place) for name in NAMES[1:]]
    return Bars(instants(columns["ts"], place), *prices)


def floats(column: Any, name: str, place: Place) -> F64:
    """Return a column as float64; empty cells become NaN, which the checks then name.

    Raises:
        CorruptData: a cell is no number.
    """
    if column.null_count == 0 and column.type == pa.float64():
        return _doubles(column)
    try:
        numbers = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _misfit(column, name, place, float, "no number") from error
    return _doubles(numbers.fill_null(float("nan")))


def instants(column: Any, place: Place) -> I64:
    """Return a column of open times in ns UTC: integers, whole floats, timestamps or text.

    Raises:
        CorruptData: a cell is no time, or of another unit than the rest.
    """
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise CorruptData(f"{place.at(row, 'ts')}: no time (empty); repair the row")
    kind = column.type
    if kind == pa.int64():
        return to_ns(_raw(column, np.int64), place)
    if pa.types.is_timestamp(kind) or pa.types.is_integer(kind):
        return to_ns(_raw(column.cast(pa.int64()), np.int64), place)
    if pa.types.is_date(kind):
        return to_ns(_raw(column.cast(pa.timestamp("ms")).cast(pa.int64()), np.int64), place)
    if pa.types.is_floating(kind):
        return to_ns(_whole(_doubles(column.cast(pa.float64())), place), place)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _written(column, place)
    raise CorruptData(f"{place.path}, column ts: {kind} is no time; write integers of ms or ISO 8601")


def instant_of(text: str) -> int:
    """Read one written time: a whole number of s, ms, us or ns since 1970, or ISO 8601.

    Raises:
        ValueError: it is neither.
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return from_iso(text.strip())
    except ConfigError:
        raise ValueError(text) from None


def _written(column: Any, place: Place) -> I64:
    """Read text: all numbers or all ISO; Arrow's parser is quick, ours says which row is wrong."""
    for kind in (pa.int64(), pa.timestamp("ns", "UTC"), pa.timestamp("ns")):
        try:
            numbers = column.cast(kind)
        except pa.ArrowInvalid:
            continue
        return to_ns(_raw(numbers.cast(pa.int64()), np.int64), place)
    try:
        values = [instant_of(text) for text in column.to_pylist()]
    except ValueError as error:
        raise _misfit(column, "ts", place, instant_of, "no time") from error
    return to_ns(np.array(values, dtype=np.int64), place)


def _whole(values: F64, place: Place) -> I64:
    bad = ~(np.abs(values) < _EXACT_FLOAT) | (np.floor(values) != values)
    if bad.any():
        row = int(bad.argmax())
        raise CorruptData(
            f"{place.at(row, 'ts')}: {values[row]} is no whole number that a float holds exactly; write integers"
        )
    return values.astype(np.int64)


def _doubles(column: Any) -> F64:
    values: F64 = _raw(column, np.float64)
    return values


def _raw(column: Any, kind: type[Any]) -> Any:
    """Return the values behind a column of a fixed width without nulls."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    views = [
        np.frombuffer(chunk.buffers()[1], dtype=kind, count=chunk.offset + len(chunk))[chunk.offset :]
        for chunk in chunks
        if len(chunk)
    ]
    if not views:
        return np.zeros(0, dtype=kind)
    return views[0] if len(views) == 1 else np.concatenate(views)


def _misfit(column: Any, name: str, place: Place, reads: Callable[[str], object], what: str) -> CorruptData:
    return misfit(((row, str(cell)) for row, cell in enumerate(column.to_pylist())), name, place, reads, what)


def misfit(
    cells: Iterable[tuple[int, str]], name: str, place: Place, reads: Callable[[str], object], what: str
) -> CorruptData:
    """Return the error that names the first cell which cannot be read."""
    for row, cell in cells:
        try:
            reads(cell)
        except ValueError:
            return CorruptData(f"{place.at(row, name)}: {cell[:40]!r} is {what}; repair the row")
    return CorruptData(f"{place.path}, column {name}: the cells are {what}s; write plain decimals")
