"""The simulator as a process of its own, to fetch history from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from omega.testing.servers import free_port

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Venue:
    """A running simulator."""

    url: str
    admin_url: str
    process: subprocess.Popen[bytes]

    def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask the admin port."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.admin_url}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    """Its clock begins at 2025-05-07T00:00 and passes a minute in three seconds; there is always an open bar."""
    port, admin = free_port(), free_port()
    command = [sys.executable, "-m", "services.simulator", "--port", str(port), "--admin-port", str(admin)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OMEGA_")}
    process = subprocess.Popen(
        [*command, "--speed", "20", "--limits", "off"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found = Venue(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", process)
    try:
        for _ in range(200):
            try:
                found.call("/clock")
                break
            except (OSError, urllib.error.URLError):
                assert process.poll() is None, "the simulator ended at once"
                time.sleep(0.1)
        yield found
    finally:
        process.kill()
        process.wait(30)
