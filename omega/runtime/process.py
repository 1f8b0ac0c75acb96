"""What this process uses, and how long its collector stops it, as metrics. Owned by BaseService."""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from omega.telemetry import Metrics

LOOK_EVERY_S = 5.0
"""Time between two looks at /proc: every heartbeat asks, and every process of a farm would pay for it."""
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container tells what it may hold: control groups of the second version, then of the first."""
PAUSES = 10_000
"""Pauses that are remembered between two updates; of more the oldest are forgotten."""
NO_LIMIT = 1 << 50
"""A limit above a petabyte is the first version's word for none."""
NOT_COUNTED = -1
"""Frozen objects that nobody has counted yet."""


class ProcessWatch:
    """Measures the process; elsewhere than on Linux it tells processor time and the collector alone."""

    frozen: ClassVar[int] = NOT_COUNTED
    """Objects that the collector leaves alone. To count them stops the process for 20 ms: once after each freeze."""

    def __init__(self, service: str, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._metrics = metrics
        self._clock = clock
        self._looked_s = -LOOK_EVERY_S
        self._cpu_s = 0.0
        self._began_s = 0.0
        self._pauses: deque[tuple[int, float]] = deque(maxlen=PAUSES)

    def open(self) -> None:
        """Listen to the collector."""
        gc.callbacks.append(self._collector)

    def close(self) -> None:
        """Listen no longer."""
        with suppress(ValueError):
            gc.callbacks.remove(self._collector)

    def update(self) -> None:
        """Bring the metrics up to date; what costs a look at /proc at most every five seconds."""
        pauses = self._metrics.histogram("collector_pause_seconds")
        while self._pauses:
            generation, pause = self._pauses.popleft()
            pauses.labels(self._service, generation).observe(pause)
        now = self._clock()
        if now - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now
        used = time.process_time()
        self._metrics.counter("process_cpu_seconds_total").labels(self._service).inc(max(used - self._cpu_s, 0.0))
        self._cpu_s = used
        gauge = self._metrics.gauge
        if self.frozen == NOT_COUNTED:
            ProcessWatch.frozen = gc.get_freeze_count()
        gauge("collector_frozen").labels(self._service).set(self.frozen)
        gauge("process_memory_limit_bytes").labels(self._service).set(memory_limit())
        with suppress(OSError):
            gauge("process_memory_bytes").labels(self._service).set(memory())
            gauge("process_sockets").labels(self._service).set(sockets())

    def _collector(self, phase: str, about: Mapping[str, int]) -> None:
        """Remember a pause. It may fall into the middle of anything: no lock may be asked for, not even a metric's."""
        if phase == "start":
            self._began_s = time.perf_counter()
        else:
            self._pauses.append((about["generation"], time.perf_counter() - self._began_s))


def freeze() -> None:
    """Let the collector leave alone what there is now: what a start has made lives as long as the process."""
    gc.freeze()
    ProcessWatch.frozen = NOT_COUNTED


def memory() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_limit() -> int:
    """Return what the container may hold in bytes, 0 without a limit."""
    for path in LIMITS:
        with suppress(OSError, ValueError):
            limit = int(path.read_text(encoding="ascii"))
            return limit if limit < NO_LIMIT else 0
    return 0


def sockets() -> int:
    """Return how many sockets this process has open."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it was closed meanwhile
            found += str(entry.readlink()).startswith("socket:")
    return found
