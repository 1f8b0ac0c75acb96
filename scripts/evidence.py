"""Measure how often patterns came true on recorded data and write omega/analytics/data/evidence.csv.

`make evidence` reads OMEGA_SHARED_DATA/ohlcv; a minute or two on one core. Rows of other families stay as they are.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from pyarrow import parquet

from omega.analytics.evidence import FILE, LENGTHS_NS, read_evidence, write_evidence
from omega.analytics.findings import Family
from omega.analytics.measure import Market, measure
from omega.engine import Bars

ROOT = Path(__file__).resolve().parent.parent
FILES = (
    ("BTCUSDT", "BTCUSDT-15m"), ("ETHUSDT.P", "ETHUSDT_PERP-15m"), ("SOLUSDT.P", "SOLUSDT_PERP-15m"),
    ("BTCUSDT", "BTCUSDT-1h"), ("ETHUSDT", "ETHUSDT-1h"), ("SOLUSDT", "SOLUSDT-1h"),
    ("BTCUSDT", "BTCUSDT-1d"), ("ETHUSDT", "ETHUSDT-1d"), ("SOLUSDT", "SOLUSDT-1d"),
)  # fmt: skip
COLUMNS = ("ts", "open", "high", "low", "close", "volume")
MS_NS = 1_000_000


def market(folder: Path, name: str, file: str) -> Market:
    """Read one recorded market."""
    table = parquet.read_table(folder / f"{file}.parquet", columns=list(COLUMNS))
    ts, *columns = (table[column].to_numpy() for column in COLUMNS)
    timeframe = file.rpartition("-")[2]
    return Market(name, timeframe, LENGTHS_NS[timeframe], Bars.of(ts.astype(np.int64) * MS_NS, *columns))


def main() -> int:
    """Measure and write; return 3 when the recorded data is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(os.environ.get("OMEGA_SHARED_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=shared / "ohlcv", help="folder of the recorded Parquet files")
    parser.add_argument("--out", type=Path, default=FILE, help="file to write")
    options = parser.parse_args()
    if missing := [file for _, file in FILES if not (options.data / f"{file}.parquet").is_file()]:
        print(f"no {missing[0]}.parquet in {options.data}: name the folder of the records with --data", file=sys.stderr)
        return 3
    markets = [market(options.data, name, file) for name, file in FILES]
    rows = measure(markets, tell=lambda text: print(text, file=sys.stderr, flush=True))
    others = read_evidence(options.out) if options.out.exists() else ()
    rows += [row for row in others if row.family not in set(Family)]
    write_evidence(options.out, rows)
    print(f"{len(rows):,} rows in {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
