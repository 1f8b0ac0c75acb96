"""Where a running service spends its time, or who allocates its memory, recorded on request. Owned by BaseService.

`POST /profile?seconds=30` begins, `GET /profile` tells; both refuse unless `monitoring.profiling` is on. Asked by
`omega doctor --profile`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from types import FrameType
from urllib.parse import parse_qs

from omega.runtime.http import HttpAnswer, HttpRequest

SAMPLE_S = 0.005
HAND_OVER_S = 0.0001
LONGEST_S = 300.0
DEEPEST = 60
SHOWN = 40
KINDS = ("cpu", "memory")


class ProfileDesk:
    """Answers the two requests; one recording at a time."""

    def __init__(self, service: str, *, allowed: Callable[[], bool]) -> None:
        self._service = service
        self._allowed = allowed
        self._recording: asyncio.Task[dict[str, object]] | None = None

    async def begin(self, request: HttpRequest) -> HttpAnswer:
        """Begin a recording: 202, 400 for a wrong question, 403 when it is not allowed, 409 while one is under way."""
        if not self._allowed():
            return _refused()
        asked = parse_qs(request.query)
        kind = asked.get("kind", ["cpu"])[-1]
        try:
            seconds = float(asked.get("seconds", ["10"])[-1])
        except ValueError:
            seconds = 0.0
        if kind not in KINDS or not 0 < seconds <= LONGEST_S:
            words = f"ask for kind={' or '.join(KINDS)} and up to {LONGEST_S:g} seconds: /profile?kind=cpu&seconds=30"
            return HttpAnswer.of_json({"error": words}, status=400)
        if self._recording is not None and not self._recording.done():
            return HttpAnswer.of_json({"error": "a recording is under way; ask for it later"}, status=409)
        record = record_cpu if kind == "cpu" else record_memory
        work = asyncio.to_thread(record, seconds, threading.get_ident())
        self._recording = asyncio.get_running_loop().create_task(work, name="profile")
        return HttpAnswer.of_json({"service": self._service, "kind": kind, "seconds": seconds}, status=202)

    async def tell(self, _request: HttpRequest) -> HttpAnswer:
        """Answer with the last recording: 200, 202 while it is under way, 404 when there is none."""
        if not self._allowed():
            return _refused()
        if self._recording is None:
            return HttpAnswer.of_json({"error": "nothing is recorded: POST /profile?seconds=30 first"}, status=404)
        if not self._recording.done():
            return HttpAnswer.of_json({"service": self._service, "state": "recording"}, status=202)
        return HttpAnswer.of_json({"service": self._service, **self._recording.result()})


def _refused() -> HttpAnswer:
    words = "profiling is off: set monitoring.profiling to true; it takes effect without a restart"
    return HttpAnswer.of_json({"error": words}, status=403)


def record_cpu(seconds: float, thread: int) -> dict[str, object]:
    """Sample the stack of a thread for some seconds.

    Returns:
        The number of samples; `functions`, the innermost ones by their share; `stacks`, outermost first and joined by
        `;` with their samples, as flame graphs are drawn from.
    """
    stacks: Counter[tuple[str, ...]] = Counter()
    # The interpreter hands over after this time, or when a thread waits: with the usual 5 ms nearly every sample would
    # find the loop waiting, whatever it did before.
    usual = sys.getswitchinterval()
    sys.setswitchinterval(HAND_OVER_S)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            frame = sys._current_frames().get(thread)  # noqa: SLF001 - how Python shows another thread's stack
            if frame is not None:
                stacks[_stack(frame)] += 1
            del frame  # a frame that is kept keeps all its values
            time.sleep(SAMPLE_S)
    finally:
        sys.setswitchinterval(usual)
    whole = max(sum(stacks.values()), 1)
    innermost: Counter[str] = Counter()
    for stack, count in stacks.items():
        innermost[stack[-1]] += count
    return {
        "kind": "cpu",
        "seconds": seconds,
        "samples": sum(stacks.values()),
        "functions": [{"where": where, "share": count / whole} for where, count in innermost.most_common(SHOWN)],
        "stacks": [{"stack": ";".join(stack), "samples": count} for stack, count in stacks.most_common()],
    }


def record_memory(seconds: float, _thread: int) -> dict[str, object]:
    """Watch allocations for some seconds; what is still held at the end is told by the line that made it.

    Returns:
        `grown`, bytes by which the whole has grown, and `allocators`, the largest first.
    """
    ours = not tracemalloc.is_tracing()
    if ours:
        tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        time.sleep(seconds)
        after = tracemalloc.take_snapshot()
    finally:
        if ours:
            tracemalloc.stop()
    rows = [row for row in after.compare_to(before, "lineno") if row.traceback[0].filename != tracemalloc.__file__]
    rows.sort(key=lambda row: -row.size_diff)
    return {
        "kind": "memory",
        "seconds": seconds,
        "grown": sum(row.size_diff for row in rows),
        "allocators": [
            {
                "where": f"{_short(row.traceback[0].filename)}:{row.traceback[0].lineno}",
                "bytes": row.size_diff,
                "blocks": row.count_diff,
            }
            for row in rows[:SHOWN]
            if row.size_diff > 0
        ],
    }


def _stack(frame: FrameType | None) -> tuple[str, ...]:
    found: list[str] = []
    while frame is not None and len(found) < DEEPEST:
        code = frame.f_code
        found.append(f"{_short(code.co_filename)}:{code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(found))


def _short(filename: str) -> str:
    """Return a path from its package on: no page of a profile is made of directories."""
    for folder in ("/site-packages/", "/lib/python"):
        head, found, rest = filename.rpartition(folder)
        if found and head:
            return rest
    parts = filename.split("/")
    return "/".join(parts[-3:])
