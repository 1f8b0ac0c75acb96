"""One year of one series as a Parquet file with its hash and lineage in the metadata, and the JSON beside it.

Written and read by the lake. Rows are grouped by 131,072 (three months of minutes), so a range reads few of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from omega.engine.bars import Bars
from omega.errors import CorruptData
from omega.storage.lake.columns import NAMES
from omega.storage.lake.digest import content_hash
from omega.storage.lake.gaps import gaps
from omega.storage.lake.lineage import Entry

FORMAT: Final = 1
ROW_GROUP: Final = 131_072
_KEY: Final = b"omega.candles"
_PRICES: Final = ["open", "high", "low", "close"]


@dataclass(frozen=True, slots=True)
class YearMeta:
    """What a year's file says of itself.

    Attributes:
        content: the content hash of its bars.
        partial: open times of bars that were resampled across a gap, ns.
        lineage: where the bars came from, oldest act first.
    """

    venue: str
    symbol: str
    timeframe: str
    rows: int
    first_ns: int
    last_ns: int
    content: str
    missing: int
    partial: tuple[int, ...]
    lineage: tuple[Entry, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        stored = {name: getattr(self, name) for name in self.__slots__}
        return {"format": FORMAT, **stored, "lineage": [entry.as_json() for entry in self.lineage]}

    @classmethod
    def of(cls, stored: dict[str, Any]) -> YearMeta:
        """Read it back."""
        fields = {name: stored[name] for name in cls.__slots__}
        lineage = tuple(Entry.of(entry) for entry in stored["lineage"])
        return cls(**{**fields, "partial": tuple(stored["partial"]), "lineage": lineage})


def describe(
    names: tuple[str, str, str], bars: Bars, timeframe_ns: int, partial: tuple[int, ...], lineage: tuple[Entry, ...]
) -> YearMeta:
    """Make the description of a year's bars; names are venue, symbol and timeframe."""
    missing = sum(gap.missing for gap in gaps(bars.ts, timeframe_ns))
    ends = int(bars.ts[0]), int(bars.ts[-1])
    return YearMeta(*names, bars.n, *ends, content_hash(bars), missing, partial, lineage)


def write_year(file: BinaryIO, bars: Bars, meta: YearMeta) -> None:
    """Write the bars as Parquet: zstd, ts as differences, prices by dictionary, volumes by bytes."""
    arrays = [_arrow(getattr(bars, name)) for name in NAMES]
    schema = pa.schema([pa.field(name, array.type, nullable=False) for name, array in zip(NAMES, arrays, strict=True)])
    schema = schema.with_metadata({_KEY: json.dumps(meta.as_json()).encode()})
    encodings = {"ts": "DELTA_BINARY_PACKED", "volume": "BYTE_STREAM_SPLIT"}
    table = pa.Table.from_arrays(arrays, schema=schema)
    with pq.ParquetWriter(
        file, schema, compression="zstd", use_dictionary=_PRICES, column_encoding=encodings
    ) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP)


def read_meta(path: Path) -> YearMeta:
    """Read what a year's file says of itself, without its rows.

    Raises:
        CorruptData: the file is no Parquet of the lake.
    """
    try:
        with pq.ParquetFile(path) as file:
            stored = json.loads((file.schema_arrow.metadata or {})[_KEY])
        if stored["format"] != FORMAT:
            raise CorruptData(f"{path} has format {stored['format']}, this program reads {FORMAT}: use a newer one")
        return YearMeta.of(stored)
    except (pa.ArrowInvalid, OSError, KeyError, ValueError, TypeError) as error:
        raise CorruptData(f"{path} is no year of a lake ({error}): move it away and import its source again") from error


def _arrow(column: Any) -> Any:
    """Wrap a numpy column; `pa.array` imports pandas where it is installed."""
    kind = pa.int64() if column.dtype == np.int64 else pa.float64()
    return pa.Array.from_buffers(kind, len(column), [None, pa.py_buffer(np.ascontiguousarray(column))])
