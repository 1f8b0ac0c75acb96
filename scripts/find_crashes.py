"""Find the worst crashes and surges in recorded hourly candles and write the stress scenarios that the project carries.

Usage: python scripts/find_crashes.py FOLDER [--into omega/analytics/data/stress.csv]. FOLDER holds SYMBOL-1h.parquet
files, and SYMBOL-15m.parquet or -1h files of the other coins.
"""

from __future__ import annotations

import argparse
import csv
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from omega.analytics.risk.stress import COLUMNS, FILE, find_crashes
from omega.domain.time import from_iso, iso, timeframe_ns
from omega.engine.bars import Bars
from omega.storage.lake import open_candles

LEADER = "BTC"
COINS = {
    "BTC": "BTCUSDT-1h",
    "ETH": "ETHUSDT-1h",
    "SOL": "SOLUSDT-1h",
    "XRP": "XRPUSDT-1h",
    "ADA": "ADAUSDT_PERP-15m",
}
KINDS = (("crash", 24.0, False), ("slide", 168.0, False), ("surge", 24.0, True))
"""The worst of each kind in every year: the years differ in which coins were there, and in what broke."""
_HOUR_NS = timeframe_ns("1h")


def main() -> int:
    """Find and write; return 3 when the recorded candles are not there."""
    parser = argparse.ArgumentParser(description="find the worst crashes and surges in recorded candles")
    parser.add_argument("folder", type=Path, help="folder of recorded candles")
    parser.add_argument("--into", type=Path, default=FILE, help="the file to write")
    asked = parser.parse_args()
    if missing := [name for name in COINS.values() if not (asked.folder / f"{name}.parquet").is_file()]:
        print(f"no {', '.join(missing)} in {asked.folder}: name the folder that holds them", file=sys.stderr)
        return 3
    files = {coin: open_candles(asked.folder / f"{name}.parquet") for coin, name in COINS.items()}
    lengths = {coin: file.timeframe_ns for coin, file in files.items()}
    markets = {coin: file.read() for coin, file in files.items()}
    rows: list[list[str]] = []
    for kind, hours, up in KINDS:
        for year in years(markets[LEADER]):
            for crash in find_crashes(year, _HOUR_NS, hours=hours, count=1, up=up):
                begun, ended = (int(year.ts[row]) + _HOUR_NS for row in (crash.first, crash.last))
                rows += scenario(kind, begun, ended, markets, lengths)
    with asked.into.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows(rows)
    print(f"{len(rows)} rows written to {asked.into}")
    return 0


def years(bars: Bars) -> list[Bars]:
    """Cut bars into calendar years."""
    edges = [from_iso(f"{year}-01-01T00:00:00Z") for year in range(2018, 2100)]
    cuts = np.unique(np.searchsorted(bars.ts, edges))
    return [bars.prefix(int(b)).since(int(a)) for a, b in pairwise([0, *cuts]) if b - a > 1]


def scenario(kind: str, begun: int, ended: int, markets: dict[str, Bars], lengths: dict[str, int]) -> list[list[str]]:
    """Return the rows of one scenario: every coin that was recorded from its first close to its last."""
    rows = []
    for coin, bars in markets.items():
        closed = bars.ts + lengths[coin]
        first, last = (int(np.searchsorted(closed, at, side="right")) - 1 for at in (begun, ended))
        # The bar that had closed then, and no older one: an outage is no price.
        if first < 0 or begun - closed[first] > lengths[coin] or ended - closed[last] > lengths[coin]:
            continue
        move = bars.close[last] / bars.close[first] - 1.0
        name = f"{kind} of {iso(begun)[:10]}"
        rows.append([name, iso(begun), f"{(ended - begun) / _HOUR_NS:g}", coin, f"{move:.4f}"])
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
