"""A primary with replicas and the Sentinels that watch it, all real processes. Used by the tests of the fail-over."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from omega.errors import EnvironmentFault
from omega.testing.servers import ValkeyServer, free_port

NAME = "farm"
DOWN_MS = 800
_WITHIN_S = 30.0


@dataclass(slots=True)
class Watched:
    """One set: whoever of `servers` is primary changes, the Sentinels know.

    Attributes:
        servers: the first one began as the primary.
        sentinels: three of them; two must agree.
    """

    servers: list[ValkeyServer]
    sentinels: list[ValkeyServer]

    @property
    def url(self) -> str:
        """Where clients find the primary, whoever that is."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{NAME}/0"

    def primary(self) -> ValkeyServer:
        """Return the server that the first living Sentinel names."""
        for sentinel in self.sentinels:
            if sentinel.running:
                answer = sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME).split(b"\r\n")
                return next(server for server in self.servers if server.port == int(answer[4]))
        raise EnvironmentFault("no Sentinel runs any more")

    def until_promoted(self, old: ValkeyServer) -> ValkeyServer:
        """Wait until another server is primary and says so itself."""
        end = time.monotonic() + _WITHIN_S
        while time.monotonic() < end:
            new = self.primary()
            if new is not old and b"master" in new.command("ROLE")[:32]:
                return new
            time.sleep(0.05)
        raise EnvironmentFault(f"nobody was promoted within {_WITHIN_S:g} s")

    def until_replicated(self, replicas: int) -> None:
        """Wait until the primary has so many replicas in step and the Sentinels know of each other."""
        end = time.monotonic() + _WITHIN_S
        while time.monotonic() < end:
            info = self.primary().command("INFO", "replication")
            known = [sentinel.command("SENTINEL", "CKQUORUM", NAME) for sentinel in self.sentinels]
            seen = [sentinel.command("INFO", "sentinel") for sentinel in self.sentinels]
            full = f"slaves={len(self.servers) - 1},sentinels={len(self.sentinels)}".encode()
            in_step = info.count(b"state=online") >= replicas
            if in_step and all(b"+OK" in one for one in known) and all(full in one for one in seen):
                return
            time.sleep(0.05)
        raise EnvironmentFault(f"the replicas did not come into step within {_WITHIN_S:g} s")


@contextmanager
def watched_servers(options: dict[str, str] | None = None) -> Iterator[Watched]:
    """Give a primary, two replicas and three Sentinels, and take everything of them away afterwards.

    Raises:
        EnvironmentFault: there is no server to start, or the set does not come together.
    """
    root = Path(tempfile.mkdtemp(prefix="omega-sentinel-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        servers: list[ValkeyServer] = []
        for number in range(3):
            follows = {"replicaof": f"127.0.0.1 {servers[0].port}"} if servers else {}
            servers.append(
                _start(stack, root / f"server{number}", {"repl-diskless-sync-delay": "0", **follows, **(options or {})})
            )
        sentinels = [_watch(stack, root / f"sentinel{number}", servers[0].port) for number in range(3)]
        watched = Watched(servers, sentinels)
        watched.until_replicated(2)
        yield watched


def _start(stack: ExitStack, folder: Path, options: dict[str, str]) -> ValkeyServer:
    folder.mkdir()
    server = ValkeyServer(folder, free_port(), options)
    stack.callback(server.kill)
    server.start()
    return server


def _watch(stack: ExitStack, folder: Path, primary: int) -> ValkeyServer:
    folder.mkdir()
    port = free_port()
    config = folder / "sentinel.conf"
    lines = (
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor {NAME} 127.0.0.1 {primary} 2",
        f"sentinel down-after-milliseconds {NAME} {DOWN_MS}",
        f"sentinel failover-timeout {NAME} 4000",
        f"sentinel parallel-syncs {NAME} 2",
    )
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sentinel = ValkeyServer(folder, port, config=str(config))
    stack.callback(sentinel.kill)
    sentinel.start()
    return sentinel
