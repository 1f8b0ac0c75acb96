"""Measure every forecast model walk-forward on recorded candles and write the tables that the project carries.

Usage: python scripts/measure_forecasts.py FOLDER, or --evidence to fold the carried table into the evidence alone.
FOLDER holds SYMBOL-TIMEFRAME.parquet files; takes minutes. Run it when a model or a feature changes, then `make docs`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from omega.analytics.evidence import FILE as EVIDENCE
from omega.analytics.evidence import read_evidence, write_evidence
from omega.analytics.forecast.measure import (
    FAMILY,
    FILE,
    Record,
    Reliable,
    as_evidence,
    measure_timeframe,
    read_records,
    write_tables,
)
from omega.analytics.forecast.walk import Plan
from omega.domain.time import timeframe_ns
from omega.storage.lake import open_candles

MARKETS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
PLANS = {
    "1h": [Plan(horizon, train=2 * 8_760, step=2_190, embargo=horizon) for horizon in (1, 24)],
    "1d": [Plan(horizon, train=730, step=30, embargo=horizon) for horizon in (1, 7)],
}
"""Two years to train on; a fit each quarter of hourly bars, each month of daily ones."""


def main() -> int:
    """Measure and write; return 3 when the recorded candles are not there."""
    parser = argparse.ArgumentParser(description="measure the forecast models on recorded candles")
    parser.add_argument("folder", type=Path, nargs="?", help="folder of SYMBOL-TIMEFRAME.parquet files")
    parser.add_argument("--evidence", action="store_true", help="measure nothing, fold in the carried table")
    asked = parser.parse_args()
    if not asked.evidence:
        if asked.folder is None:
            parser.error("name the folder of recorded candles, or --evidence")
        files = [asked.folder / f"{name}-{timeframe}.parquet" for timeframe in PLANS for name in MARKETS]
        if missing := [file.name for file in files if not file.is_file()]:
            print(f"no {', '.join(missing)} in {asked.folder}: name the folder that holds them", file=sys.stderr)
            return 3
        measured(asked.folder)
    rows = [row for row in (read_evidence(EVIDENCE) if EVIDENCE.exists() else ()) if row.family != FAMILY]
    found = as_evidence(list(read_records(FILE)))
    write_evidence(EVIDENCE, [*rows, *found])
    print(f"{len(found)} rows of evidence on forecasts, {len(rows)} on everything else")
    return 0


def measured(folder: Path) -> None:
    """Measure every model and write both tables."""
    records: list[Record] = []
    bins: list[Reliable] = []
    for timeframe, plans in PLANS.items():
        markets = {name: open_candles(folder / f"{name}-{timeframe}.parquet").read() for name in MARKETS}
        for plan in plans:
            found, reliable = measure_timeframe(
                markets, timeframe, timeframe_ns(timeframe), plan, lambda line: print(line, flush=True)
            )
            records += found
            bins += reliable
    write_tables(records, bins, FILE.parent)
    print(f"{len(records)} records and {len(bins)} bins written to {FILE.parent}")


if __name__ == "__main__":
    raise SystemExit(main())
