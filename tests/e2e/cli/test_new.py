"""`omega new` in a copy of the project: what it writes runs, its test is green, and the linter has nothing to say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from omega.cli.new import PLACES

from .conftest import ROOT, Omega

NAMES = ("me", "sunny", "a_name_that_is_exactly_39_characters_lg")
COPIED = ("omega", "services", "bots", "personas", "config", "tests/unit/bots", "tests/contract/gateway")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a plug-in and its test need."""
    root = tmp_path_factory.mktemp("project")
    leave = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=leave)
    (root / "data").symlink_to(ROOT / "data")
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in the copy; its own code comes before the installed one."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "PYTHONPYCACHEPREFIX": str(project / ".pycache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.req("1.13", "1.96", "4.01", "1.08")
@pytest.mark.parametrize("kind", sorted(PLACES))
def test_new_file_and_its_test_are_green_and_clean(kind: str, omega: Omega, project: Path) -> None:
    """Whatever the length of the name."""
    written: list[str] = []
    for name in NAMES:
        source, test = (place.format(name=name) for place in PLACES[kind])
        done = omega("new", kind, name, "--dir", str(project))
        assert done.returncode == 0, done.stderr
        assert source in done.stdout
        written += [source, test]

    proven = run(project, "pytest", "-q", "-p", "no:cacheprovider", *written[1::2])
    assert proven.returncode == 0, proven.stdout + proven.stderr
    linted = run(project, "ruff", "check", "--no-cache", *written)
    assert linted.returncode == 0, linted.stdout
    formatted = run(project, "ruff", "format", "--check", "--no-cache", *written)
    assert formatted.returncode == 0, formatted.stdout + formatted.stderr


@pytest.mark.req("1.96")
def test_new_bot_passes_what_every_registered_strategy_passes(omega: Omega, project: Path) -> None:
    """Unedited: look-ahead, warm-up, bounds, NaN."""
    assert omega("new", "bot", "rainy_day", "--dir", str(project)).returncode == 0

    proven = run(project, "pytest", "-v", "-p", "no:cacheprovider", "tests/unit/bots/test_every_strategy.py")

    assert proven.returncode == 0, proven.stdout + proven.stderr
    assert "rainy_day" in proven.stdout


def test_new_existing_name_is_never_overwritten(omega: Omega, project: Path) -> None:
    before = (project / "bots/ema_cross.py").read_bytes()

    done = omega("new", "bot", "ema_cross", "--dir", str(project))

    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (project / "bots/ema_cross.py").read_bytes() == before
    assert not (project / "tests/unit/bots/test_ema_cross_break.py").exists()


@pytest.mark.parametrize("name", ["../evil", "Evil", "a", "2fast", "x-y", "a" * 60])
def test_new_name_that_is_no_module_is_refused(name: str, omega: Omega, tmp_path: Path) -> None:
    done = omega("new", "bot", name)

    assert done.returncode == 2
    assert "lower case" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_new_outside_a_project_says_where_to_run_it(omega: Omega, tmp_path: Path) -> None:
    done = omega("new", "bot", "fine_name")

    assert done.returncode == 2
    assert "--dir" in done.stderr
    assert list(tmp_path.iterdir()) == []
