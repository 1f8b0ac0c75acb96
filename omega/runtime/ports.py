"""TCP ports that are kept for processes which will listen on them. Used where one machine carries a whole farm.

Asking the kernel for a free port and letting it go again is a race: the next one who asks may be given the same port
before the process for which it was meant listens. A bound socket that does not listen keeps a port out of the kernel's
lottery, while a server that sets SO_REUSEADDR, as they all do, may still listen on it by its number.
"""

from __future__ import annotations

import socket
from contextlib import suppress


class HeldPorts:
    """Ports of the loopback address, each given out once and kept until `close`, over every restart of its user."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self) -> int:
        """Return a port that nobody else on this machine is given before `close`."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        self._held.append(held)
        return int(held.getsockname()[1])

    def close(self) -> None:
        """Let every port go."""
        for held in self._held:
            with suppress(OSError):
                held.close()
        self._held.clear()
