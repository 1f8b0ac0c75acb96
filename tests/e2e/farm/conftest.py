"""The command line as a person calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from omega.testing import commands

ROOT = Path(__file__).resolve().parents[3]
Omega = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def omega(tmp_path: Path) -> Omega:
    """Run the command line in an empty directory."""

    def call(*args: str, within_s: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        return commands.omega(args, cwd=tmp_path, env={**environment(), **env}, within_s=within_s)

    return call


@pytest.fixture
def cold_omega(tmp_path: Path) -> Omega:
    """Start it there as a person would."""

    def call(*args: str, within_s: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "omega.cli", *args],
            cwd=tmp_path,
            env={**environment(), **env},
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    return call


def environment() -> dict[str, str]:
    return {**os.environ, "OMEGA_CONFIG_DIR": str(ROOT / "config"), "PYTHONPATH": str(ROOT)}
