"""A real PostgreSQL server for tests, on a free port, with files of its own. Used by test fixtures."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from omega.errors import EnvironmentFault
from omega.testing.servers import free_port

INSTALL = "PostgreSQL is absent: apt-get install -y --no-install-recommends postgresql-15"
_WATCH = (
    "import os, signal, sys, time\n"
    "parent, server = int(sys.argv[1]), int(sys.argv[2])\n"
    "while os.path.exists(f'/proc/{parent}') and os.path.exists(f'/proc/{server}'):\n"
    "    time.sleep(0.5)\n"
    "if os.path.exists(f'/proc/{server}'):\n"
    "    os.kill(server, signal.SIGINT)\n"
)
"""The server outlives a parent that is killed; this watcher ends it."""
_WITHIN_S = 120.0
_TOOLS = ("initdb", "pg_ctl", "postgres")


def postgres_bin() -> Path | None:
    """Return the directory of the server's tools, None where PostgreSQL is not installed."""
    candidates = [Path(found).resolve().parent for found in (shutil.which("initdb"), shutil.which("pg_ctl")) if found]
    asked = shutil.which("pg_config")
    if asked:
        command = [asked, "--bindir"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_WITHIN_S)  # noqa: S603 - fixed
        candidates.append(Path(answer.stdout.strip()))
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((path for path in candidates if all((path / tool).exists() for tool in _TOOLS)), None)


@dataclass(slots=True)
class PostgresServer:
    """One PostgreSQL server of a test: its own files, its own port, stopped and started at will.

    Attributes:
        folder: holds data, socket and log; belongs to the server's user.
        port: on 127.0.0.1.
        durable: whether it syncs to disk; crash tests want it, speed does not.
    """

    bin: Path
    folder: Path
    port: int
    durable: bool = False
    _databases: int = field(default=0, init=False)
    _watcher: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql+asyncpg://omega@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """Make an empty database and return its URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        where = ("-h", str(self.folder), "-p", str(self.port), "-U", "omega", "-d", "postgres")
        self._run("psql", "-q", *where, "-c", f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            EnvironmentFault: it does not come up; the tail of its log is in the message.
        """
        options = (
            f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync={'on' if self.durable else 'off'}"
        )
        self._pg_ctl("-w", "-l", str(self.folder / "log"), "-o", options, "start")
        self._watcher = subprocess.Popen(  # noqa: S603 - a fixed command
            [sys.executable, "-S", "-E", "-c", _WATCH, str(os.getpid()), str(self.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self, *, mode: str = "fast") -> None:
        """Stop it; `immediate` is a crash."""
        self._pg_ctl("-m", mode, "-w", "stop")
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait(5)
            self._watcher = None

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])

    @property
    def running(self) -> bool:
        """Tell whether its process lives."""
        return (self.folder / "data" / "postmaster.pid").exists()

    def _pg_ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def _run(self, tool: str, *arguments: str) -> None:
        # The log goes to a file: a server that inherited our pipe would keep it open for ever.
        with tempfile.TemporaryFile() as output:
            command = [*_as_server_user(), str(self._tool(tool)), *arguments]
            try:
                done = subprocess.run(  # noqa: S603 - fixed programs, arguments of our own
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    check=False,
                    cwd=self.folder,
                    timeout=_WITHIN_S,
                )
            except subprocess.TimeoutExpired as error:
                raise EnvironmentFault(f"PostgreSQL's {tool} did not end within {_WITHIN_S:g} s") from error
            if done.returncode != 0:
                output.seek(0)
                said = output.read().decode(errors="replace")[-800:]
                raise EnvironmentFault(f"PostgreSQL's {tool} ended with {done.returncode}: {said}\n{self._log_tail()}")

    def _tool(self, name: str) -> Path:
        # psql is a package of its own on Debian and lies beside the wrappers.
        here = self.bin / name
        return here if here.exists() else Path(shutil.which(name) or here)

    def _log_tail(self) -> str:
        log = self.folder / "log"
        return log.read_text(errors="replace")[-1500:] if log.exists() else ""


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Run a PostgreSQL server for the length of the block, and leave nothing behind.

    Raises:
        EnvironmentFault: it is not installed (the message is `INSTALL`) or does not start.
    """
    found = postgres_bin()
    if found is None:
        raise EnvironmentFault(INSTALL)
    with tempfile.TemporaryDirectory(prefix="omega-pg-", ignore_cleanup_errors=True) as temporary:
        Path(temporary).chmod(0o755)
        server = PostgresServer(bin=found, folder=_own_folder(Path(temporary)), port=free_port(), durable=durable)
        server._run(  # noqa: SLF001 - same module
            "initdb", "-D", str(server.folder / "data"), "-U", "omega", "-A", "trust", "--no-sync", "-E", "UTF8",
            "--locale=C.UTF-8",
        )  # fmt: skip
        server.start()
        try:
            yield server
        finally:
            _end(server)


def _end(server: PostgresServer) -> None:
    if not server.running:
        return
    pid = server.pid
    try:
        server.stop(mode="immediate")
    except EnvironmentFault:
        os.kill(pid, signal.SIGKILL)


def _own_folder(parent: Path) -> Path:
    folder = parent / "pg"
    folder.mkdir(mode=0o700)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    return folder


def _as_server_user() -> tuple[str, ...]:
    return ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()
