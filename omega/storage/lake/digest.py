"""Content hashes: of bars, so that a result names its data, and of files, for their lineage."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from omega.engine.bars import F64, I64, Bars

_COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")


def content_hash(bars: Bars) -> str:
    """Return the SHA-256 over the SHA-256 of the bytes of ts, open, high, low, close and volume, in that order.

    It depends on the values alone (little-endian int64 and float64): the same bars read from Parquet, CSV or the lake
    have the same hash. The columns are taken apart so that they can be hashed at the same time.
    """
    hasher = ContentHasher()
    hasher.update(bars)
    return hasher.hexdigest()


class ContentHasher:
    """The content hash of bars that come a stretch at a time."""

    def __init__(self) -> None:
        self._digests = [hashlib.sha256() for _ in _COLUMNS]

    def update(self, bars: Bars) -> None:
        """Take the next stretch."""
        columns = [getattr(bars, name) for name in _COLUMNS]
        with ThreadPoolExecutor(max_workers=len(_COLUMNS)) as pool:
            for done in [pool.submit(_take, *pair) for pair in zip(self._digests, columns, strict=True)]:
                done.result()

    def hexdigest(self) -> str:
        """Return the hash of everything that was taken."""
        return hashlib.sha256(b"".join(digest.digest() for digest in self._digests)).hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _take(digest: Any, column: I64 | F64) -> None:
    digest.update(np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<")))
