"""Measure the pattern scan: a year of minutes in every family, one more bar, and the bare loop beside them.

Called by bench/run.py, or by hand: `python bench/patterns.py --json`. It prints ratios and judges nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT)]

REPEATS = 3
PUSHED = 2_000


def _seconds(run: Any, repeats: int = REPEATS) -> tuple[float, float]:
    """Return the median by the clock and the least processor time, after one run to warm up."""
    run()
    clock, spent = [], []
    for _ in range(repeats):
        gc.collect()
        began, busy = time.perf_counter(), time.process_time()
        run()
        clock.append(time.perf_counter() - began)
        spent.append(time.process_time() - busy)
    return statistics.median(clock), min(spent)


def measure() -> dict[str, Any]:
    """Scan a year of minutes, family by family and all together, then go on bar by bar."""
    from kernel import limit

    from data import YEAR, bars, source
    from omega.analytics.findings import Family
    from omega.analytics.scan import WINDOW, Scanner, scan
    from omega.domain import Bar

    year = bars()
    bare = limit()["J2 + curve + trades"]
    clock, spent = _seconds(lambda: scan(year))
    families = {family.value: round(_seconds(lambda f=family: scan(year, [f]), 1)[1], 3) for family in Family}
    scanner = Scanner()
    scanner.read(year.prefix(YEAR - PUSHED))
    columns = [
        column[-PUSHED:].tolist() for column in (year.ts, year.open, year.high, year.low, year.close, year.volume)
    ]
    each, busy = [], time.process_time()
    for row in zip(*columns, strict=True):
        began = time.perf_counter()
        scanner.push(Bar(*row))
        each.append(time.perf_counter() - began)
    pushed = (time.process_time() - busy) / PUSHED
    return {
        "data": source()[1],
        "load": os.getloadavg()[0],
        "bars": YEAR,
        "findings": len(scan(year)),
        "scan_s": round(clock, 3),
        "scan_processor_s": round(spent, 3),
        "families_processor_s": families,
        "scan over the bare loop J2, by processor time": round(1e3 * spent / bare["processor_ms"], 1),
        "window_bars": WINDOW,
        "push_processor_ms": round(1e3 * pushed, 3),
        "push_ms": {
            "p50": round(1e3 * statistics.median(each), 3),
            "p99": round(1e3 * sorted(each)[int(0.99 * PUSHED)], 3),
        },
    }


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    found = measure()
    print(json.dumps(found) if parser.parse_args().json else json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
