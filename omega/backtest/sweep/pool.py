"""Worker processes that run combinations: fed in chunks, replaced when they die, stopped without losing an answer.

Called by the sweep. The parent alone writes to the study; a worker that is killed loses the chunk it was busy with,
which another one makes again.
"""

from __future__ import annotations

import os
import pickle
import selectors
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final

from omega.backtest.sweep.job import Job, Outcome, SharedMarket, Task
from omega.errors import EnvironmentFault, InvariantBroken

_AHEAD: Final = 2
"""Chunks a worker holds: one it makes, one it goes on with at once."""

_MOST_DEATHS: Final = 3
_STOP_S: Final = 5.0
_HEAD: Final = struct.Struct("<I")
_KEPT_PAGES: Final = "1073741824"
"""Freed memory stays with the process: an average over a year is 4 MB, and fresh pages cost more than its sum."""


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    chunks: deque[list[Task]] = field(default_factory=deque)
    ready: bool = False
    unread: bytearray = field(default_factory=bytearray)


class Pool:
    """Some worker processes over one market."""

    def __init__(self, job: Job, market: SharedMarket, workers: int) -> None:
        self._job = job
        self._market = market
        self._deaths = 0
        self._again: deque[list[Task]] = deque()
        self._selector = selectors.DefaultSelector()
        self._workers = [self._start() for _ in range(workers)]
        self.modes: set[str] = set()
        self.peak_rss_mb = 0.0
        self.ready_at = 0.0
        self.cpu_s = 0.0

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.process.pid for worker in self._workers]

    def run(self, chunks: Iterable[list[Task]]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of every chunk as they come; nothing is asked of the iterable before there is room.

        Raises:
            EnvironmentFault: a worker cannot start or reported a fault of the machine.
            InvariantBroken: workers keep dying.
        """
        source = iter(chunks)
        exhausted = False
        while True:
            for worker in self._workers:
                while not exhausted and len(worker.chunks) < _AHEAD:
                    chunk = self._again.popleft() if self._again else next(source, None)
                    if chunk is None:
                        exhausted = True
                    else:
                        self._give(worker, chunk)
            if not any(worker.chunks for worker in self._workers):
                if not self._again:
                    return
                exhausted = False
                continue
            yield from self._collect(None)
            exhausted = exhausted and not self._again

    def drain(self) -> Iterator[list[Outcome]]:
        """Yield what the workers finish within some seconds, and give them nothing more."""
        until = time.monotonic() + _STOP_S
        while any(worker.chunks for worker in self._workers) and (left := until - time.monotonic()) > 0:
            yield from self._collect(left)

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            with suppress(OSError):
                _pipe(worker.process.stdin).close()
        until = time.monotonic() + _STOP_S
        for worker in self._workers:
            try:
                worker.process.wait(max(until - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            _pipe(worker.process.stdout).close()
        self._selector.close()
        self._market.close()

    def _start(self) -> _Worker:
        threads = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        pages = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), _KEPT_PAGES)
        process = subprocess.Popen(
            [sys.executable, "-m", "omega.backtest.sweep.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **threads, **pages},
            pass_fds=(self._market.handle,),
        )
        worker = _Worker(process)
        os.set_blocking(_pipe(process.stdout).fileno(), False)
        self._selector.register(_pipe(process.stdout), selectors.EVENT_READ, worker)
        _send(_pipe(process.stdin), (self._job, self._market))
        return worker

    def _give(self, worker: _Worker, chunk: list[Task]) -> None:
        worker.chunks.append(chunk)
        with suppress(BrokenPipeError):  # its death is noticed where its answers are read
            _send(_pipe(worker.process.stdin), chunk)

    def _collect(self, timeout_s: float | None) -> Iterator[list[Outcome]]:
        for key, _ in self._selector.select(timeout_s):
            worker: _Worker = key.data
            read = os.read(key.fd, 1 << 20)
            if not read:
                self._replace(worker)
                continue
            worker.unread += read
            for message in _messages(worker.unread):
                yield from self._take(worker, message)

    def _take(self, worker: _Worker, message: Any) -> Iterator[list[Outcome]]:
        kind, content = message
        if kind == "ready":
            worker.ready = True
            self.ready_at = self.ready_at or time.perf_counter()
        elif kind == "fault":
            raise content
        else:
            worker.chunks.popleft()
            outcomes, mode, rss_mb, spent = content
            self.cpu_s += spent
            self.modes.add(mode)
            self.peak_rss_mb = max(self.peak_rss_mb, rss_mb)
            yield outcomes

    def _replace(self, worker: _Worker) -> None:
        self._selector.unregister(_pipe(worker.process.stdout))
        _pipe(worker.process.stdout).close()
        with suppress(OSError):
            _pipe(worker.process.stdin).close()
        code = worker.process.wait()
        self._deaths += 1
        if not worker.ready and code >= 0:  # below zero somebody killed it; it did not give up by itself
            raise EnvironmentFault(f"a worker ended with {code} before it was ready; its message stands above")
        if self._deaths > _MOST_DEATHS:
            raise InvariantBroken(
                f"worker {worker.process.pid} died with {code}, no. {self._deaths}; what is finished is kept: --resume"
            )
        self._again.extend(worker.chunks)
        self._workers[self._workers.index(worker)] = self._start()


def _messages(unread: bytearray) -> Iterator[Any]:
    """Take every whole message off the front."""
    while len(unread) >= _HEAD.size:
        [length] = _HEAD.unpack_from(unread)
        if len(unread) < _HEAD.size + length:
            return
        body = bytes(unread[_HEAD.size : _HEAD.size + length])
        del unread[: _HEAD.size + length]
        yield pickle.loads(body)  # noqa: S301 - from a process that this one started


def _send(pipe: IO[bytes], content: object) -> None:
    body = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_HEAD.pack(len(body)) + body)
    pipe.flush()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
