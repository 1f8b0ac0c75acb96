"""What every peer's script does the same: read the columns, time a job, print what came of it. Standard library, numpy.

Run by the peer's own interpreter, in its own environment: `python NAME_job.py COLUMNS.npz JOB,JOB REPEATS`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

FEE = 0.0006
CAPITAL = 10_000.0
FASTS, SLOWS = tuple(range(5, 33, 3)), tuple(range(40, 240, 10))


def columns() -> dict[str, Any]:
    """Return the bars: ts in ms, prices and volume."""
    with np.load(sys.argv[1]) as file:
        return {name: np.ascontiguousarray(file[name]) for name in file.files}


def crossings(above: Any) -> tuple[Any, Any]:
    """Return the bars at whose close the fast average has just come to lie above the slow one, and below it."""
    entries, exits = np.zeros(len(above), bool), np.zeros(len(above), bool)
    entries[1:], exits[1:] = above[1:] & ~above[:-1], ~above[1:] & above[:-1]
    return entries, exits


def answer(version: str, jobs: dict[str, Callable[[], dict[str, Any]]], notes: dict[str, str]) -> None:
    """Time the wanted jobs, the first call of each left out, and print one line of JSON."""
    wanted, repeats = sys.argv[2].split(","), int(sys.argv[3])
    found: dict[str, Any] = {"version": version}
    for name in wanted:
        if name not in jobs:
            continue
        made = jobs[name]()
        runs = []
        for _ in range(max(repeats, 1)):  # a slow engine is run once and timed then
            gc.collect()
            began, busy = time.perf_counter(), time.process_time()
            made = jobs[name]()
            runs.append((time.perf_counter() - began, time.process_time() - busy))
        times = {"seconds": [run[0] for run in runs], "processor_s": min(run[1] for run in runs)}
        found[name] = {**times, **made, "differs": notes.get(name, ""), "peak_rss_mb": _peak_rss_mb()}
    print(json.dumps(found))


def _peak_rss_mb() -> float:
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 - a peer's Python may be any
            peak = next(line for line in file if line.startswith("VmHWM:"))
    except OSError:
        return float("nan")
    return round(int(peak.split()[1]) / 1024, 1)


def quiet() -> None:
    """Keep a chatty library off stdout; the answer is the last line anyway."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
