"""The bars that the bench runs on: a year of recorded minutes where one is at hand, else thirty days end to end.

Read by bench/kernel.py and bench/peers; the columns travel to peers as a plain .npz.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
YEAR = 525_600
MINUTE_NS = 60_000_000_000
COLUMNS = ("open", "high", "low", "close", "volume")


def source(given: str = "") -> tuple[Path, str]:
    """Return the file to read and what to say about it."""
    recorded = Path(os.environ.get("OMEGA_SHARED_DATA", ROOT.parent / "shared" / "data")) / "ohlcv/BTCUSDT-1m.parquet"
    if given:
        return Path(given), given
    if recorded.is_file():
        return recorded, "BTCUSDT spot, 1m, 2022"
    return ROOT / "data/candles/BTCUSDT-1m.parquet", "30 days of BTCUSDT, 1m, end to end: no year of minutes is at hand"


def bars(count: int = YEAR, given: str = "") -> Any:
    """Return so many minutes; a shorter record is laid end to end, each copy going on at the price of the last."""
    from pyarrow import parquet

    from omega.engine import Bars

    table = parquet.read_table(source(given)[0], columns=["ts", *COLUMNS]).slice(0, min(count, YEAR))
    columns = {name: table[name].to_numpy() for name in COLUMNS}
    own = table.num_rows
    if own >= count:
        return Bars.of(table["ts"].to_numpy() * 1_000_000, *[columns[name][:count] for name in COLUMNS])
    copies = -(-count // own)
    step = columns["close"][-1] / columns["open"][0]
    scale = np.repeat(step ** (np.arange(copies) % 2), own)[:count]
    laid = {name: np.tile(columns[name], copies)[:count] for name in COLUMNS}
    prices = [laid[name] * scale for name in COLUMNS[:4]]
    ts = int(table["ts"][0].as_py()) * 1_000_000 + np.arange(count, dtype=np.int64) * MINUTE_NS
    return Bars.of(ts, *prices, laid["volume"])
