"""Run all tests, the ones that count for it with branch coverage, and say what was skipped. Called by `make test`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOOR = "90"


def main() -> int:
    """Return the exit code: 0 only when every test passed and coverage reached the floor."""
    python = [sys.executable, "-m"]
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    # A worker more than cores, for tests wait for processes; a file stays in one worker: its tests share its servers.
    # Files in their order: ordered by their number of tests, the long ones with few would come last, one by one.
    spread = ["-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile", "--no-loadscope-reorder"]
    tests = [*python, "coverage", "run", "-m", "pytest", *spread, *sys.argv[1:]]
    code = subprocess.run(tests, cwd=ROOT, check=False).returncode
    if code:
        return code
    subprocess.run([*python, "coverage", "combine", "-q"], cwd=ROOT, check=True)
    return subprocess.run([*python, "coverage", "report", f"--fail-under={FLOOR}"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
