"""The command line as a person calls it, and a real server for it to talk to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omega.errors import EnvironmentFault
from omega.testing import commands
from omega.testing.servers import ValkeyServer, valkey_server

ROOT = Path(__file__).resolve().parents[3]
Omega = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def omega(tmp_path: Path) -> Omega:
    """Run `omega` in an empty directory with the project's configuration."""

    def call(*args: str, within_s: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
        return commands.omega(args, cwd=tmp_path, env={**environment(), **env}, within_s=within_s)

    return call


@pytest.fixture
def cold_omega(tmp_path: Path) -> Omega:
    """Start `python -m omega.cli` there, as a person does."""

    def call(*args: str, within_s: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
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


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """A real server; without one these tests are skipped loudly."""
    try:
        with valkey_server() as running:
            yield running
    except EnvironmentFault as error:
        pytest.skip(str(error))
