"""Worker processes that run combinations: fed in chunks, replaced when they die, stopped without losing an answer.

Called by the sweep. The parent alone writes to the study; a worker that is killed loses the chunk it was busy with,
which another one makes again.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from omega.backtest.interrupt import whole_step
from omega.backtest.sweep.job import Job, Outcome, SharedMarket, Task
from omega.backtest.sweep.worker import receive, send
from omega.errors import EnvironmentFault, InvariantBroken

_AHEAD: Final = 2
"""Chunks a worker holds: one it makes, one it goes on with at once."""

_MOST_DEATHS: Final = 3
_STOP_S: Final = 5.0
GONE: Final = "gone"


@dataclass(slots=True)
class _Worker:
    pid: int
    pipe: socket.socket
    chunks: deque[list[Task]] = field(default_factory=deque)


class Pool:
    """Some worker processes over one market, forked by a process that holds what they share."""

    def __init__(self, job: Job, market: SharedMarket, workers: int) -> None:
        """Start the process that makes everything ready; it is waited for where work is given."""
        self._wanted = workers
        self._market = market
        self._deaths = 0
        self._again: deque[list[Task]] = deque()
        self._made: deque[list[Outcome]] = deque()
        self._selector = selectors.DefaultSelector()
        self._home, theirs = socket.socketpair()
        self._workers: list[_Worker] = []
        self.modes: set[str] = set()
        self.peak_rss_mb = 0.0
        self.ready_at = 0.0
        self.cpu_s = 0.0
        threads = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "omega.backtest.sweep.worker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, **threads},
                pass_fds=(market.handle,),
            )
        with suppress(ConnectionError):  # its end is noticed where its answer is read
            send(self._home, (job, market))

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.pid for worker in self._workers]

    def run(self, chunks: Iterable[list[Task]]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of every chunk as they come; nothing is asked of the iterable before there is room.

        Raises:
            EnvironmentFault: a worker cannot start; or the fault that one reports.
            InvariantBroken: workers keep dying.
        """
        self._begin()
        source = iter(chunks)
        exhausted = False
        while True:
            # A chunk each before anybody gets a second one.
            for ahead in range(1, _AHEAD + 1):
                for worker in self._workers:
                    while not exhausted and len(worker.chunks) < ahead:
                        chunk = self._again.popleft() if self._again else next(source, None)
                        if chunk is None:
                            exhausted = True
                        else:
                            with whole_step():
                                self._give(worker, chunk)
            if not any(worker.chunks for worker in self._workers):
                if not self._again:
                    return
                exhausted = False
                continue
            yield from self._collect(None)
            exhausted = exhausted and not self._again

    def drain(self) -> Iterator[list[Outcome]]:
        """Yield what the workers have finished or finish within some seconds, and give them nothing more."""
        yield from self._hand_over()
        until = time.monotonic() + _STOP_S
        while any(worker.chunks for worker in self._workers) and (left := until - time.monotonic()) > 0:
            yield from self._collect(left)

    def close(self) -> None:
        """End the workers; one that is busy is not waited for."""
        for worker in self._workers:
            worker.pipe.close()
            if worker.chunks:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
        self._home.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        self._market.close()

    def _begin(self) -> None:
        if self._workers:
            return
        self._told("ready")
        self._workers += [self._start() for _ in range(self._wanted)]
        self.ready_at = time.perf_counter()

    def _told(self, wanted: str) -> Any:
        """Return what the first process says.

        Raises:
            EnvironmentFault: it is gone; or the fault that it reports.
        """
        kind, content = _answer(self._home)
        if kind == "fault":
            raise content
        if kind != wanted:
            code = self._process.wait()
            raise EnvironmentFault(f"the workers' first process ended with {code}; its message stands above")
        return content

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._home, [b"w"], [theirs.fileno()])
            except OSError as error:
                raise EnvironmentFault(f"the process that forks workers is gone ({error}); --resume goes on") from None
        worker = _Worker(self._told("started"), ours)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker

    def _give(self, worker: _Worker, chunk: list[Task]) -> None:
        worker.chunks.append(chunk)
        with suppress(ConnectionError):  # its death is noticed where its answers are read
            send(worker.pipe, chunk)

    def _collect(self, timeout_s: float | None) -> Iterator[list[Outcome]]:
        for key, _ in self._selector.select(timeout_s):
            with whole_step():
                self._take(key.data)
            yield from self._hand_over()

    def _take(self, worker: _Worker) -> None:
        """Read one answer, so that it is either on the socket or among what is made."""
        kind, content = _answer(worker.pipe)
        if kind == GONE:
            self._replace(worker)
            return
        if kind == "fault":
            raise content
        worker.chunks.popleft()
        outcomes, mode, rss_mb, spent = content
        self.cpu_s += spent
        self.modes.add(mode)
        self.peak_rss_mb = max(self.peak_rss_mb, rss_mb)
        self._made.append(outcomes)

    def _hand_over(self) -> Iterator[list[Outcome]]:
        while self._made:
            yield self._made.popleft()

    def _replace(self, worker: _Worker) -> None:
        self._selector.unregister(worker.pipe)
        worker.pipe.close()
        self._deaths += 1
        if self._deaths > _MOST_DEATHS:
            raise InvariantBroken(f"worker {worker.pid} died, no. {self._deaths}; what is finished is kept: --resume")
        self._again.extend(worker.chunks)
        self._workers[self._workers.index(worker)] = self._start()


def _answer(pipe: socket.socket) -> tuple[str, Any]:
    """Return the kind of the next message and what it says."""
    with suppress(ConnectionError):
        if (answer := receive(pipe)) is not None:
            kind, content = answer
            return kind, content
    return GONE, None
