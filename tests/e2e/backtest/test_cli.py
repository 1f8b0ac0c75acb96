"""`omega backtest` as a person calls it: a process of its own, compiled, with files, table and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.req("0.34", "4.37")

ROOT = Path(__file__).resolve().parents[3]
FINE, FINDING, USAGE = 0, 1, 2
Omega = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def omega(tmp_path: Path) -> Omega:
    """Run `omega` in an empty directory with the project's configuration and the machine's warm kernel."""

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "omega.cli", *args],
            cwd=tmp_path,
            env={**os.environ, "OMEGA_CONFIG_DIR": str(ROOT / "config"), "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


def test_backtest_process_writes_report_picture_trades_and_one_json_object(omega: Omega, tmp_path: Path) -> None:
    done = omega(
        "backtest", "ema_cross", "--json", "--report", "out.html", "--png", "out.png", "--trades", "out.parquet"
    )

    assert done.returncode == FINE, done.stderr
    found = json.loads(done.stdout)
    assert (found["bars"], found["metrics"]["days"]) == (43_200, 30.0)
    assert found["bars_per_s"] > 0
    page = (tmp_path / "out.html").read_text()
    assert f"{found['trades']:,} round trips" in page
    assert found["data_hash"] in page
    assert "omega backtest ema_cross --json" in page
    assert (tmp_path / "out.png").stat().st_size > 20_000
    assert (tmp_path / "out.parquet").stat().st_size > 5_000
    assert (tmp_path / "var" / "trials.db").exists()


def test_backtest_process_prints_story_figures_and_doubts(omega: Omega) -> None:
    done = omega("backtest", "fib-btc", "--from", "2025-05-05", "--to", "2025-05-12")

    assert done.returncode == FINE, done.stderr
    for words in ("strategic_fibonacci on BTC-USDT.P", "all costs paid", "Deepest drawdown", "Sharpe",
                  "Holding: return", "Only 7 days of history", "bars/s"):  # fmt: skip
        assert words in done.stdout, words
    assert "nan" not in done.stdout


def test_backtest_process_refuses_with_one_paragraph_and_code_two(omega: Omega) -> None:
    done = omega("backtest", "ema_cross", "--set", "fats=8")

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "did you mean 'fast'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_backtest_help_shows_every_option_and_examples(omega: Omega) -> None:
    done = omega("backtest", "--help")

    for option in ("--symbol", "--timeframe", "--data", "--from", "--to", "--set", "--capital", "--fees", "--slippage",
                   "--funding", "--cosmic", "--psychology", "--report", "--json", "--trades", "--png"):  # fmt: skip
        assert option in done.stdout, option
    assert "Examples" in done.stdout
