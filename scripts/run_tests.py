"""Run all tests, the ones that count for it with branch coverage, and say what was skipped. Called by `make test`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = [sys.executable, "-m"]
FLOOR = "90"
CORE = "omega/domain/*,omega/engine/*"
"""What decides and counts money has the floor for itself: beside the whole it is too small to be missed."""


def main() -> int:
    """Return the exit code: 0 only when every test passed and coverage reached the floor, in the core too."""
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    # A worker more than cores, for tests wait for processes; a file stays in one worker: its tests share its servers.
    # Files in the order of tests/conftest.py: by their number of tests, long ones with few would come last, one by one.
    spread = ["-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile", "--no-loadscope-reorder"]
    tests = [*PYTHON, "coverage", "run", "-m", "pytest", *spread, *sys.argv[1:]]
    code = subprocess.run(tests, cwd=ROOT, check=False).returncode
    if code:
        return code
    subprocess.run([*PYTHON, "coverage", "combine", "-q"], cwd=ROOT, check=True)
    return judge(ROOT)


def judge(root: Path) -> int:
    """Print the coverage that was measured in a folder; return 0 when it reaches the floor, in the core too."""
    code = 0
    for what, part in (("everything", []), ("the core", [f"--include={CORE}"])):
        print(f"coverage of {what}, at least {FLOOR} % by line and branch:", flush=True)
        report = [*PYTHON, "coverage", "report", f"--fail-under={FLOOR}", *part]
        code = subprocess.run(report, cwd=root, check=False).returncode or code
    return code


if __name__ == "__main__":
    raise SystemExit(main())
