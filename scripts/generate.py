"""Write every generated document anew (--write), or fail when one is out of date (--check). Called by `make docs`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATORS = (
    ("messages, AsyncAPI, topic map", ["-m", "omega.bus.docs"]),
    ("reference pages", ["scripts/reference.py"]),
    ("record of the forecasts", ["scripts/forecast_page.py"]),
    ("Prometheus rules and Grafana dashboards", ["deploy/generate.py"]),
    ("requirements", ["scripts/requirements.py"]),
)


def main() -> int:
    """Run all generators; return 1 when one of them fails."""
    mode = "--check" if "--check" in sys.argv else "--write"
    failed = 0
    for what, command in GENERATORS:
        done = subprocess.run([sys.executable, *command, mode], cwd=ROOT, check=False)
        if done.returncode:
            print(f"generated documents: {what} failed", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
