"""What freezing the start's objects saves: a full collection of a gateway's process, before and after.

Each way in a process of its own, with all that a gateway imports, and the garbage of a busy minute beside it.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15
LIVE = 20_000
"""Objects that a gateway makes and keeps while it works: orders, books, prices."""


def measure(*, frozen: bool) -> dict[str, float]:
    """Return the pauses of full collections in this process."""
    import services.gateway.service  # noqa: F401 - its objects are what is measured

    if frozen:
        gc.collect()
        gc.freeze()
    kept = [{"row": number, "of": [number]} for number in range(LIVE)]
    pauses = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        gc.collect()
        pauses.append(1e3 * (time.perf_counter() - began))
    assert len(kept) == LIVE
    return {"p50_ms": round(statistics.median(pauses), 3), "frozen_objects": gc.get_freeze_count()}


def run() -> dict[str, Any]:
    """Measure both ways, each in a fresh process."""
    found: dict[str, Any] = {}
    for name in ("plain", "frozen"):
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
        found[name] = json.loads(done.stdout)
    found["plain_over_frozen"] = round(found["plain"]["p50_ms"] / found["frozen"]["p50_ms"], 2)
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", choices=("plain", "frozen"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    print(json.dumps(measure(frozen=options.one == "frozen") if options.one else run(), indent=2))
