"""The bars that the bench runs on: a year of recorded minutes where one is at hand, else thirty days end to end.

Read by bench/kernel.py and bench/peers. The columns travel as a plain .npz, to peers and to our own jobs, so that no
job's memory or time holds a reader of Parquet that it does not need.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
YEAR = 525_600
MINUTE_NS = 60_000_000_000
KEPT = "OMEGA_BENCH_COLUMNS"
SHARED = Path(os.environ.get("OMEGA_SHARED_DATA", ROOT.parent / "shared" / "data"))
FUNDING = SHARED / "derivs/BTCUSDT_PERP-funding-8h.csv"
"""Recorded funding rates, where they are at hand."""
COLUMNS = ("open", "high", "low", "close", "volume")


def source(given: str = "") -> tuple[Path, str]:
    """Return the file to read and what to say about it."""
    recorded = SHARED / "ohlcv/BTCUSDT-1m.parquet"
    if given:
        return Path(given), given
    if recorded.is_file():
        return recorded, "BTCUSDT spot, 1m, 2022"
    return ROOT / "data/candles/BTCUSDT-1m.parquet", "30 days of BTCUSDT, 1m, end to end: no year of minutes is at hand"


@contextmanager
def kept() -> Iterator[Path]:
    """Keep the year as a plain .npz while the processes that this one starts need it; ts in ms."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "columns.npz"
        np.savez(path, **_read())
        os.environ[KEPT] = str(path)
        try:
            yield path
        finally:
            del os.environ[KEPT]


def _read(given: str = "") -> dict[str, Any]:
    if not given and KEPT in os.environ:
        with np.load(os.environ[KEPT]) as file:
            return {name: file[name] for name in file.files}
    from pyarrow import parquet

    table = parquet.read_table(source(given)[0], columns=["ts", *COLUMNS]).slice(0, YEAR)
    return {name: table[name].to_numpy() for name in table.column_names}


def bars(count: int = YEAR, given: str = "") -> Any:
    """Return so many minutes; a shorter record is laid end to end, each copy going on at the price of the last."""
    from omega.engine import Bars

    columns = _read(given)
    own = len(columns["ts"])
    if own >= count:
        return Bars.of(columns["ts"][:count] * 1_000_000, *[columns[name][:count] for name in COLUMNS])
    copies = -(-count // own)
    step = columns["close"][-1] / columns["open"][0]
    scale = np.repeat(step ** (np.arange(copies) % 2), own)[:count]
    laid = {name: np.tile(columns[name], copies)[:count] for name in COLUMNS}
    prices = [laid[name] * scale for name in COLUMNS[:4]]
    ts = int(columns["ts"][0]) * 1_000_000 + np.arange(count, dtype=np.int64) * MINUTE_NS
    return Bars.of(ts, *prices, laid["volume"])
