"""What the local Discord saw and did: REST calls, gateway frames, routes nobody serves.

Read by failing tests.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omega.testing.discord.clock import WorldClock


@dataclass(frozen=True, slots=True)
class Call:
    """One REST call and its answer."""

    at: float
    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One gateway frame; `sent` is true when this Discord sent it."""

    at: float
    sent: bool
    op: int
    event: str | None


@dataclass(slots=True)
class Log:
    """Everything in the order of its happening."""

    clock: WorldClock
    calls: list[Call] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    closes: list[int | None] = field(default_factory=list)
    unknown_routes: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, status: int) -> None:
        """Note a REST call."""
        self.calls.append(Call(self.clock.now(), method, path, status))

    def frame(self, payload: dict[str, Any], *, sent: bool) -> None:
        """Note a gateway frame by its op code and event name; contents stay out, they may hold a token."""
        self.frames.append(Frame(self.clock.now(), sent, int(payload.get("op", -1)), payload.get("t")))

    def paths(self, method: str, ending: str = "") -> list[str]:
        """List the paths that were called with a method, in order."""
        return [call.path for call in self.calls if call.method == method and call.path.endswith(ending)]

    def ops(self, *, sent: bool) -> list[int]:
        """List the op codes of the frames in one direction, in order."""
        return [frame.op for frame in self.frames if frame.sent is sent]

    def write(self, path: Path) -> None:
        """Write a transcript of calls and frames, one JSON object a line."""
        lines = [{"at": c.at, "call": f"{c.method} {c.path}", "status": c.status} for c in self.calls]
        lines += [{"at": f.at, "frame": "out" if f.sent else "in", "op": f.op, "t": f.event} for f in self.frames]
        lines.sort(key=lambda line: float(str(line["at"])))
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
