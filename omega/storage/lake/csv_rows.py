"""Candles from CSV, a block at a time. Called by `files`; what Arrow refuses is looked up again to name its row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from omega.engine.bars import Bars
from omega.errors import CorruptData
from omega.storage.lake.columns import NAMES, bars_of, instant_of, sources
from omega.storage.lake.place import Place

_BLOCK: Final = 8 << 20
_EMPTY: Final = ("", "NaN", "nan", "NA", "N/A", "null", "NULL", "None")
_NUMBER: Final = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf(inity)?)\s*", re.IGNORECASE)


def csv_batches(path: Path) -> Iterator[tuple[int, Bars]]:
    """Yield unchecked bars with the number of rows before them.

    Raises:
        CorruptData: the file has other columns, a ragged row, or a cell that is no number.
    """
    import pyarrow.csv as arrow_csv

    names = sources(_header(path), Place(path))
    options = arrow_csv.ConvertOptions(
        include_columns=list(names.values()),
        column_types={actual: pa.string() if name == "ts" else pa.float64() for name, actual in names.items()},
        null_values=list(_EMPTY),
        strings_can_be_null=True,
    )
    first = 0
    try:
        reader = arrow_csv.open_csv(
            path, read_options=arrow_csv.ReadOptions(block_size=_BLOCK), convert_options=options
        )
        for batch in reader:
            if batch.num_rows:
                yield first, bars_of(_by_our_names(batch, names), Place(path, first))
            first += batch.num_rows
    except pa.ArrowInvalid as error:
        raise _located(path, names, error) from error


def _by_our_names(batch: Any, names: dict[str, str]) -> dict[str, Any]:
    return {name: batch.column(actual) for name, actual in names.items()}


def _header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        return next((row for row in csv.reader(lines) if row), [])


def _located(path: Path, names: dict[str, str], error: Exception) -> CorruptData:
    """Read the file again by hand for the first row that Arrow could not take."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        rows = (row for row in csv.reader(lines) if row)
        header = next(rows, [])
        for number, row in enumerate(rows):
            found = _wrong(row, header, names)
            if found is not None:
                column, what = found
                return CorruptData(f"{Place(path).at(number, column)}: {what}; repair the row")
    return CorruptData(f"{path} is no readable CSV file ({error}): export it again, in UTF-8 and with commas")


def _wrong(row: list[str], header: list[str], names: dict[str, str]) -> tuple[str, str] | None:
    if len(row) != len(header):
        column = header[len(row)] if len(row) < len(header) else header[-1]
        return column, f"the row has {len(row)} cells, the header {len(header)}"
    cells = {name: row[header.index(names[name])] for name in NAMES}
    for name, cell in cells.items():
        if cell in _EMPTY:
            continue
        if name == "ts":
            try:
                instant_of(cell)
            except ValueError:
                return name, f"{cell[:40]!r} is no time"
        elif not _NUMBER.fullmatch(cell):
            return name, f"{cell[:40]!r} is no number"
    return None
