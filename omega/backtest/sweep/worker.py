"""The workers of a sweep: one process makes everything ready, and forks a worker whenever the pool asks for one.

So the kernel is loaded once, all workers are ready at once, and what they share lies in memory once. Started by the
pool, which talks with the first process over its stdin, a socket, and with every worker over a socket of its own.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from omega.backtest.sweep.job import Job, SharedMarket
from omega.errors import OmegaError

if TYPE_CHECKING:
    from omega.backtest.sweep.evaluate import Evaluator

_HEAD: Final = struct.Struct("<I")


def main() -> None:
    """Serve until the pool's end of the socket is closed, which it is when the pool is gone, in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pool's to handle
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a worker: its socket tells its end
    pool = socket.socket(fileno=os.dup(0))
    os.dup2(2, 1)  # a strategy that prints must not write into whatever stdout is
    job, market = receive(pool)
    try:
        evaluator = _made_ready(job, market)
    except OmegaError as error:
        send(pool, ("fault", error))
        return
    send(pool, ("ready", None))
    while handles := socket.recv_fds(pool, 1, 1)[1]:
        number = os.fork()
        if number == 0:
            pool.close()
            os.dup2(2, 0)
            _serve(evaluator, socket.socket(fileno=handles[0]))
            return
        os.close(handles[0])
        send(pool, ("started", number))


def _made_ready(job: Job, market: SharedMarket) -> Evaluator:
    # Imported here: the parent's stand-ins must be in place first, and a refused job needs none of it.
    from omega.backtest.pages import keep_pages
    from omega.backtest.sweep.evaluate import Evaluator

    keep_pages()
    evaluator = Evaluator(job, market.open())
    gc.collect()
    gc.freeze()  # what is there stays where it is: a collector that marks it would copy every page
    return evaluator


def _serve(evaluator: Evaluator, pool: socket.socket) -> None:
    """Answer chunks of combinations with their outcomes until the socket ends."""
    with suppress(ConnectionError):
        while (tasks := receive(pool)) is not None:
            began = time.process_time()
            try:
                outcomes = evaluator.evaluate(tasks)
            except OmegaError as error:
                send(pool, ("fault", error))
                return
            spent = time.process_time() - began
            send(pool, ("rows", (outcomes, evaluator.mode, peak_rss_mb(), spent)))


def peak_rss_mb() -> float:
    """Return the most memory that this process has held, in megabytes.

    On Linux from the process itself: the usual call counts what the parent held when it started this one.
    """
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return memory_mb("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def memory_mb(kind: str) -> float:
    """Return one of the figures that Linux keeps of this process's memory, in megabytes; elsewhere 0.0."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(kind + ":"):
                return int(line.split()[1]) / 1024
    return 0.0


def receive(pipe: socket.socket) -> Any:
    """Return the next message, None where the other end is gone."""
    head = _exactly(pipe, _HEAD.size)
    body = _exactly(pipe, _HEAD.unpack(head)[0]) if head else b""
    return pickle.loads(body) if body else None  # noqa: S301 - from a process of this sweep


def send(pipe: socket.socket, content: object) -> None:
    """Send a message."""
    body = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.sendall(_HEAD.pack(len(body)) + body)


def _exactly(pipe: socket.socket, size: int) -> bytes:
    """Return so many bytes, none where the stream ends before."""
    found = bytearray()
    while len(found) < size:
        part = pipe.recv(size - len(found))
        if not part:
            return b""
        found += part
    return bytes(found)


if __name__ == "__main__":
    main()
