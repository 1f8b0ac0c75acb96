"""The page of the forecasts says what the record says, and the measuring scripts say what they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from omega.analytics.evidence import Verdict
from omega.analytics.forecast import MODELS
from omega.analytics.forecast.measure import as_evidence, records_of

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.req("1.18")
def test_page_names_every_model_and_exactly_what_beats_chance() -> None:
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import forecast_page; print(forecast_page.page())"

    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout

    records = records_of()
    beating = [e for e in as_evidence(list(records)) if e.verdict is Verdict.BEATS]
    assert all(f"| `{name}` |" in text for name in MODELS)
    assert text.count("| beats chance |") == len(beating)
    assert f"{len(beating)} of {len(records)} rows" in text
    assert text.count("| does not beat chance |") == len(records) - len(beating)


@pytest.mark.parametrize(
    ("script", "missing"), [("measure_forecasts.py", "BTCUSDT-1h"), ("find_crashes.py", "BTCUSDT-1h")]
)
def test_scripts_without_their_candles_name_them(script: str, missing: str, tmp_path: Path) -> None:
    done = run(script, str(tmp_path))

    assert done.returncode == 3
    assert missing in done.stderr


def test_measuring_without_a_folder_is_a_usage_error() -> None:
    assert run("measure_forecasts.py").returncode == 2
