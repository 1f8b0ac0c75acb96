"""What a back-test of the command line loads: everything that it loads without need, its user waits for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NEEDLESS = ("prometheus_client", "rich", "pandas", "matplotlib", "scipy", "omega.telemetry", "omega.cosmic")
CODE = f"""
import atexit, sys
from omega.cli import main
atexit.register(lambda: print([name for name in {NEEDLESS} if name in sys.modules], file=sys.stderr))
sys.argv = ["omega", "backtest", "ema_cross", "--to", "2025-05-11", "--json"]
main()
"""


def test_backtest_loads_neither_metrics_nor_sky_that_it_does_not_use(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT, env={**os.environ, "OMEGA_TRIALS_DB": str(tmp_path / "trials.db")},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
