"""Recorded one-minute candles: read, checked row by row, held as arrays. Loaded once by the composition root.

A file that breaks its own format stops the start with the file, the row and the column; nothing is repaired silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from omega.errors import ConfigError, CorruptData
from omega.telemetry import get_logger

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MINUTE_MS: Final = 60_000
COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Candles:
    """One symbol's minutes without a hole.

    Shapes: every array is (n,); ts is the open time in ms, strictly one minute apart.
    Units: prices in quote currency, volume in base units, `turnover` in quote currency (volume * typical price).
    """

    symbol: str
    ts: I64
    open_: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    turnover: F64

    def __len__(self) -> int:
        return len(self.ts)

    def index(self, ts_ms: int) -> int:
        """Return the row whose open time is this one, also beyond both ends."""
        return (ts_ms - int(self.ts[0])) // MINUTE_MS


def load_folder(folder: Path, symbols: Iterable[str] = (), *, fill_gaps: bool = False) -> dict[str, Candles]:
    """Read `SYMBOL-1m.parquet` or `SYMBOL-1m.csv` for the symbols wanted, for all that are there when none is named.

    Raises:
        ConfigError: the folder or a wanted symbol's file is missing.
        CorruptData: a file breaks its format.
    """
    files = {path.name.split("-1m.")[0]: path for path in sorted(folder.glob("*-1m.*")) if path.suffix in _READERS}
    if not files:
        raise ConfigError(f"no candle file SYMBOL-1m.parquet or SYMBOL-1m.csv in {folder}: name the folder with --data")
    wanted = list(symbols) or list(files)
    for symbol in wanted:
        if symbol not in files:
            raise ConfigError(
                f"no candles for {symbol} in {folder}: add {symbol}-1m.parquet or choose from {', '.join(files)}"
            )
    return {symbol: load_candles(files[symbol], fill_gaps=fill_gaps) for symbol in wanted}


def load_candles(path: Path, *, fill_gaps: bool = False) -> Candles:
    """Read one candle file and check every row.

    Args:
        path: the file, named `SYMBOL-1m.parquet` or `SYMBOL-1m.csv`.
        fill_gaps: carry the last close flat and without volume over missing minutes, and log each gap; otherwise a
            gap is refused.

    Raises:
        CorruptData: wrong columns, a value that is no number, unsorted rows or a gap; names file, row and column.
    """
    columns = _read(path)
    _check_values(path, columns)
    _check_order(path, columns["ts"], fill_gaps=fill_gaps)
    return candles(path.name.split("-1m.")[0], _filled(columns))


def candles(symbol: str, columns: dict[str, npt.NDArray[np.float64]]) -> Candles:
    """Make candles from checked columns."""
    rows = {name: np.ascontiguousarray(columns[name], dtype=np.float64) for name in COLUMNS[1:]}
    typical = (rows["open"] + rows["high"] + rows["low"] + rows["close"]) / 4
    return Candles(
        symbol=symbol,
        ts=np.ascontiguousarray(columns["ts"]).astype(np.int64),
        open_=rows["open"],
        high=rows["high"],
        low=rows["low"],
        close=rows["close"],
        volume=rows["volume"],
        turnover=typical * rows["volume"],
    )


_READERS: Final = {".parquet": pyarrow.parquet.read_table, ".csv": pyarrow.csv.read_csv}


def _read(path: Path) -> dict[str, F64]:
    try:
        table = _READERS[path.suffix](path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptData(f"{path} is not a readable {path.suffix[1:]} file ({error}): fetch it again") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise CorruptData(
            f"{path} lacks the column {', '.join(missing)}: expected {', '.join(COLUMNS)}, "
            f"found {', '.join(table.column_names)}"
        )
    if table.num_rows == 0:
        raise CorruptData(f"{path} holds no row: expected one-minute candles")
    return {name: _numbers(path, name, table[name]) for name in COLUMNS}


def _numbers(path: Path, name: str, column: pa.ChunkedArray) -> F64:
    try:
        return column.cast(pa.float64()).to_numpy().astype(np.float64)  # type: ignore[no-any-return]  # pyarrow is untyped
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CorruptData(f"{path}, column {name}: not a number ({error}): repair the file") from error


def _check_values(path: Path, columns: dict[str, F64]) -> None:
    for name in COLUMNS:
        bad = ~np.isfinite(columns[name]) | ((columns[name] <= 0) if name != "volume" else (columns[name] < 0))
        if bad.any():
            row = int(np.argmax(bad))
            raise CorruptData(
                f"{path}, row {row + 1}, column {name}: {columns[name][row]} is no candle value; repair the row"
            )
    body_low = np.minimum(columns["open"], columns["close"])
    body_high = np.maximum(columns["open"], columns["close"])
    for name, bad in (("low", columns["low"] > body_low), ("high", columns["high"] < body_high)):
        if bad.any():
            row = int(np.argmax(bad))
            raise CorruptData(
                f"{path}, row {row + 1}, column {name}: open or close lies outside the bar; repair the row"
            )


def _check_order(path: Path, ts: F64, *, fill_gaps: bool) -> None:
    off = ts % MINUTE_MS != 0
    if off.any():
        row = int(np.argmax(off))
        raise CorruptData(
            f"{path}, row {row + 1}, column ts: {ts[row]:.0f} is not a whole minute in ms; repair the row"
        )
    steps = np.diff(ts)
    if (steps <= 0).any():
        first = int(np.argmax(steps <= 0)) + 1
        raise CorruptData(
            f"{path}, row {first + 1}, column ts: not after the row before; sort the file and drop doubles"
        )
    for row in np.flatnonzero(steps > MINUTE_MS).tolist():
        missing = int(steps[row] // MINUTE_MS) - 1
        if not fill_gaps:
            raise CorruptData(
                f"{path}, row {row + 2}, column ts: {missing} minutes are missing before it; fetch them, or start "
                "with --fill-gaps to carry the last close over every gap"
            )
        log.warning("candles.gap_filled", file=str(path), row=row + 2, minutes=missing)


def _filled(columns: dict[str, F64]) -> dict[str, F64]:
    ts = columns["ts"]
    whole = np.arange(ts[0], ts[-1] + 1, MINUTE_MS)
    if len(whole) == len(ts):
        return columns
    last = np.searchsorted(ts, whole, side="right") - 1
    real = ts[last] == whole
    close = columns["close"][last]
    filled = {name: np.where(real, columns[name][last], close) for name in ("open", "high", "low", "close")}
    return {"ts": whole, **filled, "volume": np.where(real, columns["volume"][last], 0.0)}
