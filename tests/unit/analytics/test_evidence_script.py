"""The script behind `make evidence`: it measures what it is given, keeps other rows, names what is missing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from omega.analytics.evidence import Evidence, Verdict, read_evidence, write_evidence

from .worlds import fair

ROOT = Path(__file__).resolve().parents[3]
FILES = [f"{market}-15m" for market in ("BTCUSDT", "ETHUSDT_PERP", "SOLUSDT_PERP")] + [
    f"{market}-{timeframe}" for timeframe in ("1h", "1d") for market in ("BTCUSDT", "ETHUSDT", "SOLUSDT")
]
FORECAST = Evidence(
    "forecast", "ema_slope", "both", "h24", "all", "1h", 900, 0.5, 0.47, 0.53, 0.5, 0.5, 0.9, Verdict.NOT
)  # fmt: skip


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/evidence.py", *args]
    return subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=300
    )


def test_evidence_script_measures_what_it_is_given_and_keeps_other_rows(tmp_path: Path) -> None:
    for seed, name in enumerate(FILES):
        bars = fair(900, seed)
        columns = {
            "ts": bars.ts // 1_000_000,
            **{c: getattr(bars, c) for c in ("open", "high", "low", "close", "volume")},
        }
        parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    out = tmp_path / "evidence.csv"
    stale = replace(FORECAST, family="candles", name="doji_star", direction="long", measure="target")
    write_evidence(out, [stale, FORECAST])

    done = run("--data", str(tmp_path), "--out", str(out))

    assert done.returncode == 0, done.stderr
    rows = read_evidence(out)
    assert FORECAST in rows
    assert stale not in rows
    assert {row.timeframe for row in rows} == {"15m", "1h", "1d"}
    assert {row.dataset for row in rows} >= {"all", "BTCUSDT", "ETHUSDT.P"}
    assert f"{len(rows):,} rows" in done.stdout


def test_evidence_script_says_which_record_is_missing(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path), "--out", str(tmp_path / "evidence.csv"))

    assert done.returncode == 3
    assert "no BTCUSDT-15m.parquet" in done.stderr
    assert "--data" in done.stderr
    assert not list(tmp_path.iterdir())
