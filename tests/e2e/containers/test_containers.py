"""The images on a local base, and the compose file until it trades. Minutes long, and for root: only when asked for."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from omega.topology import INFRASTRUCTURE, UID, farm

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("OMEGA_CONTAINERS") != "1",
        reason="containers are not built: set OMEGA_CONTAINERS=1 (apt-get install docker.io docker-compose mmdebstrap)",
    ),
]


@pytest.fixture(scope="module")
def report() -> str:
    done = subprocess.run(
        [ROOT / "scripts/containers.sh", "up"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.req("4.70")
def test_compose_farm_trades(report: str) -> None:
    assert re.search(r"it trades: [1-9]", report)


@pytest.mark.req("1.93", "3.12")
def test_compose_containers_are_healthy_without_rights_and_never_restarted(report: str) -> None:
    rows = re.findall(
        r"^/(\S+) health=(\w+) user=(\S+) readonly=(\w+) memory=(\d+) restarts=(\d+)$", report, re.MULTILINE
    )
    users = {f"{UID}:{UID}", "999:999"}

    assert len(rows) == len(farm()) + len(INFRASTRUCTURE)
    for name, health, user, readonly, memory, restarts in rows:
        assert (health, readonly, restarts) == ("healthy", "true", "0"), name
        assert user in users
        assert int(memory) > 0


def test_compose_containers_end_by_themselves_when_asked(report: str) -> None:
    stopped = re.search(r"stopped in (\d+) s", report)
    assert stopped
    assert int(stopped[1]) < 60
    codes = dict(re.findall(r"^/(\S+) exit=(\d+)$", report, re.MULTILINE))
    assert codes
    assert set(codes.values()) == {"0"}
