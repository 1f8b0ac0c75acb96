"""What Tab offers: by bash's own words, through the script that the command line gives the shell."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from omega.cli import completing

ROOT = Path(__file__).resolve().parents[3]
SHELL = """
eval "$(_OMEGA_COMPLETE=source_bash omega)"
COMP_WORDS=(omega bot pause fib); COMP_CWORD=3
_omega_completion omega
echo "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is absent: install it to test its completion")
def test_bash_completes_a_configured_bot() -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    told = subprocess.run(
        ["bash", "-c", SHELL], cwd=ROOT, env={"PATH": path}, capture_output=True, text=True, check=True, timeout=120
    )

    assert "fib-btc" in told.stdout.split(), told.stderr


@pytest.mark.parametrize(
    ("offers", "begun", "wanted"),
    [
        (completing.bots, "fib", "fib-btc"),
        (completing.bots_and_strategies, "ema_c", "ema_cross"),
        (completing.symbols, "btc", "BTC-USDT.P"),
        (completing.among(("grid", "tpe")), "t", "tpe"),
    ],
)
def test_words_that_begin_so_are_offered_and_no_others(offers: object, begun: str, wanted: str) -> None:
    assert callable(offers)
    found = offers(begun)

    assert wanted in found
    assert all(word.lower().startswith(begun) for word in found)
    assert offers("no such word") == []
