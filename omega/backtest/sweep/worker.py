"""One worker of a sweep: a process that gets combinations on stdin and answers on stdout. Started by the pool."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from omega.backtest.sweep.job import Job, SharedMarket, Task
from omega.errors import OmegaError

_HEAD: Final = struct.Struct("<I")


def main() -> None:
    """Serve until stdin ends, which it does when the parent is gone, in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a strategy that prints must not write into the answers
    asked = sys.stdin.buffer
    job, market = _receive(asked)
    try:
        _serve(job, market, asked, answers)
    except OmegaError as error:
        _send(answers, ("fault", error))


def _serve(job: Job, shared: SharedMarket, asked: IO[bytes], answers: IO[bytes]) -> None:
    # Imported here: the parent's stand-ins must be in place first, and a refused job needs none of it.
    from omega.backtest.sweep.evaluate import Evaluator

    evaluator = Evaluator(job, shared.open())
    _send(answers, ("ready", None))
    while (chunk := _receive(asked)) is not None:
        tasks: list[Task] = chunk
        began = time.process_time()
        outcomes = evaluator.evaluate(tasks)
        spent = time.process_time() - began
        _send(answers, ("rows", (outcomes, evaluator.mode, peak_rss_mb(), spent)))


def peak_rss_mb() -> float:
    """Return the most memory that this process has held, in megabytes.

    On Linux from the process itself: the usual call counts what the parent held when it started this one.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _receive(pipe: IO[bytes]) -> Any:
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    [length] = _HEAD.unpack(head)
    body = pipe.read(length)
    return pickle.loads(body) if len(body) == length else None  # noqa: S301 - from the process that started this one


def _send(pipe: IO[bytes], content: object) -> None:
    body = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_HEAD.pack(len(body)) + body)
    pipe.flush()


if __name__ == "__main__":
    main()
