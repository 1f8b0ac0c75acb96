"""Measure every forecast model walk-forward on recorded candles and write the tables that the project carries.

Usage: python scripts/measure_forecasts.py FOLDER [--into omega/analytics/data]. FOLDER holds SYMBOL-TIMEFRAME.parquet
files; takes minutes. Run it when a model or a feature changes, then `make docs`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from omega.analytics.forecast.measure import FILE, Record, Reliable, measure_timeframe, write_tables
from omega.analytics.forecast.walk import Plan
from omega.domain.time import timeframe_ns
from omega.storage.lake import open_candles

MARKETS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
PLANS = {
    "1h": [Plan(horizon, train=2 * 8_760, step=2_190, embargo=horizon) for horizon in (1, 24)],
    "1d": [Plan(horizon, train=730, step=30, embargo=horizon) for horizon in (1, 7)],
}
"""Two years to train on; a fit each quarter of hourly bars, each month of daily ones."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description="measure the forecast models on recorded candles")
    parser.add_argument("folder", type=Path, help="folder of SYMBOL-TIMEFRAME.parquet files")
    parser.add_argument("--into", type=Path, default=FILE.parent, help="where the tables are written")
    asked = parser.parse_args()
    records: list[Record] = []
    bins: list[Reliable] = []
    for timeframe, plans in PLANS.items():
        markets = {name: open_candles(asked.folder / f"{name}-{timeframe}.parquet").read() for name in MARKETS}
        for plan in plans:
            found, reliable = measure_timeframe(
                markets, timeframe, timeframe_ns(timeframe), plan, lambda line: print(line, flush=True)
            )
            records += found
            bins += reliable
    asked.into.mkdir(parents=True, exist_ok=True)
    write_tables(records, bins, asked.into)
    print(f"{len(records)} records and {len(bins)} bins written to {asked.into}")


if __name__ == "__main__":
    main()
