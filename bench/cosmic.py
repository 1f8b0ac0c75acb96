"""A year of hourly readings of every factor, and one live reading of all of them. `bench/cosmic.py --json`."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from omega import plugins
from omega.cosmic import Heard, Place, Sky, read_factors
from omega.cosmic.table import HOUR_NS
from omega.domain import FeedState, from_iso

YEAR_H = 24 * 365
START_NS = from_iso("2025-01-01T00:00:00Z")
LIVE = 2_000


def heard(name: str, at_ns: int) -> Heard:
    """Stand in for a feed that has spoken."""
    return Heard({"kp": 3.0, "schumann": 7.83, "sentiment": 40.0}.get(name, 0.0), at_ns, name, FeedState.LIVE)


def run() -> dict[str, Any]:
    plugins.factors.discover()
    place = Place()
    sky = Sky(hours_ahead=YEAR_H)
    sky.table(START_NS - 400 * 24 * HOUR_NS)  # the ephemeris is opened and its code is loaded
    began, cpu = time.perf_counter(), time.process_time()
    table = sky.table(START_NS)
    made = time.perf_counter()
    for hour in range(YEAR_H):
        at_ns = START_NS + hour * HOUR_NS
        read_factors(at_ns, table, place, lambda name, at_ns=at_ns: heard(name, at_ns))  # type: ignore[misc]
    done, spent = time.perf_counter(), time.process_time() - cpu
    took = []
    for number in range(LIVE):
        at_ns = START_NS + number * 7_919 * 1_000_000_000
        since = time.perf_counter()
        read_factors(at_ns, table, place, lambda name, at_ns=at_ns: heard(name, at_ns))  # type: ignore[misc]
        took.append(time.perf_counter() - since)
    sky.close()
    took.sort()
    return {
        "factors": len(plugins.factors),
        "year_s": round(done - began, 3),
        "year_cpu_s": round(spent, 3),
        "of_which_table_s": round(made - began, 3),
        "readings": YEAR_H * len(plugins.factors),
        "live_ms": {
            "p50": round(1e3 * statistics.median(took), 4),
            "p99": round(1e3 * took[int(0.99 * LIVE)], 4),
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.parse_args()
    print(json.dumps(run(), indent=2))
