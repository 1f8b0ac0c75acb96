"""Candles from Parquet, a row group at a time; groups outside the wanted range are never read. Called by `files`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from omega.engine.bars import Bars
from omega.errors import CorruptData
from omega.storage.lake.columns import bars_of, sources
from omega.storage.lake.place import Place
from omega.storage.lake.stamps import to_ns_or_none


def parquet_batches(path: Path, from_ns: int, to_ns: int) -> Iterator[tuple[int, Bars]]:
    """Yield unchecked bars of the row groups that touch the range, with the number of rows before them.

    Raises:
        CorruptData: the file is no Parquet, has other columns, or a cell that is no number.
    """
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            names = sources(file.schema_arrow.names, Place(path))
            first = 0
            for number in range(file.num_row_groups):
                rows = file.metadata.row_group(number).num_rows
                if rows and _touches(file, number, names["ts"], from_ns, to_ns):
                    table = file.read_row_group(number, columns=list(names.values()))
                    yield first, bars_of({name: table[actual] for name, actual in names.items()}, Place(path, first))
                first += rows
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptData(f"{path} is no readable Parquet file ({error}): fetch or write it again") from error


def _touches(file: Any, number: int, column: str, from_ns: int, to_ns: int) -> bool:
    """Tell from the statistics whether a group can hold rows of the range; without them it can."""
    index = file.schema_arrow.names.index(column)
    if file.schema_arrow.types[index] != pa.int64():
        return True
    statistics = file.metadata.row_group(number).column(index).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    low, high = to_ns_or_none(statistics.min), to_ns_or_none(statistics.max)
    return low is None or high is None or (low < to_ns and high >= from_ns)
