"""What the lint step refuses: a rule that nobody sees fail is no rule. Each case is one planted file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RUFF = Path(sys.executable).with_name("ruff")
HEAD = '"""A planted module."""\n\nfrom __future__ import annotations\n\n\n'
BRANCHES = "\n".join(f"    if number == {n}:\n        return {n + 1}" for n in range(20))


def refused(code: str, *, path: str = "omega/engine/planted.py") -> set[str]:
    """Return the rules that a file of this text would break."""
    done = subprocess.run(
        [str(RUFF), "check", "--no-cache", "--output-format", "concise", "--stdin-filename", path, "-"],
        cwd=ROOT,
        input=HEAD + code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return {line.split(": ", 1)[1].split()[0] for line in done.stdout.splitlines() if line.startswith(path)}


PLANTED = [
    pytest.param(
        "def look() -> None:\n    try:\n        print(1)\n    except:\n        print(2)\n",
        {"E722"},
        marks=pytest.mark.req("0.26"),
        id="bare except",
    ),
    pytest.param(
        "def look() -> None:\n    try:\n        print(1)\n    except Exception:\n        pass\n",
        {"BLE001", "S110"},
        marks=pytest.mark.req("0.26", "2.128"),
        id="silent except",
    ),
    pytest.param("def look() -> int:\n    return 1\n", {"D103"}, marks=pytest.mark.req("2.130", "3.22"), id="function"),
    pytest.param(
        'class Look:\n    """Look."""\n\n    def at(self) -> int:\n        return 1\n',
        {"D102"},
        marks=pytest.mark.req("2.130", "3.22"),
        id="method",
    ),
    pytest.param("class Look:\n    pass\n", {"D101"}, marks=pytest.mark.req("2.130", "3.22"), id="class"),
    pytest.param(
        'def look(at: int) -> int:\n    """Look.\n\n    Args\n    ----\n        at: where.\n    """\n    return at\n',
        {"D407", "D416"},
        marks=pytest.mark.req("3.22"),
        id="another style of docstring",
    ),
    pytest.param(
        'LAST = 0\n\n\ndef look(at: int) -> None:\n    """Look."""\n    global LAST\n    LAST = at\n',
        {"PLW0603"},
        marks=pytest.mark.req("4.05"),
        id="global singleton",
    ),
    pytest.param(
        'def look(at: int) -> int:\n    """Look."""\n    # at = at + 1\n    return at\n',
        {"ERA001"},
        marks=pytest.mark.req("4.34"),
        id="commented-out code",
    ),
    pytest.param(
        f'def look(number: int) -> int:\n    """Look."""\n{BRANCHES}\n    return 0\n',
        {"C901", "PLR0911", "PLR0912"},
        id="complex function",
    ),
    pytest.param("def look(at) -> None:\n    return at\n", {"ANN001"}, marks=pytest.mark.req("4.07"), id="no types"),
]


@pytest.mark.parametrize(("code", "rules"), PLANTED)
def test_lint_planted_fault_is_refused(code: str, rules: set[str]) -> None:
    assert refused(code) & rules, refused(code)


def test_lint_sound_file_is_let_through() -> None:
    assert refused('def look(at: int) -> int:\n    """Look."""\n    return at\n') == set()
