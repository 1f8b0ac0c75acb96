"""The test server itself: it dies with its test, and keeps what it has acknowledged."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omega.errors import EnvironmentFault
from omega.testing import servers
from omega.testing.bounds import killed_after
from omega.testing.servers import ValkeyServer, free_port

OWNER = (
    "import sys, time\n"
    "from omega.testing.servers import valkey_server\n"
    "with valkey_server() as server:\n"
    "    print(server._process.pid, flush=True)\n"
    "    server.freeze() if sys.argv[1] == 'frozen' else None\n"
    "    time.sleep(60)\n"
)


@pytest.mark.parametrize("state", ["running", "frozen"])
def test_server_ends_when_its_owner_is_killed(state: str):
    """A killed test run leaves no server behind, whatever state it was in."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, state], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout as out, killed_after(owner):
        server = Path("/proc", out.readline().strip())
    assert server.exists()
    folder = (server / "cwd").readlink()

    owner.send_signal(signal.SIGKILL)
    owner.wait(5)
    deadline = time.monotonic() + 60
    while (server.exists() or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not server.exists()
    assert not folder.exists()


def test_server_killed_and_restarted_has_what_it_acknowledged(server: ValkeyServer):
    server.command("SET", "a", "1")
    port = server.port
    server.restart()

    assert server.command("GET", "a") == b"$1\r\n1\r\n"
    assert server.port == port


def test_free_port_is_given_once_and_its_server_may_listen_on_it(monkeypatch: pytest.MonkeyPatch):
    """Two who ask before either of them listens: the second is told of no port rather than of the same one."""
    port = free_port()
    monkeypatch.setattr(servers.random, "randrange", lambda *_: port)

    with pytest.raises(EnvironmentFault, match="no free port"):
        free_port()
    with socket.create_server(("127.0.0.1", port)):
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
